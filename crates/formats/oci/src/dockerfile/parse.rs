//! From the text of an instruction to what it says.

use std::time::Duration;

use super::DockerfileError;
use super::instruction::{
    Command, CopyInstruction, FromInstruction, HealthcheckInstruction, Heredoc, Instruction, InstructionKind, Mount,
    MountKind, Network, RunInstruction,
};
use super::lines::LogicalLine;
use crate::expand::split_words;

type Flags = Vec<(String, Option<String>)>;

pub(super) fn parse(line: LogicalLine, escape: char) -> Result<Instruction, DockerfileError> {
    let LogicalLine { number, text, heredocs } = line;
    let trimmed = text.trim();
    let (keyword, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
    let rest = rest.trim();
    let upper = keyword.to_ascii_uppercase();
    kind(&upper, rest, heredocs, escape)
        .map(|kind| Instruction { line: number, text: format!("{upper} {rest}").trim().to_owned(), kind })
        .map_err(|problem| DockerfileError { line: number, problem })
}

fn kind(keyword: &str, rest: &str, heredocs: Vec<Heredoc>, escape: char) -> Result<InstructionKind, String> {
    let needs = |what: &str| format!("{keyword} needs {what}");
    let one =
        || -> Result<String, String> { if rest.is_empty() { Err(needs("a value")) } else { Ok(rest.to_owned()) } };
    let words = || -> Result<Vec<String>, String> {
        let words = json(rest).unwrap_or_else(|| split_words(rest, escape));
        if words.is_empty() { Err(needs("at least one value")) } else { Ok(words) }
    };
    Ok(match keyword {
        "FROM" => InstructionKind::From(from(rest)?),
        "ARG" => InstructionKind::Arg(arguments(rest, escape)?),
        "ENV" => InstructionKind::Env(pairs(keyword, rest, escape)?),
        "LABEL" => InstructionKind::Label(pairs(keyword, rest, escape)?),
        "RUN" => InstructionKind::Run(run(rest, heredocs, escape)?),
        "COPY" => InstructionKind::Copy(copy(keyword, rest, heredocs, escape)?),
        "ADD" => InstructionKind::Add(copy(keyword, rest, heredocs, escape)?),
        "WORKDIR" => InstructionKind::Workdir(one()?),
        "USER" => InstructionKind::User(one()?),
        "EXPOSE" => InstructionKind::Expose(split_words(&one()?, escape)),
        "VOLUME" => InstructionKind::Volume(words()?),
        "STOPSIGNAL" => InstructionKind::StopSignal(one()?),
        "ENTRYPOINT" => InstructionKind::Entrypoint(command(rest)),
        "CMD" => InstructionKind::Cmd(command(rest)),
        "SHELL" => InstructionKind::Shell(
            json(rest).filter(|words| !words.is_empty()).ok_or_else(|| needs("a JSON array of strings"))?,
        ),
        "HEALTHCHECK" => InstructionKind::Healthcheck(healthcheck(rest, escape)?),
        "ONBUILD" => InstructionKind::OnBuild(trigger(rest, &heredocs, escape)?),
        "MAINTAINER" => InstructionKind::Maintainer(one()?),
        other => return Err(format!("\"{other}\" is not an instruction")),
    })
}

fn from(rest: &str) -> Result<FromInstruction, String> {
    let (flags, rest) = flags(rest, '\\');
    let mut platform = None;
    for (name, value) in flags {
        match (name.as_str(), value) {
            ("platform", Some(value)) => platform = Some(value),
            (other, _) => return Err(format!("FROM has no flag --{other}")),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words.as_slice() {
        [image] => (*image, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => (*image, Some(name.to_ascii_lowercase())),
        _ => return Err("FROM needs an image and may have AS and a name".to_owned()),
    };
    if let Some(name) = &name {
        let right = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'));
        if !right || name == "scratch" {
            return Err(format!(
                "\"{name}\" is not a stage name: letters, digits, '-', '_' and '.', a letter first, not \"scratch\""
            ));
        }
    }
    Ok(FromInstruction { image: image.to_owned(), platform, name })
}

fn arguments(rest: &str, escape: char) -> Result<Vec<(String, Option<String>)>, String> {
    let words = split_words(rest, escape);
    if words.is_empty() {
        return Err("ARG needs a name".to_owned());
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err("ARG needs a name before '='".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    };
    words.into_iter().map(pair).collect()
}

/// `name=value …`, or the old `name value`.
fn pairs(keyword: &str, rest: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = split_words(rest, escape);
    let Some(first) = words.first() else { return Err(format!("{keyword} needs a name and a value")) };
    if !first.contains('=') {
        let value = rest.strip_prefix(first.as_str()).unwrap_or_default().trim();
        if value.is_empty() {
            return Err(format!("{keyword} {first} needs a value"));
        }
        return Ok(vec![(first.clone(), value.to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(format!("{keyword} needs a name before '='")),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{keyword}: \"{word}\" has no '='; values with blanks need quotes")),
    };
    words.into_iter().map(pair).collect()
}

/// Takes `--name[=value]` words off the start.
fn flags(rest: &str, escape: char) -> (Flags, &str) {
    let mut found = Flags::new();
    let mut rest = rest.trim_start();
    while let Some(after) = rest.strip_prefix("--") {
        let word = split_words(rest, escape).into_iter().next().unwrap_or_default();
        let body = word.strip_prefix("--").unwrap_or_default().to_owned();
        if body.is_empty() {
            rest = after.trim_start();
            break;
        }
        match body.split_once('=') {
            Some((name, value)) => found.push((name.to_owned(), Some(value.to_owned()))),
            None => found.push((body, None)),
        }
        rest = rest.strip_prefix(word.as_str()).unwrap_or_default().trim_start();
    }
    (found, rest)
}

/// A JSON array of strings; anything else is not one.
fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

fn command(rest: &str) -> Command {
    json(rest).map_or_else(|| Command::Shell(rest.to_owned()), Command::Exec)
}

fn is_true(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1" | "t") => Ok(true),
        Some("false" | "0" | "f") => Ok(false),
        Some(other) => Err(format!("--{name} is true or false, not \"{other}\"")),
    }
}

fn run(rest: &str, heredocs: Vec<Heredoc>, escape: char) -> Result<RunInstruction, String> {
    let (flags, rest) = flags(rest, escape);
    let mut run = RunInstruction { command: command(rest), mounts: Vec::new(), network: Network::Default, heredocs };
    for (name, value) in flags {
        match (name.as_str(), value.as_deref()) {
            ("mount", Some(value)) => run.mounts.push(mount(value)?),
            ("network", Some("default")) => run.network = Network::Default,
            ("network", Some("none")) => run.network = Network::None,
            ("network", Some("host")) => run.network = Network::Host,
            ("network", other) => {
                return Err(format!("--network is default, none or host, not \"{}\"", other.unwrap_or_default()));
            }
            ("security", Some("sandbox")) => {}
            ("security" | "device", _) => return Err(format!("RUN --{name} is not supported")),
            (other, _) => return Err(format!("RUN has no flag --{other}")),
        }
    }
    match &run.command {
        Command::Shell(text) if text.is_empty() => Err("RUN needs a command".to_owned()),
        Command::Exec(words) if words.is_empty() => Err("RUN needs a command".to_owned()),
        _ => Ok(run),
    }
}

fn mount(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        kind: MountKind::Bind,
        target: None,
        source: None,
        from: None,
        id: None,
        env: None,
        read_only: None,
        required: false,
        mode: None,
        uid: 0,
        gid: 0,
        size: None,
        sharing: None,
    };
    for part in text.trim_matches(['"', '\'']).split(',') {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        let text = || value.map(str::to_owned).ok_or_else(|| format!("--mount: {key} needs a value"));
        let number = |value: Option<&str>, radix| {
            value
                .and_then(|value| u32::from_str_radix(value, radix).ok())
                .ok_or_else(|| format!("--mount: {key} is not a number"))
        };
        match key.trim() {
            "type" => {
                mount.kind = match value {
                    Some("bind") => MountKind::Bind,
                    Some("cache") => MountKind::Cache,
                    Some("tmpfs") => MountKind::Tmpfs,
                    Some("secret") => MountKind::Secret,
                    other => return Err(format!("--mount of type \"{}\" is not supported", other.unwrap_or_default())),
                }
            }
            "target" | "dst" | "destination" => mount.target = Some(text()?),
            "source" | "src" => mount.source = Some(text()?),
            "from" => mount.from = Some(text()?),
            "id" => mount.id = Some(text()?),
            "env" => mount.env = Some(text()?),
            "ro" | "readonly" => mount.read_only = Some(is_true(key, value)?),
            "rw" | "readwrite" => mount.read_only = Some(!is_true(key, value)?),
            "required" => mount.required = is_true(key, value)?,
            "mode" => mount.mode = Some(number(value, 8)?),
            "uid" => mount.uid = number(value, 10)?,
            "gid" => mount.gid = number(value, 10)?,
            "size" => mount.size = Some(size(&text()?)?),
            "sharing" => mount.sharing = Some(text()?),
            other => return Err(format!("--mount has no option \"{other}\"")),
        }
    }
    if mount.target.is_none() && mount.kind != MountKind::Secret {
        return Err("--mount needs a target".to_owned());
    }
    if mount.kind == MountKind::Secret && mount.id.is_none() && mount.target.is_none() && mount.source.is_none() {
        return Err("--mount=type=secret needs an id".to_owned());
    }
    Ok(mount)
}

fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|found: char| found.is_ascii_alphabetic());
    let factor: u64 = match lower.strip_prefix(digits).unwrap_or_default() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(format!("\"{text}\" is not a size")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("\"{text}\" is not a size"))?;
    number.checked_mul(factor).ok_or_else(|| format!("\"{text}\" is too large"))
}

fn copy(keyword: &str, rest: &str, heredocs: Vec<Heredoc>, escape: char) -> Result<CopyInstruction, String> {
    let (flags, rest) = flags(rest, escape);
    let mut words = json(rest).unwrap_or_else(|| split_words(rest, escape));
    let destination = words
        .pop()
        .filter(|_| !words.is_empty())
        .ok_or_else(|| format!("{keyword} needs sources and a destination"))?;
    words.retain(|word| !heredocs.iter().any(|heredoc| is_mark_of(word, heredoc)));
    let mut copy = CopyInstruction {
        from: None,
        chown: None,
        chmod: None,
        link: false,
        parents: false,
        exclude: Vec::new(),
        checksum: None,
        unpack: None,
        sources: words,
        heredocs,
        destination,
    };
    let copying = keyword == "COPY";
    for (name, value) in flags {
        let needed = |value: Option<String>| value.ok_or_else(|| format!("--{name} needs a value"));
        match name.as_str() {
            "from" if copying => copy.from = Some(needed(value)?),
            "parents" if copying => copy.parents = is_true(&name, value.as_deref())?,
            "checksum" if !copying => copy.checksum = Some(needed(value)?),
            "unpack" if !copying => copy.unpack = Some(is_true(&name, value.as_deref())?),
            "keep-git-dir" if !copying => return Err("ADD of git repositories is not supported".to_owned()),
            "chown" => copy.chown = Some(needed(value)?),
            "chmod" => copy.chmod = Some(needed(value)?),
            "link" => copy.link = is_true(&name, value.as_deref())?,
            "exclude" => copy.exclude.push(needed(value)?),
            other => return Err(format!("{keyword} has no flag --{other}")),
        }
    }
    Ok(copy)
}

fn is_mark_of(word: &str, heredoc: &Heredoc) -> bool {
    let Some(rest) = word.strip_prefix("<<") else { return false };
    rest.trim_start_matches('-').trim_matches(['"', '\'']) == heredoc.name
}

fn healthcheck(rest: &str, escape: char) -> Result<HealthcheckInstruction, String> {
    let (flags, rest) = flags(rest, escape);
    let mut check = HealthcheckInstruction::default();
    for (name, value) in flags {
        let value = value.ok_or_else(|| format!("--{name} needs a value"))?;
        match name.as_str() {
            "interval" => check.interval = duration(&value)?,
            "timeout" => check.timeout = duration(&value)?,
            "start-period" => check.start_period = duration(&value)?,
            "start-interval" => check.start_interval = duration(&value)?,
            "retries" => {
                check.retries = value.parse().map_err(|_| format!("--retries: \"{value}\" is not a number"))?
            }
            other => return Err(format!("HEALTHCHECK has no flag --{other}")),
        }
    }
    let (form, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match (form.to_ascii_uppercase().as_str(), rest.trim()) {
        ("NONE", "") => Ok(check),
        ("CMD", command_text) if !command_text.is_empty() => {
            check.command = Some(command(command_text));
            Ok(check)
        }
        _ => Err("HEALTHCHECK needs NONE, or CMD and a command".to_owned()),
    }
}

/// A duration as Go writes it: `1m30s`, `1.5h`, `250ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("\"{text}\" is not a duration such as 30s or 1m30s");
    let mut total = 0.0f64;
    let mut rest = text;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|found: char| !found.is_ascii_digit() && found != '.').ok_or_else(error)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|found: char| found.is_ascii_digit() || found == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(error()),
        };
        total += number.parse::<f64>().map_err(|_| error())? * factor;
        rest = after;
    }
    if text.is_empty() { Err(error()) } else { Duration::try_from_secs_f64(total).map_err(|_| error()) }
}

fn trigger(rest: &str, heredocs: &[Heredoc], escape: char) -> Result<String, String> {
    let keyword = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if matches!(keyword.as_str(), "" | "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(format!("ONBUILD cannot have \"{keyword}\" as its instruction"));
    }
    let words = rest.strip_prefix(rest.split_whitespace().next().unwrap_or_default()).unwrap_or_default().trim();
    kind(&keyword, words, heredocs.to_vec(), escape)?;
    let mut text = rest.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}
