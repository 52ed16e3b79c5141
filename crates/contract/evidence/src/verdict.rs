//! The verdict: a pure function of a requirement, evidence, what runs now, and the time.
//!
//! Each check is decided by the newest evidence that is valid and about what runs now; what is short of that says what is
//! missing. Any check violated: nonconforming. All met: conforming. Else: not measured.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use maru_api::{
    Check, CheckStatus, Digest, EvidenceSpec, LocalText, Means, Measured, Outcome, Priority, Ratio, RequirementSpec,
    Span, Subject, SubjectKind, Verdict, Window,
};

use crate::chain::{Refusal, Verified};
use crate::judge::judge;
use crate::record::{Case, EvidenceKind};
use crate::say::{moment, say};

/// A piece of evidence as the verdict sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The envelope's digest.
    pub digest: Digest,
    /// What it was made by; none when the predicate is not known.
    pub kind: Option<EvidenceKind>,
    /// What a check asks for it by.
    pub name: String,
    /// Where it was measured.
    pub environment: Option<String>,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// When it was measured.
    pub window: Window,
    /// The place in the chain.
    pub sequence: u64,
    /// What came out.
    pub result: Measured,
    /// The cases.
    pub cases: Vec<Case>,
    /// Until when it counts, as it says itself.
    pub valid_until: Option<Timestamp>,
    /// Why it does not count, when its signature, digest or place in the chain is wrong.
    pub refused: Option<String>,
}

impl From<Verified> for Piece {
    fn from(verified: Verified) -> Self {
        let Verified { digest, key: _, statement } = verified;
        let record = statement.record;
        Self {
            digest,
            kind: Some(statement.kind),
            name: record.name,
            environment: record.environment,
            subjects: statement.subjects,
            window: record.window,
            sequence: record.sequence,
            result: record.result,
            cases: record.cases,
            valid_until: record.valid_until,
            refused: None,
        }
    }
}

impl Piece {
    /// Returns the piece for an object whose envelope did not stand: it counts for nothing, and says why.
    #[must_use]
    pub fn refused(object: EvidenceSpec, refusal: &Refusal) -> Self {
        Self {
            digest: object.envelope,
            kind: EvidenceKind::of_predicate(&object.predicate_type),
            name: object.name,
            environment: object.environment,
            subjects: object.subjects,
            window: object.window,
            sequence: 0,
            result: object.result,
            cases: Vec::new(),
            valid_until: object.valid_until,
            refused: Some(refusal.to_string()),
        }
    }

    fn names(&self, requirement: &str) -> bool {
        self.fingerprints(requirement).next().is_some()
    }

    fn fingerprints(&self, requirement: &str) -> impl Iterator<Item = Digest> {
        let named = self
            .subjects
            .iter()
            .filter(move |subject| subject.kind == SubjectKind::Requirement && subject.name == requirement);
        named.map(|subject| subject.digest)
    }
}

/// What runs now, by environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    environments: BTreeMap<String, Vec<Subject>>,
}

impl Running {
    /// Says what runs in an environment now: images and configurations by component.
    pub fn set(&mut self, environment: impl Into<String>, mut subjects: Vec<Subject>) {
        subjects.sort();
        subjects.dedup();
        self.environments.insert(environment.into(), subjects);
    }

    /// Returns what runs in an environment.
    pub(crate) fn subjects(&self, environment: &str) -> &[Subject] {
        self.environments.get(environment).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the digests of a component's image or configuration that run now, in one environment or in all.
    fn digests<'a>(
        &'a self,
        environment: Option<&str>,
        kind: SubjectKind,
        name: &'a str,
    ) -> impl Iterator<Item = Digest> + 'a {
        let one = environment.map(|environment| self.environments.get(environment));
        let all = one.is_none().then(|| self.environments.values());
        let subjects = one.flatten().into_iter().chain(all.into_iter().flatten()).flatten();
        subjects.filter(move |subject| subject.kind == kind && subject.name == name).map(|subject| subject.digest)
    }
}

/// By which rules a project's evidence is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The confidence that bounds must have where a check does not say it.
    pub confidence: Ratio,
    /// How long evidence counts that does not say it; none: for ever.
    pub valid_for: Option<Span>,
    /// How far clocks may be apart: what was measured later than this from now is not believed.
    pub skew: Span,
}

impl Default for Rules {
    fn default() -> Self {
        Self { confidence: Ratio::from_nano(950_000_000), valid_for: None, skew: Span::from_secs(60) }
    }
}

/// What a requirement came to.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictStatus {
    /// The verdict; none for what is agreed not to be done.
    pub verdict: Option<Verdict>,
    /// Why, in both languages.
    pub reason: LocalText,
    /// What each check came to.
    pub checks: Vec<CheckStatus>,
    /// When time alone may change it.
    pub next_change: Option<Timestamp>,
}

/// Returns the verdict of a requirement by its own checks.
///
/// The order of `evidence` does not matter; what does not concern the requirement is passed over.
pub fn verdict<'a>(
    name: &str,
    requirement: &RequirementSpec,
    fingerprint: Digest,
    evidence: impl IntoIterator<Item = &'a Piece> + Clone,
    running: &Running,
    rules: &Rules,
    now: Timestamp,
) -> VerdictStatus {
    if requirement.priority == Priority::Wont {
        return unplanned();
    }
    if requirement.verify.is_empty() {
        return VerdictStatus {
            verdict: Some(Verdict::NotMeasured),
            reason: say("검증 방법이 없음", "nothing verifies it"),
            checks: Vec::new(),
            next_change: None,
        };
    }
    let subject = About { name, requirement, fingerprint, running, rules, now };
    let mut next_change = None;
    let checks: Vec<CheckStatus> = requirement
        .verify
        .iter()
        .enumerate()
        .map(|(index, check)| {
            let (status, change) = subject.check(index, check, evidence.clone());
            next_change = earlier(next_change, change);
            status
        })
        .collect();
    let (verdict, reason) = combine(&checks);
    VerdictStatus { verdict: Some(verdict), reason, checks, next_change }
}

fn unplanned() -> VerdictStatus {
    VerdictStatus {
        verdict: None,
        reason: say("이번에는 하지 않기로 합의됨", "agreed not to be done now"),
        checks: Vec::new(),
        next_change: None,
    }
}

/// Returns the verdict of a requirement that has children and no checks of its own: the worst child's.
#[must_use]
pub fn worst_child(children: &[(&str, Option<Verdict>)]) -> VerdictStatus {
    let planned = children.iter().filter_map(|(name, verdict)| verdict.map(|verdict| (verdict, *name)));
    let worst = planned.clone().map(|(verdict, _)| verdict).max();
    let (verdict, reason) = match worst {
        None => (Verdict::NotMeasured, say("하기로 한 하위 요구사항이 없음", "none of its children is to be done")),
        Some(Verdict::Conforming) => {
            let number = planned.count();
            (
                Verdict::Conforming,
                say(format!("하위 요구사항 {number}건 모두 적합"), format!("all of its {number} children conform")),
            )
        }
        Some(worst) => {
            let names: Vec<&str> = planned.filter(|(verdict, _)| *verdict == worst).map(|(_, name)| name).collect();
            let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(3);
            let (more_ko, more_en) = if more == 0 {
                (String::new(), String::new())
            } else {
                (format!(" 외 {more}건"), format!(" and {more} more"))
            };
            let what = if worst == Verdict::Nonconforming { "nonconforming" } else { "not measured" };
            (
                worst,
                say(
                    format!("하위 요구사항 {}: {shown}{more_ko}", worst.korean()),
                    format!("{what} below: {shown}{more_en}"),
                ),
            )
        }
    };
    VerdictStatus { verdict: Some(verdict), reason, checks: Vec::new(), next_change: None }
}

/// Returns the verdict of a requirement that derives from itself.
#[must_use]
pub fn derives_from_itself() -> VerdictStatus {
    VerdictStatus {
        verdict: Some(Verdict::NotMeasured),
        reason: say(
            "자기 자신에서 파생됨: derivedFrom의 순환을 끊으십시오",
            "it derives from itself: break the cycle of derivedFrom",
        ),
        checks: Vec::new(),
        next_change: None,
    }
}

/// Any violated: nonconforming; all met: conforming; else not measured.
fn combine(checks: &[CheckStatus]) -> (Verdict, LocalText) {
    let of = |outcome: Outcome| checks.iter().filter(move |check| check.outcome == outcome);
    let (verdict, said): (Verdict, Vec<&CheckStatus>) = if of(Outcome::Violated).next().is_some() {
        (Verdict::Nonconforming, of(Outcome::Violated).collect())
    } else if of(Outcome::Insufficient).next().is_some() {
        (Verdict::NotMeasured, of(Outcome::Insufficient).collect())
    } else {
        (Verdict::Conforming, checks.iter().collect())
    };
    let join = |language| {
        let texts: Vec<&str> = said.iter().take(3).map(|check| check.reason.get(language)).collect();
        texts.join("; ")
    };
    (verdict, say(join(maru_api::Language::Ko), join(maru_api::Language::En)))
}

fn earlier(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}

fn later(at: Timestamp, span: Span) -> Timestamp {
    let span = SignedDuration::try_from(span.to_std()).unwrap_or(SignedDuration::MAX);
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// Why a piece of evidence does not count, in the order in which it is asked; the one that came furthest is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Short {
    NotForThis,
    Environment { found: String },
    Refused { why: String },
    Fingerprint,
    Subject { kind: SubjectKind, name: String, running: bool },
    Future { at: Timestamp },
    Expired { at: Timestamp },
}

/// What the checks of one requirement are decided from.
struct About<'a> {
    name: &'a str,
    requirement: &'a RequirementSpec,
    fingerprint: Digest,
    running: &'a Running,
    rules: &'a Rules,
    now: Timestamp,
}

impl About<'_> {
    fn check<'p>(
        &self,
        index: usize,
        check: &Check,
        evidence: impl IntoIterator<Item = &'p Piece>,
    ) -> (CheckStatus, Option<Timestamp>) {
        let kind = EvidenceKind::of_means(&check.by);
        let mut furthest: Option<(Short, &Piece)> = None;
        let mut newest: Option<&Piece> = None;
        let mut next_change = None;
        for piece in evidence {
            if piece.kind != kind || !is_named(&check.by, &piece.name) {
                continue;
            }
            match self.short(check, piece) {
                Some(short) => {
                    if let Short::Future { at } = short {
                        next_change = earlier(next_change, Some(at));
                    }
                    let candidate = (short, piece);
                    let is_further = furthest
                        .as_ref()
                        .is_none_or(|(known, other)| (&candidate.0, candidate.1.window.to) > (known, other.window.to));
                    if is_further {
                        furthest = Some(candidate);
                    }
                }
                None => {
                    if newest.is_none_or(|other| order(piece) > order(other)) {
                        newest = Some(piece);
                    }
                }
            }
        }
        let by = &check.by;
        let Some(piece) = newest else {
            let reason = match &furthest {
                Some((short, _)) => self.tell(check, short),
                None => say(format!("{by}: 증거가 없음"), format!("{by}: no evidence")),
            };
            let status = CheckStatus {
                check: index,
                outcome: Outcome::Insufficient,
                reason,
                evidence: furthest.as_ref().map(|(_, piece)| piece.digest),
                at: furthest.as_ref().map(|(_, piece)| piece.window.to),
                expires: None,
            };
            return (status, next_change);
        };
        let confidence = check.confidence.unwrap_or(self.rules.confidence).as_f64();
        let judgement = judge(self.requirement.criterion.as_ref(), by, &piece.result, &piece.cases, confidence);
        let expires = self.expires(check, piece);
        let (ko, en) = (judgement.reason.get(maru_api::Language::Ko), judgement.reason.get(maru_api::Language::En));
        let status = CheckStatus {
            check: index,
            outcome: judgement.outcome,
            reason: say(format!("{by} {ko}"), format!("{by} {en}")),
            evidence: Some(piece.digest),
            at: Some(piece.window.to),
            expires,
        };
        (status, earlier(next_change, expires))
    }

    /// Says what a piece of evidence is short of; none when it counts.
    fn short(&self, check: &Check, piece: &Piece) -> Option<Short> {
        if !piece.names(self.name) {
            return Some(Short::NotForThis);
        }
        if let Some(wanted) = &check.environment
            && piece.environment.as_ref() != Some(wanted)
        {
            return Some(Short::Environment { found: piece.environment.clone().unwrap_or_default() });
        }
        if let Some(why) = &piece.refused {
            return Some(Short::Refused { why: why.clone() });
        }
        if piece.fingerprints(self.name).any(|fingerprint| fingerprint != self.fingerprint) {
            return Some(Short::Fingerprint);
        }
        if let Some(short) = self.other_subject(check, piece) {
            return Some(short);
        }
        if piece.window.to > later(self.now, self.rules.skew) {
            return Some(Short::Future { at: piece.window.to });
        }
        match self.expires(check, piece) {
            Some(at) if at <= self.now => Some(Short::Expired { at }),
            _ => None,
        }
    }

    /// Evidence is about what ran; only what runs now counts, all of it.
    fn other_subject(&self, check: &Check, piece: &Piece) -> Option<Short> {
        let environment = check.environment.as_deref().or(piece.environment.as_deref());
        let covers = |kind: SubjectKind, name: &str, digest: Digest| {
            piece.subjects.iter().any(|own| own.kind == kind && own.name == name && own.digest == digest)
        };
        for subject in piece.subjects.iter().filter(|subject| subject.kind.is_system()) {
            let mut runs = self.running.digests(environment, subject.kind, &subject.name).peekable();
            if runs.peek().is_none() {
                return Some(Short::Subject { kind: subject.kind, name: subject.name.clone(), running: false });
            }
            // While two versions run, evidence about one does not speak for both.
            if runs.any(|digest| !covers(subject.kind, &subject.name, digest)) {
                return Some(Short::Subject { kind: subject.kind, name: subject.name.clone(), running: true });
            }
        }
        if matches!(
            check.by,
            Means::Approval { .. } | Means::Survey(_) | Means::Experiment(_) | Means::Install(_) | Means::Drill(_)
        ) {
            return None;
        }
        // What the requirement is allocated to must be among what was looked at.
        for component in &self.requirement.allocated_to {
            let mut runs = self.running.digests(environment, SubjectKind::Image, component);
            if runs.any(|digest| !covers(SubjectKind::Image, component, digest)) {
                return Some(Short::Subject { kind: SubjectKind::Image, name: component.clone(), running: true });
            }
        }
        None
    }

    fn expires(&self, check: &Check, piece: &Piece) -> Option<Timestamp> {
        let by_check = check.valid_for.map(|span| later(piece.window.to, span));
        let by_rule = || self.rules.valid_for.map(|span| later(piece.window.to, span));
        let own = piece.valid_until.or_else(by_rule);
        earlier(own, by_check)
    }

    fn tell(&self, check: &Check, short: &Short) -> LocalText {
        let by = &check.by;
        let (ko, en) = match short {
            Short::NotForThis => (
                format!("증거가 있으나 요구사항 {}에 대한 것이 아님", self.name),
                format!("there is evidence, but not about {}", self.name),
            ),
            Short::Environment { found } => {
                let wanted = check.environment.as_deref().unwrap_or_default();
                (
                    format!("환경 {wanted}의 증거가 없음 (\"{found}\"의 것만 있음)"),
                    format!("no evidence from {wanted}, only from \"{found}\""),
                )
            }
            Short::Refused { why } => {
                (format!("증거를 믿을 수 없음: {why}"), format!("the evidence does not stand: {why}"))
            }
            Short::Fingerprint => (
                "요구사항이 바뀐 뒤의 증거가 없음".to_owned(),
                "the evidence was made for another wording of the requirement".to_owned(),
            ),
            Short::Subject { kind: SubjectKind::Configuration, name, running: true } => (
                format!("증거가 {name}의 지금 설정에 대한 것이 아님"),
                format!("the evidence is about another configuration of {name} than the one that runs now"),
            ),
            Short::Subject { name, running: true, .. } => (
                format!("증거가 지금 실행 중인 {name}에 대한 것이 아님"),
                format!("the evidence is about another {name} than the one that runs now"),
            ),
            Short::Subject { name, running: false, .. } => {
                (format!("{name}이(가) 실행되고 있지 않음"), format!("{name} does not run now"))
            }
            Short::Future { at } => (
                format!("증거의 시각이 미래임 ({}): 시계를 확인하십시오", moment(*at)),
                format!("the evidence is from the future ({}): check the clocks", moment(*at)),
            ),
            Short::Expired { at } => {
                (format!("증거가 {}에 만료됨", moment(*at)), format!("the evidence expired at {}", moment(*at)))
            }
        };
        say(format!("{by}: {ko}"), format!("{by}: {en}"))
    }
}

fn is_named(means: &Means, name: &str) -> bool {
    means.name() == "*" || means.name() == name
}

/// The newest is what was measured last; of these, what was recorded last.
fn order(piece: &Piece) -> (Timestamp, u64, Digest) {
    (piece.window.to, piece.sequence, piece.digest)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
