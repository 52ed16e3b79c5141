//! Builds from Dockerfiles.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use maru_builder::{BuildNetwork, BuildOutcome};
use maru_oci::Digest;

use crate::support::{Bench, story};

#[tokio::test]
async fn configuration_is_inherited_and_changed() {
    let bench = Bench::new();
    let digest = bench
        .built(
            "ARG TAG=base\nFROM $TAG\nARG V=1\nENV A=$V B=\"x $FROM_BASE\"\nENV C=$A$B\nLABEL l=\"$A\"\nWORKDIR /w\nWORKDIR sub\nUSER app\nEXPOSE 80 90/udp\nVOLUME /d\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=5s CMD true\nENTRYPOINT [\"/e\"]\n",
            &[],
        )
        .await;
    let config = bench.store.config(&digest).unwrap();
    let run = config.config;
    assert_eq!(run.env, ["PATH=/bin", "FROM_BASE=yes", "A=1", "B=x yes", "C=1x yes"]);
    assert_eq!((run.working_dir.as_str(), run.user.as_str(), run.labels["l"].as_str()), ("/w/sub", "app", "1"));
    assert_eq!(run.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "90/udp"]);
    // The base's command was for the base's entrypoint.
    assert_eq!((run.entrypoint, run.cmd), (Some(vec!["/e".to_owned()]), None));
    assert_eq!(run.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(
        config.history.iter().filter(|entry| !entry.empty_layer).count() + 1,
        bench.store.image(&digest).unwrap().manifest.layers.len()
    );
}

#[tokio::test]
async fn files_are_copied_as_the_reference_says() {
    let bench = Bench::new();
    let context = bench.context(&[
        (".dockerignore", "**/*.log\n!keep.log\nsecret\n"),
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("x.log", "no"),
        ("keep.log", "yes"),
        ("secret/key", "no"),
        ("dir/one", "1"),
        ("dir/sub/two", "2"),
        ("dir/sub/no.log", "no"),
        ("run.sh", "#!/bin/sh\necho hi\n"),
    ]);
    fs::set_permissions(context.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a.txt", context.join("link")).unwrap();
    let request = bench.request(
        "FROM base\nWORKDIR /w\nCOPY a.txt .\nCOPY *.txt /many/\nCOPY dir /dir\nCOPY dir /new/deep/\nCOPY --chown=app --chmod=600 a.txt /own/renamed\nCOPY run.sh /bin/\nCOPY . /all/\nCOPY --exclude=sub dir/ /less/\nCOPY --parents dir/sub/two /kept/\nCOPY <<one <<'two' /texts/\n$FROM_BASE\none\n$FROM_BASE\ntwo\n",
        &context,
    );
    let digest = bench.build(request).await.unwrap_or_else(|error| panic!("{}", story(&error))).digest;
    let files = bench.files(&digest);
    for (path, expected) in [
        ("w/a.txt", "644 0:0 a"),
        ("many/b.txt", "644 0:0 b"),
        ("dir/one", "644 0:0 1"),
        ("dir/sub/two", "644 0:0 2"),
        ("new/deep/one", "644 0:0 1"),
        ("own", "755 1000:1001 /"),
        ("own/renamed", "600 1000:1001 a"),
        ("bin/run.sh", "755 0:0 #!/bin/sh\necho hi\n"),
        ("all/keep.log", "644 0:0 yes"),
        ("all/link", "777 0:0 -> a.txt"),
        ("less/one", "644 0:0 1"),
        ("kept/dir/sub/two", "644 0:0 2"),
        ("texts/one", "644 0:0 yes\n"),
        ("texts/two", "644 0:0 $FROM_BASE\n"),
    ] {
        assert_eq!(files.get(path).map(String::as_str), Some(expected), "{path}");
    }
    for absent in ["all/x.log", "all/secret", "dir/sub/no.log", "less/sub"] {
        assert!(!files.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn programs_run_in_containers_and_only_their_changes_stay() {
    let bench = Bench::new();
    let bundle = bench.path("bundle.pem");
    fs::write(&bundle, "certificates").unwrap();
    let context = bench.context(&[]);
    let mut request = bench.request(
        "FROM base\nARG WHO=nobody\nENV X=1\nWORKDIR /w\nRUN echo $WHO $X $http_proxy > out; cat $SSL_CERT_FILE; test ! -e /proc/1/root/etc/maru-host; id -u\nUSER app\nRUN id -u; touch /w/no 2> /dev/null || echo denied\nUSER 0\nRUN <<E\necho one > /w/one\nrm /etc/absolute\nE\nRUN <<E cat > /w/two\ntwo\nE\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN --network=none ls /sys/class/net > /w/net\n",
        &context,
    );
    request.build_arguments.insert("WHO".into(), "me".into());
    request.access.http_proxy = Some("http://proxy:1".into());
    request.access.ca_bundle = Some(bundle);
    let digest = bench.build(request).await.unwrap_or_else(|error| panic!("{}", story(&error))).digest;
    assert_eq!(bench.output(), "certificates0\n1000\ndenied");
    let files = bench.files(&digest);
    assert_eq!(files["w/out"], "644 0:0 me 1 http://proxy:1\n");
    assert_eq!(
        (files["w/one"].as_str(), files["w/two"].as_str(), files["w/net"].as_str()),
        ("644 0:0 one\n", "644 0:0 two\n", "644 0:0 lo\n")
    );
    for absent in ["etc/absolute", "run", "proc", "sys", "dev", "etc/resolv.conf", "etc/hosts", "w/no"] {
        assert!(!files.contains_key(absent), "{absent} is there");
    }
    assert!(
        !bench
            .store
            .config(&digest)
            .unwrap()
            .config
            .env
            .iter()
            .any(|entry| entry.contains("proxy") || entry.contains("CERT"))
    );
    assert_eq!(bench.run(&digest, &["/bin/cat", "/w/one"]).await, (0, "one\n".to_owned()));
}

#[tokio::test]
async fn mounts_of_steps_do_not_stay_in_the_image() {
    let bench = Bench::new();
    let secret = bench.path("token");
    fs::write(&secret, "s3cret").unwrap();
    let context = bench.context(&[("in/file", "from context")]);
    let text = "FROM base AS tools\nRUN echo tool > /tool\nFROM base\nRUN --mount=type=bind,source=in,target=/in cat /in/file; echo; touch /in/x 2> /dev/null || echo read-only\nRUN --mount=type=bind,from=tools,source=/tool,target=/t cat /t\nRUN --mount=type=cache,target=/c echo x >> /c/x; wc -l < /c/x\nRUN --mount=type=tmpfs,target=/m touch /m/x\nRUN --mount=type=secret,id=token cat /run/secrets/token; echo\nRUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN\nRUN --mount=type=secret,id=none,target=/n test ! -e /n\n";
    let mut request = bench.request(text, &context);
    request.secrets.insert("token".into(), secret);
    let digest = bench.build(request.clone()).await.unwrap_or_else(|error| panic!("{}", story(&error))).digest;
    assert_eq!(bench.output(), "from context\nread-only\ntool\n1\ns3cret\ns3cret");
    let files = bench.files(&digest);
    for absent in ["in", "t", "c", "m", "n", "run", "tool"] {
        assert!(!files.contains_key(absent), "{absent} is there");
    }
    // The cache's content is there again; what is mounted counts for the layer cache.
    request.cache = false;
    fs::write(context.join("in/file"), "other").unwrap();
    bench.request("", &context);
    let second = bench.build(request).await.unwrap();
    assert!(bench.output().contains("\n2\n") && bench.output().contains("other"), "{}", bench.output());
    assert!(!second.cached);
}

#[tokio::test]
async fn the_same_input_gives_the_same_digest_and_nothing_is_done_twice() {
    const TEXT: &str = "FROM base AS one\nRUN echo made > /made; mkdir -p /d/e; touch /d/e/f\nFROM base\nCOPY src /src\nCOPY --from=one /made /d /copied/\nRUN cat /src/main > /out\n";
    let files = [("src/main", "v1"), ("other", "x")];
    let build = async |bench: &Bench, text: &str, files: &[(&str, &str)]| -> BuildOutcome {
        let context = bench.context(files);
        let request = bench.request(text, &context);
        bench.build(request).await.unwrap_or_else(|error| panic!("{}", story(&error)))
    };
    let (first, second) = (Bench::new(), Bench::new());
    let one = build(&first, TEXT, &files).await;
    // Elsewhere, at another time, without a cache.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let two = build(&second, TEXT, &files).await;
    assert_eq!(one.digest, two.digest);
    assert!(!one.cached && !two.cached && one.durations.len() == 6);
    let again = build(&first, TEXT, &files).await;
    assert_eq!(again.digest, one.digest);
    assert!(again.cached);
    // Files that no instruction takes do not matter; those that one takes do, from there on.
    assert!(build(&first, TEXT, &[("src/main", "v1"), ("other", "y")]).await.cached);
    let changed = build(&first, TEXT, &[("src/main", "v2")]).await;
    assert_eq!(first.cached(), [true, true, true, false, false, false]);
    assert_ne!(changed.digest, one.digest);
    // A collection keeps what the cache holds.
    first.store.collect_garbage(&std::collections::BTreeSet::new(), &std::collections::BTreeSet::new()).unwrap();
    assert!(build(&first, TEXT, &files).await.cached);
}

#[tokio::test]
async fn only_the_target_and_what_it_needs_is_built() {
    let bench = Bench::new();
    let context = bench.context(&[]);
    let mut request = bench.request(
        "FROM base AS a\nRUN echo a > /a\nFROM base AS broken\nRUN false\nFROM scratch AS c\nCOPY --from=a /a /a\n",
        &context,
    );
    let digest = bench.build(request.clone()).await.unwrap().digest;
    assert_eq!(bench.files(&digest).into_iter().collect::<Vec<_>>(), [("a".to_owned(), "644 0:0 a\n".to_owned())]);
    request.target = Some("broken".into());
    let error = story(&bench.build(request).await.unwrap_err());
    assert_eq!(error, "line 4: RUN false: RUN false ended with exit code 1");
}

#[tokio::test]
async fn archives_and_urls_are_added() {
    let bench = Bench::new();
    let context = bench.context(&[("plain", "x"), ("tree/in/file", "packed")]);
    let mut tar = maru_oci::LayerWriter::new(Vec::new(), 0);
    let entry = maru_oci::Entry {
        path: "in/file".into(),
        kind: maru_oci::EntryKind::File,
        mode: 0o640,
        uid: 5,
        gid: 6,
        modified_seconds: 0,
        size: 6,
        xattrs: BTreeMap::new(),
    };
    tar.add(&entry, &mut &b"packed"[..]).unwrap();
    let mut zipped = flate2_gzip(&tar.finish().unwrap());
    fs::write(context.join("a.tgz"), &zipped).unwrap();
    zipped.clear();
    let url = serve(b"fetched".to_vec());
    let checksum = Digest::sha256(b"fetched");
    let text = format!(
        "FROM base\nADD a.tgz /unpacked\nADD --unpack=false a.tgz /kept/\nADD plain /p/\nADD {url}/file.bin /u/\nADD --checksum={checksum} --chmod=644 {url}/x /named\n"
    );
    let request = bench.request(&text, &context);
    let digest = bench.build(request).await.unwrap_or_else(|error| panic!("{}", story(&error))).digest;
    let files = bench.files(&digest);
    assert_eq!(files["unpacked/in/file"], "640 5:6 packed");
    assert!(files.contains_key("kept/a.tgz"));
    assert_eq!(
        (files["p/plain"].as_str(), files["u/file.bin"].as_str(), files["named"].as_str()),
        ("644 0:0 x", "600 0:0 fetched", "644 0:0 fetched")
    );
    let wrong = Digest::sha256(b"something else");
    let request = bench.request(&format!("FROM base\nADD --checksum={wrong} {url}/x /x\n"), &context);
    let error = story(&bench.build(request).await.unwrap_err());
    assert!(error.contains("--checksum says"), "{error}");
}

fn flate2_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Answers every request with some bytes, as long as the test runs.
fn serve(body: Vec<u8>) -> String {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = [0u8; 4_096];
            let _read = socket.read(&mut head).unwrap();
            write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).unwrap();
            socket.write_all(&body).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn hostile_inputs_stay_inside() {
    let bench = Bench::new();
    let context = bench.context(&[("file", "x")]);
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("host-secret"), "secret").unwrap();
    symlink(&outside, context.join("way")).unwrap();
    // A link in the context that leads out of it is not followed to the host.
    for text in ["FROM base\nCOPY way/host-secret /x\n", "FROM base\nCOPY ../outside/host-secret /x\n"] {
        let error = story(&bench.build(bench.request(text, &context)).await.unwrap_err());
        assert!(error.contains("is not there"), "{error}");
    }
    // A link in the image that leads to the host's root stays in the image.
    let text = format!(
        "FROM base\nRUN ln -s {} /way; ln -s ../../../../../../.. /up\nCOPY file /way/planted\nCOPY file /up/planted\nWORKDIR /way/made\n",
        outside.display()
    );
    let outcome = bench.build(bench.request(&text, &context)).await;
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!std::path::Path::new("/planted").exists());
    let files = bench.files(&outcome.unwrap().digest);
    assert!(files.contains_key("planted"), "{:?}", files.keys());
}

#[tokio::test]
async fn triggers_of_the_base_run_first() {
    let bench = Bench::new();
    let context = bench.context(&[("f", "x")]);
    let mut request =
        bench.request("FROM base\nONBUILD COPY f /triggered\nONBUILD RUN echo $FROM_BASE > /ran\n", &context);
    request.references = vec!["trigger".parse().unwrap()];
    bench.build(request).await.unwrap();
    let digest = bench.built("FROM trigger\n", &[("f", "x")]).await;
    let files = bench.files(&digest);
    assert_eq!((files["triggered"].as_str(), files["ran"].as_str()), ("644 0:0 x", "644 0:0 yes\n"));
    assert!(bench.store.config(&digest).unwrap().config.on_build.is_empty());
}

#[tokio::test]
async fn what_fails_is_named_with_its_line() {
    let bench = Bench::new();
    let context = bench.context(&[("a", "x"), ("b", "y")]);
    for (text, part) in [
        ("FROM nothing/here", "line 1: image nothing/here:latest is not on this machine"),
        ("FROM base\nCOPY missing /x", "line 2: COPY missing /x: \"missing\" is not there"),
        ("FROM base\nCOPY a b /x", "several sources need a directory"),
        ("FROM base\nCOPY --chown=ghost a /x", "ghost"),
        ("FROM base\nRUN exit 7", "ended with exit code 7"),
        ("FROM base\nEXPOSE many", "\"many\" is not a port"),
        ("FROM base\nENV A=\"${B:?say why}\"", "say why"),
        ("FROM base\nRUN [\"/bin/not-there\"]", "could not be started"),
        ("FROM base\nRUN --mount=type=secret,id=k,required cat /run/secrets/k", "the secret \"k\" was not given"),
        ("FROM base\nUSER ghost\nRUN id", "ghost"),
    ] {
        let error = story(&bench.build(bench.request(text, &context)).await.unwrap_err());
        assert!(error.contains(part), "{text}: {error}");
    }
    let mut request = bench.request("FROM base", &context);
    request.context = bench.path("no-such-directory");
    assert!(bench.build(request).await.unwrap_err().to_string().contains("is not a directory"));
    let mut request = bench.request("FROM base", &context);
    request.dockerfile = maru_builder::DockerfileSource::Context;
    assert!(bench.build(request).await.unwrap_err().to_string().contains("there is no "));
}

#[tokio::test]
async fn a_build_that_is_dropped_leaves_nothing() {
    let bench = Bench::new();
    let context = bench.context(&[]);
    let mut request = bench.request("FROM base\nRUN sleep 1000\n", &context);
    request.network = BuildNetwork::None;
    let outcome = tokio::time::timeout(std::time::Duration::from_millis(1_500), bench.build(request)).await;
    assert!(outcome.is_err());
    let directory = bench.store.directory().to_owned();
    let mounts = || maru_testkit::mounts_under(&directory);
    maru_testkit::wait_until(std::time::Duration::from_secs(20), "the mounts are gone", || {
        std::future::ready(mounts().is_empty())
    })
    .await;
    // A next build removes what was still busy; on a loaded machine the dropped step may be busy for longer than one.
    let work = directory.join("builder/work");
    maru_testkit::wait_until(std::time::Duration::from_secs(120), "what the build worked on is gone", || async {
        Box::pin(bench.built("FROM base\nRUN echo fine\n", &[])).await;
        std::fs::read_dir(&work).is_ok_and(|mut left| left.next().is_none())
    })
    .await;
}
