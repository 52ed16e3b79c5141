//! Names in wire form: labels with their lengths, in lower case, without the final root label.

use super::wire::u16_at;

/// The longest name, without the root label.
pub(super) const NAME_BYTES_MAX: usize = 254;
pub(super) const LABEL_BYTES_MAX: usize = 63;

/// Returns the wire form of a name, lower case; `None` when it cannot be one.
pub(crate) fn to_wire(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = Vec::with_capacity(name.len() + 1);
    if name.is_empty() {
        return Some(wire);
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        wire.push(length);
        wire.extend(label.to_ascii_lowercase().bytes());
    }
    (wire.len() <= NAME_BYTES_MAX).then_some(wire)
}

/// Splits a name in wire form into its labels.
pub(crate) fn labels(mut name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = name.split_first()?;
        let label = rest.get(..usize::from(*length))?;
        name = rest.get(usize::from(*length)..)?;
        Some(label)
    })
}

/// Returns the position after a name, which may end in a pointer.
pub(super) fn skip_name(packet: &[u8], mut position: usize) -> Option<usize> {
    loop {
        let length = usize::from(*packet.get(position)?);
        match length {
            0 => return Some(position + 1),
            1..=LABEL_BYTES_MAX => position += length + 1,
            0xc0.. => return packet.get(position + 1).map(|_| position + 2),
            _ => return None,
        }
    }
}

/// Returns a name without compression, in lower case.
pub(crate) fn expand_name(packet: &[u8], mut position: usize) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    // Each pointer leads further back, so that none is followed twice.
    let mut bound = position + 1;
    loop {
        let length = usize::from(*packet.get(position)?);
        match length {
            0 => return Some(name),
            1..=LABEL_BYTES_MAX => {
                name.extend(packet.get(position..position + length + 1)?.to_ascii_lowercase());
                position += length + 1;
            }
            0xc0.. => {
                let target = usize::from(u16_at(packet, position)? & 0x3fff);
                if target >= bound.min(position) {
                    return None;
                }
                (position, bound) = (target, target);
            }
            _ => return None,
        }
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
    }
}
