//! One node of a schema.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{ListType, SchemaError, Schemas};

/// The memory that one compiled pattern of a CRD may take, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Object, Self::Array, Self::String, Self::Integer, Self::Number, Self::Boolean]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// What a value may be, how it merges, and which rules it must keep.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The name of the built-in definition that describes the value; see [`Node::resolved`].
    pub(crate) reference: Option<Box<str>>,
    pub(crate) kind: Option<Kind>,
    pub(crate) format: Option<Box<str>>,
    pub(crate) nullable: bool,
    pub(crate) properties: BTreeMap<Box<str>, Node>,
    /// The schema of properties that `properties` does not name.
    pub(crate) additional: Option<Box<Node>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) required: Vec<Box<str>>,
    pub(crate) list_type: ListType,
    pub(crate) list_keys: Vec<Box<str>>,
    /// Whether a map is one value (`x-kubernetes-map-type: atomic`).
    pub(crate) is_atomic_map: bool,
    pub(crate) patch_merge_key: Option<Box<str>>,
    /// `x-kubernetes-patch-strategy` names merge.
    pub(crate) patch_merges: bool,
    /// `x-kubernetes-patch-strategy` names retainKeys.
    pub(crate) patch_retains_keys: bool,
    /// `x-kubernetes-patch-strategy` names replace.
    pub(crate) patch_replaces: bool,
    pub(crate) is_int_or_string: bool,
    pub(crate) preserves_unknown: bool,
    pub(crate) is_embedded_resource: bool,
    pub(crate) default: Option<Value>,
    pub(crate) rules: Option<Box<Rules>>,
}

/// Rules on a value besides its type; CRDs alone have them.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) enumeration: Vec<Value>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) length_min: Option<u64>,
    pub(crate) length_max: Option<u64>,
    pub(crate) items_min: Option<u64>,
    pub(crate) items_max: Option<u64>,
    pub(crate) properties_min: Option<u64>,
    pub(crate) properties_max: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Node>,
}

/// A regular expression, compiled when first used.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Tells whether the text matches; `None` when the pattern cannot be compiled.
    pub(crate) fn is_match(&self, text: &str) -> Option<bool> {
        let compile = || RegexBuilder::new(&self.text).size_limit(PATTERN_BYTES_MAX).build().ok();
        self.compiled.get_or_init(compile).as_ref().map(|regex| regex.is_match(text))
    }
}

impl Node {
    /// Returns the node that describes the value: of a reference the definition, else itself.
    pub(crate) fn resolved(&self) -> &Self {
        let mut node = self;
        // A chain of references is never longer than two in the built-in definitions; the bound guards against a cycle.
        for _ in 0..8 {
            match node.reference.as_deref().and_then(|name| Schemas::builtin().definition(name)) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Returns a node for a built-in definition.
    pub(crate) fn reference_to(name: &str) -> Self {
        Self { reference: Some(name.into()), ..Self::default() }
    }

    /// Returns the node of any value.
    pub(crate) fn any() -> Self {
        Self { preserves_unknown: true, ..Self::default() }
    }

    /// Returns the node of an object of which only the metadata is known.
    pub(crate) fn any_object() -> Self {
        let mut node = Self { kind: Some(Kind::Object), preserves_unknown: true, ..Self::default() };
        node.add_object_fields();
        node
    }

    /// Adds `apiVersion`, `kind` and `metadata`, which every object has whatever its schema says of them.
    pub(crate) fn add_object_fields(&mut self) {
        for name in ["apiVersion", "kind"] {
            self.properties.insert(name.into(), Self { kind: Some(Kind::String), ..Self::default() });
        }
        self.properties.insert("metadata".into(), Self::reference_to(OBJECT_META));
    }

    /// Tells whether a map is one value; the place of use decides, then the definition.
    pub(crate) fn is_atomic(&self) -> bool {
        self.is_atomic_map || self.resolved().is_atomic_map
    }

    /// Returns the node of a named property, or of any property of a map.
    pub(crate) fn property(&self, name: &str) -> Option<&Self> {
        let node = self.resolved();
        node.properties.get(name).or(node.additional.as_deref())
    }

    /// Tells whether the value may be anything: nothing is said of its type or its fields.
    pub(crate) fn is_untyped(&self) -> bool {
        let node = self.resolved();
        !node.is_int_or_string
            && node.properties.is_empty()
            && node.additional.is_none()
            && node.items.is_none()
            && matches!(node.kind, None | Some(Kind::Object))
            && node.format.is_none()
    }

    /// Reads a node and all below it; `path` is for messages.
    pub(crate) fn read(schema: &Value, path: &str) -> Result<Self, SchemaError> {
        let wrong = |why: &str| SchemaError { path: path.to_owned(), why: why.to_owned() };
        let map = schema.as_object().ok_or_else(|| wrong("must be an object"))?;
        let mut node = Self::default();
        let mut rules = Rules::default();
        let mut has_rules = false;
        for (key, value) in map {
            if !node.read_key(key, value, path)? {
                has_rules |= rules.read_key(key, value, path)?;
            }
        }
        node.rules = has_rules.then(|| Box::new(rules));
        Ok(node)
    }

    /// Reads one key; false when it is none of a node's.
    fn read_key(&mut self, key: &str, value: &Value, path: &str) -> Result<bool, SchemaError> {
        let wrong = |why: &str| SchemaError { path: format!("{path}.{key}"), why: why.to_owned() };
        let text = || value.as_str().ok_or_else(|| wrong("must be a string"));
        let flag = || value.as_bool().ok_or_else(|| wrong("must be a boolean"));
        match key {
            "$ref" => self.reference = Some(text()?.into()),
            "type" => self.kind = Some(Kind::parse(text()?).ok_or_else(|| wrong("is none of JSON's types"))?),
            "format" => self.format = Some(text()?.into()),
            "nullable" => self.nullable = flag()?,
            "properties" => {
                for (name, property) in value.as_object().ok_or_else(|| wrong("must be an object"))? {
                    let property = Self::read(property, &format!("{path}.properties[{name}]"))?;
                    self.properties.insert(name.as_str().into(), property);
                }
            }
            "additionalProperties" => match value {
                Value::Bool(false) => {}
                Value::Bool(true) => self.additional = Some(Box::new(Self::any())),
                schema => {
                    self.additional = Some(Box::new(Self::read(schema, &format!("{path}.additionalProperties"))?))
                }
            },
            "items" => self.items = Some(Box::new(Self::read(value, &format!("{path}.items"))?)),
            "required" => self.required = texts(value).ok_or_else(|| wrong("must be a list of strings"))?,
            "x-kubernetes-list-map-keys" => {
                self.list_keys = texts(value).ok_or_else(|| wrong("must be a list of strings"))?;
            }
            "x-kubernetes-list-type" => {
                self.list_type = match text()? {
                    "atomic" => ListType::Atomic,
                    "set" => ListType::Set,
                    "map" => ListType::Map,
                    _ => return Err(wrong("must be atomic, set or map")),
                }
            }
            "x-kubernetes-map-type" => self.is_atomic_map = text()? == "atomic",
            "x-kubernetes-patch-merge-key" => self.patch_merge_key = Some(text()?.into()),
            "x-kubernetes-patch-strategy" => {
                for strategy in text()?.split(',') {
                    match strategy {
                        "merge" => self.patch_merges = true,
                        "retainKeys" => self.patch_retains_keys = true,
                        "replace" => self.patch_replaces = true,
                        _ => return Err(wrong("must be merge, retainKeys or replace")),
                    }
                }
            }
            "x-kubernetes-int-or-string" => self.is_int_or_string = flag()?,
            "x-kubernetes-preserve-unknown-fields" => self.preserves_unknown = flag()?,
            "x-kubernetes-embedded-resource" => self.is_embedded_resource = flag()?,
            "default" => self.default = Some(value.clone()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The definition of every object's `metadata`.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

impl Rules {
    /// Reads one key; false when it is no rule (prose, CEL, what the reader does not know).
    fn read_key(&mut self, key: &str, value: &Value, path: &str) -> Result<bool, SchemaError> {
        let wrong = |why: &str| SchemaError { path: format!("{path}.{key}"), why: why.to_owned() };
        let number = || value.as_f64().map(Some).ok_or_else(|| wrong("must be a number"));
        let count = || value.as_u64().map(Some).ok_or_else(|| wrong("must be a whole number, zero or more"));
        let flag = || value.as_bool().ok_or_else(|| wrong("must be a boolean"));
        let nodes = || -> Result<Vec<Node>, SchemaError> {
            let list = value.as_array().ok_or_else(|| wrong("must be a list"))?;
            list.iter().enumerate().map(|(at, item)| Node::read(item, &format!("{path}.{key}[{at}]"))).collect()
        };
        match key {
            "enum" => self.enumeration = value.as_array().ok_or_else(|| wrong("must be a list"))?.clone(),
            "pattern" => {
                let text = value.as_str().ok_or_else(|| wrong("must be a string"))?.into();
                let pattern = Pattern { text, compiled: OnceLock::new() };
                if pattern.is_match("").is_none() {
                    return Err(wrong("must be a regular expression of reasonable size"));
                }
                self.pattern = Some(pattern);
            }
            "minimum" => self.minimum = number()?,
            "maximum" => self.maximum = number()?,
            "exclusiveMinimum" => self.exclusive_minimum = flag()?,
            "exclusiveMaximum" => self.exclusive_maximum = flag()?,
            "multipleOf" => self.multiple_of = number()?,
            "minLength" => self.length_min = count()?,
            "maxLength" => self.length_max = count()?,
            "minItems" => self.items_min = count()?,
            "maxItems" => self.items_max = count()?,
            "minProperties" => self.properties_min = count()?,
            "maxProperties" => self.properties_max = count()?,
            "uniqueItems" => self.unique_items = flag()?,
            "allOf" => self.all_of = nodes()?,
            "anyOf" => self.any_of = nodes()?,
            "oneOf" => self.one_of = nodes()?,
            "not" => self.not = Some(Node::read(value, &format!("{path}.not"))?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn texts(value: &Value) -> Option<Vec<Box<str>>> {
    value.as_array()?.iter().map(|item| item.as_str().map(Into::into)).collect()
}
