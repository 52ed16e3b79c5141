//! The files of the page.

use std::path::Path;

use crate::support::Desk;

fn dist(folder: &Path) {
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    std::fs::write(
        folder.join("index.html"),
        "<!doctype html><meta property=\"csp-nonce\" nonce=\"__MARU_NONCE__\"><script src=\"/assets/a-1.js\" nonce=\"__MARU_NONCE__\"></script>",
    )
    .unwrap();
    std::fs::write(folder.join("assets/a-1.js"), "console.log(1)").unwrap();
    std::fs::write(folder.join("maru.svg"), "<svg/>").unwrap();
}

#[tokio::test]
async fn each_page_has_a_nonce_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    dist(folder.path());
    let desk = Desk::start_with(|options| options.assets = Some(folder.path().to_owned())).await;
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/", "/index.html", "/workloads/maru.dev/v1alpha1/requirements/shop/nfr-001", "/login"] {
        let reply = desk.bare("GET", path, &[("accept", "text/html,*/*;q=0.8")], "").await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"), "{path}");
        let policy = reply.header("content-security-policy");
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let page = reply.text();
        assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "{page}");
        for part in
            ["script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", &format!("ws://{}", desk.host())]
        {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe") && seen.insert(nonce), "{policy}");
    }
}

#[tokio::test]
async fn only_files_of_the_page_are_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s").unwrap();
    let inside = folder.path().join("dist");
    dist(&inside);
    let desk = Desk::start_with(|options| options.assets = Some(inside)).await;
    for (path, kind) in [("/assets/a-1.js", "text/javascript; charset=utf-8"), ("/maru.svg", "image/svg+xml")] {
        let reply = desk.bare("GET", path, &[], "").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, kind));
        assert!(
            reply.header("content-security-policy").contains("sandbox"),
            "a picture opened in a window runs nothing"
        );
    }
    for path in [
        "/assets/none.js",
        "/none.txt",
        "/../secret",
        "/assets/../../secret",
        "/assets/..%2f..%2fsecret",
        "/%2e%2e/secret",
        "/assets/%2e%2e/%2e%2e/secret",
        "//etc/passwd",
        "/assets",
    ] {
        let reply = desk.bare("GET", path, &[("accept", "*/*")], "").await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    // A script that is missing is missing, even for somebody who would take a page.
    assert_eq!(desk.bare("GET", "/assets/none.js", &[("accept", "text/html")], "").await.status, 404);
    let head = desk.bare("HEAD", "/assets/a-1.js", &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn without_a_page_it_says_how_to_build_one() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start_with(|options| options.assets = Some(folder.path().to_owned())).await;
    let reply = desk.bare("GET", "/", &[("accept", "text/html")], "").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("make console") && reply.text().contains("콘솔"), "{}", reply.text());
    // All else works.
    let cookie = desk.admin().await;
    assert_eq!(desk.get(&cookie, "/console/v1/session").await.status, 200);
}

/// What `make console` made is in the binary: compressed, and kept by browsers for as long as its name stays.
#[tokio::test]
async fn built_files_are_compressed_and_kept() {
    let desk = Desk::start().await;
    let page = desk.bare("GET", "/", &[("accept", "text/html")], "").await.text();
    let Some(script) = page.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()) else {
        println!("skipped: console/dist is empty; make console builds it");
        return;
    };
    let packed = desk.bare("GET", script, &[("accept-encoding", "br, gzip")], "").await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert_eq!(packed.header("cache-control"), "public, max-age=31536000, immutable");
    let plain = desk.bare("GET", script, &[], "").await;
    assert!(plain.body.len() > 2 * packed.body.len() && !plain.headers.contains_key("content-encoding"));
    assert_eq!(plain.header("vary"), "Accept-Encoding");
    let etag = packed.header("etag").to_owned();
    let known = desk.bare("GET", script, &[("if-none-match", &etag)], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let first_bytes: usize = page
        .split(['"'])
        .filter(|part| part.starts_with("/assets/"))
        .map(|part| part.to_owned())
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    assert!(first_bytes > 0);
}
