//! The labels of a request's series before they are a [`Labels`].

use std::borrow::Cow;

use crate::wire::{Reader, WireError, Writer};
use crate::{Labels, METRIC_NAME};

/// Labels that no series can have.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// A label is malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// There is no metric name.
    #[error("the labels {labels} have no metric name")]
    NoMetricName {
        /// The labels.
        labels: String,
    },
    /// A label's name is empty.
    #[error("a label with the value {value:?} has no name")]
    NoName {
        /// The value.
        value: String,
    },
    /// A name stands twice.
    #[error("the label {name:?} is there twice: {labels}")]
    Duplicate {
        /// The name.
        name: String,
        /// The labels.
        labels: String,
    },
    /// A name or value is not UTF-8.
    #[error("a label's {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A name or value is longer than any store takes.
    #[error("a label's text has {0} bytes, more than the limit of {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// Version 2: a label names a symbol that is not there.
    #[error("a label names symbol {reference}, but there are {symbols}")]
    NoSymbol {
        /// The place.
        reference: u64,
        /// How many there are.
        symbols: usize,
    },
    /// Version 2: a name without a value.
    #[error("the labels name {0} symbols, which is no whole number of pairs")]
    OddReferences(usize),
}

/// Bytes of one name or value.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Labels as they came.
#[derive(Debug, Clone)]
pub enum RawLabels<'a> {
    /// Version 1: `Label` messages, each with its tag and length.
    Wire(Cow<'a, [u8]>),
    /// Version 2: places in a table, name and value in turn.
    Symbols {
        /// The places, as numbers of 7 bits a byte.
        refs: Cow<'a, [u8]>,
        /// The table.
        symbols: &'a [&'a [u8]],
    },
}

impl RawLabels<'_> {
    /// Calls `visit` with each name and value in the order of the request.
    ///
    /// # Errors
    /// When a label cannot be read.
    pub fn visit<'s>(&'s self, mut visit: impl FnMut(&'s [u8], &'s [u8])) -> Result<(), LabelError> {
        match self {
            Self::Wire(bytes) => {
                let mut reader = Reader::new(bytes);
                while let Some((_, field)) = reader.field()? {
                    let (mut name, mut value) = (&[][..], &[][..]);
                    let mut label = Reader::new(field.bytes("TimeSeries", 1)?);
                    while let Some((number, field)) = label.field()? {
                        match number {
                            1 => name = field.bytes("Label", 1)?,
                            2 => value = field.bytes("Label", 2)?,
                            _ => {}
                        }
                    }
                    visit(name, value);
                }
            }
            Self::Symbols { refs, symbols } => {
                let mut reader = Reader::new(refs);
                let mut count = 0;
                while !reader.rest().is_empty() {
                    let name = symbol_bytes(symbols, reader.varint()?)?;
                    count += 1;
                    if reader.rest().is_empty() {
                        return Err(LabelError::OddReferences(count));
                    }
                    let value = symbol_bytes(symbols, reader.varint()?)?;
                    count += 1;
                    visit(name, value);
                }
            }
        }
        Ok(())
    }

    /// Returns the labels' bytes: for version 1 as they came, for version 2 as version 1 would write them.
    #[inline]
    pub(super) fn key<'s>(&'s self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], LabelError> {
        let Self::Symbols { .. } = self else {
            return match self {
                Self::Wire(bytes) => Ok(bytes),
                Self::Symbols { .. } => Ok(&[]),
            };
        };
        scratch.clear();
        let mut writer = Writer { bytes: std::mem::take(scratch) };
        let result = self.visit(|name, value| write_label(name, value, &mut writer));
        *scratch = writer.bytes;
        result.map(|()| scratch.as_slice())
    }

    /// Returns the labels of a series: sorted when they came unsorted, without those that have no value.
    ///
    /// # Errors
    /// When they have no metric name, a name twice or none at all, or are not UTF-8.
    pub fn to_labels(&self) -> Result<Labels, LabelError> {
        let pairs = self.pairs()?;
        let has_name = pairs.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty());
        if has_name { Ok(Labels::from_sorted(pairs)) } else { Err(LabelError::NoMetricName { labels: show(&pairs) }) }
    }

    /// Returns the labels of an exemplar, which need no metric name.
    pub(super) fn to_exemplar_labels(&self) -> Result<Labels, LabelError> {
        Ok(Labels::from_sorted(self.pairs()?))
    }

    /// Tells whether the names rise strictly, as senders must write them.
    ///
    /// # Errors
    /// When a label cannot be read.
    pub fn are_sorted(&self) -> Result<bool, LabelError> {
        let (mut last, mut sorted) = (&[][..], true);
        self.visit(|name, _| {
            sorted &= last < name;
            last = name;
        })?;
        Ok(sorted)
    }

    fn pairs(&self) -> Result<Vec<(&str, &str)>, LabelError> {
        let (mut pairs, mut failure) = (Vec::new(), None);
        self.visit(|name, value| match check_pair(name, value) {
            Ok(pair) => pairs.push(pair),
            Err(error) => failure = failure.take().or(Some(error)),
        })?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if !pairs.is_sorted_by(|(left, _), (right, _)| left < right) {
            pairs.sort_by_key(|(name, _)| *name);
            let twice = pairs.windows(2).find(|pair| matches!(pair, [(left, _), (right, _)] if left == right));
            if let Some([(name, _), _]) = twice {
                return Err(LabelError::Duplicate { name: (*name).to_owned(), labels: show(&pairs) });
            }
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(pairs)
    }
}

fn check_pair<'a>(name: &'a [u8], value: &'a [u8]) -> Result<(&'a str, &'a str), LabelError> {
    let longest = name.len().max(value.len());
    if longest > TEXT_BYTES_MAX {
        return Err(LabelError::TooLong(longest));
    }
    let value = std::str::from_utf8(value).map_err(|_| LabelError::NotUtf8("value"))?;
    let name = std::str::from_utf8(name).map_err(|_| LabelError::NotUtf8("name"))?;
    if name.is_empty() { Err(LabelError::NoName { value: value.to_owned() }) } else { Ok((name, value)) }
}

/// Labels for a message, cut when they are many.
fn show(pairs: &[(&str, &str)]) -> String {
    let mut text = String::from("{");
    for (index, (name, value)) in pairs.iter().enumerate() {
        if text.len() > 500 {
            text.push_str(", …");
            break;
        }
        let value: String = value.chars().take(100).collect();
        text.push_str(&format!("{}{name}={value:?}", if index > 0 { ", " } else { "" }));
    }
    text.push('}');
    text
}

fn symbol_bytes<'a>(symbols: &[&'a [u8]], reference: u64) -> Result<&'a [u8], LabelError> {
    let symbol = usize::try_from(reference).ok().and_then(|reference| symbols.get(reference));
    symbol.copied().ok_or(LabelError::NoSymbol { reference, symbols: symbols.len() })
}

/// Returns the text at one place of the table.
pub(super) fn symbol<'a>(symbols: &[&'a [u8]], reference: u64) -> Result<&'a str, LabelError> {
    // Metadata that is left out names place 0, which holds the empty text, also when the table is empty.
    if reference == 0 && symbols.is_empty() {
        return Ok("");
    }
    std::str::from_utf8(symbol_bytes(symbols, reference)?).map_err(|_| LabelError::NotUtf8("symbol"))
}

/// Writes one label with its tag and length.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both lengths are below 120 there")]
pub(super) fn write_label(name: &[u8], value: &[u8], writer: &mut Writer) {
    if name.len() + value.len() < 120 {
        // All three lengths take one byte each.
        let (name_length, value_length) = (name.len() as u8, value.len() as u8);
        writer.bytes.extend_from_slice(&[0x0a, name_length + value_length + 4, 0x0a, name_length]);
        writer.bytes.extend_from_slice(name);
        writer.bytes.extend_from_slice(&[0x12, value_length]);
        writer.bytes.extend_from_slice(value);
        return;
    }
    writer.message(1, |label| {
        label.blob(1, name);
        label.blob(2, value);
    });
}
