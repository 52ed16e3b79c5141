//! When repeated answers change the verdict. Pure.

/// Counts answers in a row against the thresholds.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    successes_needed: u32,
    failures_needed: u32,
    last: Option<bool>,
    in_a_row: u32,
}

impl Tally {
    pub(super) fn new(successes_needed: u32, failures_needed: u32) -> Self {
        Self {
            successes_needed: successes_needed.max(1),
            failures_needed: failures_needed.max(1),
            last: None,
            in_a_row: 0,
        }
    }

    /// Returns the verdict once enough equal answers came in a row.
    pub(super) fn count(&mut self, success: bool) -> Option<bool> {
        if self.last == Some(success) {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.last = Some(success);
            self.in_a_row = 1;
        }
        let needed = if success { self.successes_needed } else { self.failures_needed };
        (self.in_a_row >= needed).then_some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_need_answers_in_a_row() {
        let mut tally = Tally::new(2, 3);
        let answers = [true, true, false, false, true, false, false, false, false, true, true];
        let verdicts: Vec<Option<bool>> = answers.into_iter().map(|answer| tally.count(answer)).collect();
        assert_eq!(
            verdicts,
            [None, Some(true), None, None, None, None, None, Some(false), Some(false), None, Some(true)]
        );
    }
}
