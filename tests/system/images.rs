//! Images that other tools make and read.

use maru_tests::{IMAGE, System, can_run};

#[test]
fn images_go_to_skopeo_and_back() {
    if !can_run(&["busybox", "nft", "skopeo"]) {
        return;
    }
    let system = System::new();
    system.build_image();
    let path = |name: &str| system.folder().join(name).to_string_lossy().into_owned();
    let skopeo = |arguments: &[&str]| system.host().output("skopeo", &[&["--insecure-policy"], arguments].concat());
    let saved = path("saved.tar");
    system.maru(&["image", "save", "-o", &saved, IMAGE]);
    let inspected = skopeo(&["inspect", &format!("oci-archive:{saved}")]);
    assert!(inspected.contains("\"Architecture\"") && inspected.contains("PATH=/bin"), "{inspected}");
    for (form, name) in [("docker-archive", "copied/docker:1"), ("oci-archive", "copied/oci:1")] {
        let copied = path(&format!("{form}.tar"));
        skopeo(&["copy", &format!("oci-archive:{saved}"), &format!("{form}:{copied}:{name}")]);
        system.maru(&["image", "load", &copied]);
        let listed = system.maru(&["image", "ls"]);
        assert!(listed.contains(name.split(':').next().unwrap_or_default()), "{form}: {listed}");
        let inspected = system.maru(&["image", "inspect", name]);
        assert!(inspected.contains("PATH=/bin"), "{form}: {inspected}");
    }
    // An archive that was cut short is refused and leaves nothing.
    let whole = std::fs::read(&saved).expect("the archive is there");
    std::fs::write(path("cut.tar"), &whole[..whole.len() / 2]).expect("the folder can be written");
    let before = system.maru(&["image", "ls"]);
    let refused = system.refused(&["image", "load", &path("cut.tar")]);
    assert!(refused.contains("cut.tar"), "{refused}");
    assert_eq!(system.maru(&["image", "ls"]), before);
}
