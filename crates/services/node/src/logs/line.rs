//! One line of a log file.

use maru_time::Timestamp;

/// One line of a log file, as a container runtime writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The time as written.
    pub(super) time: &'a [u8],
    pub(super) stream: &'a [u8],
    /// Whether the container's line ends here; otherwise it goes on in the next entry.
    pub(super) is_complete: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads one line without its line end; `None` when it has another form.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let text = parts.next().unwrap_or_default();
        // Tags may follow each other with colons; the first one is about completeness.
        let is_complete = match tag.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, stream, is_complete, text })
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_four_parts() {
        for (text, expected) in [
            ("2026-11-22T09:00:00.5Z stdout F a b", Some((true, "a b"))),
            ("2026-11-22T09:00:00.5Z stderr P ", Some((false, ""))),
            ("2026-11-22T09:00:00.5Z stderr F", Some((true, ""))),
            ("2026-11-22T09:00:00.5Z stderr X a", None),
            ("garbage", None),
        ] {
            let line =
                Line::parse(text.as_bytes()).map(|line| (line.is_complete, std::str::from_utf8(line.text).unwrap()));
            assert_eq!(line, expected, "{text}");
        }
    }
}
