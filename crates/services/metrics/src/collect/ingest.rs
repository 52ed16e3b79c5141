//! From a target's answer to samples.
//!
//! A target shows the same series in the same order time after time. So the table keeps the lines' beginnings in their order:
//! what a scrape costs is a comparison of bytes and a number for each line. What is new is looked up, relabeled and remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use maru_monitoring::relabel;
use maru_monitoring::scrape::{LabelConflict, ScrapeConfig};
use maru_prom::exposition::{
    CreatedLines, Dialect, Entry as Line, FamilyValue, Format, SeriesLine, TextParser, decode_families,
    is_legacy_metric_name,
};
use maru_prom::{Exemplar, Histogram, Labels, METRIC_NAME, Metadata, stale_marker};
use maru_series::{Appender, SeriesRef};

/// Seconds after which a series is looked up again: the store forgets those that have had nothing for long.
const REFRESH_SECONDS: i64 = 600;
/// Exemplars longer than this are not kept (OpenMetrics 1.0, "Exemplars").
const EXEMPLAR_CHARACTERS_MAX: usize = 128;
/// Metrics of one target whose metadata is remembered.
const METADATA_MAX: usize = 10_000;

/// How samples become series.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) target: Labels,
}

/// What is remembered of one series.
#[derive(Debug)]
struct Known {
    /// Name and labels as the target writes them; labels as bytes in protobuf.
    line: Box<str>,
    /// `None`: relabeling drops it.
    series: Option<SeriesRef>,
    /// When it was looked up, in seconds since 1970.
    looked_up: i64,
    /// The scrape that it was seen in last.
    seen: u64,
    /// Its place in that scrape.
    place: usize,
    /// Whether it ends when it is not shown any more.
    ends: bool,
}

/// What a target has shown.
#[derive(Debug, Default)]
pub(crate) struct Table {
    known: Vec<Known>,
    /// Places of `known` that are free.
    free: Vec<usize>,
    /// The last scrape's series in their order.
    order: Vec<usize>,
    /// By the line's hash.
    index: HashMap<u64, usize>,
    hasher: RandomState,
    scrape: u64,
    metadata: HashMap<String, Metadata>,
    /// The series about the scrapes themselves.
    reports: Vec<SeriesRef>,
    reports_looked_up: i64,
}

/// What a scrape brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) scraped: usize,
    pub(crate) kept: usize,
    pub(crate) added: usize,
}

/// A scrape on its way into the store.
struct Work<'a> {
    table: &'a mut Table,
    rules: &'a Rules,
    appender: &'a mut Appender,
    timestamp_ms: i64,
    now_s: i64,
    counts: Counts,
    /// The order of this scrape, once it differs from the last one's.
    order: Option<Vec<usize>>,
    /// Where in the last scrape's order we are.
    cursor: usize,
}

impl Table {
    /// Takes in what a target answered. Nothing is committed; on an error the caller rolls back.
    pub(crate) fn take(
        &mut self,
        rules: &Rules,
        appender: &mut Appender,
        body: &[u8],
        format: Format,
        timestamp_ms: i64,
    ) -> Result<Counts, (Counts, String)> {
        self.scrape += 1;
        let now_s = timestamp_ms.div_euclid(1000);
        let mut work = Work {
            table: self,
            rules,
            appender,
            timestamp_ms,
            now_s,
            counts: Counts::default(),
            order: None,
            cursor: 0,
        };
        let taken = match format {
            Format::Text => work.text(body, Dialect::Prometheus),
            Format::OpenMetrics => work.text(body, Dialect::OpenMetrics),
            Format::Protobuf => work.families(body),
        };
        match taken {
            Ok(()) => Ok(work.finish()),
            Err(why) => Err((work.counts, why)),
        }
    }

    /// Ends all series of the last scrape.
    pub(crate) fn end_all(&mut self, appender: &mut Appender, timestamp_ms: i64) {
        for known in &self.known {
            if let (Some(series), true) = (known.series, known.ends && known.seen > 0) {
                appender.append(series, timestamp_ms, stale_marker());
            }
        }
        *self = Self { scrape: self.scrape, reports: std::mem::take(&mut self.reports), ..Self::default() };
    }

    /// Adds the numbers about a scrape itself.
    pub(crate) fn report(
        &mut self,
        rules: &Rules,
        appender: &mut Appender,
        timestamp_ms: i64,
        values: impl Iterator<Item = (&'static str, f64)>,
    ) {
        let now_s = timestamp_ms.div_euclid(1000);
        let is_fresh = !self.reports.is_empty() && now_s - self.reports_looked_up < REFRESH_SECONDS;
        if !is_fresh {
            self.reports.clear();
            self.reports_looked_up = now_s;
        }
        for (place, (name, value)) in values.enumerate() {
            let series = match self.reports.get(place) {
                Some(series) => *series,
                None => {
                    let labels = rules.target.to_builder().set(METRIC_NAME, name).build();
                    let series = appender.series(&labels);
                    self.reports.push(series);
                    series
                }
            };
            appender.append(series, timestamp_ms, value);
        }
    }

    /// Returns what the target says about its metrics, sorted by name.
    pub(crate) fn metadata(&self) -> Vec<(String, Metadata)> {
        let mut all: Vec<_> = self.metadata.iter().map(|(name, metadata)| (name.clone(), metadata.clone())).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }

    fn find(&self, line: &str) -> (u64, Option<usize>) {
        let hash = self.hasher.hash_one(line);
        let found = self.index.get(&hash).copied();
        (hash, found.filter(|id| self.known.get(*id).is_some_and(|known| &*known.line == line)))
    }

    fn remember(&mut self, hash: u64, known: Known) -> usize {
        let id = match self.free.pop() {
            Some(id) => {
                self.known[id] = known;
                id
            }
            None => {
                self.known.push(known);
                self.known.len() - 1
            }
        };
        self.index.insert(hash, id);
        id
    }
}

impl Work<'_> {
    fn text(&mut self, body: &[u8], dialect: Dialect) -> Result<(), String> {
        let mut parser = TextParser::new(body, dialect, CreatedLines::Series).map_err(|error| error.to_string())?;
        loop {
            while let Some(id) = self.table.order.get(self.cursor).copied() {
                let Some(known) = self.table.known.get_mut(id) else { break };
                let line = parser.next_of(&known.line).map_err(|error| error.to_string())?;
                let Some(line) = line else { break };
                self.cursor += 1;
                self.sample(id, &line)?;
            }
            match parser.next_entry().map_err(|error| error.to_string())? {
                None => return Ok(()),
                Some(Line::Series(line)) => {
                    let id = self.look_up(line.series, || line.labels().map_err(|error| error.to_string()))?;
                    self.sample(id, &line)?;
                }
                Some(Line::Type { family, metric_type }) => {
                    self.says(&family, |metadata| &mut metadata.metric_type, metric_type);
                }
                Some(Line::Help { family, help }) => self.says_text(&family, |metadata| &mut metadata.help, &help),
                Some(Line::Unit { family, unit }) => self.says_text(&family, |metadata| &mut metadata.unit, unit),
                Some(Line::Comment(_)) => {}
            }
        }
    }

    fn says<T: PartialEq>(&mut self, family: &str, field: impl Fn(&mut Metadata) -> &mut T, value: T) {
        let has_room = self.table.metadata.len() < METADATA_MAX;
        if let Some(known) = self.table.metadata.get_mut(family) {
            if *field(known) != value {
                *field(known) = value;
                self.appender.metadata(family, known.clone());
            }
        } else if has_room {
            let mut metadata = Metadata::default();
            *field(&mut metadata) = value;
            self.appender.metadata(family, metadata.clone());
            self.table.metadata.insert(family.to_owned(), metadata);
        }
    }

    fn says_text(&mut self, family: &str, field: impl Fn(&mut Metadata) -> &mut String, value: &str) {
        if self.table.metadata.get_mut(family).is_none_or(|known| *field(known) != value) {
            self.says(family, field, value.to_owned());
        }
    }

    /// Finds a series that is not the one expected next, or makes it.
    fn look_up(&mut self, line: &str, labels: impl FnOnce() -> Result<Labels, String>) -> Result<usize, String> {
        // From here on the order is another one.
        if self.order.is_none() {
            self.order = Some(self.table.order.get(..self.cursor).unwrap_or_default().to_vec());
        }
        let (hash, found) = self.table.find(line);
        if let Some(id) = found {
            let known = &self.table.known[id];
            if known.seen + 1 == self.table.scrape && self.table.order.get(known.place) == Some(&id) {
                self.cursor = known.place + 1;
            }
            return Ok(id);
        }
        let series = self.series(labels()?)?;
        self.counts.added += usize::from(series.is_some());
        let known = Known { line: line.into(), series, looked_up: self.now_s, seen: 0, place: 0, ends: false };
        Ok(self.table.remember(hash, known))
    }

    /// Returns the series that a sample's labels stand for; `None` when relabeling drops it.
    fn series(&mut self, labels: Labels) -> Result<Option<SeriesRef>, String> {
        let config = &self.rules.config;
        let mut builder = labels.to_builder();
        match config.conflict {
            LabelConflict::SampleWins => {
                for (name, value) in self.rules.target.iter() {
                    if builder.get(name).is_none() {
                        builder.set(name, value);
                    }
                }
            }
            LabelConflict::TargetWins => {
                let mut moved = Vec::new();
                for (name, value) in self.rules.target.iter() {
                    if let Some(own) = builder.get(name) {
                        moved.push((name.to_owned(), own.to_owned()));
                    }
                    builder.set(name, value);
                }
                for (name, own) in moved {
                    let mut renamed = format!("exported_{name}");
                    while builder.get(&renamed).is_some() {
                        renamed.insert_str(0, "exported_");
                    }
                    builder.set(&renamed, &own);
                }
            }
        }
        if !relabel::apply(&mut builder, &config.metric_relabel) {
            return Ok(None);
        }
        let labels = builder.build();
        if labels.metric_name().is_empty() {
            return Err("a sample has no metric name (__name__ label) after relabeling".to_owned());
        }
        if config.legacy_names && !is_legacy_metric_name(labels.metric_name()) {
            return Err(format!("the metric name {:?} is no legacy name", labels.metric_name()));
        }
        self.judge(&labels)?;
        Ok(Some(self.appender.series(&labels)))
    }

    /// Refuses labels beyond the job's limits.
    fn judge(&self, labels: &Labels) -> Result<(), String> {
        let limits = &self.rules.config.limits;
        let metric = labels.metric_name();
        if let Some(limit) = limits.labels
            && labels.len() > limit
        {
            return Err(format!(
                "label_limit exceeded (metric: {metric:?}, number of labels: {}, limit: {limit})",
                labels.len()
            ));
        }
        for (name, value) in labels.iter() {
            if let Some(limit) = limits.label_name_length.filter(|limit| name.len() > *limit) {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric:?}, label name: {name:?}, limit: {limit})"
                ));
            }
            if let Some(limit) = limits.label_value_length.filter(|limit| value.len() > *limit) {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric:?}, label name: {name:?}, limit: {limit})"
                ));
            }
        }
        Ok(())
    }

    /// Counts a series as seen; returns where its sample goes.
    fn see(&mut self, id: usize, has_own_time: bool) -> Result<Option<SeriesRef>, String> {
        let track = self.rules.config.timestamps.track_staleness;
        let place = match &mut self.order {
            Some(order) => {
                order.push(id);
                order.len() - 1
            }
            None => self.cursor.saturating_sub(1),
        };
        self.counts.scraped += 1;
        let known = &mut self.table.known[id];
        known.seen = self.table.scrape;
        known.place = place;
        known.ends = !has_own_time || track;
        if known.series.is_some() {
            self.counts.kept += 1;
            if let Some(limit) = self.rules.config.limits.samples.filter(|limit| self.counts.kept > *limit) {
                return Err(format!("sample limit exceeded: the target shows more than {limit} samples"));
            }
        }
        Ok(known.series)
    }

    fn sample(&mut self, id: usize, line: &SeriesLine<'_>) -> Result<(), String> {
        if self.now_s - self.table.known[id].looked_up >= REFRESH_SECONDS {
            let labels = line.labels().map_err(|error| error.to_string())?;
            self.table.known[id].series = self.series(labels)?;
            self.table.known[id].looked_up = self.now_s;
        }
        let own = line.timestamp_ms.filter(|_| self.rules.config.timestamps.honor);
        let Some(series) = self.see(id, own.is_some())? else { return Ok(()) };
        let timestamp_ms = own.unwrap_or(self.timestamp_ms);
        self.appender.append_with_start(series, timestamp_ms, line.value, line.start_timestamp_ms.unwrap_or_default());
        if let Some(exemplar) = &line.exemplar
            && exemplar.characters() <= EXEMPLAR_CHARACTERS_MAX
        {
            let labels = exemplar.labels().map_err(|error| error.to_string())?;
            let timestamp_ms = exemplar.timestamp_ms.unwrap_or(timestamp_ms);
            self.appender.append_exemplar(series, Exemplar { labels, value: exemplar.value, timestamp_ms });
        }
        Ok(())
    }

    fn families(&mut self, body: &[u8]) -> Result<(), String> {
        let rules = self.rules.config.histograms;
        for family in decode_families(body, rules.always_classic || !rules.scrape_native) {
            let family = family.map_err(|error| error.to_string())?;
            self.says(&family.name, |metadata| &mut metadata.metric_type, family.metric_type);
            self.says_text(&family.name, |metadata| &mut metadata.help, &family.help);
            self.says_text(&family.name, |metadata| &mut metadata.unit, &family.unit);
            for sample in &family.samples {
                if matches!(sample.value, FamilyValue::Histogram(_)) && !rules.scrape_native {
                    continue;
                }
                let key = sample.labels.key();
                let next = self.table.order.get(self.cursor).copied();
                let id = match next.filter(|id| &*self.table.known[*id].line == key) {
                    Some(id) => {
                        self.cursor += 1;
                        id
                    }
                    None => self.look_up(key, || Ok(sample.labels.clone()))?,
                };
                if self.now_s - self.table.known[id].looked_up >= REFRESH_SECONDS {
                    self.table.known[id].series = self.series(sample.labels.clone())?;
                    self.table.known[id].looked_up = self.now_s;
                }
                let own = sample.timestamp_ms.filter(|_| self.rules.config.timestamps.honor);
                let Some(series) = self.see(id, own.is_some())? else { continue };
                let timestamp_ms = own.unwrap_or(self.timestamp_ms);
                let start_ms = sample.start_timestamp_ms.unwrap_or_default();
                match &sample.value {
                    FamilyValue::Float(value) => {
                        self.appender.append_with_start(series, timestamp_ms, *value, start_ms)
                    }
                    FamilyValue::Histogram(histogram) => {
                        let histogram = self.limited(histogram)?;
                        self.appender.append_histogram_with_start(series, timestamp_ms, &histogram, start_ms);
                    }
                }
                for exemplar in &sample.exemplars {
                    let mut exemplar = exemplar.clone();
                    if exemplar.timestamp_ms == 0 {
                        exemplar.timestamp_ms = timestamp_ms;
                    }
                    self.appender.append_exemplar(series, exemplar);
                }
            }
        }
        Ok(())
    }

    /// Makes a histogram coarser until it has as few buckets as the job wants.
    fn limited(&self, histogram: &Histogram) -> Result<Histogram, String> {
        let mut histogram = histogram.clone();
        let factor = self.rules.config.histograms.min_bucket_factor;
        if factor > 1.0 && !histogram.has_custom_buckets() {
            // Schema n has buckets with the factor 2^(2^-n).
            let schema = (-8..=8).rev().find(|schema: &i32| (2.0_f64).powf((-f64::from(*schema)).exp2()) >= factor);
            let wanted = schema.unwrap_or(-4).max(-4);
            if wanted < histogram.schema {
                histogram.reduce_to_schema(wanted).map_err(|error| error.to_string())?;
            }
        }
        let Some(limit) = self.rules.config.limits.histogram_buckets else { return Ok(histogram) };
        while histogram.positive_buckets.len() + histogram.negative_buckets.len() > limit {
            if histogram.has_custom_buckets() || histogram.schema <= -4 {
                return Err(format!("histogram bucket limit exceeded: more than {limit} buckets"));
            }
            let schema = histogram.schema - 1;
            histogram.reduce_to_schema(schema).map_err(|error| error.to_string())?;
        }
        Ok(histogram)
    }

    /// Ends series that were there in the scrape before and are not in this one.
    fn finish(self) -> Counts {
        let Self { table, appender, timestamp_ms, counts, order, cursor, .. } = self;
        let is_same = order.is_none() && cursor == table.order.len();
        if is_same {
            return counts;
        }
        match order {
            Some(order) => table.order = order,
            None => table.order.truncate(cursor),
        }
        for (id, known) in table.known.iter_mut().enumerate() {
            if known.seen == table.scrape || known.seen == 0 {
                continue;
            }
            if let (Some(series), true) = (known.series, known.ends) {
                appender.append(series, timestamp_ms, stale_marker());
            }
            let hash = table.hasher.hash_one(&*known.line);
            if table.index.get(&hash) == Some(&id) {
                table.index.remove(&hash);
            }
            known.line = "".into();
            known.seen = 0;
            known.series = None;
            table.free.push(id);
        }
        counts
    }
}
