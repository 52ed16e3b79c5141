//! Relabeling: rules that rewrite a label set, or drop it.
//!
//! Source: Prometheus 3 documentation, "relabel_config".

use maru_prom::{LabelsBuilder, anchored_regex};
use maru_yaml::Cursor;
use regex::Regex;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelabelAction {
    /// Sets the target label to the replacement where the pattern matches.
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops what is not equal to the target label.
    KeepEqual,
    /// Drops what is equal to the target label.
    DropEqual,
    /// Sets the target label to a remainder of the value's MD5.
    HashMod,
    /// Copies all labels whose name matches, under the name that the replacement makes.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the value in lower case.
    Lowercase,
    /// Sets the target label to the value in upper case.
    Uppercase,
}

const ACTIONS: &[(&str, RelabelAction)] = &[
    ("replace", RelabelAction::Replace),
    ("keep", RelabelAction::Keep),
    ("drop", RelabelAction::Drop),
    ("keepequal", RelabelAction::KeepEqual),
    ("dropequal", RelabelAction::DropEqual),
    ("hashmod", RelabelAction::HashMod),
    ("labelmap", RelabelAction::LabelMap),
    ("labeldrop", RelabelAction::LabelDrop),
    ("labelkeep", RelabelAction::LabelKeep),
    ("lowercase", RelabelAction::Lowercase),
    ("uppercase", RelabelAction::Uppercase),
];

const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

/// One rule.
#[derive(Debug, Clone)]
pub struct RelabelRule {
    /// The labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between the values.
    pub separator: String,
    /// The pattern as written, anchored at both ends.
    pub regex: String,
    /// The divisor of `hashmod`.
    pub modulus: u64,
    /// The label that is set; may refer to groups.
    pub target_label: String,
    /// The value that it is set to; may refer to groups.
    pub replacement: String,
    /// What the rule does.
    pub action: RelabelAction,
    pattern: Regex,
    has_default_regex: bool,
}

impl PartialEq for RelabelRule {
    fn eq(&self, other: &Self) -> bool {
        self.source_labels == other.source_labels
            && self.separator == other.separator
            && self.regex == other.regex
            && self.modulus == other.modulus
            && self.target_label == other.target_label
            && self.replacement == other.replacement
            && self.action == other.action
    }
}

impl RelabelRule {
    /// Returns the rule with the defaults of all other fields.
    ///
    /// # Errors
    /// When the pattern is no regular expression.
    pub fn new(action: RelabelAction, source_labels: &[&str], regex: &str) -> Result<Self, String> {
        Ok(Self {
            source_labels: source_labels.iter().map(|name| (*name).to_owned()).collect(),
            separator: DEFAULT_SEPARATOR.to_owned(),
            pattern: anchored_regex(regex)?,
            has_default_regex: regex == DEFAULT_REGEX,
            regex: regex.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: DEFAULT_REPLACEMENT.to_owned(),
            action,
        })
    }

    /// Returns the rule that sets `target` to `replacement` when the joined sources match.
    ///
    /// # Errors
    /// When the pattern is no regular expression.
    pub fn replace(sources: &[&str], regex: &str, target: &str, replacement: &str) -> Result<Self, String> {
        let mut rule = Self::new(RelabelAction::Replace, sources, regex)?;
        target.clone_into(&mut rule.target_label);
        replacement.clone_into(&mut rule.replacement);
        Ok(rule)
    }
}

/// Applies rules in their order. Returns `false` when the label set is dropped.
pub fn apply(labels: &mut LabelsBuilder, rules: &[RelabelRule]) -> bool {
    rules.iter().all(|rule| apply_one(labels, rule))
}

/// Applies one rule. Returns `false` when the label set is dropped.
pub fn apply_one(labels: &mut LabelsBuilder, rule: &RelabelRule) -> bool {
    let mut value = String::new();
    for (index, name) in rule.source_labels.iter().enumerate() {
        if index > 0 {
            value.push_str(&rule.separator);
        }
        value.push_str(labels.get(name).unwrap_or_default());
    }
    let target = rule.target_label.as_str();
    match rule.action {
        RelabelAction::Drop => return !rule.pattern.is_match(&value),
        RelabelAction::Keep => return rule.pattern.is_match(&value),
        RelabelAction::DropEqual => return labels.get(target).unwrap_or_default() != value,
        RelabelAction::KeepEqual => return labels.get(target).unwrap_or_default() == value,
        RelabelAction::Replace => replace(labels, rule, &value),
        RelabelAction::Lowercase => drop_result(labels.set(target, &value.to_lowercase())),
        RelabelAction::Uppercase => drop_result(labels.set(target, &value.to_uppercase())),
        RelabelAction::HashMod => {
            let digest = md5(value.as_bytes());
            let tail = digest.iter().skip(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            drop_result(labels.set(target, &(tail % rule.modulus.max(1)).to_string()));
        }
        RelabelAction::LabelMap => {
            for (name, value) in labels.build().iter() {
                if rule.pattern.is_match(name) {
                    drop_result(labels.set(&rule.pattern.replace_all(name, rule.replacement.as_str()), value));
                }
            }
        }
        RelabelAction::LabelDrop => {
            for (name, _) in labels.build().iter().filter(|(name, _)| rule.pattern.is_match(name)) {
                drop_result(labels.remove(name));
            }
        }
        RelabelAction::LabelKeep => {
            for (name, _) in labels.build().iter().filter(|(name, _)| !rule.pattern.is_match(name)) {
                drop_result(labels.remove(name));
            }
        }
    }
    true
}

fn drop_result(_: &mut LabelsBuilder) {}

fn replace(labels: &mut LabelsBuilder, rule: &RelabelRule, value: &str) {
    if value.is_empty() && rule.has_default_regex && !rule.target_label.contains('$') && !rule.replacement.contains('$')
    {
        drop_result(labels.set(&rule.target_label, &rule.replacement));
        return;
    }
    let Some(groups) = rule.pattern.captures(value) else { return };
    let (mut target, mut replacement) = (String::new(), String::new());
    groups.expand(&rule.target_label, &mut target);
    if target.is_empty() {
        return;
    }
    groups.expand(&rule.replacement, &mut replacement);
    drop_result(labels.set(&target, &replacement));
}

/// Reads a list of rules.
#[must_use]
pub fn read_rules(list: &Cursor<'_>) -> Vec<RelabelRule> {
    list.list().iter().filter_map(read_rule).collect()
}

fn read_rule(item: &Cursor<'_>) -> Option<RelabelRule> {
    if !item.is_present() {
        item.problem("an empty relabeling rule does nothing; take it out");
        return None;
    }
    let (sources, target) = (item.field("source_labels"), item.field("target_label"));
    let (regex, separator) = (item.field("regex"), item.field("separator"));
    let (modulus, replacement) = (item.field("modulus"), item.field("replacement"));
    let action = item.field("action");
    let action = action.read(|text| {
        let lower = text.to_lowercase();
        let found = ACTIONS.iter().find(|(name, _)| *name == lower).map(|(_, action)| *action);
        found.ok_or_else(|| {
            let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            format!("there is no such action; use one of {}", known.join(", "))
        })
    });
    let action = action.unwrap_or(RelabelAction::Replace);
    let pattern = regex.read(|text| anchored_regex(text).map(|pattern| (text.to_owned(), pattern)));
    let (regex_text, pattern) = match pattern {
        Some(pair) => pair,
        None => (DEFAULT_REGEX.to_owned(), anchored_regex(DEFAULT_REGEX).ok()?),
    };
    let rule = RelabelRule {
        source_labels: sources.strings(),
        separator: separator.string().unwrap_or_else(|| DEFAULT_SEPARATOR.to_owned()),
        has_default_regex: regex_text == DEFAULT_REGEX,
        regex: regex_text,
        modulus: modulus.count().unwrap_or_default(),
        target_label: target.string().unwrap_or_default(),
        replacement: replacement.string().unwrap_or_else(|| DEFAULT_REPLACEMENT.to_owned()),
        action,
        pattern,
    };
    item.finish();
    judge(item, &rule);
    Some(rule)
}

/// Says what a rule lacks, and what has no meaning in it.
fn judge(item: &Cursor<'_>, rule: &RelabelRule) {
    use RelabelAction as A;
    let name = ACTIONS.iter().find(|(_, action)| *action == rule.action).map_or("", |(name, _)| name);
    let needs_target =
        matches!(rule.action, A::Replace | A::KeepEqual | A::DropEqual | A::HashMod | A::Lowercase | A::Uppercase);
    if needs_target && rule.target_label.is_empty() {
        item.problem(format!("the action {name} needs a target_label"));
    }
    if rule.action == A::HashMod && rule.modulus == 0 {
        item.problem("the action hashmod needs a modulus that is not 0");
    }
    if matches!(rule.action, A::Lowercase | A::Uppercase) && rule.replacement != DEFAULT_REPLACEMENT {
        item.problem(format!("the action {name} takes no replacement"));
    }
    let is_bare = rule.modulus == 0 && rule.separator == DEFAULT_SEPARATOR && rule.replacement == DEFAULT_REPLACEMENT;
    if matches!(rule.action, A::KeepEqual | A::DropEqual) && !(is_bare && rule.has_default_regex) {
        item.problem(format!("the action {name} takes source_labels and target_label alone"));
    }
    let has_labels = !rule.source_labels.is_empty() || !rule.target_label.is_empty();
    if matches!(rule.action, A::LabelDrop | A::LabelKeep) && (!is_bare || has_labels) {
        item.problem(format!("the action {name} takes a regex alone"));
    }
}

/// Returns the MD5 sum (RFC 1321), which `hashmod` spreads targets by and the mail's CRAM-MD5 wants. It protects nothing.
#[must_use]
pub fn md5(content: &[u8]) -> [u8; 16] {
    const SHIFTS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut message = content.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(content.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in message.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for round in 0..64_usize {
            let (mixed, word) = match round / 16 {
                0 => ((b & c) | (!b & d), round),
                1 => ((d & b) | (!d & c), (5 * round + 1) % 16),
                2 => (b ^ c ^ d, (3 * round + 5) % 16),
                _ => (c ^ (b | !d), (7 * round) % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(sine(round)).wrapping_add(words[word]);
            a = d;
            d = c;
            c = b;
            b = b.wrapping_add(sum.rotate_left(SHIFTS[round / 16 * 4 + round % 4]));
        }
        for (own, new) in state.iter_mut().zip([a, b, c, d]) {
            *own = own.wrapping_add(new);
        }
    }
    let mut digest = [0; 16];
    for (target, byte) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_le_bytes())) {
        *target = byte;
    }
    digest
}

/// Returns the constant of a round: the sine of its number as 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the number is between 0 and 2^32, the round below 64"
)]
fn sine(round: usize) -> u32 {
    (((round + 1) as f64).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use maru_prom::Labels;
    use maru_yaml::{Document, ParseLimits};

    use super::*;

    fn rules(text: &str) -> Result<Vec<RelabelRule>, Vec<String>> {
        let document = Document::parse(text, ParseLimits::default());
        let rules = read_rules(&document.top());
        let problems: Vec<String> = document.problems().iter().map(ToString::to_string).collect();
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    /// Applies rules to `a="1",…` and returns what is left in the same form.
    fn relabeled(text: &str, labels: &[(&str, &str)]) -> Option<String> {
        let mut builder = Labels::from_pairs(labels.iter().copied()).to_builder();
        apply(&mut builder, &rules(text).unwrap()).then(|| {
            let pairs: Vec<String> = builder.build().iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join(",")
        })
    }

    #[test]
    fn sums_are_those_of_the_specification() {
        let hex = |text: &str| md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        let long = "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(hex(long), "57edf4a22be3c955ac49da2e2107b67a");
    }

    #[test]
    fn each_action_does_what_its_name_says() {
        let labels = [("a", "foo"), ("b", "bar"), ("c", "Baz")];
        let cases: &[(&str, Option<&str>)] = &[
            (
                "- {source_labels: [a], regex: f(.*), target_label: d, replacement: 'ch${1}-ch${1}'}",
                Some("a=foo,b=bar,c=Baz,d=choo-choo"),
            ),
            (
                "- {source_labels: [a, b], regex: 'foo;(.*)', target_label: a, replacement: '$1'}",
                Some("a=bar,b=bar,c=Baz"),
            ),
            ("- {source_labels: [a], regex: o, target_label: d, replacement: x}", Some("a=foo,b=bar,c=Baz")),
            ("- {target_label: d, replacement: static}", Some("a=foo,b=bar,c=Baz,d=static")),
            ("- {source_labels: [a], target_label: a, regex: f.*, replacement: ''}", Some("b=bar,c=Baz")),
            ("- {source_labels: [a], regex: 'f|o', action: Keep}", None),
            ("- {source_labels: [a], regex: 'f.o', action: keep}", Some("a=foo,b=bar,c=Baz")),
            ("- {source_labels: [a], regex: 'fo+', action: drop}", None),
            ("- {source_labels: [a], target_label: b, action: keepequal}", None),
            ("- {source_labels: [a], target_label: b, action: dropequal}", Some("a=foo,b=bar,c=Baz")),
            (
                "- {source_labels: [c], target_label: d, action: hashmod, modulus: 1000}",
                Some("a=foo,b=bar,c=Baz,d=940"),
            ),
            ("- {regex: '(b|c)', replacement: 'x_$1', action: labelmap}", Some("a=foo,b=bar,c=Baz,x_b=bar,x_c=Baz")),
            ("- {regex: '[bc]', action: labeldrop}", Some("a=foo")),
            ("- {regex: '[bc]', action: labelkeep}", Some("b=bar,c=Baz")),
            ("- {source_labels: [c], target_label: c, action: uppercase}", Some("a=foo,b=bar,c=BAZ")),
            (
                "- {source_labels: [a], regex: '(f)(.*)', target_label: '${1}x', replacement: '$2'}",
                Some("a=foo,b=bar,c=Baz,fx=oo"),
            ),
            (
                "- {source_labels: [missing], regex: '', target_label: d, replacement: none}",
                Some("a=foo,b=bar,c=Baz,d=none"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(relabeled(text, &labels).as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        for (text, part) in [
            ("- {action: replace}", "needs a target_label"),
            ("- {action: hashmod, target_label: a}", "needs a modulus"),
            ("- {action: labeldrop, source_labels: [a], regex: x}", "takes a regex alone"),
            ("- {action: keepequal, source_labels: [a], target_label: b, regex: x}", "alone"),
            ("- {action: lowercase, target_label: b, replacement: x}", "takes no replacement"),
            ("- {action: explode}", "there is no such action"),
            ("- {action: keep, regex: '('}", "unclosed group"),
            ("- {action: keep, regexp: a}", "did you mean \"regex\"?"),
        ] {
            let told = rules(text).unwrap_err().join("\n");
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
