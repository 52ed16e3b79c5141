//! How often items change, from counts that the caller took from their history.

use serde::Serialize;

/// How often an item was changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Changes in the last 90 days, its first commit not counted.
    pub changes_in_90_days: u32,
    /// Days since its first commit.
    pub age_days: u32,
}

/// How much an item moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Volatility {
    /// Changed at most once in 90 days.
    Stable,
    /// Changed two to four times.
    Moderate,
    /// Changed five times or more, or more than once in ten days of a short life.
    Volatile,
    /// Too young to tell: less than 14 days old, and not yet changed often.
    New,
}

impl History {
    /// Returns how much the item moves.
    #[must_use]
    pub fn volatility(self) -> Volatility {
        match self.changes_in_90_days {
            5.. => Volatility::Volatile,
            2.. if self.age_days < 20 => Volatility::Volatile,
            _ if self.age_days < 14 => Volatility::New,
            2.. => Volatility::Moderate,
            _ => Volatility::Stable,
        }
    }
}

impl Volatility {
    /// Returns the word as objects carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Moderate => "moderate",
            Self::Volatile => "volatile",
            Self::New => "new",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volatility_follows_changes_and_age() {
        for (changes, age, expected) in [
            (0, 0, Volatility::New),
            (0, 100, Volatility::Stable),
            (3, 100, Volatility::Moderate),
            (3, 10, Volatility::Volatile),
            (5, 400, Volatility::Volatile),
        ] {
            let history = History { changes_in_90_days: changes, age_days: age };
            assert_eq!(history.volatility(), expected, "{changes} in {age}");
        }
    }
}
