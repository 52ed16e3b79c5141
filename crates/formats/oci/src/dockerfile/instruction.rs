//! What instructions say.

use std::time::Duration;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Line number from 1.
    pub line: usize,
    /// The text on one line, for people and for histories.
    pub text: String,
    /// What it says.
    pub kind: InstructionKind,
}

impl Instruction {
    /// Returns the instruction's name in capital letters.
    #[must_use]
    pub fn keyword(&self) -> String {
        self.text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
    }
}

/// What an instruction says. Words keep their quotes, escapes and variables (see `expand`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstructionKind {
    /// `FROM`
    From(FromInstruction),
    /// `ARG name[=default] …`
    Arg(Vec<(String, Option<String>)>),
    /// `ENV name=value …`
    Env(Vec<(String, String)>),
    /// `LABEL name=value …`
    Label(Vec<(String, String)>),
    /// `RUN`
    Run(RunInstruction),
    /// `COPY`
    Copy(CopyInstruction),
    /// `ADD`
    Add(CopyInstruction),
    /// `WORKDIR path`
    Workdir(String),
    /// `USER user[:group]`
    User(String),
    /// `EXPOSE port[/protocol] …`
    Expose(Vec<String>),
    /// `VOLUME path …`
    Volume(Vec<String>),
    /// `STOPSIGNAL signal`
    StopSignal(String),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `CMD`
    Cmd(Command),
    /// `SHELL ["program", "argument" …]`
    Shell(Vec<String>),
    /// `HEALTHCHECK`
    Healthcheck(HealthcheckInstruction),
    /// `ONBUILD instruction`
    OnBuild(String),
    /// `MAINTAINER name`
    Maintainer(String),
}

/// `FROM [--platform=…] image [AS name]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromInstruction {
    /// An image, a stage, or `scratch`.
    pub image: String,
    /// Platform asked for.
    pub platform: Option<String>,
    /// The stage's name, in lowercase.
    pub name: Option<String>,
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Words for a shell.
    Shell(String),
    /// Arguments as they are.
    Exec(Vec<String>),
}

/// `RUN [--mount=…] [--network=…] command`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInstruction {
    /// What to run; with heredocs, the first line only.
    pub command: Command,
    /// Mounts during the step.
    pub mounts: Vec<Mount>,
    /// Which network the step sees.
    pub network: Network,
    /// Texts after the line.
    pub heredocs: Vec<Heredoc>,
}

/// The network of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// What the build says.
    #[default]
    Default,
    /// None but loopback.
    None,
    /// The host's.
    Host,
}

/// `--mount=type=…,…`; values keep their variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Where.
    pub target: Option<String>,
    /// `source` within what is mounted.
    pub source: Option<String>,
    /// Stage or image it comes from.
    pub from: Option<String>,
    /// Name of a cache or secret.
    pub id: Option<String>,
    /// Environment variable that holds a secret.
    pub env: Option<String>,
    /// Whether writing is refused; bind mounts are read-only unless told otherwise.
    pub read_only: Option<bool>,
    /// Whether a missing secret is an error.
    pub required: bool,
    /// Permissions, octal.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size of a tmpfs in bytes.
    pub size: Option<u64>,
    /// How a cache is shared: `shared`, `private` or `locked`.
    pub sharing: Option<String>,
}

/// What a step's mount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind,
    /// A directory that later builds see again.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret file.
    Secret,
}

/// `COPY` or `ADD`; values keep their variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyInstruction {
    /// Stage or image to copy from.
    pub from: Option<String>,
    /// Owner to set.
    pub chown: Option<String>,
    /// Permissions to set.
    pub chmod: Option<String>,
    /// Whether the layer stands by itself.
    pub link: bool,
    /// Whether parents of sources are kept.
    pub parents: bool,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Digest that an added URL must have.
    pub checksum: Option<String>,
    /// Whether an added archive is unpacked; the default differs for files and URLs.
    pub unpack: Option<bool>,
    /// Sources.
    pub sources: Vec<String>,
    /// Texts that are sources too.
    pub heredocs: Vec<Heredoc>,
    /// Destination.
    pub destination: String,
}

/// A text after an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its name, which ends it.
    pub name: String,
    /// The text.
    pub content: String,
    /// Whether variables in it are replaced.
    pub expand: bool,
    /// Whether tabs at starts of lines were dropped.
    pub strip_tabs: bool,
}

/// `HEALTHCHECK [flags] CMD command` or `HEALTHCHECK NONE`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthcheckInstruction {
    /// The command; `None` switches an inherited check off.
    pub command: Option<Command>,
    /// Time between checks.
    pub interval: Duration,
    /// Time a check may take.
    pub timeout: Duration,
    /// Time during which failures do not count.
    pub start_period: Duration,
    /// Time between checks during the start period.
    pub start_interval: Duration,
    /// Failures in a row that count.
    pub retries: u64,
}
