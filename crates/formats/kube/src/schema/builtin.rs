//! The schemas of built-in kinds, read from data in the binary.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, LazyLock, OnceLock};

use flate2::read::ZlibDecoder;
use serde_json::Value;

use super::{Node, Origin, Schema};

/// Lines of a definition's name, a tab, and its schema as JSON; see `docs/formats/kube-data.md`.
static DATA: &[u8] = include_bytes!("../../data/schemas.bin");

static BUILTIN: LazyLock<Schemas> = LazyLock::new(Schemas::load);

/// The schemas of the built-in kinds.
///
/// The text of all definitions is held (0.4 MB); each is parsed when first used and then shared.
#[derive(Debug)]
pub struct Schemas {
    definitions: BTreeMap<&'static str, Definition>,
    kinds: BTreeMap<GroupVersionKind, &'static str>,
}

/// Group, version and kind.
type GroupVersionKind = (Box<str>, Box<str>, Box<str>);

#[derive(Debug)]
struct Definition {
    text: &'static str,
    node: OnceLock<Arc<Node>>,
}

impl Definition {
    fn node(&self) -> &Arc<Node> {
        self.node.get_or_init(|| {
            let node = Node::read(&self.document(), "").expect("the built-in schemas are tested to be readable");
            Arc::new(node)
        })
    }

    fn document(&self) -> Value {
        serde_json::from_str(self.text).expect("the built-in schemas are tested to be readable")
    }
}

impl Schemas {
    /// Returns the schemas of the built-in kinds; they are read from the binary when first used.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Returns the schema of a kind, or nothing when it is not built in. The core group is `""`.
    #[must_use]
    pub fn root(&self, group: &str, version: &str, kind: &str) -> Option<Schema> {
        let name = self.definition_of(group, version, kind)?;
        let root = Arc::clone(self.definitions.get(name)?.node());
        Some(Schema { root, origin: Origin::BuiltIn(name) })
    }

    /// Returns group, version and kind of all built-in kinds, sorted; `DeleteOptions` and `WatchEvent` occur once a group.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.kinds.keys().map(|(group, version, kind)| (&**group, &**version, &**kind))
    }

    /// Returns the name of a kind's definition, such as `io.k8s.api.core.v1.Pod`.
    pub(crate) fn definition_of(&self, group: &str, version: &str, kind: &str) -> Option<&'static str> {
        self.kinds.get(&(group.into(), version.into(), kind.into())).copied()
    }

    pub(crate) fn definition(&self, name: &str) -> Option<&Node> {
        self.definitions.get(name).map(|definition| &**definition.node())
    }

    /// Returns the JSON of a definition as the data has it.
    pub(crate) fn document(&self, name: &str) -> Option<Value> {
        self.definitions.get(name).map(Definition::document)
    }

    fn load() -> Self {
        let mut text = String::new();
        ZlibDecoder::new(DATA).read_to_string(&mut text).expect("the built-in schemas are tested to be readable");
        let text: &'static str = Box::leak(text.into_boxed_str());
        let mut definitions = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for (name, text) in text.lines().filter_map(|line| line.split_once('\t')) {
            let definition = Definition { text, node: OnceLock::new() };
            if text.contains("x-kubernetes-group-version-kind") {
                let document = definition.document();
                for gvk in document["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                    let part = |key: &str| -> Box<str> { gvk[key].as_str().unwrap_or_default().into() };
                    kinds.insert((part("group"), part("version"), part("kind")), name);
                }
            }
            definitions.insert(name, definition);
        }
        Self { definitions, kinds }
    }
}
