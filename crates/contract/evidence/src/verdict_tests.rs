//! Each row of the table of outcomes is a test.
