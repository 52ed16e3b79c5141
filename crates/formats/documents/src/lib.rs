//! Documents that people read and sign: one content, written as HTML, DOCX, XLSX, HWPX or PDF.
//!
//! Owns: the content model and its writers; the same content gives the same bytes.
//! Never: does IO, fetches what a document mentions, reads a clock.
//! Source: ECMA-376 (DOCX, XLSX); KS X 6101 (OWPML); PDF 1.7.
