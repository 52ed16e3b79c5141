//! What `update-alternatives` would have linked, read from the packages' scripts without running them.
//!
//! Only calls with literal arguments are understood; a call with variables is left out, and the program it would link has to
//! be called by its full path (or the image built with `configure: true`).

use std::collections::BTreeMap;

use crate::error::BuildError;
use crate::inside::{Additions, Inside};

/// One `--install` or `--slave`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    link: String,
    name: String,
    path: String,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    priority: i64,
    main: Link,
    others: Vec<Link>,
}

/// Adds the links of the alternative with the highest priority for each name.
pub(crate) fn add(scripts: &[String], root: &Inside, additions: &mut Additions) -> Result<(), BuildError> {
    let mut best: BTreeMap<String, Alternative> = BTreeMap::new();
    for alternative in scripts.iter().flat_map(|script| calls(script)) {
        if !root.exists(&alternative.main.path)? {
            continue;
        }
        let known = best.get(&alternative.main.name).map(|known| known.priority);
        if known.is_none_or(|known| known < alternative.priority) {
            best.insert(alternative.main.name.clone(), alternative);
        }
    }
    for alternative in best.into_values() {
        for Link { link, name, path } in std::iter::once(alternative.main).chain(alternative.others) {
            if root.exists(&path)? && !root.has_name(&link)? {
                additions.link(format!("etc/alternatives/{name}"), path);
                additions.link(link, format!("/etc/alternatives/{name}"));
            }
        }
    }
    Ok(())
}

fn calls(script: &str) -> Vec<Alternative> {
    let joined = script.replace("\\\n", " ");
    let calls = joined.lines().filter_map(|line| {
        let line = line.trim_start();
        if line.starts_with('#') {
            return None;
        }
        let (_, arguments) = line.split_once("update-alternatives ")?;
        let words: Vec<String> = arguments
            .split_whitespace()
            .take_while(|word| !matches!(*word, "||" | "&&" | "|" | ";" | ">" | "2>&1"))
            .map(|word| word.trim_matches(['"', '\'', ';']).to_owned())
            .collect();
        parse(&words)
    });
    calls.collect()
}

fn parse(words: &[String]) -> Option<Alternative> {
    let literal = |word: &String| (!word.contains(['$', '`', '*'])).then(|| word.clone());
    let link = |at: usize| -> Option<Link> {
        let found = Link {
            link: literal(words.get(at)?)?,
            name: literal(words.get(at + 1)?)?,
            path: literal(words.get(at + 2)?)?,
        };
        let right = found.link.starts_with('/') && found.path.starts_with('/') && !found.name.contains('/');
        let inside =
            [&found.link, &found.path, &found.name].iter().all(|text| text.split('/').all(|part| part != ".."));
        (right && inside).then_some(found)
    };
    let install = words.iter().position(|word| word == "--install")?;
    let priority = words.get(install + 4)?.parse().ok()?;
    let slaves = words.iter().enumerate().filter(|(_, word)| *word == "--slave");
    let others = slaves.filter_map(|(at, _)| link(at + 1)).collect();
    Some(Alternative { priority, main: link(install + 1)?, others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_calls_are_understood() {
        let script = "if x; then\n  update-alternatives --quiet \\\n    --install /usr/bin/awk awk /usr/bin/mawk 5 \\\n    --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz\nfi\n\
            # update-alternatives --install /a a /b 1\nupdate-alternatives --install /usr/bin/$i $i $home/bin/$i 10 || true\nupdate-alternatives --remove awk /usr/bin/mawk";
        let found = calls(script);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].priority, found[0].main.link.as_str(), found[0].others.len()), (5, "/usr/bin/awk", 1));
    }
}
