//! Chooses one option for each of many places, cheapest first, under bounds: exactly, or not at all.
//!
//! Owns: the model of choices and bounds, the search, minimal conflicts, certificates and the checker that trusts nobody.
//! Never: knows what a choice means; takes an aborted search for an answer.
//! Source: ours; the certificate is a Farkas combination of the bounds.
