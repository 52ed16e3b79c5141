//! The protobuf wire format.
//!
//! Source: protobuf "Encoding".

/// The content of one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Payload<'a> {
    /// A variable-length integer.
    Number(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
}

impl Payload<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "a varint",
            Self::Fixed64(_) => "8 bytes",
            Self::Fixed32(_) => "4 bytes",
            Self::Bytes(_) => "bytes with a length",
        }
    }
}

/// Reads the fields of a message in their order; ends after the first error.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), &'static str> {
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| "a field's number is too large")?;
        if number == 0 {
            return Err("a field has number zero");
        }
        let payload = match key & 7 {
            0 => Payload::Number(varint(&mut self.rest)?),
            1 => Payload::Fixed64(u64::from_le_bytes(take(&mut self.rest)?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| "a length is too large")?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or("a field ends after the body")?;
                self.rest = rest;
                Payload::Bytes(bytes)
            }
            5 => Payload::Fixed32(u32::from_le_bytes(take(&mut self.rest)?)),
            _ => return Err("a field's wire type is not supported"),
        };
        Ok((number, payload))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Payload<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Reads packed numbers.
pub(super) fn packed(mut bytes: &[u8]) -> impl Iterator<Item = Result<u64, &'static str>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let number = varint(&mut bytes);
        if number.is_err() {
            bytes = &[];
        }
        Some(number)
    })
}

/// Reads a text.
pub(super) fn text(bytes: &[u8]) -> Result<String, &'static str> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a text is not UTF-8")
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (head, tail) = rest.split_first_chunk().ok_or("a field ends after the body")?;
    *rest = tail;
    Ok(*head)
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or("a number ends after the body")?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number has more than ten bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_examples() {
        let fields: Vec<_> = Reader::new(&[0x08, 0x96, 0x01]).collect();
        assert_eq!(fields, [Ok((1, Payload::Number(150)))]);
        let fields: Vec<_> = Reader::new(&[0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]).collect();
        assert_eq!(fields, [Ok((2, Payload::Bytes(b"testing")))]);
        assert_eq!(packed(&[0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]).collect::<Vec<_>>(), [Ok(3), Ok(270), Ok(86_942)]);
    }

    #[test]
    fn broken_bytes_end_in_one_error() {
        for bad in [&[0x08][..], &[0x12, 0x05, 0x01], &[0x00], &[0x0b], &[0xff; 11], &[0x09, 1]] {
            let fields: Vec<_> = Reader::new(bad).collect();
            assert!(matches!(fields.as_slice(), [Err(_)]), "{bad:?}");
        }
    }
}
