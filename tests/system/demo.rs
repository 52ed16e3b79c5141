//! The sample shop, as `make demo` brings it up.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use maru_tests::{System, binary, can_run};

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop")
}

/// The catalog's program is part of its image; the Makefile puts it there, and here the one beside the tests serves.
fn put_catalog() {
    let built = binary().with_file_name("shop-catalog");
    assert!(built.exists(), "{} is missing; build it with: cargo build -p shop-catalog", built.display());
    let folder = shop().join("build");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::copy(built, folder.join("shop-catalog")).expect("the program can be copied");
}

#[test]
fn the_shop_answers_through_the_gateway_and_the_second_demo_keeps_what_is_there() {
    if !can_run(&["nft", "curl", "apt-get"]) {
        return;
    }
    put_catalog();
    let system = System::new();
    // The base images come from the distribution's mirrors, which the test's own host does not reach.
    let mut descriptions: Vec<PathBuf> = std::fs::read_dir(shop().join("images"))
        .expect("descriptions")
        .map(|entry| entry.expect("one").path())
        .collect();
    descriptions.sort();
    for description in descriptions {
        let tag = format!("maru/{}", description.file_stem().unwrap_or_default().to_string_lossy());
        let mut build = system.command(&["image", "packages", "-t", &tag, &description.to_string_lossy()]);
        let output = build.stdin(Stdio::null()).output().expect("it runs");
        assert!(output.status.success(), "{tag}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let folder = shop();
    let demo = ["demo", "--shop", &folder.to_string_lossy(), "--node-name", "node"];
    let first = system.maru(&demo);
    assert!(first.contains("the shop runs") && first.contains("KRW"), "{first}");
    let row = |name: &str| first.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    assert!(row("fr-004").contains("적합") && !row("fr-004").contains("부적합"), "{first}");
    assert!(row("nfr-002").contains("부적합") && row("nfr-002").contains("위반"), "{first}");
    assert!(row("nfr-006").contains("미측정"), "{first}");
    // What the demo set up, tried and built opens the stages that ask for it.
    for stage in ["as-is", "development-environment", "proof-of-concept", "development-scenario"] {
        let gate = system.maru(&["-n", "shop", "project", "gate", stage]);
        assert!(gate.contains(&format!("{stage}/exit  open")), "{gate}");
    }
    let documents = system.data().join("documents/shop");
    for ending in ["html", "docx", "xlsx", "hwpx"] {
        assert!(documents.join(format!("traceability-matrix.{ending}")).exists(), "{ending}");
    }
    let (status, page) = system.http("http://shop.localhost:8080/", &["--resolve", "shop.localhost:8080:127.0.0.1"]);
    assert_eq!(status, 200, "{page}");
    let pods = system.maru(&["get", "pods", "-n", "shop"]);
    assert!(!pods.contains("CrashLoop") && pods.matches("Running").count() >= 7, "{pods}");
    crate::console_pages::walk(&system);
    let second = system.try_maru(&demo);
    let steps = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.success() && steps.contains("keep maru/") && !steps.contains("build maru/"), "{steps}");
}
