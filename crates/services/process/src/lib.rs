//! The spine's controllers: requirements get their verdicts here, gates open here, documents are made here.
//!
//! Owns: the status of requirements, gates and baselines; the analysis of architectures.
//! Never: measures anything itself; lets anybody type a verdict.
//! Source: docs/guide/spine.md.
