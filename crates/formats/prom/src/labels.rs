//! Label sets: small, immutable, cheap to clone and to compare.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A length of this or more takes five bytes: this one as a mark and four with 7 bits each. All stay below 0x80, so that the
/// buffer stays text.
const LONG: u8 = 0x7f;

/// A label set in the order of its names; a label without a value is not there.
///
/// One allocation: pairs of length-prefixed texts in one buffer. Clones share it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// Returns the set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Returns the set of `pairs`, in any order. Empty values are left out; of a repeated name the last value stays.
    #[must_use]
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Returns the set of `pairs`, which are already sorted by name, without repetition and without empty values.
    #[must_use]
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        SCRATCH.with(|scratch| {
            // Taken out: `pairs` may make other sets on its way.
            let mut buffer = scratch.take();
            buffer.clear();
            for (name, value) in pairs {
                push(&mut buffer, name);
                push(&mut buffer, value);
            }
            let labels = Self(Arc::from(buffer.as_str()));
            if buffer.capacity() <= SCRATCH_BYTES_MAX {
                scratch.set(buffer);
            }
            labels
        })
    }

    /// Returns the value of `name`; `None` when it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| own.len() == name.len() && *own == name).map(|(_, value)| value)
    }

    /// Returns the metric's name; empty when there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Goes over the pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            let (name, after) = take(rest)?;
            let (value, after) = take(after)?;
            rest = after;
            Some((name, value))
        })
    }

    /// Returns how many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Tells whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes that two equal sets share and two different sets do not: a key for hashing.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }

    /// Starts a changed copy.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Returns the set of only those labels whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| keep(name)))
    }

    /// Returns the set without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        self.filtered(|name| name != METRIC_NAME)
    }
}

/// Memory that is kept for making the next set.
const SCRATCH_BYTES_MAX: usize = 1 << 16;

thread_local! {
    /// Where sets are put together, so that each takes one allocation of the right size.
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

#[inline]
fn push(buffer: &mut String, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < LONG => buffer.push(char::from(length)),
        _ => {
            buffer.push(char::from(LONG));
            for byte in (0..4).rev() {
                let bits = (text.len() >> (7 * byte)) & 0x7f;
                buffer.push(char::from(u8::try_from(bits).unwrap_or_default()));
            }
        }
    }
    buffer.push_str(text);
}

#[inline]
fn take(buffer: &str) -> Option<(&str, &str)> {
    let bytes = buffer.as_bytes();
    let (start, length) = match *bytes.first()? {
        LONG => (5, bytes.get(1..5)?.iter().fold(0_usize, |length, byte| (length << 7) | usize::from(*byte))),
        short => (1, usize::from(short)),
    };
    Some((buffer.get(start..start + length)?, buffer.get(start + length..)?))
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

/// A label set being made.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    /// Sorted by name.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets `name` to `value`; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match (self.pairs.binary_search_by(|(own, _)| own.as_str().cmp(name)), value.is_empty()) {
            (Ok(index), true) => drop(self.pairs.remove(index)),
            (Ok(index), false) => value.clone_into(&mut self.pairs[index].1),
            (Err(_), true) => {}
            (Err(index), false) => self.pairs.insert(index, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// Returns the value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.pairs.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        self.pairs.get(index).map(|(_, value)| value.as_str())
    }

    /// Returns the finished set.
    #[must_use]
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_is_by_name_and_then_value_and_empty_values_are_absent() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3")]);
        assert!(Labels::from_pairs([("a", "1")]) < Labels::from_pairs([("a", "10")]));
        assert!(Labels::from_pairs([("a", "9")]) < Labels::from_pairs([("b", "1")]));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels.to_builder().remove("b").build(), Labels::from_pairs([("a", "1")]));
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(pairs in proptest::collection::btree_map("\\PC{0,9}", "\\PC{1,200}", 0..9)) {
            let labels = Labels::from_pairs(&pairs);
            let out: Vec<(String, String)> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(out, pairs.into_iter().collect::<Vec<_>>());
        }
    }
}
