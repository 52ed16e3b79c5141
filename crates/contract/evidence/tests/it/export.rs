//! The commands of docs/formats/evidence.md are run as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use maru_api::{Digest, Subject, SubjectKind, Window};
use maru_evidence::export::{Files, check, export, from_tar, to_tar};
use maru_evidence::readers::{Circumstances, Format, read};
use maru_evidence::{Chain, Draft, EvidenceKind, KEY_NAME, Rotation, Signer, Verifier, replay};

const REPORT: &str = r#"<testsuite name="orders" tests="1"><testcase classname="contract" name="생성"/></testsuite>"#;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn signer() -> Signer {
    Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap()
}

fn report_draft(number: i64) -> Draft {
    let circumstances = Circumstances {
        name: None,
        subjects: vec![Subject { kind: SubjectKind::Requirement, name: "fr-001".to_owned(), digest: Digest::of(b"x") }],
        environment: Some("test".to_owned()),
        parameters: None,
        window: Window { from: at(number), to: at(number + 1) },
        valid_until: None,
        confidence: 0.95,
    };
    let report = read(Format::Junit, REPORT.as_bytes()).unwrap();
    report.draft(REPORT.as_bytes(), None, circumstances)
}

/// Three records: a report, a handing over to another key, and the report again.
fn exported() -> (Files, Verifier) {
    let (old, new) = (signer(), signer());
    let verifier = Verifier::new([old.public_key(), new.public_key()]);
    let rotation = Rotation::report("shop", &old.public_key(), &new);
    let handing_over = Draft {
        kind: EvidenceKind::Key,
        subjects: vec![Subject {
            kind: SubjectKind::Artifact,
            name: KEY_NAME.to_owned(),
            digest: new.public_key().digest(),
        }],
        name: KEY_NAME.to_owned(),
        environment: None,
        raw: Some(Digest::of(&rotation)),
        ..report_draft(1)
    };
    let mut chain = Chain::new("shop");
    let mut blobs =
        vec![(Digest::of(REPORT.as_bytes()), REPORT.as_bytes().to_vec()), (Digest::of(&rotation), rotation)];
    for (signer, draft) in [(&old, report_draft(0)), (&old, handing_over), (&new, report_draft(2))] {
        let (digest, envelope) = chain.sign(signer, draft, at(10));
        chain.append(&verifier, digest, &envelope).unwrap();
        blobs.push((digest, envelope));
    }
    let replay = replay("shop", &verifier, &blobs[2..]);
    let files = export(&replay, &verifier, |wanted| {
        blobs.iter().find(|(digest, _)| *digest == wanted).map(|(_, content)| content.clone())
    });
    (files, verifier)
}

#[test]
fn a_key_whose_time_is_over_signs_nothing_more() {
    let (old, new) = (signer(), signer());
    let verifier = Verifier::new([old.public_key(), new.public_key()]);
    let mut chain = Chain::new("shop");
    let subjects =
        vec![Subject { kind: SubjectKind::Artifact, name: KEY_NAME.to_owned(), digest: new.public_key().digest() }];
    let handing_over = Draft { kind: EvidenceKind::Key, subjects, ..report_draft(1) };
    let (digest, envelope) = chain.sign(&old, handing_over, at(10));
    chain.append(&verifier, digest, &envelope).unwrap();
    let (digest, envelope) = chain.sign(&old, report_draft(2), at(10));
    let refusal = chain.append(&verifier, digest, &envelope).unwrap_err().to_string();
    assert!(refusal.contains("is signed by key"), "{refusal}");
    let (digest, envelope) = chain.sign(&new, report_draft(2), at(10));
    chain.append(&verifier, digest, &envelope).unwrap();
}

type Damage = Box<dyn Fn(&mut Files)>;

/// Every way in which the files can be wrong, with what is done to them.
fn damages() -> Vec<(&'static str, Damage)> {
    fn envelope(files: &Files, index: usize) -> String {
        let chain: serde_json::Value = serde_json::from_slice(&files["chain.json"]).unwrap();
        format!("envelopes/{}.json", chain["records"][index].as_str().unwrap().strip_prefix("sha256:").unwrap())
    }
    fn edit_chain(files: &mut Files, edit: impl Fn(&mut serde_json::Value)) {
        let mut chain = serde_json::from_slice(&files["chain.json"]).unwrap();
        edit(&mut chain);
        files.insert("chain.json".to_owned(), chain.to_string().into_bytes());
    }
    vec![
        (
            "an altered envelope",
            Box::new(|files| {
                let path = envelope(files, 1);
                let text = String::from_utf8(files[&path].clone()).unwrap();
                files.insert(path, text.replacen("\"sig\":\"", "\"sig\":\"A", 1).into_bytes());
            }),
        ),
        (
            "a removed record",
            Box::new(|files| {
                let path = envelope(files, 1);
                files.remove(&path);
                edit_chain(files, |chain| {
                    chain["records"].as_array_mut().unwrap().remove(1);
                });
            }),
        ),
        (
            "a removed last record",
            Box::new(|files| {
                let path = envelope(files, 2);
                files.remove(&path);
                edit_chain(files, |chain| {
                    chain["records"].as_array_mut().unwrap().remove(2);
                });
            }),
        ),
        (
            "a repeated record",
            Box::new(|files| {
                edit_chain(files, |chain| {
                    let first = chain["records"][0].clone();
                    chain["records"].as_array_mut().unwrap().push(first);
                });
            }),
        ),
        (
            "an altered report",
            Box::new(|files| {
                files.insert(format!("raw/{}", Digest::of(REPORT.as_bytes()).hex()), b"<testsuite/>".to_vec());
            }),
        ),
        (
            "a foreign key",
            Box::new(|files| {
                let other = Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap().public_key();
                let path = files.keys().find(|path| path.starts_with("keys/")).unwrap().clone();
                files.insert(path, other.to_pem().into_bytes());
            }),
        ),
    ]
}

#[test]
fn exported_evidence_checks_and_damage_is_found() {
    let (files, verifier) = exported();
    let checked = check(&files, Some(&verifier));
    assert_eq!((checked.problems, checked.records.len(), checked.project.as_str()), (vec![], 3, "shop"));
    assert_eq!(check(&files, None).problems, Vec::<String>::new());
    for (name, damage) in damages() {
        let mut files = files.clone();
        damage(&mut files);
        assert_ne!(check(&files, None).problems, Vec::<String>::new(), "{name}");
    }
    let foreign = Verifier::new([Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap().public_key()]);
    assert!(check(&files, Some(&foreign)).problems[0].contains("which is not trusted"));
    assert_eq!(check(&Files::new(), None).problems, ["chain.json is missing"]);
}

#[test]
fn archives_are_the_same_bytes_and_read_back() {
    let (files, _) = exported();
    let archive = to_tar(&files).unwrap();
    assert_eq!(archive, to_tar(&files).unwrap());
    assert_eq!(from_tar(&archive).unwrap(), files);
    let hostile = |path: &str, kind: tar::EntryType| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        from_tar(&builder.into_inner().unwrap())
    };
    assert!(hostile("../out", tar::EntryType::Regular).is_err());
    assert!(hostile("/etc/passwd", tar::EntryType::Regular).is_err());
    assert!(hostile("link", tar::EntryType::Symlink).is_err());
    assert!(from_tar(b"not a tar file at all, but long enough to be looked at").is_err());
}

/// The first block of a language in the page on the format.
fn documented(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/formats/evidence.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

fn write(folder: &Path, files: &Files) {
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Runs a check of others on whole files, then on each damage.
fn check_by(run: impl Fn(&Path) -> Output) {
    let (files, _) = exported();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files);
    let output = run(folder.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("verified 3 records of shop"), "{said}");
    for (name, damage) in damages() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files.clone();
        damage(&mut files);
        write(folder.path(), &files);
        assert!(!run(folder.path()).status.success(), "{name} was not found");
    }
}

fn runs(program: &Path, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn openssl_and_jq_check_it_by_the_documented_command() {
    if !runs(Path::new("openssl"), &["version"]) || !runs(Path::new("jq"), &["--version"]) {
        println!("skipped: openssl and jq are not here");
        return;
    }
    let script = documented("sh");
    check_by(|folder| Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap());
}

#[test]
fn securesystemslib_checks_it_by_the_documented_program() {
    // A Python that has the library, perhaps of a virtual environment.
    let python = std::env::var_os("MARU_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    if !runs(&python, &["-c", "import securesystemslib.dsse, cryptography"]) {
        println!("skipped: {} has no securesystemslib; name one that has by MARU_PYTHON", python.display());
        return;
    }
    let program = documented("python");
    check_by(|folder| Command::new(&python).args(["-c", &program]).arg(folder).output().unwrap());
}
