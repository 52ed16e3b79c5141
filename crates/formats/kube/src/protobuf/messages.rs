//! The messages of built-in kinds, read from data in the binary.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use serde_json::Value;

/// Lines of a message's name, a tab, and its fields; see `docs/formats/kube-data.md`.
static DATA: &[u8] = include_bytes!("../../data/messages.bin");

static BUILTIN: LazyLock<Messages> = LazyLock::new(Messages::load);

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    Integer,
    Boolean,
    Double,
    /// A message of this definition.
    Message(&'static str),
}

impl Kind {
    /// Returns the value of a field that is not there; messages and bytes have none.
    pub(super) fn zero(&self) -> Option<Value> {
        match self {
            Self::Text => Some(Value::from("")),
            Self::Integer => Some(Value::from(0)),
            Self::Boolean => Some(Value::from(false)),
            Self::Double => Some(Value::from(0.0)),
            Self::Bytes | Self::Message(_) => None,
        }
    }
}

/// How often a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Repeated,
    Map,
}

/// When Go prints a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    /// Whenever it is there: the field is a pointer.
    Pointer,
    /// Unless it is zero.
    OmitEmpty,
    /// Also when it is zero.
    Always,
    /// As part of the message it stands in.
    Inline,
}

/// One field of a message.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) emptiness: Emptiness,
}

/// The fields of a message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
}

/// The messages by the names of their definitions; the text is held (0.16 MB) and a message parsed when it is used.
#[derive(Debug)]
pub(super) struct Messages(BTreeMap<&'static str, &'static str>);

impl Messages {
    pub(super) fn builtin() -> &'static Self {
        &BUILTIN
    }

    pub(super) fn get(&self, name: &str) -> Option<Message> {
        let text = self.0.get(name)?;
        Some(Message { fields: text.split(',').filter_map(parse).collect() })
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    fn load() -> Self {
        let mut text = String::new();
        ZlibDecoder::new(DATA).read_to_string(&mut text).expect("the built-in messages are tested to be readable");
        let text: &'static str = Box::leak(text.into_boxed_str());
        Self(text.lines().filter_map(|line| line.split_once('\t')).collect())
    }
}

/// Reads `<number> <kind> <name> <emptiness> [<definition>]`.
fn parse(text: &'static str) -> Option<Field> {
    let mut parts = text.split(' ');
    let number = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let name = parts.next()?.to_owned();
    let emptiness = match parts.next()? {
        "p" => Emptiness::Pointer,
        "o" => Emptiness::OmitEmpty,
        "a" => Emptiness::Always,
        "n" => Emptiness::Inline,
        _ => return None,
    };
    let (shape, kind) = match (kind.strip_prefix('*'), kind.strip_prefix('%')) {
        (Some(kind), _) => (Shape::Repeated, kind),
        (_, Some(kind)) => (Shape::Map, kind),
        (None, None) => (Shape::One, kind),
    };
    let kind = match kind {
        "s" => Kind::Text,
        "y" => Kind::Bytes,
        "i" => Kind::Integer,
        "b" => Kind::Boolean,
        "d" => Kind::Double,
        "m" => Kind::Message(parts.next()?),
        _ => return None,
    };
    Some(Field { number, name, kind, shape, emptiness })
}
