//! The models of the sample shop stand, are complete, and draw.

use std::collections::BTreeSet;
use std::path::Path;

use maru_models::{Kind, Theme, check, read_models};
use maru_requirements::Language;

#[test]
fn the_models_of_the_shop_have_no_findings() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/shop/.maru");
    let stems = |folder: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(shop.join(folder)).unwrap().flatten();
        entries.map(|entry| entry.path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    let known = stems("requirements");
    let mut kinds = BTreeSet::new();
    for name in stems("models") {
        let file = shop.join("models").join(format!("{name}.mmd"));
        let models = read_models(&file.to_string_lossy(), &std::fs::read_to_string(&file).unwrap());
        for model in models.unwrap_or_else(|problems| panic!("{name}: {problems:#?}")) {
            assert_eq!(check(&model, Some(&known)), Vec::new(), "{name}");
            kinds.insert(model.kind);
            for theme in [Theme::Paper, Theme::Screen] {
                let drawing = model.render(theme, Language::Ko);
                assert_eq!(drawing, model.render(theme, Language::Ko));
                if let Some(look) = std::env::var_os("MARU_LOOK") {
                    std::fs::write(Path::new(&look).join(format!("{name}.emf")), &drawing.metafile).unwrap();
                    std::fs::write(Path::new(&look).join(format!("{name}-{theme:?}.svg")), &drawing.svg).unwrap();
                }
            }
        }
    }
    let wanted = [Kind::UseCase, Kind::Sequence, Kind::State, Kind::EntityRelationship, Kind::GoalTree];
    assert!(wanted.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}
