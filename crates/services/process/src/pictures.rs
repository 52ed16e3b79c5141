//! What documents take from files: requirements of a plain folder, and models as pictures.

use maru_api::{GlossaryTerm, Priority, Requirement, RequirementStatus, Verdict};
use maru_documents as documents;
use maru_models::{Model, Theme};
use maru_requirements::{Graph, Items, LintContext, Term, classify, lint};

use crate::material::Material;
use crate::papers::{Paper, word};
use crate::quality::{class_of, finding_of};

impl Material {
    /// Takes the requirements of a folder: no evidence, so nothing is measured.
    #[must_use]
    pub fn of_items(project: &str, items: &Items) -> Self {
        let graph = Graph::new(&items.items);
        let mut requirements = Vec::new();
        for item in &items.items {
            let Ok(mut one) = serde_json::from_value::<Requirement>(item.to_object(project)) else { continue };
            let class = class_of(classify(item), graph.reach(&item.name));
            // Without evidence nothing is measured.
            let verdict = (one.spec.priority != Priority::Wont).then_some(Verdict::NotMeasured);
            one.status = Some(RequirementStatus { class: Some(class), verdict, ..RequirementStatus::default() });
            requirements.push(one);
        }
        let context = LintContext { glossary: items.glossary.clone(), components: None };
        for finding in lint(&items.items, &context) {
            let found = requirements.iter_mut().find(|one| one.metadata.name == finding.item);
            if let Some(status) = found.and_then(|one| one.status.as_mut()) {
                status.lint.push(finding_of(finding));
            }
        }
        let term = |one: &Term| GlossaryTerm {
            term: one.term.clone(),
            definition: one.definition.clone(),
            aliases: one.aliases.clone(),
        };
        let glossary = items.glossary.terms().iter().map(term).collect();
        Self { project: project.to_owned(), requirements, glossary, ..Self::default() }
    }
}

impl Paper<'_> {
    pub(crate) fn figures(&self) -> Vec<documents::Figure> {
        let figure = |model: &Model| {
            let drawing = model.render(Theme::Paper, self.language);
            let (width_mm, height_mm) = paper_size(drawing.width, drawing.height);
            documents::Figure {
                svg: drawing.svg,
                metafile: Some(drawing.metafile),
                caption: model.heading().get(self.language).to_owned(),
                description: model.summary().get(self.language).to_owned(),
                width_mm,
                height_mm,
            }
        };
        self.material.models.iter().map(figure).collect()
    }

    /// The models that are about a requirement.
    pub(crate) fn models_of(&self, one: &Requirement) -> Vec<String> {
        let is_about = |model: &&Model| model.requirements.iter().any(|about| about.name == one.metadata.name);
        self.material.models.iter().filter(is_about).map(|model| model.name.clone()).collect()
    }

    /// Models that are about no requirement of the project.
    pub(crate) fn lonely_models(&self) -> Vec<documents::Orphan> {
        let known = |name: &str| self.material.requirements.iter().any(|one| one.metadata.name == name);
        let models = self.material.models.iter();
        let lonely = models.filter(|model| !model.requirements.iter().any(|about| known(&about.name)));
        let orphan = |model: &Model| documents::Orphan {
            kind: model.kind.title().get(self.language).to_owned(),
            name: model.name.clone(),
            reason: word(self.language, "요구사항과 이어지지 않음", "names no requirement").to_owned(),
        };
        let unread = self.material.unread.iter().map(|(file, why)| documents::Orphan {
            kind: word(self.language, "모델", "model").to_owned(),
            name: file.clone(),
            reason: format!("{}: {why}", word(self.language, "읽을 수 없음", "it cannot be read")),
        });
        lonely.map(orphan).chain(unread).collect()
    }
}

/// The size of a drawing on paper: a pixel is 0.26 mm, and what is larger than a page is made smaller.
fn paper_size(width: f64, height: f64) -> (u16, u16) {
    const WIDEST_MM: f64 = 240.0;
    const HIGHEST_MM: f64 = 145.0;
    let scale = (25.4 / 96.0_f64).min(WIDEST_MM / width).min(HIGHEST_MM / height);
    let millimetres = |pixels: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the page")]
        let whole = (pixels * scale).round().clamp(5.0, 300.0) as u16;
        whole
    };
    (millimetres(width), millimetres(height))
}
