//! Refuses what OpenMetrics forbids beyond the shape of its lines.
//!
//! Source: OpenMetrics 1.0.0, "Metric Types", "Text format".

use std::borrow::Cow;
use std::collections::HashSet;

use super::labels::pairs_of;
use super::text::{CreatedLines, Dialect, Entry, SeriesLine, TextParser};
use super::{ExpositionError, labels};
use crate::number::{format_open_metrics_float, parse_decimal};
use crate::{METRIC_NAME, MetricType};

/// Checks a whole text against all of OpenMetrics' rules: no scraper is as strict, but a writer should be held to them.
///
/// # Errors
/// The first rule that is broken.
pub fn check_open_metrics(body: &[u8]) -> Result<(), ExpositionError> {
    let mut parser = TextParser::new(body, Dialect::OpenMetrics, CreatedLines::Series)?.strict();
    let mut checker = Checker::default();
    let mut line = 0;
    while let Some(entry) = parser.next_entry()? {
        line += 1;
        checker.entry(&entry).map_err(|reason| ExpositionError { line, reason })?;
    }
    checker.finish_family().map_err(|reason| ExpositionError { line, reason })
}

type Checked = Result<(), String>;

#[derive(Default)]
struct Checker {
    /// Names that families seen so far may use for their samples.
    taken: HashSet<String>,
    family: Option<FamilyState>,
}

/// The family that is being read.
struct FamilyState {
    name: String,
    metric_type: MetricType,
    /// Metadata lines seen, by keyword.
    said: HashSet<&'static str>,
    unit: String,
    has_samples: bool,
    /// Groups that are finished: none may come again.
    finished: HashSet<String>,
    group: Option<Group>,
}

/// The samples of one metric: all with the same labels apart from `le`, `quantile` and the state's own.
#[derive(Default)]
struct Group {
    key: String,
    /// The timestamp of the samples so far, if they have one.
    seconds: Option<f64>,
    /// Series of the current point.
    series: HashSet<String>,
    last_bound: Option<f64>,
    last_count: f64,
    has_negative_bounds: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Checker {
    fn entry(&mut self, entry: &Entry<'_>) -> Checked {
        match entry {
            Entry::Type { family, metric_type } => {
                self.metadata(family, "TYPE")?.metric_type = *metric_type;
                Ok(())
            }
            Entry::Help { family, .. } => self.metadata(family, "HELP").map(|_| ()),
            Entry::Unit { family, unit } => {
                (*unit).clone_into(&mut self.metadata(family, "UNIT")?.unit);
                Ok(())
            }
            Entry::Comment(_) => Err("comments are not allowed".to_owned()),
            Entry::Series(line) => self.sample(line),
        }
    }

    fn metadata(&mut self, name: &str, keyword: &'static str) -> Result<&mut FamilyState, String> {
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.start(name)?;
        }
        let family = self.family.as_mut().ok_or("there is no family")?;
        if family.has_samples {
            return Err(format!("{keyword} of {name:?} comes behind its samples"));
        }
        if !family.said.insert(keyword) {
            return Err(format!("{keyword} of {name:?} comes twice"));
        }
        Ok(family)
    }

    fn start(&mut self, name: &str) -> Checked {
        self.finish_family()?;
        self.family = Some(FamilyState {
            name: name.to_owned(),
            metric_type: MetricType::Unknown,
            said: HashSet::new(),
            unit: String::new(),
            has_samples: false,
            finished: HashSet::new(),
            group: None,
        });
        Ok(())
    }

    fn finish_family(&mut self) -> Checked {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.finish_group()?;
        let has_unit = !family.unit.is_empty();
        if has_unit && matches!(family.metric_type, MetricType::Info | MetricType::StateSet) {
            return Err(format!("{:?} can have no unit", family.name));
        }
        // The family's own name is taken also where no sample has it.
        let own = suffixes(family.metric_type).iter().copied().filter(|suffix| !suffix.is_empty());
        for suffix in own.chain([""]) {
            let name = format!("{}{suffix}", family.name);
            if let Some(name) = self.taken.replace(name) {
                return Err(format!("the name {name:?} is used by two families"));
            }
        }
        Ok(())
    }

    fn sample(&mut self, line: &SeriesLine<'_>) -> Checked {
        let pairs = pairs_of(line.series, Dialect::OpenMetrics).map_err(|error| error.reason)?;
        labels::build(pairs.clone()).map_err(|error| error.reason)?;
        let name = pairs.iter().find(|(name, _)| name == METRIC_NAME).map_or("", |(_, value)| value.as_ref());
        let belongs = |family: &FamilyState| {
            let suffix = name.strip_prefix(family.name.as_str())?;
            suffixes(family.metric_type).iter().copied().find(|known| *known == suffix)
        };
        if self.family.as_ref().and_then(belongs).is_none() {
            self.start(name)?;
        }
        let family = self.family.as_mut().ok_or("there is no family")?;
        let suffix = name.get(family.name.len()..).unwrap_or_default();
        family.sample(line, &pairs, suffix)
    }
}

/// What may follow a family's name in the names of its samples.
fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Summary => &["_count", "_sum", "_created", ""],
        MetricType::Histogram => &["_count", "_sum", "_bucket", "_created"],
        MetricType::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::StateSet | MetricType::Unknown => &[""],
    }
}

impl FamilyState {
    fn sample(&mut self, line: &SeriesLine<'_>, pairs: &[(Cow<'_, str>, Cow<'_, str>)], suffix: &str) -> Checked {
        self.has_samples = true;
        let own_label = match self.metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram if suffix == "_bucket" => Some("le"),
            MetricType::Summary if suffix.is_empty() => Some("quantile"),
            MetricType::StateSet => Some(self.name.as_str()),
            _ => None,
        };
        let own = own_label.map(|own| {
            let found = pairs.iter().find(|(name, _)| name == own);
            found.map(|(_, value)| value.as_ref()).ok_or_else(|| format!("{:?} has no label {own:?}", line.series))
        });
        let own = own.transpose()?;
        let mut shared: Vec<_> =
            pairs.iter().filter(|(name, _)| name != METRIC_NAME && Some(name.as_ref()) != own_label).collect();
        shared.sort();
        let key = format!("{shared:?}");
        self.enter_group(key, line)?;
        self.check_value(line, suffix, own)?;
        check_exemplar(self.metric_type, line, suffix)
    }

    /// Goes to the group that a sample belongs to.
    fn enter_group(&mut self, key: String, line: &SeriesLine<'_>) -> Checked {
        if self.group.as_ref().is_none_or(|group| group.key != key) {
            self.finish_group()?;
            if self.finished.contains(&key) {
                return Err(format!("{:?} belongs to a metric that others stand behind already", line.series));
            }
            self.group = Some(Group { key, seconds: line.seconds, ..Group::default() });
        }
        let metric_type = self.metric_type;
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        match (group.seconds, line.seconds) {
            (None, None) => {}
            (Some(last), Some(next)) if next < last => return Err(format!("{:?} goes back in time", line.series)),
            (Some(last), Some(next)) => {
                let is_again = group.series.contains(line.series);
                if next > last || is_again {
                    group.check(metric_type)?;
                    *group = Group { key: std::mem::take(&mut group.key), seconds: Some(next), ..Group::default() };
                }
            }
            _ => return Err(format!("{:?} has a timestamp and another sample of its metric has none", line.series)),
        }
        if !group.series.insert(line.series.to_owned()) {
            return Err(format!("{:?} is there twice", line.series));
        }
        Ok(())
    }

    fn finish_group(&mut self) -> Checked {
        let Some(group) = self.group.take() else { return Ok(()) };
        group.check(self.metric_type)?;
        self.finished.insert(group.key);
        Ok(())
    }

    fn check_value(&mut self, line: &SeriesLine<'_>, suffix: &str, own: Option<&str>) -> Checked {
        let value = line.value;
        let wrong = |rule: &str| Err(format!("{:?} has the value {value}, but it {rule}", line.series));
        let is_count = value >= 0.0;
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        match (self.metric_type, suffix) {
            (MetricType::Counter, "_total") if !is_count => wrong("must not be negative or NaN"),
            (MetricType::Info, _) if value != 1.0 => wrong("must be 1"),
            (MetricType::StateSet, _) if value != 0.0 && value != 1.0 => wrong("must be 0 or 1"),
            (MetricType::Summary, "") => {
                let rank = own.and_then(parse_decimal).filter(|rank| (0.0..=1.0).contains(rank));
                if rank.is_none() {
                    return Err(format!("{:?} needs a quantile between 0 and 1", line.series));
                }
                if value < 0.0 { wrong("must not be negative") } else { Ok(()) }
            }
            (MetricType::Summary, "_sum" | "_count") if !is_count => wrong("must not be negative or NaN"),
            (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => {
                if !is_count {
                    return wrong("must not be negative or NaN");
                }
                group.bucket(own.unwrap_or_default(), value)
            }
            (MetricType::Histogram | MetricType::GaugeHistogram, "_count" | "_gcount") => {
                group.count = Some(value);
                if is_count { Ok(()) } else { wrong("must not be negative or NaN") }
            }
            (MetricType::Histogram, "_sum") => {
                group.sum = Some(value);
                if is_count { Ok(()) } else { wrong("must not be negative or NaN") }
            }
            (MetricType::GaugeHistogram, "_gsum") => {
                group.sum = Some(value);
                if value.is_nan() { wrong("must not be NaN") } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

impl Group {
    fn bucket(&mut self, le: &str, count: f64) -> Checked {
        let bound = parse_decimal(le).filter(|bound| !bound.is_nan());
        let bound = bound.ok_or_else(|| format!("le={le:?} is no number"))?;
        if bound.is_infinite() && le != format_open_metrics_float(bound) {
            return Err(format!("le={le:?} must be spelled +Inf"));
        }
        if self.last_bound.is_some_and(|last| last >= bound) {
            return Err(format!("le={le:?} comes behind a larger or equal one"));
        }
        if count < self.last_count {
            return Err(format!("the bucket le={le:?} has less than the one before"));
        }
        self.has_negative_bounds |= bound < 0.0;
        (self.last_bound, self.last_count) = (Some(bound), count);
        Ok(())
    }

    /// Checks a finished point of a histogram.
    fn check(&self, metric_type: MetricType) -> Checked {
        if !matches!(metric_type, MetricType::Histogram | MetricType::GaugeHistogram) || self.series.is_empty() {
            return Ok(());
        }
        let fail = |reason: &str| Err(format!("a histogram {reason}"));
        if self.last_bound != Some(f64::INFINITY) {
            return fail("has no bucket le=\"+Inf\"");
        }
        if self.count.is_some_and(|count| count.to_bits() != self.last_count.to_bits()) {
            return fail("has another count than its last bucket");
        }
        match (metric_type, self.sum, self.count) {
            (MetricType::Histogram, Some(_), _) if self.has_negative_bounds => {
                fail("with negative buckets must have no sum")
            }
            (MetricType::GaugeHistogram, Some(sum), _) if sum < 0.0 && !self.has_negative_bounds => {
                fail("without negative buckets has a negative sum")
            }
            (_, Some(_), None) => fail("has a sum but no count"),
            (MetricType::Histogram, None, Some(_)) if self.has_negative_bounds => Ok(()),
            (_, None, Some(_)) => fail("has a count but no sum"),
            _ => Ok(()),
        }
    }
}

fn check_exemplar(metric_type: MetricType, line: &SeriesLine<'_>, suffix: &str) -> Checked {
    let Some(exemplar) = &line.exemplar else { return Ok(()) };
    let is_allowed = match metric_type {
        MetricType::Counter => suffix == "_total",
        MetricType::Histogram | MetricType::GaugeHistogram => suffix == "_bucket",
        MetricType::Gauge | MetricType::Summary | MetricType::Info | MetricType::StateSet | MetricType::Unknown => {
            false
        }
    };
    if !is_allowed {
        return Err(format!("{:?} can have no exemplar", line.series));
    }
    exemplar.labels().map_err(|error| error.reason)?;
    let characters = exemplar.characters();
    if characters > EXEMPLAR_CHARACTERS_MAX {
        return Err(format!("an exemplar's labels have {characters} characters, more than {EXEMPLAR_CHARACTERS_MAX}"));
    }
    Ok(())
}

/// Characters of all names and values of an exemplar.
const EXEMPLAR_CHARACTERS_MAX: usize = 128;
