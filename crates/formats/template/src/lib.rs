//! Go's text templates, as rule files and alert receivers write them.
//!
//! Owns: the parser and the evaluation of templates over plain values, and the functions that all of them have.
//! Never: does IO, reads a clock, loops without a bound.
//! Source: Go's text/template documentation; Prometheus documentation, "Template reference"; Alertmanager
//! documentation, "Notification template reference".
