//! Which stages a build needs, and in which order. Pure.

use std::collections::{BTreeMap, BTreeSet};

use maru_oci::{Dockerfile, FromInstruction, Instruction, InstructionKind, Platform, expand};

use crate::error::BuildError;

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by its index.
    Stage(usize),
    /// An image, by its name as written, with variables replaced.
    Image(String),
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) name: Option<String>,
    pub(crate) base: Base,
    pub(crate) from: Instruction,
    pub(crate) instructions: Vec<Instruction>,
}

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) escape: char,
    pub(crate) stages: Vec<Stage>,
    /// Indexes of the stages that are needed, in order; the last is the target.
    pub(crate) needed: Vec<usize>,
    /// `ARG` before the first `FROM`, and what every build knows.
    pub(crate) global_arguments: BTreeMap<String, String>,
    /// Those of them that a stage knows without asking.
    pub(crate) platform_arguments: BTreeMap<String, String>,
}

pub(crate) fn wrong(line: usize, problem: impl Into<String>) -> BuildError {
    BuildError::Dockerfile { line, problem: problem.into() }
}

/// Decides what to build.
pub(crate) fn plan(
    file: &Dockerfile,
    build_arguments: &BTreeMap<String, String>,
    target: Option<&str>,
) -> Result<Plan, BuildError> {
    let platform_arguments = platform_arguments();
    let mut global: BTreeMap<String, String> = platform_arguments.clone();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in &file.instructions {
        match (&instruction.kind, stages.last_mut()) {
            (InstructionKind::From(from), _) => {
                let stage = stage(from, instruction, &stages, &global, file.escape)?;
                stages.push(stage);
            }
            (InstructionKind::Arg(arguments), None) => {
                for (name, default) in arguments {
                    let expanded =
                        default.as_deref().map(|word| expand(word, file.escape, &|name| global.get(name).cloned()));
                    let expanded = expanded.transpose().map_err(|error| wrong(instruction.line, error.to_string()))?;
                    if let Some(value) = build_arguments.get(name).cloned().or(expanded) {
                        global.insert(name.clone(), value);
                    }
                }
            }
            (_, Some(stage)) => stage.instructions.push(instruction.clone()),
            // The parser lets nothing but ARG come before FROM.
            (_, None) => {}
        }
    }
    let last = match target {
        None => stages.len().saturating_sub(1),
        Some(target) => find(&stages, &target.to_ascii_lowercase()).ok_or_else(|| {
            let names: Vec<&str> = stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
            BuildError::Target {
                target: target.to_owned(),
                available: if names.is_empty() { "none has a name".to_owned() } else { names.join(", ") },
            }
        })?,
    };
    let needed = needed(&stages, last);
    Ok(Plan { escape: file.escape, stages, needed, global_arguments: global, platform_arguments })
}

fn platform_arguments() -> BTreeMap<String, String> {
    let platform = Platform::host();
    let mut found = BTreeMap::new();
    for side in ["BUILD", "TARGET"] {
        found.insert(format!("{side}PLATFORM"), platform.to_string());
        found.insert(format!("{side}OS"), platform.os.clone());
        found.insert(format!("{side}ARCH"), platform.architecture.clone());
        found.insert(format!("{side}VARIANT"), platform.variant.clone().unwrap_or_default());
    }
    found
}

fn stage(
    from: &FromInstruction,
    instruction: &Instruction,
    earlier: &[Stage],
    global: &BTreeMap<String, String>,
    escape: char,
) -> Result<Stage, BuildError> {
    let line = instruction.line;
    let expanded = |word: &str| {
        expand(word, escape, &|name| global.get(name).cloned()).map_err(|error| wrong(line, error.to_string()))
    };
    let image = expanded(&from.image)?;
    if image.is_empty() {
        return Err(wrong(line, format!("FROM \"{}\" is empty after its variables were replaced", from.image)));
    }
    if let Some(platform) = &from.platform {
        let wanted = expanded(platform)?;
        let host = Platform::host();
        let parts: Vec<&str> = wanted.split('/').collect();
        if !wanted.is_empty() && parts.get(..2) != Some(&[host.os.as_str(), host.architecture.as_str()]) {
            return Err(wrong(line, format!("platform {wanted} cannot be built here; this machine is {host}")));
        }
    }
    let name = from.name.clone();
    if name.as_ref().is_some_and(|name| earlier.iter().any(|stage| stage.name.as_ref() == Some(name))) {
        return Err(wrong(line, format!("a stage is called \"{}\" already", name.unwrap_or_default())));
    }
    let base = match image.as_str() {
        "scratch" => Base::Scratch,
        other => match earlier.iter().position(|stage| stage.name.as_deref() == Some(&other.to_ascii_lowercase())) {
            Some(index) => Base::Stage(index),
            None => Base::Image(image),
        },
    };
    Ok(Stage { name, base, from: instruction.clone(), instructions: Vec::new() })
}

/// Finds a stage by its name or number.
pub(crate) fn find(stages: &[Stage], name: &str) -> Option<usize> {
    let named = stages.iter().position(|stage| stage.name.as_deref() == Some(&name.to_ascii_lowercase()));
    named.or_else(|| name.parse().ok().filter(|index| *index < stages.len()))
}

fn needed(stages: &[Stage], target: usize) -> Vec<usize> {
    let mut needed = BTreeSet::new();
    let mut open = vec![target];
    while let Some(index) = open.pop() {
        if !needed.insert(index) {
            continue;
        }
        let stage = &stages[index];
        if let Base::Stage(base) = stage.base {
            open.push(base);
        }
        // Only earlier stages can be copied from.
        let earlier = &stages[..index];
        for instruction in &stage.instructions {
            match &instruction.kind {
                InstructionKind::Copy(copy) => open.extend(copy.from.as_deref().and_then(|name| find(earlier, name))),
                InstructionKind::Run(run) => {
                    open.extend(
                        run.mounts
                            .iter()
                            .filter_map(|mount| mount.from.as_deref())
                            .filter_map(|name| find(earlier, name)),
                    );
                }
                _ => {}
            }
        }
    }
    needed.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str, target: Option<&str>) -> Result<Plan, BuildError> {
        plan(&Dockerfile::parse(text).unwrap(), &BTreeMap::from([("V".to_owned(), "2".to_owned())]), target)
    }

    #[test]
    fn only_needed_stages_are_built() {
        let text = "ARG V=1\nARG NAME=img:$V\nFROM $NAME AS a\nFROM a AS b\nRUN x\nFROM scratch AS unused\nFROM b AS c\nFROM scratch\nCOPY --from=c /x /x\nCOPY --from=0 /y /y\nCOPY --from=other/image /z /z\n";
        let plan = planned(text, None).unwrap();
        assert_eq!(plan.needed, [0, 1, 3, 4]);
        assert_eq!(plan.stages[0].base, Base::Image("img:2".to_owned()));
        assert_eq!(plan.stages[1].base, Base::Stage(0));
        assert_eq!(planned(text, Some("B")).unwrap().needed, [0, 1]);
        assert!(planned(text, Some("nope")).unwrap_err().to_string().contains("a, b, unused, c"));
    }

    #[test]
    fn wrong_stages_are_named_with_their_line() {
        for (text, part) in [
            ("FROM $NOTHING", "line 1: FROM \"$NOTHING\" is empty"),
            ("FROM a AS x\nFROM b AS X", "line 2: a stage is called \"x\" already"),
            ("FROM --platform=windows/amd64 a", "cannot be built here"),
        ] {
            let message = planned(text, None).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(planned("FROM --platform=$BUILDPLATFORM a", None).is_ok());
    }
}
