//! Protobuf's wire format, read in place and written straight.
//!
//! Source: Protocol Buffers encoding.

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A length or number reaches past the end.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A number has more than ten bytes.
    #[error("a number of the message is longer than ten bytes")]
    NumberTooLong,
    /// A field's tag is none that exists.
    #[error("the message has a field with the tag {tag}, which no protobuf message has")]
    Tag {
        /// The tag as read.
        tag: u64,
    },
    /// A known field has another shape than it should.
    #[error("field {field} of {message} has the wrong wire type")]
    Type {
        /// The message's name.
        message: &'static str,
        /// The field's number.
        field: u32,
    },
    /// A text is not UTF-8.
    #[error("field {field} of {message} is not UTF-8")]
    NotUtf8 {
        /// The message's name.
        message: &'static str,
        /// The field's number.
        field: u32,
    },
}

/// One field's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Eight(u64),
    Bytes(&'a [u8]),
    Four(u32),
}

impl<'a> Field<'a> {
    #[inline]
    pub(crate) fn bytes(self, message: &'static str, field: u32) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Eight(_) | Self::Four(_) => Err(WireError::Type { message, field }),
        }
    }

    pub(crate) fn text(self, message: &'static str, field: u32) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(message, field)?).map_err(|_| WireError::NotUtf8 { message, field })
    }

    #[inline]
    pub(crate) fn number(self, message: &'static str, field: u32) -> Result<u64, WireError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) | Self::Eight(_) | Self::Four(_) => Err(WireError::Type { message, field }),
        }
    }

    #[inline]
    pub(crate) fn signed(self, message: &'static str, field: u32) -> Result<i64, WireError> {
        Ok(self.number(message, field)?.cast_signed())
    }

    #[inline]
    pub(crate) fn double(self, message: &'static str, field: u32) -> Result<f64, WireError> {
        match self {
            Self::Eight(bits) => Ok(f64::from_bits(bits)),
            Self::Bytes(_) | Self::Number(_) | Self::Four(_) => Err(WireError::Type { message, field }),
        }
    }
}

/// Goes over the fields of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Returns the bytes not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads a number of 7 bits a byte.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            Some(_) => self.long_varint(),
            None => Err(WireError::Truncated),
        }
    }

    #[inline]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::NumberTooLong })
    }

    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the bytes behind a length.
    #[inline]
    pub(crate) fn length_delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.varint()?;
        self.take(length)
    }

    #[inline]
    fn eight(&mut self) -> Result<u64, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn four(&mut self) -> Result<u32, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Reads the next field; `None` at the end of the message.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0 && *number < 1 << 29);
        let number = number.ok_or(WireError::Tag { tag })?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Eight(self.eight()?),
            2 => Field::Bytes(self.length_delimited()?),
            5 => Field::Four(self.four()?),
            // Groups (3 and 4) left the language before any of these messages was written.
            _ => return Err(WireError::Tag { tag }),
        };
        Ok(Some((number, field)))
    }
}

/// Reads a zigzag number.
#[inline]
pub(crate) fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Adds the numbers of a repeated field, packed or not.
pub(crate) fn push_numbers(
    field: Field<'_>,
    message: &'static str,
    number: u32,
    mut push: impl FnMut(u64),
) -> Result<(), WireError> {
    match field {
        Field::Number(value) => push(value),
        Field::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while !reader.rest.is_empty() {
                push(reader.varint()?);
            }
        }
        Field::Eight(_) | Field::Four(_) => return Err(WireError::Type { message, field: number }),
    }
    Ok(())
}

/// Adds the doubles of a repeated field, packed or not.
pub(crate) fn push_doubles(
    field: Field<'_>,
    message: &'static str,
    number: u32,
    into: &mut Vec<f64>,
) -> Result<(), WireError> {
    match field {
        Field::Eight(bits) => into.push(f64::from_bits(bits)),
        Field::Bytes(packed) => {
            let (values, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(WireError::Truncated);
            }
            into.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        Field::Number(_) | Field::Four(_) => return Err(WireError::Type { message, field: number }),
    }
    Ok(())
}

/// Writes the fields of messages to one buffer. A message inside another is written in place and its length put in front.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    #[inline]
    pub(crate) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push((number & 0x7f) as u8);
    }

    #[inline]
    fn tag(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }

    /// Writes a number, unless it is 0.
    #[inline]
    pub(crate) fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, 0);
            self.varint(number);
        }
    }

    pub(crate) fn signed(&mut self, field: u32, number: i64) {
        self.number(field, number.cast_unsigned());
    }

    pub(crate) fn zigzag(&mut self, field: u32, number: i64) {
        self.number(field, to_zigzag(number));
    }

    /// Writes a double, unless it is +0.
    #[inline]
    pub(crate) fn double(&mut self, field: u32, value: f64) {
        if value.to_bits() != 0 {
            self.always_double(field, value);
        }
    }

    pub(crate) fn always_double(&mut self, field: u32, value: f64) {
        self.tag(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn always_number(&mut self, field: u32, number: u64) {
        self.tag(field, 0);
        self.varint(number);
    }

    /// Writes bytes also when there are none.
    #[inline]
    pub(crate) fn blob(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a text, unless it is empty.
    #[inline]
    pub(crate) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.blob(field, text.as_bytes());
        }
    }

    pub(crate) fn packed_doubles(&mut self, field: u32, values: &[f64]) {
        if !values.is_empty() {
            self.tag(field, 2);
            self.varint(values.len() as u64 * 8);
            values.iter().for_each(|value| self.bytes.extend_from_slice(&value.to_le_bytes()));
        }
    }

    pub(crate) fn packed_numbers(&mut self, field: u32, numbers: impl IntoIterator<Item = u64>) {
        let mut inner = Self::default();
        numbers.into_iter().for_each(|number| inner.varint(number));
        if !inner.bytes.is_empty() {
            self.blob(field, &inner.bytes);
        }
    }

    /// Writes the message that `fill` writes.
    #[inline]
    pub(crate) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        self.tag(field, 2);
        let start = self.bytes.len();
        self.bytes.push(0);
        fill(self);
        let length = self.bytes.len() - start - 1;
        if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 0x80) {
            self.bytes[start] = short;
        } else {
            let mut prefix = Self::default();
            prefix.varint(length as u64);
            self.bytes.splice(start..=start, prefix.bytes);
        }
    }
}

#[inline]
pub(crate) fn to_zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, signed: i64, double: u64, text in "\\PC{0,300}") {
            let mut writer = Writer::default();
            writer.always_number(1, number);
            writer.zigzag(2, signed);
            writer.always_double(3, f64::from_bits(double));
            writer.message(4, |inner| inner.blob(5, text.as_bytes()));
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(reader.field().unwrap(), Some((1, Field::Number(number))));
            if signed != 0 {
                let (_, field) = reader.field().unwrap().unwrap();
                prop_assert_eq!(zigzag(field.number("", 2).unwrap()), signed);
            }
            prop_assert_eq!(reader.field().unwrap(), Some((3, Field::Eight(double))));
            let (_, inner) = reader.field().unwrap().unwrap();
            let mut inner = Reader::new(inner.bytes("", 4).unwrap());
            prop_assert_eq!(inner.field().unwrap().unwrap().1.text("", 5).unwrap(), text);
            prop_assert_eq!(reader.field().unwrap(), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.field() {}
        }
    }
}
