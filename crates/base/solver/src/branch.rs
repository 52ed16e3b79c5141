//! Splits a node in two: the options of one choice, or how many of some options are chosen.
//!
//! The second matters where a bound is coarse: with eleven single copies among sixty services the mixture takes 10.8 of
//! them, and no split of one service's options changes that, as another takes its place. "At most 10" and "11 or more" do.
//! Which split is best is found by trying (strong branching; Achterberg, Koch, Martin 2005).

use std::rc::Rc;

use crate::rows::{Case, Members};
use crate::search::{Fate, Look, Search, Split, Task, Wanted, Way};
use crate::table::{BETTER, real};

/// With more options left than this, options of single choices are split without trying.
const TRIED_OPTIONS_MAX: usize = 4_000;
/// So many splits of single choices are tried, the most mixed ones.
const TRIED_MAX: usize = 8;
/// The same where any selection will do.
const TRIED_FOR_ANY_MAX: usize = 3;
/// So many counts are tried.
const COUNTS_MAX: usize = 6;
/// More cases than this are not put on top of each other.
const CASES_MAX: usize = 24;
/// Up to so many times the step of sums is looked for in differences of costs.
const DIVISORS_MAX: i64 = 12;
/// A share below this is none.
const SHARE_MIN: f64 = 1e-6;

/// A way to split and how both parts look.
struct Tried {
    way: Way,
    worth: f64,
    times: [Rc<Vec<u64>>; 2],
}

impl Search<'_> {
    /// Splits so that both parts lose as much as can be of what made the mixture good.
    pub(crate) fn branch(&self, task: &mut Task, look: &Look) -> Fate {
        if let Some(way) = self.odd_ones(task, look) {
            let times = Rc::new(look.times.clone());
            let times = [0, 1].map(|_| padded(&way, &times));
            return Fate::Split(Split { way, times });
        }
        let tried = if self.wanted == Wanted::Best { TRIED_MAX } else { TRIED_FOR_ANY_MAX };
        let mut ways = self.counts(task, look);
        ways.truncate(tried);
        let open: usize = task.left.iter().map(Vec::len).filter(|options| *options > 1).sum();
        let mut splits = splits(task, look);
        splits.truncate(if open > TRIED_OPTIONS_MAX { 1 } else { tried });
        ways.extend(splits);
        if ways.len() < 2 {
            let times = Rc::new(look.times.clone());
            return match ways.pop() {
                Some(way) => {
                    let times = [0, 1].map(|_| padded(&way, &times));
                    Fate::Split(Split { way, times })
                }
                // Some choice has two options, or the node would be closed; if ever not, the checker refuses this end.
                None => Fate::Closed(Vec::new()),
            };
        }
        let mut best: Option<Tried> = None;
        for way in ways {
            let tried = self.try_way(task, look, way);
            if best.as_ref().is_none_or(|best| tried.worth > best.worth) {
                best = Some(tried);
            }
        }
        match best {
            Some(Tried { way, times, .. }) => Fate::Split(Split { way, times }),
            None => Fate::Closed(Vec::new()),
        }
    }

    fn try_way(&self, task: &mut Task, look: &Look, way: Way) -> Tried {
        let looks = match &way {
            Way::Options { choice, near, far } => [near, far].map(|part| {
                let all = std::mem::replace(&mut task.left[*choice], part.clone());
                let look = self.look(&task.left, &task.cases, &task.preferred);
                task.left[*choice] = all;
                look
            }),
            Way::Count { members, at_most, .. } => {
                let mut cases = task.cases.to_vec();
                [(1, *at_most), (-1, -(at_most + 1))].map(|(sign, limit)| {
                    cases.push(Case { node: usize::MAX, members: Rc::clone(members), sign, limit });
                    let look = self.look(&task.left, &cases, &task.preferred);
                    cases.pop();
                    look
                })
            }
        };
        let most = match self.wanted {
            Wanted::Any => (1.0 - look.value).max(0.0) + 1e-6,
            Wanted::Best if self.limits[BETTER] == i64::MAX => look.value.abs().mul_add(0.1, 1.0),
            Wanted::Best => (real(self.limits[BETTER]) - look.value).max(0.0) + 1.0,
        };
        let gain = |part: &Look| (part.value - look.value).clamp(0.0, most) / most;
        let gains = [gain(&looks[0]), gain(&looks[1])];
        let worth = (gains[0] + 1e-3) * (gains[1] + 1e-3);
        let [first, second] = looks.map(|look| Rc::new(look.times));
        let swap = gains[1] < gains[0];
        let times = if swap { [second, first] } else { [first, second] };
        let way = match way {
            Way::Options { choice, near, far } if swap => Way::Options { choice, near: far, far: near },
            Way::Options { choice, near, far } => Way::Options { choice, near, far },
            Way::Count { members, at_most, .. } => Way::Count { members, at_most, few_first: !swap },
        };
        Tried { way, worth, times }
    }

    /// Finds few options without which sums could not come near enough to the limit, as all would differ by a greater
    /// number: either none of them is chosen, and that part is refuted, or one is.
    fn odd_ones(&self, task: &Task, look: &Look) -> Option<Way> {
        let limit = self.limits[BETTER];
        if limit == i64::MAX || task.cases.len() >= CASES_MAX {
            return None;
        }
        let step = self.table.step;
        let mut found: Option<(usize, i64)> = None;
        let cost = |choice: usize, option: usize| self.table.columns[choice].values(option)[BETTER];
        let base: i64 = task.preferred.iter().enumerate().map(|(choice, option)| cost(choice, *option)).sum();
        for times in 2..=DIVISORS_MAX {
            let divisor = step.saturating_mul(times);
            let rounded = base + (limit - base).div_euclid(divisor) * divisor;
            if real(rounded) > look.value - 1e-6 * look.value.abs().max(1.0) {
                continue;
            }
            let odd = |(choice, options): (usize, &Vec<usize>)| {
                let first = cost(choice, task.preferred[choice]);
                options.iter().filter(|option| (cost(choice, **option) - first) % divisor != 0).count()
            };
            let count: usize = task.left.iter().enumerate().map(odd).sum();
            if count > 0 && found.is_none_or(|(least, _)| count < least) {
                found = Some((count, divisor));
            }
        }
        let open: usize = task.left.iter().map(Vec::len).filter(|options| *options > 1).sum();
        let (_, divisor) = found.filter(|(count, _)| count * 3 < open)?;
        let mut members: Members = vec![Vec::new(); task.left.len()];
        let mut shares = look.relaxed.shares.iter();
        for (choice, options) in task.left.iter().enumerate().filter(|(_, options)| options.len() > 1) {
            let shares = shares.next()?;
            let first = cost(choice, task.preferred[choice]);
            let odd = |option: usize| (cost(choice, option) - first) % divisor != 0;
            if options.iter().any(|option| odd(*option)) {
                // What the mixture takes stays possible when one must be chosen: that would gain nothing.
                if options.iter().zip(shares).any(|(option, share)| odd(*option) && *share > SHARE_MIN) {
                    return None;
                }
                members[choice] = (0..self.table.columns[choice].kept.len()).map(odd).collect();
            }
        }
        Some(Way::Count { members: Rc::new(members), at_most: 0, few_first: true })
    }

    /// Finds counts that the mixture takes a fraction of.
    fn counts(&self, task: &Task, look: &Look) -> Vec<Way> {
        if task.cases.len() >= CASES_MAX {
            return Vec::new();
        }
        let rows = self.rows(&task.cases);
        let open: Vec<usize> = (0..task.left.len()).filter(|choice| task.left[*choice].len() > 1).collect();
        let mut found: Vec<(f64, usize, i64)> = Vec::new();
        // Where a mixture jumps in a row that matters, options on the far side are counted.
        for (choice, shares) in open.iter().zip(&look.relaxed.shares) {
            let mixed: Vec<usize> = (0..shares.len()).filter(|at| shares[*at] > SHARE_MIN).collect();
            if mixed.len() < 2 {
                continue;
            }
            for (row, cells) in rows.of(*choice) {
                let matters = row < self.limits.len() && row != BETTER && self.active[row] && look.times[row] > 0;
                if !matters {
                    continue;
                }
                let mut values: Vec<i64> = mixed.iter().map(|at| cells.value(task.left[*choice][*at])).collect();
                values.sort_unstable();
                let widest = values.windows(2).max_by_key(|pair| pair[1] - pair[0]);
                if let Some(pair) = widest.filter(|pair| pair[1] > pair[0]) {
                    let jump = real(pair[1] - pair[0]) * real(i64::try_from(look.times[row]).unwrap_or(i64::MAX));
                    found.push((jump, row, pair[0] + (pair[1] - pair[0]) / 2));
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.dedup_by_key(|(_, row, at)| (*row, *at));
        found.truncate(COUNTS_MAX);
        found.into_iter().filter_map(|(_, row, at)| self.count(task, look, row, at)).collect()
    }

    /// Counts the options whose value in a row is above one.
    fn count(&self, task: &Task, look: &Look, row: usize, above: i64) -> Option<Way> {
        let rows = self.rows(&task.cases);
        let mut members: Members = vec![Vec::new(); task.left.len()];
        let mut shares = look.relaxed.shares.iter();
        let mut sum = 0.0;
        for (choice, options) in task.left.iter().enumerate().filter(|(_, options)| options.len() > 1) {
            let shares = shares.next()?;
            let Some((_, cells)) = rows.of(choice).find(|(of, _)| *of == row) else { continue };
            let counted = |option: &usize| cells.value(*option) > above;
            if options.iter().any(counted) && !options.iter().all(counted) {
                sum += options
                    .iter()
                    .zip(shares)
                    .filter(|(option, _)| counted(option))
                    .map(|(_, share)| share)
                    .sum::<f64>();
                members[choice] = (0..self.table.columns[choice].kept.len()).map(|option| counted(&option)).collect();
            }
        }
        let most = members.iter().filter(|marks| !marks.is_empty()).count();
        let whole = sum.floor();
        // A single choice is split as such.
        if most < 2 || sum - whole < 0.01 || sum - whole > 0.99 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the number of choices")]
        let at_most = whole as i64;
        Some(Way::Count { members: Rc::new(members), at_most, few_first: true })
    }
}

/// Multipliers of a node are those of its parts, with nothing for a new case.
fn padded(way: &Way, times: &Rc<Vec<u64>>) -> Rc<Vec<u64>> {
    match way {
        Way::Options { .. } => Rc::clone(times),
        Way::Count { .. } => Rc::new(times.iter().copied().chain([0]).collect()),
    }
}

/// Splits the options of each mixed choice so that the mixture ends, those that are mixed most evenly first.
fn splits(task: &Task, look: &Look) -> Vec<Way> {
    let open = task.left.iter().enumerate().filter(|(_, options)| options.len() > 1);
    let with_shares = open.zip(&look.relaxed.shares).map(|((choice, options), shares)| {
        let most = shares.iter().copied().fold(0.0, f64::max);
        (most, choice, options, shares)
    });
    let mut all: Vec<_> = with_shares.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Where nothing is mixed the relaxation is no help any more, and one is as good as another.
    let mixed = all.iter().filter(|(most, ..)| *most < 1.0 - SHARE_MIN).count().max(1);
    all.truncate(mixed);
    all.into_iter().map(|(most, choice, options, shares)| split(choice, options, shares, most)).collect()
}

fn split(choice: usize, options: &[usize], shares: &[f64], most: f64) -> Way {
    let top = shares.iter().position(|share| *share >= most).unwrap_or(0);
    if most > 1.0 - SHARE_MIN {
        let (near, far) = options.iter().partition(|option| **option == options[top]);
        return Way::Options { choice, near, far };
    }
    // Options are in the order of what is optimised: cut there where half of the mixture is on each side.
    let mut below = 0.0;
    let mut cut = 0;
    for (at, share) in shares.iter().enumerate() {
        let rest: f64 = shares[at + 1..].iter().sum();
        below += share;
        cut = at + 1;
        if below >= 0.5 || rest < SHARE_MIN || (below > SHARE_MIN && below + shares[at + 1] > 0.999) {
            break;
        }
    }
    let cut = cut.clamp(1, options.len() - 1);
    let (cheap, dear) = options.split_at(cut);
    let (near, far) = if top < cut { (cheap, dear) } else { (dear, cheap) };
    Way::Options { choice, near: near.to_vec(), far: far.to_vec() }
}
