//! Images from the distribution's packages. They need its archive: without it, each says so and ends.

use std::time::Duration;

use maru_builder::{BuildError, PackageRequest, PackageSpec, Refresh, build_packages};
use maru_oci::Digest;

use crate::support::{Bench, story};

/// Builds an image, or tells why it cannot be.
async fn built(bench: &Bench, name: &str, yaml: &str) -> Option<Digest> {
    let spec = PackageSpec::parse(yaml).unwrap();
    let mut request = PackageRequest::new(spec, name.parse().unwrap());
    request.executable = Some(env!("CARGO_BIN_EXE_maru-builder-helper").into());
    match build_packages(request, &bench.store).await {
        Ok(outcome) => Some(outcome.digest),
        Err(BuildError::Tool { program: "apt-get", action, message })
            if action.contains("refresh") || action.contains("fetch") =>
        {
            println!("skipped: the distribution's package archive cannot be reached: {message}");
            None
        }
        Err(BuildError::HostTools { missing }) => {
            println!("skipped: this host has no {missing}");
            None
        }
        Err(error) => panic!("{}", story(&error)),
    }
}

#[tokio::test]
async fn an_image_of_packages_starts_and_says_what_is_in_it() {
    let bench = Bench::with_packages();
    let yaml = "suite: host\npackages: [dash, coreutils, ca-certificates, python3-minimal]\nusers: [{name: app, uid: 10001, home: /app}]\nuser: app\nworkdir: /app\nenv: {A: b}\nfiles: [{path: /etc/motd, content: hello}]\n";
    let Some(digest) = built(&bench, "p", yaml).await else { return };
    let (code, output) = bench
        .run(&digest, &["/bin/sh", "-c", "id -u; pwd; echo $A; cat /etc/motd; echo; python3 -c 'print(6*7)'; awk 'BEGIN {print 1}'; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt > /dev/null 2>&1; ls /usr/share/man 2>/dev/null | wc -l"])
        .await;
    assert_eq!((code, output.as_str()), (0, "10001\n/app\nb\nhello\n42\n1\n0\n"));
    let artifacts = bench.store.artifacts(&digest).unwrap();
    assert_eq!(artifacts[0].1.artifact_type.as_deref(), Some(maru_oci::media_type::CYCLONEDX));
    let bill = bench.store.blobs().read(&artifacts[0].1.layers[0].digest, 16 << 20).unwrap();
    let bill: serde_json::Value = serde_json::from_slice(&bill).unwrap();
    let components = bill["components"].as_array().unwrap();
    let python = components.iter().find(|component| component["name"] == "python3-minimal").unwrap();
    assert!(
        python["purl"].as_str().unwrap().starts_with("pkg:deb/")
            && python["hashes"][0]["content"].as_str().unwrap().len() == 64
    );
    let files = bench.files(&digest);
    assert!(
        files.contains_key("usr/share/sbom/packages.cdx.json") && files.contains_key("var/lib/dpkg/info/dash.list")
    );
    // Every package of the bill is in dpkg's own record and the other way round.
    let (_, status) = bench.run(&digest, &["/bin/cat", "/var/lib/dpkg/status"]).await;
    let recorded = status.lines().filter(|line| line.starts_with("Package: ")).count();
    assert_eq!(recorded + 1, components.len());
}

#[tokio::test]
async fn the_same_packages_give_the_same_image() {
    let (one, two) = (Bench::with_packages(), Bench::with_packages());
    let yaml = "suite: host\npackages: [busybox-static]\n";
    let (Some(first), Some(second)) = (built(&one, "p", yaml).await, built(&two, "p", yaml).await) else { return };
    assert_eq!(first, second);
    let mut request = PackageRequest::new(PackageSpec::parse(yaml).unwrap(), "again".parse().unwrap());
    request.refresh = Refresh::Never;
    let outcome = build_packages(request, &one.store).await.unwrap();
    assert!(outcome.cached && outcome.digest == first);
}

#[tokio::test]
async fn scripts_of_packages_run_in_a_container_when_asked() {
    let (one, two) = (Bench::with_packages(), Bench::with_packages());
    let yaml = "suite: host\npackages: [redis-server]\nconfigure: true\nusers: [{name: app, uid: 10001, home: /app}]\n";
    let Some(digest) = built(&one, "p", yaml).await else { return };
    let script = "id -un redis; id -u app; test -L /etc/alternatives/awk && awk 'BEGIN {print 2}'; dpkg --audit; dpkg -s redis-server | grep Status; test ! -e /usr/sbin/policy-rc.d; stat -c %U /var/lib/redis";
    let (code, output) = one.run(&digest, &["/bin/sh", "-c", script]).await;
    assert_eq!((code, output.as_str()), (0, "redis\n10001\n2\nStatus: install ok installed\nredis\n"));
    let again = built(&two, "p", yaml).await.unwrap();
    if digest != again {
        let (first, second) = (one.files(&digest), two.files(&again));
        let differ: Vec<_> = first.iter().filter(|(path, looks)| second.get(*path) != Some(looks)).collect();
        panic!("the same packages gave two images; they differ in {differ:?}");
    }
}

#[tokio::test]
async fn databases_of_packages_work() {
    let bench = Bench::with_packages();
    let yaml = "suite: host\npackages: [redis-server, dash, coreutils]\nusers: [{name: redis, uid: 10003, home: /data}]\nuser: redis\n";
    let Some(redis) = built(&bench, "redis", yaml).await else { return };
    let script = "redis-server --port 0 --unixsocket /data/s --daemonize yes --dir /data > /dev/null; until test -S /data/s; do sleep 0.1; done; redis-cli -s /data/s ping; redis-cli -s /data/s set a 1; redis-cli -s /data/s get a";
    assert_eq!(bench.run(&redis, &["/bin/sh", "-c", script]).await, (0, "PONG\nOK\n1\n".to_owned()));
    let yaml = "suite: host\npackages: [postgresql, dash, coreutils, tzdata]\nusers: [{name: postgres, uid: 10002, home: /var/lib/postgresql}]\nuser: postgres\n";
    let Some(postgresql) = built(&bench, "postgresql", yaml).await else { return };
    let script = "bin=$(echo /usr/lib/postgresql/*/bin); $bin/initdb -D /tmp/d -E UTF8 --locale=C.UTF-8 > /tmp/log 2>&1 || cat /tmp/log; echo 'select 40+2 as answer;' | $bin/postgres --single -D /tmp/d postgres 2>&1";
    let (code, output) = bench.run(&postgresql, &["/bin/sh", "-c", script]).await;
    assert!(code == 0 && output.contains("answer = \"42\""), "{code} {output}");
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let bench = Bench::with_packages();
    let build = async |yaml: &str| {
        let mut request = PackageRequest::new(PackageSpec::parse(yaml).unwrap(), "x".parse().unwrap());
        request.refresh = Refresh::IfOlderThan(Duration::from_secs(3_600));
        story(&build_packages(request, &bench.store).await.unwrap_err())
    };
    if std::path::Path::new("/usr/bin/apt-get").exists() {
        let error = build("suite: no-such-suite\npackages: [dash]\n").await;
        assert!(error.contains("no source for suite \"no-such-suite\""), "{error}");
    }
    if built(&bench, "p", "suite: host\npackages: [busybox-static]\n").await.is_some() {
        let error = build("suite: host\npackages: [no-such-package-at-all]\n").await;
        assert!(error.contains("no-such-package-at-all"), "{error}");
    }
}

#[tokio::test]
async fn an_unsigned_archive_is_refused() {
    if !std::path::Path::new("/usr/bin/apt-get").exists() {
        println!("skipped: this host has no apt");
        return;
    }
    let bench = Bench::with_packages();
    // A local archive with an index that nobody has signed.
    let archive = bench.path("archive");
    std::fs::create_dir_all(archive.join("dists/host/main/binary-amd64")).unwrap();
    std::fs::write(archive.join("dists/host/main/binary-amd64/Packages"), "").unwrap();
    std::fs::write(
        archive.join("dists/host/Release"),
        "Suite: host\nCodename: host\nComponents: main\nArchitectures: amd64\n",
    )
    .unwrap();
    let keyring = bench.path("keyring.gpg");
    std::fs::write(&keyring, "").unwrap();
    let yaml = format!(
        "suite: unsigned\nmirror: file:{}\nkeyring: {}\npackages: [dash]\n",
        archive.display(),
        keyring.display()
    );
    let mut spec = PackageSpec::parse(&yaml).unwrap();
    std::fs::rename(archive.join("dists/host"), archive.join("dists/unsigned")).unwrap();
    spec.components = vec!["main".into()];
    let error = build_packages(PackageRequest::new(spec, "x".parse().unwrap()), &bench.store).await.unwrap_err();
    assert!(error.to_string().contains("not signed"), "{error}");
}
