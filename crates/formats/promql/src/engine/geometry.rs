//! Where windows lie in a series' samples. Series of one target have the same timestamps: what depends on these alone is
//! worked out once, and the next series only compares.

use super::ranges::Slide;
use super::select::Look;
use super::window::{Extrapolation, Rate, extrapolate};

/// Which windows are meant.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Windows {
    first_ms: i64,
    step_ms: i64,
    steps: usize,
    range_ms: i64,
}

impl Windows {
    fn new(look: &Look, range_ms: i64) -> Self {
        let step_ms = if look.at_ms.is_some() { 0 } else { look.grid.step_ms };
        Self { first_ms: look.moment(0), step_ms, steps: look.grid.steps, range_ms }
    }
}

/// Windows over certain timestamps.
#[derive(Debug, Default)]
pub(crate) struct Geometry {
    windows: Option<Windows>,
    timestamps: Vec<i64>,
    /// Of each step: the first sample inside and the one behind the last.
    pub(crate) slides: Vec<Slide>,
    /// How many samples all windows hold together.
    pub(crate) looked: u64,
    rate: Option<Rate>,
    /// Of each step: what a difference is multiplied by for `rate`; 0 when there are too few samples.
    pub(crate) factors: Vec<f64>,
    /// Of each step: a counter that grew by more than its first value times this began inside the window, so that the
    /// factor is another one.
    pub(crate) cuts: Vec<f64>,
}

impl Geometry {
    /// Lays the windows over `timestamps`.
    pub(crate) fn lay(&mut self, timestamps: &[i64], look: &Look, range_ms: i64) {
        let windows = Windows::new(look, range_ms);
        if self.windows == Some(windows) && self.timestamps == timestamps {
            return;
        }
        self.windows = Some(windows);
        self.rate = None;
        self.timestamps.clear();
        self.timestamps.extend_from_slice(timestamps);
        self.slides.clear();
        self.looked = 0;
        let mut slide = Slide::default();
        let mut end_ms = windows.first_ms;
        for _ in 0..windows.steps {
            slide.advance(timestamps.len(), end_ms.saturating_sub(range_ms), end_ms, |index| timestamps[index]);
            self.looked += (slide.to - slide.from) as u64;
            self.slides.push(slide);
            end_ms = end_ms.saturating_add(windows.step_ms);
        }
    }

    /// Works out what `rate` multiplies differences by. The windows lie over timestamps already.
    pub(crate) fn lay_rate(&mut self, rate: Rate) {
        let Some(windows) = self.windows else { return };
        if self.rate == Some(rate) {
            return;
        }
        self.rate = Some(rate);
        self.factors.clear();
        self.cuts.clear();
        let mut end_ms = windows.first_ms;
        for slide in &self.slides {
            let (factor, cut) = if slide.to - slide.from < 2 {
                (0.0, f64::INFINITY)
            } else {
                let (first_ms, last_ms) = (self.timestamps[slide.from], self.timestamps[slide.to - 1]);
                let samples = slide.to - slide.from;
                let start_ms = end_ms - windows.range_ms;
                // A first value beyond all growth: nothing is cut.
                let plain =
                    Extrapolation { first_ms, last_ms, samples, first_value: 1.0, increase: 0.0, started_ms: None };
                let factor = extrapolate(&plain, start_ms, end_ms, rate).unwrap_or_default();
                (factor, cut(&plain, start_ms))
            };
            self.factors.push(factor);
            self.cuts.push(cut);
            end_ms = end_ms.saturating_add(windows.step_ms);
        }
    }
}

/// Returns how many times its first value a counter must have grown to have begun after the point that the rate is
/// extrapolated to.
fn cut(window: &Extrapolation, start_ms: i64) -> f64 {
    let sampled = (window.last_ms - window.first_ms) as f64;
    let between = sampled / (window.samples - 1) as f64;
    let to_start = (window.first_ms - start_ms) as f64;
    let to_start = if to_start >= between * 1.1 { between / 2.0 } else { to_start };
    // A little less, so that rounding never hides a cut: the exact comparison follows.
    sampled / to_start * (1.0 - 1e-9)
}
