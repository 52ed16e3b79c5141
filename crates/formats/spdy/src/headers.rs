//! Names and values of a stream (SPDY/3 §2.6.10).

use crate::error::DecodeError;

/// Names in lower case with their values, in order. A name that has several values occurs once; see [`Headers::all`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Returns the first value of a name, which is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns all values of a name, which is in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.into_iter().flat_map(|(_, values)| values.split('\0'))
    }

    /// Adds a value; the name is written in lower case.
    pub fn insert(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, values)) => {
                values.push('\0');
                values.push_str(value);
            }
            None => self.0.push((name, value.to_owned())),
        }
    }

    /// Reads a decompressed block.
    pub(crate) fn read(block: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = block;
        let count = number(&mut rest)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        // Each takes eight bytes at least, so a false count ends at the end of the block, not of memory.
        for _ in 0..count {
            let name = text(&mut rest)?;
            let value = text(&mut rest)?;
            if name.is_empty() {
                return Err(malformed("a name is empty"));
            }
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(malformed("a name is not in lower case"));
            }
            headers.push((name, value));
        }
        if !rest.is_empty() {
            return Err(malformed("bytes follow the last value"));
        }
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(malformed("a name occurs twice"));
        }
        Ok(Self(headers))
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let length = |block: &mut Vec<u8>, count: usize| {
            block.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        };
        length(&mut block, self.0.len());
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
        block
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            headers.insert(name, value);
        }
        headers
    }
}

fn malformed(reason: &'static str) -> DecodeError {
    DecodeError::Headers { reason }
}

fn number(rest: &mut &[u8]) -> Result<u32, DecodeError> {
    let (number, after) = rest.split_first_chunk().ok_or(malformed("a length is cut off"))?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

fn text(rest: &mut &[u8]) -> Result<String, DecodeError> {
    let length = usize::try_from(number(rest)?).unwrap_or(usize::MAX);
    let (text, after) = rest.split_at_checked(length).ok_or(malformed("a name or value is cut off"))?;
    *rest = after;
    String::from_utf8(text.to_vec()).map_err(|_| malformed("a name or value is not UTF-8"))
}
