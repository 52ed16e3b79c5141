//! The kinds of `maru.dev`: what their fields mean, as types and as schemas.
//!
//! Owns: Requirement, Evidence, Architecture, Project and their sisters; the CustomResourceDefinitions that serve them.
//! Never: talks to a server, decides a verdict (see `maru-evidence`).
//! Source: docs/guide/spine.md; OpenSLO 1.0 for `ServiceLevelObjective`.
