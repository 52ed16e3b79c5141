//! Tables of Dockerfiles, and texts that must not panic.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn kinds(text: &str) -> Vec<InstructionKind> {
    Dockerfile::parse(text).unwrap().instructions.into_iter().map(|instruction| instruction.kind).collect()
}

fn only(line: &str) -> InstructionKind {
    kinds(&format!("FROM x\n{line}")).remove(1)
}

fn problem(text: &str) -> DockerfileError {
    Dockerfile::parse(text).unwrap_err()
}

#[test]
fn lines_are_joined_and_comments_dropped() {
    let file = Dockerfile::parse(
        "\u{feff}# syntax=docker/dockerfile:1\n# escape=`\n# escape=\\\n\n  from Base AS Build\r\nRUN a `  \n# comment\n\n   b `\n  && c\nENV A=\"x y\" B=z\n",
    );
    assert_eq!(file.unwrap_err().problem, "the directive \"escape\" is there twice");
    let file = Dockerfile::parse(
        "# syntax=docker/dockerfile:1\n# escape=`\n\n  from Base AS Build\r\nRUN a `  \n# comment\n\n   b `\n  && c\nENV A=\"x y\" B=z\n",
    )
    .unwrap();
    assert_eq!((file.escape, file.syntax.as_deref()), ('`', Some("docker/dockerfile:1")));
    assert_eq!(
        file.instructions[0].kind,
        InstructionKind::From(FromInstruction { image: "Base".into(), platform: None, name: Some("build".into()) })
    );
    assert_eq!((file.instructions[1].line, file.instructions[1].text.as_str()), (5, "RUN a    b   && c"));
    assert_eq!(
        file.instructions[2].kind,
        InstructionKind::Env(vec![("A".into(), "\"x y\"".into()), ("B".into(), "z".into())])
    );
}

#[test]
fn both_forms_of_commands_are_told_apart() {
    assert_eq!(only("CMD [\"a\", \"b c\"]"), InstructionKind::Cmd(Command::Exec(vec!["a".into(), "b c".into()])));
    assert_eq!(only("CMD ['a']"), InstructionKind::Cmd(Command::Shell("['a']".into())));
    assert_eq!(only("ENTRYPOINT a $B"), InstructionKind::Entrypoint(Command::Shell("a $B".into())));
    assert_eq!(only("ENV a b c"), InstructionKind::Env(vec![("a".into(), "b c".into())]));
    assert_eq!(only("VOLUME [\"/a\", \"/b\"]"), InstructionKind::Volume(vec!["/a".into(), "/b".into()]));
    assert_eq!(only("ARG a b=c"), InstructionKind::Arg(vec![("a".into(), None), ("b".into(), Some("c".into()))]));
}

#[test]
fn flags_are_read() {
    let InstructionKind::Copy(copy) =
        only("COPY --from=build --chown=1:2 --chmod=755 --link --exclude=*.md --exclude=x a b dir/")
    else {
        panic!()
    };
    assert_eq!(
        (copy.from.as_deref(), copy.chown.as_deref(), copy.chmod.as_deref(), copy.link),
        (Some("build"), Some("1:2"), Some("755"), true)
    );
    assert_eq!(
        (copy.sources, copy.destination, copy.exclude),
        (vec!["a".to_owned(), "b".into()], "dir/".to_owned(), vec!["*.md".to_owned(), "x".into()])
    );
    let InstructionKind::Add(add) = only("ADD --checksum=sha256:00 http://x/y [\"/z\"]") else { panic!() };
    assert_eq!((add.checksum.as_deref(), add.sources.len()), (Some("sha256:00"), 1));
    let InstructionKind::Run(run) = only(
        "RUN --mount=type=cache,target=/c,sharing=locked,uid=5 --mount=type=secret,id=k,required --network=none make -j",
    ) else {
        panic!()
    };
    assert_eq!(
        (run.mounts[0].kind, run.mounts[0].uid, run.mounts[1].required, run.network),
        (MountKind::Cache, 5, true, Network::None)
    );
    assert_eq!(run.command, Command::Shell("make -j".into()));
    let InstructionKind::Healthcheck(check) = only("HEALTHCHECK --interval=1m30s --retries=3 CMD [\"x\"]") else {
        panic!()
    };
    assert_eq!(
        (check.interval, check.retries, check.command),
        (Duration::from_secs(90), 3, Some(Command::Exec(vec!["x".into()])))
    );
    assert_eq!(only("HEALTHCHECK NONE"), InstructionKind::Healthcheck(HealthcheckInstruction::default()));
}

#[test]
fn heredocs_are_attached() {
    let found = kinds(
        "FROM x\nRUN <<EOF\necho $A\nEOF\nCOPY <<a.txt <<-\"B\" /d/\nplain $X\na.txt\n\t\traw\n\tB\nRUN cat <<< word && echo '<<NOT'\nRUN <<-END sh\n\tx\n\tEND\n",
    );
    let InstructionKind::Run(run) = &found[1] else { panic!() };
    assert_eq!((run.heredocs[0].content.as_str(), run.heredocs[0].expand), ("echo $A\n", true));
    let InstructionKind::Copy(copy) = &found[2] else { panic!() };
    assert_eq!(copy.sources, Vec::<String>::new());
    assert_eq!(
        (copy.heredocs[0].content.as_str(), copy.heredocs[1].content.as_str(), copy.heredocs[1].expand),
        ("plain $X\n", "raw\n", false)
    );
    let InstructionKind::Run(run) = &found[3] else { panic!() };
    assert!(run.heredocs.is_empty());
    let InstructionKind::Run(run) = &found[4] else { panic!() };
    assert!(run.heredocs[0].strip_tabs && run.heredocs[0].content == "x\n");
}

#[test]
fn problems_are_named_with_their_line() {
    for (text, line, part) in [
        ("", 1, "no FROM"),
        ("ARG a\nRUN x\nFROM y", 2, "before FROM"),
        ("FROM x\n\nNOPE y", 3, "\"NOPE\" is not an instruction"),
        ("FROM x AS 1a", 1, "stage name"),
        ("FROM x y", 1, "FROM needs"),
        ("FROM x\nCOPY a", 2, "COPY needs sources"),
        ("FROM x\nCOPY --bad=1 a b", 2, "--bad"),
        ("FROM x\nENV a", 2, "needs a value"),
        ("FROM x\nENV a=b c", 2, "has no '='"),
        ("FROM x\nRUN <<EOF\nx", 2, "does not end"),
        ("FROM x\nSHELL sh", 2, "JSON"),
        ("FROM x\nONBUILD FROM y", 2, "ONBUILD cannot"),
        ("FROM x\nHEALTHCHECK --interval=5 CMD x", 2, "duration"),
        ("FROM x\nRUN --mount=type=ssh x", 2, "ssh"),
        ("FROM x\nRUN", 2, "RUN needs a command"),
    ] {
        let error = problem(text);
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.problem.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn triggers_are_kept_and_parsed_later() {
    assert_eq!(only("ONBUILD COPY . /app"), InstructionKind::OnBuild("COPY . /app".into()));
    assert!(matches!(Dockerfile::parse_trigger("COPY . /app").unwrap().kind, InstructionKind::Copy(_)));
    assert!(Dockerfile::parse_trigger("").is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(FROM x|RUN |COPY |ENV |ARG |ADD |HEALTHCHECK |ONBUILD |<<E|E|--mount=|\\\\|\n|\"|'|\\[|\\]|=|,| |\\$\\{a|#|é|`|[a-z]){0,60}") {
        drop(Dockerfile::parse(&text));
    }

    #[test]
    fn no_bytes_panic(text in "\\PC{0,200}") {
        drop(Dockerfile::parse(&text));
    }
}
