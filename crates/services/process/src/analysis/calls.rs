//! Who calls whom, and how often one request comes by.

use std::collections::BTreeMap;

use maru_api::ArchitectureSpec;

use super::AnalysisError;

/// More visits of one service by one request are an error of the model.
const VISITS_MAX: u64 = 1_000_000;

/// Which calls are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Those that the caller waits for and needs.
    Waiting,
    /// Those that the caller needs.
    Needed,
    /// All: load arrives by each.
    All,
}

/// The services by their places.
pub(super) struct Calls<'a> {
    pub(super) architecture: &'a ArchitectureSpec,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Calls<'a> {
    /// Reads the calls; two services of one name and calls of nobody are refused.
    pub(super) fn new(architecture: &'a ArchitectureSpec) -> Result<Self, AnalysisError> {
        let mut places = BTreeMap::new();
        for (place, service) in architecture.services.iter().enumerate() {
            if places.insert(service.name.as_str(), place).is_some() {
                return Err(AnalysisError::Twice { service: service.name.clone() });
            }
        }
        for service in &architecture.services {
            if let Some(call) = service.calls.iter().find(|call| !places.contains_key(call.to.as_str())) {
                return Err(AnalysisError::Nowhere { from: service.name.clone(), to: call.to.clone() });
            }
        }
        Ok(Self { architecture, places })
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Returns how often one request visits each service.
    pub(super) fn visits(&self, entry: usize, follow: Follow) -> Result<BTreeMap<usize, u64>, AnalysisError> {
        // Callers before callees, by finishing times; a service that is met while it is open is on a circle.
        let mut state = vec![0_u8; self.architecture.services.len()];
        let mut order = Vec::new();
        let mut open = vec![(entry, false)];
        let circle = |place: usize| AnalysisError::Circle { service: self.architecture.services[place].name.clone() };
        while let Some((place, done)) = open.pop() {
            if done {
                state[place] = 2;
                order.push(place);
                continue;
            }
            match state[place] {
                0 => state[place] = 1,
                1 => return Err(circle(place)),
                _ => continue,
            }
            open.push((place, true));
            for (callee, _) in self.callees(place, follow) {
                match state[callee] {
                    0 => open.push((callee, false)),
                    1 => return Err(circle(callee)),
                    _ => {}
                }
            }
        }
        let mut visits: BTreeMap<usize, u64> = BTreeMap::from([(entry, 1)]);
        for place in order.into_iter().rev() {
            let mine = visits.get(&place).copied().unwrap_or(0);
            for (callee, times) in self.callees(place, follow) {
                let sum = visits.entry(callee).or_insert(0);
                *sum = sum.saturating_add(mine.saturating_mul(times));
                if *sum > VISITS_MAX {
                    let service = self.architecture.services[callee].name.clone();
                    return Err(AnalysisError::Visits { service, max: VISITS_MAX });
                }
            }
        }
        Ok(visits)
    }

    fn callees(&self, place: usize, follow: Follow) -> Vec<(usize, u64)> {
        let calls = self.architecture.services[place].calls.iter();
        let followed = calls.filter(|call| match follow {
            Follow::Waiting => call.critical && call.per != "event",
            Follow::Needed => call.critical,
            Follow::All => true,
        });
        followed.filter_map(|call| Some((self.place(&call.to)?, u64::from(call.times.unwrap_or(1))))).collect()
    }
}
