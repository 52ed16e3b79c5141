//! What can go wrong while a document is written.

use crate::Format;

/// Why a document was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A date is not one of the calendar.
    #[error("date \"{text}\" refused: write a day of the calendar as YYYY-MM-DD")]
    Date {
        /// What was given.
        text: String,
    },
    /// A table's rows, columns and spans do not fit together.
    #[error("table \"{table}\", row {row} refused: {why}")]
    Table {
        /// The table's caption or sheet.
        table: String,
        /// The row, from 1.
        row: usize,
        /// What does not fit.
        why: &'static str,
    },
    /// A picture is not plain SVG.
    #[error("picture \"{description}\" refused: {why}; draw it as plain SVG that refers to nothing outside itself")]
    Picture {
        /// The picture's description.
        description: String,
        /// What was found.
        why: String,
    },
    /// The format has a limit that the content exceeds.
    #[error("{what} is larger than the format allows ({limit}); split the document")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in the unit of what is counted.
        limit: u64,
    },
    /// The format is not in this build.
    #[error(
        "{format} is not supported by this build; build with `cargo build --release -p maru --features {format}`, or write html and print it"
    )]
    NotSupported {
        /// The format.
        format: Format,
    },
    /// Pages could not be laid out.
    #[error("the pages could not be laid out: {why}; write html and print it")]
    Layout {
        /// What the typesetter says.
        why: String,
    },
    /// A file is no archive that can be read.
    #[error("the ZIP archive cannot be read: {why}")]
    Archive {
        /// What is wrong.
        why: &'static str,
    },
    /// A word names no format.
    #[error("format \"{text}\" is not known; use html, docx, xlsx, hwpx or pdf")]
    Format {
        /// What was given.
        text: String,
    },
    /// Compression failed.
    #[error("could not deflate \"{entry}\"")]
    Deflate {
        /// The archive's entry.
        entry: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
