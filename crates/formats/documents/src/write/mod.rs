//! The writers: one function per format, all from the same content.

mod docx;
mod docx_parts;
mod html;
mod hwpx;
mod hwpx_parts;
mod hwpx_pictures;
#[cfg(feature = "pdf")]
mod pdf;
mod xlsx;
mod xlsx_parts;
mod xlsx_pictures;
mod xlsx_text;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::DocumentError;
use crate::content::{Block, Document};
use crate::svg::check_svg;

/// A format of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One HTML file with styles for print, without scripts.
    Html,
    /// ECMA-376 word processing.
    Docx,
    /// ECMA-376 worksheets.
    Xlsx,
    /// KS X 6101 (OWPML).
    Hwpx,
    /// PDF/A: in builds with the feature `pdf`.
    Pdf,
}

impl Format {
    /// The formats that this build writes.
    #[cfg(not(feature = "pdf"))]
    pub const ALL: [Self; 4] = [Self::Html, Self::Docx, Self::Xlsx, Self::Hwpx];
    /// The formats that this build writes.
    #[cfg(feature = "pdf")]
    pub const ALL: [Self; 5] = [Self::Html, Self::Docx, Self::Xlsx, Self::Hwpx, Self::Pdf];

    /// Returns the ending of file names, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Hwpx => "hwpx",
            Self::Pdf => "pdf",
        }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Hwpx => "application/hwp+zip",
            Self::Pdf => "application/pdf",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.extension())
    }
}

impl FromStr for Format {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let all = [Self::Html, Self::Docx, Self::Xlsx, Self::Hwpx, Self::Pdf];
        let found = all.into_iter().find(|format| format.extension().eq_ignore_ascii_case(text));
        found.ok_or_else(|| DocumentError::Format { text: text.to_owned() })
    }
}

/// Returns the document's bytes in a format. The same document gives the same bytes.
///
/// # Errors
/// When a table does not fit together, a picture is not plain SVG, the content exceeds a limit of the format, or the format is not written.
pub fn write(document: &Document, format: Format) -> Result<Vec<u8>, DocumentError> {
    for block in &document.blocks {
        if let Block::Image(image) = block {
            let description = || image.description.clone();
            check_svg(&image.svg).map_err(|why| DocumentError::Picture { description: description(), why })?;
        }
    }
    match format {
        Format::Html => html::write(document),
        Format::Docx => docx::write(document),
        Format::Xlsx => xlsx::write(document),
        Format::Hwpx => hwpx::write(document),
        #[cfg(feature = "pdf")]
        Format::Pdf => pdf::write(document),
        #[cfg(not(feature = "pdf"))]
        Format::Pdf => Err(DocumentError::NotSupported { format }),
    }
}
