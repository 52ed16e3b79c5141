//! What the tests share: a store with a base image, contexts, and running images.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use maru_builder::{BuildError, BuildEvent, BuildOutcome, BuildRequest, DockerfileSource, build};
use maru_container::{ContainerConfig, RunConfig, RuntimeKind, User};
use maru_images::{DirectoryForm, DirectoryLayer, ImageStore};
use maru_oci::{Digest, ImageConfig, Platform};

/// Everything of a test; nothing is left when it is dropped.
pub(crate) struct Bench {
    pub(crate) store: ImageStore,
    directory: tempfile::TempDir,
    output: Arc<Mutex<Vec<BuildEvent>>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let left: Vec<_> = maru_testkit::mounts_under(self.directory.path());
        for mount in &left {
            rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH).ok();
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "a build left mounts: {left:?}");
            let work = self.store.directory().join("builder/work");
            let files: Vec<_> =
                fs::read_dir(work).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
            assert!(files.is_empty(), "a build left files: {files:?}");
        }
    }
}

impl Bench {
    /// Returns an empty store.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&directory.path().join("images")).unwrap();
        Self { store, directory, output: Arc::default() }
    }

    /// Returns an empty store whose package index and packages are those of earlier runs of the tests.
    pub(crate) fn with_packages() -> Self {
        let bench = Self::empty();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        fs::create_dir_all(&kept).unwrap();
        fs::create_dir_all(bench.store.directory().join("builder")).unwrap();
        symlink(kept, bench.store.directory().join("builder/apt")).unwrap();
        bench
    }

    /// Returns a store with the image `base`, in which busybox is everything.
    pub(crate) fn new() -> Self {
        let bench = Self::empty();
        let root = bench.directory.path().join("base");
        for name in ["bin", "etc", "tmp"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        assert!(Path::new("/bin/busybox").exists(), "these tests need /bin/busybox (apt-get install busybox-static)");
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "ls", "mkdir", "rm", "env", "id", "date", "touch", "test", "stat", "sleep", "ln",
            "wc", "false",
        ] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n").unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\nstaff:x:1001:\n").unwrap();
        symlink("/etc/passwd", root.join("etc/absolute")).unwrap();
        let options = DirectoryLayer { form: DirectoryForm::Plain, modified_max: 0 };
        let layer = bench.store.put_directory(&root, options).unwrap();
        let mut config = ImageConfig::for_platform(&Platform::host());
        config.config.env = vec!["PATH=/bin".into(), "FROM_BASE=yes".into()];
        config.config.cmd = Some(vec!["base-command".into()]);
        let digest = bench.store.commit_image(config, &[layer]).unwrap();
        bench.store.tag(&digest, &"base".parse().unwrap()).unwrap();
        bench
    }

    /// Returns a directory with files, by path and content; a slash at the end makes a directory.
    pub(crate) fn context(&self, files: &[(&str, &str)]) -> PathBuf {
        let context = self.directory.path().join("context");
        if context.exists() {
            fs::remove_dir_all(&context).unwrap();
        }
        fs::create_dir(&context).unwrap();
        for (path, content) in files {
            let path = context.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
        }
        context
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns a request for these instructions.
    pub(crate) fn request(&self, dockerfile: &str, context: &Path) -> BuildRequest {
        let output = Arc::clone(&self.output);
        output.lock().unwrap().clear();
        BuildRequest {
            dockerfile: DockerfileSource::Text(dockerfile.to_owned()),
            executable: Some(env!("CARGO_BIN_EXE_maru-builder-helper").into()),
            progress: Some(Arc::new(move |event| output.lock().unwrap().push(event))),
            ..BuildRequest::new(context.to_owned(), "built:test".parse().unwrap())
        }
    }

    pub(crate) async fn build(&self, request: BuildRequest) -> Result<BuildOutcome, BuildError> {
        build(request, &self.store).await
    }

    /// Builds instructions upon a context.
    pub(crate) async fn built(&self, dockerfile: &str, files: &[(&str, &str)]) -> Digest {
        let context = self.context(files);
        let request = self.request(dockerfile, &context);
        self.build(request).await.unwrap_or_else(|error| panic!("{}", story(&error))).digest
    }

    /// Returns what the last build's programs wrote.
    pub(crate) fn output(&self) -> String {
        let lines = self.output.lock().unwrap();
        let lines: Vec<&str> = lines
            .iter()
            .filter_map(|event| if let BuildEvent::Output { line, .. } = event { Some(line.as_str()) } else { None })
            .collect();
        lines.join("\n")
    }

    /// Tells which steps of the last build came from the cache.
    pub(crate) fn cached(&self) -> Vec<bool> {
        let events = self.output.lock().unwrap();
        events
            .iter()
            .filter_map(|event| if let BuildEvent::Finished { cached, .. } = event { Some(*cached) } else { None })
            .collect()
    }

    /// Runs something in an image as its user and returns the exit code and everything it wrote.
    pub(crate) async fn run(&self, image: &Digest, arguments: &[&str]) -> (i32, String) {
        let directory = self.directory.path().join("run");
        let mounted = Mounted(directory.join("mount"));
        fs::create_dir_all(&mounted.0).unwrap();
        let rootfs = self.store.mount(image, &mounted.0).unwrap();
        let config = self.store.config(image).unwrap().config;
        let container = ContainerConfig {
            args: arguments.iter().map(ToString::to_string).collect(),
            env: config
                .env
                .iter()
                .filter_map(|entry| entry.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            working_directory: config.working_dir,
            user: User { user: config.user, ..User::default() },
            ..ContainerConfig::default()
        };
        let run = RunConfig {
            executable: Some(env!("CARGO_BIN_EXE_maru-builder-helper").into()),
            directory: directory.join("c"),
            rootfs: rootfs.path,
            container,
            cgroup: format!("/maru-build-test-{}", maru_ids::random_suffix(8)),
            runtime: RuntimeKind::Embedded,
            timeout: Some(std::time::Duration::from_secs(120)),
        };
        let mut output = Vec::new();
        let status = maru_container::run(run, |_, bytes| output.extend_from_slice(bytes)).await.unwrap();
        drop(mounted);
        (status.code, String::from_utf8_lossy(&output).into_owned())
    }

    /// Returns the files of an image: path, mode, owner, time and content.
    pub(crate) fn files(&self, image: &Digest) -> BTreeMap<String, String> {
        let mounted = Mounted(self.directory.path().join("look"));
        fs::create_dir_all(&mounted.0).unwrap();
        let rootfs = self.store.mount(image, &mounted.0).unwrap();
        let mut found = BTreeMap::new();
        look(&rootfs.path, &rootfs.path, &mut found);
        found
    }
}

fn look(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let content = if metadata.is_dir() {
            look(root, &path, found);
            "/".to_owned()
        } else if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if metadata.len() < 1_000 {
            fs::read_to_string(&path).unwrap_or_default()
        } else {
            "…".to_owned()
        };
        found.insert(name, format!("{:o} {}:{} {content}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid()));
    }
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(ImageStore::discard(&self.0));
    }
}

/// Returns an error with its causes.
pub(crate) fn story(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
