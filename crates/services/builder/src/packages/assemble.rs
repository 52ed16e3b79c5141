//! A root file system out of `.deb` files, without running anything from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use maru_oci::LayerLimits;

use crate::error::{BuildError, io_error};
use crate::inside::{Additions, Inside, Looks};
use crate::packages::alternatives;
use crate::packages::apt::Package;
use crate::packages::sbom::{self, Distribution, Licences};
use crate::packages::spec::{PackageSpec, UserSpec, parse_mode};

/// Directories that hold what programs do not need.
const DOCUMENTATION: [&str; 7] = [
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "usr/share/linda/",
    "usr/share/groff/",
    "usr/share/doc-base/",
];

/// Files of users and groups: path, the distribution's own list, and what stands in for it.
const USER_FILES: [(&str, &str, &str); 2] = [
    (
        "etc/passwd",
        "passwd.master",
        "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "group.master", "root:*:0:\nnogroup:*:65534:\n"),
];

/// The control files of a package by their names.
type Control = BTreeMap<String, Vec<u8>>;

/// Fills an empty directory with the files of packages, and what their scripts would have made when these do not run.
pub(crate) fn assemble(root: &Path, spec: &PackageSpec, packages: &[Package]) -> Result<i64, BuildError> {
    lay_ground(root, spec.configure)?;
    let mut modified_max = 0;
    let mut controls = Vec::new();
    let mut listed = Vec::new();
    for package in packages {
        let skip = |path: &Path| !spec.documentation && is_documentation(path);
        let unpacked = unpack(package, root, &skip)?;
        modified_max = modified_max.max(unpacked.modified_max);
        controls.push(read_control(package)?);
        listed.push(unpacked.paths);
    }
    let inside = Inside::open(root)?;
    let mut additions = Additions::default();
    add_state(packages, &controls, &listed, spec.configure, &mut additions);
    for (path, master, fallback) in USER_FILES {
        let text = inside.read(format!("usr/share/base-passwd/{master}"))?;
        additions.file(path, text.unwrap_or_else(|| fallback.as_bytes().to_vec()), Looks::FILE);
    }
    if !spec.configure {
        let scripts: Vec<String> = controls
            .iter()
            .filter_map(|control| control.get("postinst"))
            .map(|script| String::from_utf8_lossy(script).into_owned())
            .collect();
        alternatives::add(&scripts, &inside, &mut additions)?;
        add_certificates(&inside, &mut additions)?;
    }
    additions.write(root, modified_max)?;
    Ok(modified_max)
}

/// Adds what the description says besides packages, and the bill of materials, which is returned.
pub(crate) fn complete(
    root: &Path,
    spec: &PackageSpec,
    suite: &str,
    packages: &[Package],
    modified: i64,
) -> Result<Vec<u8>, BuildError> {
    let inside = Inside::open(root)?;
    let mut additions = Additions::default();
    add_users(&inside, &spec.users, &mut additions)?;
    let os_release = inside.read_text("etc/os-release")?.unwrap_or_default();
    let mut licences = Licences::new();
    for package in packages {
        let copyright = inside.read_text(format!("usr/share/doc/{}/copyright", package.name()))?;
        licences.insert(package.name().to_owned(), copyright.map(|text| sbom::licences(&text)).unwrap_or_default());
    }
    let bill = sbom::bill("image", packages, &licences, &Distribution::parse(&os_release, suite));
    additions.file(sbom::PATH, bill.clone(), Looks::FILE);
    add_files(spec, &mut additions);
    additions.write(root, modified)?;
    Ok(bill)
}

/// Makes what packages expect to be there: `/bin` and its like as links into `/usr`, and mount points.
fn lay_ground(root: &Path, scripts: bool) -> Result<(), BuildError> {
    let mut ground = Additions::default();
    // Scripts link manuals into these directories, which are not unpacked.
    for section in 1..=9 {
        if scripts {
            ground.directory(format!("usr/share/man/man{section}"), Looks::DIRECTORY);
        }
    }
    for name in ["bin", "sbin", "lib"] {
        ground.directory(format!("usr/{name}"), Looks::DIRECTORY);
        ground.link(name, format!("usr/{name}"));
    }
    if cfg!(target_arch = "x86_64") {
        ground.directory("usr/lib64", Looks::DIRECTORY);
        ground.link("lib64", "usr/lib64");
    }
    for name in ["dev", "etc", "home", "proc", "run", "sys", "usr", "var", "var/lib", "var/log", "var/cache"] {
        ground.directory(name, Looks::DIRECTORY);
    }
    ground.directory("root", Looks { mode: 0o700, ..Looks::DIRECTORY });
    ground.directory("tmp", Looks { mode: 0o1777, ..Looks::DIRECTORY });
    ground.directory("var/tmp", Looks { mode: 0o1777, ..Looks::DIRECTORY });
    ground.link("var/run", "/run");
    ground.link("var/lock", "/run/lock");
    ground.write(root, 0)
}

fn is_documentation(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    DOCUMENTATION.iter().any(|directory| text.starts_with(directory))
        // Licences ask to be kept.
        || (text.starts_with("usr/share/doc/") && text.matches('/').count() > 3 && !text.ends_with("/copyright"))
}

/// Starts dpkg-deb with its output as a stream.
fn dpkg_deb(option: &str, file: &Path) -> Result<Child, BuildError> {
    Command::new("dpkg-deb")
        .arg(option)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io_error("run", Path::new("dpkg-deb")))
}

fn finish(mut child: Child, file: &Path) -> Result<(), BuildError> {
    let status = child.wait().map_err(io_error("wait for", Path::new("dpkg-deb")))?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Tool {
        program: "dpkg-deb",
        action: format!("read {}", file.display()),
        message: status.to_string(),
    })
}

fn unpack(package: &Package, root: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<maru_images::Unpacked, BuildError> {
    let mut child = dpkg_deb("--fsys-tarfile", &package.file)?;
    let Some(mut stream) = child.stdout.take() else { return Err(BuildError::Interrupted) };
    let unpacked = maru_images::unpack_archive(&mut stream, root, skip);
    drop(stream);
    let finished = finish(child, &package.file);
    let unpacked = unpacked.map_err(|error| BuildError::Tool {
        program: "dpkg-deb",
        action: format!("unpack {}", package.name()),
        message: error.to_string(),
    })?;
    finished.map(|()| unpacked)
}

fn read_control(package: &Package) -> Result<Control, BuildError> {
    let mut child = dpkg_deb("--ctrl-tarfile", &package.file)?;
    let Some(mut stream) = child.stdout.take() else { return Err(BuildError::Interrupted) };
    let limits = LayerLimits { bytes_max: 64 << 20, entries_max: 10_000, ..LayerLimits::default() };
    let mut control = Control::new();
    let outcome = maru_oci::read_archive(&mut stream, limits, &mut |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        if let Some(name) = entry.path.file_name().filter(|_| entry.kind == maru_oci::EntryKind::File) {
            control.insert(name.to_string_lossy().into_owned(), bytes);
        }
        Ok::<(), maru_oci::LayerError>(())
    });
    drop(stream);
    finish(child, &package.file)?;
    outcome.map_err(|error| BuildError::Tool {
        program: "dpkg-deb",
        action: format!("read {}", package.name()),
        message: error.to_string(),
    })?;
    Ok(control)
}

/// Writes dpkg's own record of what is installed, for scanners and for dpkg.
fn add_state(
    packages: &[Package],
    controls: &[Control],
    listed: &[Vec<PathBuf>],
    configure: bool,
    additions: &mut Additions,
) {
    let mut status = String::new();
    for ((package, control), paths) in packages.iter().zip(controls).zip(listed) {
        let text = control.get("control").map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
        let mut lines = text.trim_end().lines();
        if let Some(first) = lines.next() {
            status.push_str(first);
            status.push_str("\nStatus: install ok installed\n");
            for line in lines {
                status.push_str(line);
                status.push('\n');
            }
            status.push('\n');
        }
        if configure {
            continue;
        }
        let same = text.lines().any(|line| line == "Multi-Arch: same");
        let stem = if same {
            format!("{}:{}", package.name(), package.field("Architecture"))
        } else {
            package.name().to_owned()
        };
        let mut list: Vec<String> = paths
            .iter()
            .map(|path| if path.as_os_str().is_empty() { "/.".to_owned() } else { format!("/{}", path.display()) })
            .collect();
        list.push(String::new());
        additions.file(format!("var/lib/dpkg/info/{stem}.list"), list.join("\n"), Looks::FILE);
        for name in ["md5sums", "conffiles"] {
            if let Some(content) = control.get(name) {
                additions.file(format!("var/lib/dpkg/info/{stem}.{name}"), content.clone(), Looks::FILE);
            }
        }
    }
    additions.file("var/lib/dpkg/info/format", "1\n", Looks::FILE);
    additions.file("var/lib/dpkg/available", "", Looks::FILE);
    additions.file("var/lib/dpkg/status", if configure { String::new() } else { status }, Looks::FILE);
}

/// Adds the description's users to `/etc/passwd` and `/etc/group`.
fn add_users(inside: &Inside, users: &[UserSpec], additions: &mut Additions) -> Result<(), BuildError> {
    if users.is_empty() {
        return Ok(());
    }
    let lines = |path: &str| -> Result<Vec<String>, BuildError> {
        Ok(inside.read_text(path)?.unwrap_or_default().lines().map(str::to_owned).collect())
    };
    let (mut passwd, mut group) = (lines("etc/passwd")?, lines("etc/group")?);
    let replace = |lines: &mut Vec<String>, name: &str, line: String| {
        lines.retain(|known| known.split(':').next() != Some(name));
        lines.push(line);
    };
    for user in users {
        let gid = user.gid.unwrap_or(user.uid);
        let home = user.home.as_deref().unwrap_or("/");
        let shell = user.shell.as_deref().unwrap_or("/usr/sbin/nologin");
        replace(&mut passwd, &user.name, format!("{}:*:{}:{gid}::{home}:{shell}", user.name, user.uid));
        replace(&mut group, &user.name, format!("{}:*:{gid}:", user.name));
        if home != "/" {
            additions.directory(home, Looks { mode: 0o755, uid: user.uid, gid });
        }
    }
    additions.file("etc/passwd", passwd.join("\n") + "\n", Looks::FILE);
    additions.file("etc/group", group.join("\n") + "\n", Looks::FILE);
    Ok(())
}

/// Joins the certificates of `ca-certificates`, when it is among the packages, into the one file that programs read.
fn add_certificates(inside: &Inside, additions: &mut Additions) -> Result<(), BuildError> {
    let mut bundle = Vec::new();
    for path in inside.files_below("usr/share/ca-certificates")? {
        if path.extension().is_some_and(|extension| extension == "crt") {
            bundle.extend(inside.read(&path)?.unwrap_or_default());
            if !bundle.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
    }
    if bundle.is_empty() {
        return Ok(());
    }
    additions.file("etc/ssl/certs/ca-certificates.crt", bundle, Looks::FILE);
    // OpenSSL looks here by itself, and otherwise for links named by hashes.
    if !inside.has_name("usr/lib/ssl/cert.pem")? {
        additions.link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt");
    }
    Ok(())
}

fn add_files(spec: &PackageSpec, additions: &mut Additions) {
    for file in &spec.files {
        let mode = file.mode.as_deref().and_then(parse_mode);
        let looks = |default| Looks { mode: mode.unwrap_or(default), uid: file.uid, gid: file.gid };
        match (&file.content, &file.link) {
            (Some(content), _) => additions.file(&file.path, content.clone(), looks(0o644)),
            (None, Some(target)) => additions.link(&file.path, target),
            (None, None) => additions.directory(&file.path, looks(0o755)),
        }
    }
}

/// Makes an empty directory for a root file system, anew.
pub(crate) fn fresh_directory(path: &Path) -> Result<(), BuildError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error("remove", path)(error)),
        _ => {}
    }
    fs::create_dir_all(path).map_err(io_error("create", path))
}
