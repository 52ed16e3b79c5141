//! The language of a `Dockerfile`.

mod instruction;
mod lines;
mod parse;

pub use instruction::{
    Command, CopyInstruction, FromInstruction, HealthcheckInstruction, Heredoc, Instruction, InstructionKind, Mount,
    MountKind, Network, RunInstruction,
};

use lines::Directives;

/// Longest file that is read.
const BYTES_MAX: usize = 1 << 20;

/// A parsed `Dockerfile`: instructions in order. Words are not expanded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The escape character, `\` unless a directive says otherwise.
    pub escape: char,
    /// The `syntax` directive, which is not acted upon.
    pub syntax: Option<String>,
    /// The instructions.
    pub instructions: Vec<Instruction>,
}

/// A `Dockerfile` cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct DockerfileError {
    /// Line number from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl Dockerfile {
    /// Parses a file.
    ///
    /// # Errors
    /// With the line of the first problem.
    pub fn parse(text: &str) -> Result<Self, DockerfileError> {
        if text.len() > BYTES_MAX {
            return Err(DockerfileError { line: 1, problem: "the file is larger than a megabyte".to_owned() });
        }
        let Directives { escape, syntax } = lines::directives(text)?;
        let mut instructions = Vec::new();
        for line in lines::logical_lines(text, escape)? {
            instructions.push(parse::parse(line, escape)?);
        }
        check_order(&instructions)?;
        Ok(Self { escape, syntax, instructions })
    }

    /// Parses one instruction, as images keep them for builds upon them (`ONBUILD`).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse_trigger(text: &str) -> Result<Instruction, DockerfileError> {
        let mut lines = lines::logical_lines(text, '\\')?.into_iter();
        match (lines.next(), lines.next()) {
            (Some(line), None) => parse::parse(line, '\\'),
            _ => Err(DockerfileError { line: 1, problem: "a trigger is exactly one instruction".to_owned() }),
        }
    }
}

fn check_order(instructions: &[Instruction]) -> Result<(), DockerfileError> {
    let mut stage = false;
    for instruction in instructions {
        match instruction.kind {
            InstructionKind::From(_) => stage = true,
            InstructionKind::Arg(_) => {}
            _ if !stage => {
                let problem = format!("{} comes before FROM; only ARG may", instruction.keyword());
                return Err(DockerfileError { line: instruction.line, problem });
            }
            _ => {}
        }
    }
    if stage { Ok(()) } else { Err(DockerfileError { line: 1, problem: "there is no FROM".to_owned() }) }
}

#[cfg(test)]
mod tests;
