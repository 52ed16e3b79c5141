//! Targets: label sets that became addresses.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use maru_monitoring::relabel;
use maru_monitoring::scrape::{ScrapeConfig, TargetGroup, format_duration, parse_duration};
use maru_prom::{Labels, LabelsBuilder};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// Slots that an interval has at least.
const SLOTS_MIN: u32 = 100;
/// A slot of a long interval.
const SLOT_MAX: Duration = Duration::from_millis(100);

/// What is scraped, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What discovery said.
    pub(crate) discovered: Labels,
    /// The labels of its samples.
    pub(crate) labels: Labels,
    /// The whole address.
    pub(crate) url: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Target {
    /// Tells targets apart: what discovery said besides does not count.
    pub(crate) fn key(&self) -> (Labels, String, Duration, Duration) {
        (self.labels.clone(), self.url.clone(), self.interval, self.timeout)
    }

    /// Returns when in each interval it is its turn: the same after each start, and spread over all targets. Turns fall into slots,
    /// so that a thousand targets wake the machine a hundred times in five seconds, not a thousand times.
    pub(crate) fn offset(&self, interval: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.labels.key(), &self.url).hash(&mut hasher);
        let slot = (interval / SLOTS_MIN).clamp(Duration::from_millis(1), SLOT_MAX);
        let slots = u32::try_from(interval.as_nanos() / slot.as_nanos()).unwrap_or(u32::MAX).max(1);
        let nth = hasher.finish() % u64::from(slots);
        slot * u32::try_from(nth).unwrap_or_default()
    }
}

/// What became of a label set.
#[derive(Debug)]
pub(crate) enum Made {
    Target(Box<Target>),
    Dropped(Labels),
    Wrong(String),
}

/// Returns the label set that a target has before it is relabeled.
pub(crate) fn discovered(config: &ScrapeConfig, group: &TargetGroup, own: &Labels) -> LabelsBuilder {
    let mut builder = own.to_builder();
    for (name, value) in group.labels.iter() {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    let mut default = |name: &str, value: &str| {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    };
    default("job", &config.job_name);
    default("__scrape_interval__", &format_duration(config.scrape_interval));
    default("__scrape_timeout__", &format_duration(config.scrape_timeout));
    default("__metrics_path__", &config.metrics_path);
    default("__scheme__", &config.scheme);
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            default(&format!("__param_{name}"), first);
        }
    }
    builder
}

/// Makes a target of a label set.
pub(crate) fn make(config: &ScrapeConfig, group: &TargetGroup, own: &Labels) -> Made {
    let mut builder = discovered(config, group, own);
    let before = builder.build();
    if !relabel::apply(&mut builder, &config.relabel) {
        return Made::Dropped(before);
    }
    match finish(config, &mut builder, before) {
        Ok(target) => Made::Target(Box::new(target)),
        Err(why) => Made::Wrong(why),
    }
}

fn finish(config: &ScrapeConfig, builder: &mut LabelsBuilder, before: Labels) -> Result<Target, String> {
    let address = builder.get("__address__").unwrap_or_default().to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains(['/', '?', '#', ' ', '@']) {
        return Err(format!("\"{address}\" is no host and port"));
    }
    let time = |name: &str| -> Result<Duration, String> {
        let text = builder.get(name).unwrap_or_default();
        let duration = parse_duration(text).map_err(|why| format!("{name} \"{text}\": {why}"))?;
        if duration.is_zero() { Err(format!("{name} is 0")) } else { Ok(duration) }
    };
    let (interval, timeout) = (time("__scrape_interval__")?, time("__scrape_timeout__")?);
    if timeout > interval {
        return Err("the scrape timeout is longer than the scrape interval".to_owned());
    }
    let scheme = builder.get("__scheme__").unwrap_or("http").to_owned();
    if !matches!(scheme.as_str(), "http" | "https") && scheme != config.scheme {
        return Err(format!("the scheme \"{scheme}\" is neither http nor https"));
    }
    if builder.get("instance").is_none() {
        builder.set("instance", &address);
    }
    let all = builder.build();
    let url = url(config, &all, &scheme, &address);
    let labels = all.filtered(|name| !name.starts_with("__"));
    Ok(Target { discovered: before, labels, url, interval, timeout })
}

/// What a path may hold as it is.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#').add(b'{').add(b'}').add(b'%');
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn url(config: &ScrapeConfig, labels: &Labels, scheme: &str, address: &str) -> String {
    let mut params: Vec<(String, Vec<String>)> = config.params.clone();
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix("__param_") else { continue };
        match params.iter_mut().find(|(own, _)| own == name) {
            Some((_, values)) => match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            },
            None => params.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort();
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs: Vec<String> = params
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{}={}", encode(name), encode(value))))
        .collect();
    let (path, own_query) = match labels.get("__metrics_path__").unwrap_or_default().split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (labels.get("__metrics_path__").unwrap_or_default(), None),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut url = format!("{scheme}://{address}{slash}{}", utf8_percent_encode(path, PATH));
    for (index, part) in own_query.into_iter().map(str::to_owned).chain(pairs).enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(&part);
    }
    url
}

#[cfg(test)]
mod tests {
    use maru_monitoring::relabel::RelabelRule;
    use maru_monitoring::scrape::Global;

    use super::*;

    #[test]
    fn labels_become_an_address() {
        let mut config = ScrapeConfig::new("job", &Global::default());
        config.params = vec![("module".to_owned(), vec!["http 2xx".to_owned()])];
        config.relabel = vec![
            RelabelRule::replace(&["__address__"], "(.*)", "__param_target", "$1").unwrap(),
            RelabelRule::replace(&["__param_target"], "(.*)", "instance", "$1").unwrap(),
            RelabelRule::replace(&[], "(.*)", "__address__", "probe:9115").unwrap(),
        ];
        let own = Labels::from_pairs([("__address__", "a.example:80"), ("x", "y")]);
        let Made::Target(target) = make(&config, &TargetGroup::default(), &own) else { panic!("it is a target") };
        assert_eq!(target.url, "http://probe:9115/metrics?module=http%202xx&target=a.example%3A80");
        assert_eq!(target.labels, Labels::from_pairs([("instance", "a.example:80"), ("job", "job"), ("x", "y")]));
        let nothing =
            make(&config, &TargetGroup::default(), &Labels::from_pairs([("__scheme__", "ftp"), ("__address__", "h")]));
        assert!(matches!(nothing, Made::Wrong(_)), "{nothing:?}");
    }
    #[test]
    fn turns_are_spread_over_slots_of_the_interval() {
        let config = ScrapeConfig::new("job", &Global::default());
        let target = |nth: u32| {
            let own = Labels::from_pairs([("__address__", format!("target-{nth}:80"))]);
            let Made::Target(target) = make(&config, &TargetGroup::default(), &own) else { panic!("it is a target") };
            target
        };
        let targets: Vec<_> = (0..1000).map(target).collect();
        for (seconds, slot_ms, slots) in [(5, 50, 100), (15, 100, 150), (60, 100, 600)] {
            let interval = Duration::from_secs(seconds);
            let turns: Vec<u128> = targets.iter().map(|one| one.offset(interval).as_millis()).collect();
            assert!(turns.iter().all(|turn| turn % slot_ms == 0 && *turn < interval.as_millis()), "{seconds} s");
            let used = turns.iter().collect::<std::collections::BTreeSet<_>>().len();
            assert!(used > slots / 2, "{used} of {slots} slots");
        }
        // Intervals below a slot's least length have one turn.
        assert_eq!(targets.iter().map(|one| one.offset(Duration::from_micros(500))).max(), Some(Duration::ZERO));
    }
}
