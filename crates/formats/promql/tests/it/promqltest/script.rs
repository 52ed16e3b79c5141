//! The script language: `load`, `clear` and `eval` with what is expected.

use std::sync::Arc;

use maru_prom::{Histogram, Labels};
use regex::Regex;

use super::notation::{self, Value};

/// One value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    /// There is none.
    None,
    /// A float; the staleness marker ends the series.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// A sample that a script loads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadedSample {
    pub(crate) at_ms: i64,
    pub(crate) point: Point,
    /// When the counter started; 0: nobody knows.
    pub(crate) start_ms: i64,
}

/// A series that a script loads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadedSeries {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<LoadedSample>,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Instant { at_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// What one text must be.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Anything,
    Exactly(String),
    Matching(Regex),
}

impl Wanted {
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(wanted) => wanted == text,
            Self::Matching(wanted) => wanted.is_match(text),
        }
    }
}

/// What is expected of the annotations of one severity.
#[derive(Debug, Clone, Default)]
pub(crate) struct WantedAnnotations {
    /// Each must fit one, and each annotation must fit one of them, unless there are none.
    pub(crate) some: Vec<Wanted>,
    /// There must be none.
    pub(crate) none: bool,
    /// There must be at least one.
    pub(crate) any: bool,
}

/// One query and what it must answer.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) when: When,
    /// It must fail, with a text that fits.
    pub(crate) fail: Option<Wanted>,
    pub(crate) warnings: WantedAnnotations,
    pub(crate) infos: WantedAnnotations,
    pub(crate) ordered: bool,
    /// The timestamps of a range vector: first, last, step.
    pub(crate) range_vector: Option<(i64, i64, i64)>,
    pub(crate) text: Option<String>,
    pub(crate) scalar: Option<f64>,
    /// In the order of their lines.
    pub(crate) series: Vec<(Labels, Vec<Value>)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Clear,
    Load(Vec<LoadedSeries>),
    Eval(Box<Case>),
    /// Nobody understands it: it counts as a failed case.
    Broken {
        line: usize,
        text: String,
        reason: String,
    },
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let first = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        let start = at;
        at += 1;
        let command = if first.is_empty() {
            continue;
        } else if first == "clear" {
            Ok(Command::Clear)
        } else if first.starts_with("load") {
            load(&lines, &mut at, line)
        } else if first.starts_with("eval") {
            eval(&lines, &mut at, line)
        } else {
            Err("it is no command".to_owned())
        };
        commands.push(command.unwrap_or_else(|reason| {
            while lines.get(at).is_some_and(|line| !line.is_empty()) {
                at += 1;
            }
            Command::Broken { line: start + 1, text: line.to_owned(), reason }
        }));
    }
    commands
}

/// Reads a duration in milliseconds: `1h30m`, `15s`, `0`.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut sum = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return Err(wrong()),
        };
        sum += number.parse::<i64>().map_err(|_| wrong())? * unit_ms;
        rest = after;
    }
    Ok(sum)
}

/// Takes the lines up to the next empty one, or as long as `use_line` wants more.
fn block<'a>(
    lines: &[&'a str],
    at: &mut usize,
    mut use_line: impl FnMut(&'a str) -> Result<bool, String>,
) -> Result<(), String> {
    while let Some(line) = lines.get(*at).filter(|line| !line.is_empty()) {
        *at += 1;
        if !use_line(line)? {
            break;
        }
    }
    Ok(())
}

fn load(lines: &[&str], at: &mut usize, line: &str) -> Result<Command, String> {
    let (word, step) = line.split_once(char::is_whitespace).ok_or("load needs a step")?;
    let with_nhcb = match word {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(format!("{word:?} is no command")),
    };
    let step_ms = duration(step.trim())?;
    let mut all: Vec<LoadedSeries> = Vec::new();
    let mut pending: Option<(Labels, Vec<Option<i64>>)> = None;
    block(lines, at, |line| {
        if let Some(starts) = notation::starts(line) {
            pending = Some(starts?);
            return Ok(true);
        }
        let (labels, values) = notation::series(line)?;
        let starts = match pending.take() {
            Some((of, starts)) if of == labels && starts.len() == values.len() => starts,
            Some(_) => return Err(format!("the start timestamps before {line:?} do not fit it")),
            None => vec![None; values.len()],
        };
        let samples = values.into_iter().zip(starts).zip(0_i64..).filter(|((value, _), _)| value.point != Point::None);
        let samples = samples.map(|((value, start), place)| {
            let at_ms = place * step_ms;
            LoadedSample { at_ms, point: value.point, start_ms: start.map_or(0, |start| at_ms + start) }
        });
        let series = LoadedSeries { labels, samples: samples.collect() };
        all.retain(|other| other.labels != series.labels);
        all.push(series);
        Ok(true)
    })?;
    if with_nhcb {
        let converted = super::nhcb::convert(&all)?;
        all.extend(converted);
    }
    Ok(Command::Load(all))
}

fn eval(lines: &[&str], at: &mut usize, line: &str) -> Result<Command, String> {
    let instant = Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$");
    let range = Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$");
    let (instant, range) = (instant.map_err(|error| error.to_string())?, range.map_err(|error| error.to_string())?);
    let (modifier, when, query) = if let Some(found) = instant.captures(line) {
        let at_ms = duration(found.get(2).map_or("", |at| at.as_str()))?;
        (found.get(1).map(|m| m.as_str().to_owned()), When::Instant { at_ms }, found[3].to_owned())
    } else if let Some(found) = range.captures(line) {
        let (start_ms, end_ms, step_ms) = (duration(&found[2])?, duration(&found[3])?, duration(&found[4])?);
        (found.get(1).map(|m| m.as_str().to_owned()), When::Range { start_ms, end_ms, step_ms }, found[5].to_owned())
    } else {
        return Err("it is neither an instant nor a range query".to_owned());
    };
    let mut case = Case {
        line: *at,
        query,
        when,
        fail: None,
        warnings: WantedAnnotations::default(),
        infos: WantedAnnotations::default(),
        ordered: false,
        range_vector: None,
        text: None,
        scalar: None,
        series: Vec::new(),
    };
    match modifier.as_deref() {
        Some("fail") => case.fail = Some(Wanted::Anything),
        Some("warn") => case.warnings.any = true,
        Some("info") => case.infos.any = true,
        Some("ordered") => case.ordered = true,
        _ => {}
    }
    block(lines, at, |line| case.expect(line))?;
    Ok(Command::Eval(Box::new(case)))
}

impl Case {
    /// Takes a line of what is expected; returns whether more may follow.
    fn expect(&mut self, line: &str) -> Result<bool, String> {
        if let (Some(text), true) = (line.strip_prefix("expected_fail_message"), self.fail.is_some()) {
            self.fail = Some(Wanted::Exactly(text.trim().to_owned()));
            return Ok(false);
        }
        if let (Some(text), true) = (line.strip_prefix("expected_fail_regexp"), self.fail.is_some()) {
            self.fail = Some(Wanted::Matching(Regex::new(text.trim()).map_err(|error| error.to_string())?));
            return Ok(false);
        }
        if line.starts_with("expect range vector") {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, _, _, "from", start, "to", end, "step", step] = words.as_slice() else {
                return Err(format!("{line:?} is no range vector"));
            };
            self.range_vector = Some((duration(start)?, duration(end)?, duration(step)?));
            return Ok(true);
        }
        if let Some(text) = line.strip_prefix("expect string ") {
            let inner = text.trim().get(1..text.trim().len().saturating_sub(1)).ok_or("expected a quoted text")?;
            if inner.contains('\\') {
                return Err("escapes are not supported here".to_owned());
            }
            self.text = Some(inner.to_owned());
            return Ok(true);
        }
        if line.split(' ').next() == Some("expect") {
            self.expect_note(line)?;
            return Ok(true);
        }
        if let Some(number) = number(line) {
            self.scalar = Some(number);
            return Ok(false);
        }
        let (labels, values) = notation::series(line)?;
        if values.len() > 1 && matches!(self.when, When::Instant { .. }) && self.range_vector.is_none() {
            return Err("an instant query has one value per series".to_owned());
        }
        self.series.retain(|(other, _)| *other != labels);
        self.series.push((labels, values));
        Ok(true)
    }

    fn expect_note(&mut self, line: &str) -> Result<(), String> {
        let pattern = Regex::new(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$");
        let pattern = pattern.map_err(|error| error.to_string())?;
        let found = pattern.captures(line).ok_or_else(|| format!("{line:?} expects nothing that is known"))?;
        let text = found.get(3).map_or("", |text| text.as_str().trim());
        let wanted = match found.get(2).map(|kind| kind.as_str()) {
            Some("msg") => Wanted::Exactly(text.to_owned()),
            Some(_) => Wanted::Matching(Regex::new(text).map_err(|error| error.to_string())?),
            None => Wanted::Anything,
        };
        match &found[1] {
            "ordered" => self.ordered = true,
            "fail" if self.fail.is_some() => return Err("two failures are expected".to_owned()),
            "fail" => self.fail = Some(wanted),
            "warn" => self.warnings.some.push(wanted),
            "info" => self.infos.some.push(wanted),
            "no_warn" => self.warnings.none = true,
            _ => self.infos.none = true,
        }
        let contradicts = |wanted: &WantedAnnotations| wanted.none && !wanted.some.is_empty();
        if contradicts(&self.warnings) || contradicts(&self.infos) {
            return Err("some and no annotations are expected".to_owned());
        }
        Ok(())
    }
}

/// Reads a number alone on its line: decimal, hexadecimal, octal, `Inf`, `NaN`.
fn number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            return u32::from_str_radix(digits, radix).ok().map(|number| sign * f64::from(number));
        }
    }
    if let Some(octal) =
        digits.strip_prefix('0').filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    {
        return u32::from_str_radix(octal, 8).ok().map(|number| sign * f64::from(number));
    }
    digits.parse::<f64>().ok().map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_becomes_commands() {
        let script = "# a comment\nload 1m\n  m 1 2\n\neval instant at 1m m\n  expect no_warn\n  expect info regex: a.*b\n  m 2\n\n\
            eval range from 0 to 1h30m step 30s m\n m 1 _ 2\n\neval instant at 0 1\n  0x10\nclear\nnonsense\n";
        let commands = parse(script);
        let [
            Command::Load(series),
            Command::Eval(first),
            Command::Eval(second),
            Command::Eval(third),
            Command::Clear,
            broken,
        ] = commands.as_slice()
        else {
            panic!("{commands:?}")
        };
        assert_eq!(series[0].samples[1], LoadedSample { at_ms: 60_000, point: Point::Float(2.0), start_ms: 0 });
        assert!(first.warnings.none && first.infos.some[0].fits("xaxb") && first.series.len() == 1);
        assert_eq!(second.when, When::Range { start_ms: 0, end_ms: 5_400_000, step_ms: 30_000 });
        assert!(matches!(broken, Command::Broken { line: 16, .. }), "{broken:?}");
        assert_eq!(third.scalar, Some(16.0));
    }
}
