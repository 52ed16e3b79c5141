//! Requirements as text: items in YAML or Markdown, their sentences, quality and fingerprints.
//!
//! Owns: reading items, EARS patterns in Korean and English, the lint, the glossary, canonical forms, SARIF.
//! Never: does IO, knows evidence, gives a verdict.
//! Source: EARS (Mavin et al. 2009); SARIF 2.1.0.
