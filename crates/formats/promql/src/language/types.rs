//! What an expression evaluates to.

use std::fmt;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// One number at each moment.
    Scalar,
    /// Series with one sample at each moment.
    Vector,
    /// Series with a window of samples.
    Matrix,
    /// A text.
    String,
}

impl Type {
    /// Returns the name on the wire: `vector`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }
}

impl fmt::Display for Type {
    /// Writes the name that people know: "instant vector".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        })
    }
}
