//! What a snapshot of the configuration says about a request. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;

/// How a path must look.
#[derive(Debug, Clone)]
pub(crate) enum PathRule {
    /// Exactly this.
    Exact(String),
    /// This, or this and more elements; without a trailing slash, so `/` is empty.
    Prefix(String),
    /// As this expression says, from beginning to end.
    Regex(Regex),
}

impl PathRule {
    /// Tells whether a path looks so.
    #[must_use]
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => {
                path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// Orders by how much a rule says; more comes first.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(path) => (2, path.len()),
            Self::Regex(regex) => (1, regex.as_str().len()),
            Self::Prefix(prefix) => (0, prefix.len()),
        }
    }
}

/// How a header's or query parameter's value must look.
#[derive(Debug, Clone)]
pub(crate) enum ValueRule {
    /// Exactly this.
    Exact(String),
    /// As this expression says, from beginning to end.
    Regex(Regex),
}

impl ValueRule {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Which requests a route is for.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    /// How the path looks.
    pub path: PathRule,
    /// The method, if it matters.
    pub method: Option<Method>,
    /// Headers that must be there.
    pub headers: Vec<(HeaderName, ValueRule)>,
    /// Query parameters that must be there.
    pub query: Vec<(String, ValueRule)>,
}

impl Matcher {
    fn matches(&self, request: &RequestView<'_>) -> bool {
        self.path.matches(request.path)
            && self.method.as_ref().is_none_or(|method| method == request.method)
            && self.headers.iter().all(|(name, rule)| {
                // Several lines of one header are one list (RFC 9110 §5.3).
                let mut values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                match (values.next(), values.next()) {
                    (Some(one), None) => rule.matches(one),
                    (Some(first), Some(second)) => {
                        let rest: Vec<&str> = [first, second].into_iter().chain(values).collect();
                        rule.matches(&rest.join(","))
                    }
                    (None, _) => false,
                }
            })
            && self
                .query
                .iter()
                .all(|(name, rule)| query_value(request.query, name).is_some_and(|value| rule.matches(&value)))
    }
}

/// Returns the first value of a query parameter, decoded.
fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// What a match is decided by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestView<'a> {
    /// The host, lowercase, without a port.
    pub host: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// Changes of headers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HeaderEdit {
    /// Replaced.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Added to what is there.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removed.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdit {
    /// Changes headers.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

/// A new path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NewPath {
    /// Wholly this.
    Full(String),
    /// This in place of the prefix that matched.
    Prefix(String),
}

impl NewPath {
    /// Returns the path that a matched path becomes.
    #[must_use]
    pub(crate) fn apply(&self, path: &str, matched: &PathRule) -> String {
        match (self, matched) {
            (Self::Full(full), _) => full.clone(),
            (Self::Prefix(new), PathRule::Prefix(prefix)) => {
                let rest = path.strip_prefix(prefix.as_str()).unwrap_or(path);
                let joined = format!("{}{rest}", new.trim_end_matches('/'));
                if joined.is_empty() { "/".to_owned() } else { joined }
            }
            (Self::Prefix(_), PathRule::Exact(_) | PathRule::Regex(_)) => path.to_owned(),
        }
    }
}

/// An answer that sends the client elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The new scheme; the request's when `None`.
    pub scheme: Option<String>,
    /// The new host; the request's when `None`.
    pub hostname: Option<String>,
    /// The new path; the request's when `None`.
    pub path: Option<NewPath>,
    /// The new port; see `location`.
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// What is done to requests and responses on their way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filters {
    /// Changes of the request's headers.
    pub request_headers: HeaderEdit,
    /// Changes of the response's headers.
    pub response_headers: HeaderEdit,
    /// Answers at once.
    pub redirect: Option<Redirect>,
    /// The host that the upstream sees.
    pub rewrite_host: Option<HeaderValue>,
    /// The path that the upstream sees.
    pub rewrite_path: Option<NewPath>,
    /// Backends that get a copy of requests without a body.
    pub mirrors: Vec<Mirror>,
}

/// A backend that gets a copy of some requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// An index into the snapshot's backends.
    pub backend: usize,
    /// How many of how many.
    pub share: (u32, u32),
}

impl Mirror {
    /// Tells whether a request is copied.
    #[must_use]
    pub(crate) fn takes(&self, random: u64) -> bool {
        random.checked_rem(u64::from(self.share.1)).is_some_and(|at| at < u64::from(self.share.0))
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The share among a route's targets.
    pub weight: u32,
    /// An index into the snapshot's backends, or how requests are answered as the reference is broken.
    pub backend: Result<usize, StatusCode>,
    /// An index into the snapshot's series.
    pub series: usize,
    /// What is done for this target alone.
    pub filters: Filters,
}

/// What happens to requests of a route.
#[derive(Debug)]
pub(crate) struct Action {
    /// What is done on the way.
    pub filters: Filters,
    /// Where requests go.
    pub targets: Vec<Target>,
    /// An index into the snapshot's series, for requests that reach no target.
    pub series: usize,
    /// Time for the whole request.
    pub request_timeout: Option<Duration>,
    /// Time for one try's response head.
    pub try_timeout: Option<Duration>,
}

/// What comes first among routes of the same host (Gateway API, HTTPRouteRule, "matches").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// Seconds; older comes first.
    pub created: i64,
    /// Namespace and name.
    pub name: String,
    /// Rule and match within the object.
    pub position: (usize, usize),
}

/// One way for requests.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// For which requests.
    pub matcher: Matcher,
    /// Decides between equals.
    pub origin: Origin,
    /// What happens.
    pub action: Arc<Action>,
}

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum HostRule {
    /// One host, lowercase.
    Exact(String),
    /// All below this suffix, which begins with a dot.
    Below {
        /// `.example.com`
        suffix: String,
        /// One label only, as Ingress has it; Gateway API lets any number match.
        one_label: bool,
    },
    /// All.
    Any,
}

impl HostRule {
    /// Reads `example.com`, `*.example.com` or nothing.
    #[must_use]
    pub(crate) fn parse(host: Option<&str>, one_label: bool) -> Self {
        match host.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "*") => Self::Any,
            Some(host) => match host.strip_prefix('*') {
                Some(suffix) => Self::Below { suffix: suffix.to_owned(), one_label },
                None => Self::Exact(host.to_owned()),
            },
        }
    }

    /// Orders by how much a rule says; more comes first.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(host) => (2, host.len()),
            Self::Below { suffix, .. } => (1, suffix.len()),
            Self::Any => (0, 0),
        }
    }

    /// Tells whether a host (lowercase) is meant.
    #[must_use]
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == host,
            Self::Below { suffix, one_label } => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|first| !first.is_empty() && (!one_label || !first.contains('.'))),
        }
    }

    /// Returns the hosts that both rules mean, if any.
    #[must_use]
    pub(crate) fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, one) | (one, Self::Any) => Some(one.clone()),
            (Self::Exact(host), rule) | (rule, Self::Exact(host)) => {
                rule.matches(host).then(|| Self::Exact(host.clone()))
            }
            (Self::Below { suffix: ours, .. }, Self::Below { suffix: theirs, .. }) => {
                if ours.ends_with(theirs.as_str()) {
                    Some(self.clone())
                } else if theirs.ends_with(ours.as_str()) {
                    Some(other.clone())
                } else {
                    None
                }
            }
        }
    }
}

/// All routes of one entrance, by listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerTable {
    /// The most specific first.
    listeners: Vec<(HostRule, HostTable)>,
}

impl ListenerTable {
    /// Orders listeners for finding. The fallback is that of the listener for all hosts.
    #[must_use]
    pub(crate) fn build(routes: BTreeMap<HostRule, Vec<(HostRule, Route)>>, mut fallback: Option<Arc<Action>>) -> Self {
        let mut listeners: Vec<(HostRule, HostTable)> = routes
            .into_iter()
            .map(|(host, routes)| {
                let fallback = if host == HostRule::Any { fallback.take() } else { None };
                (host, HostTable::build(routes, fallback))
            })
            .collect();
        if fallback.is_some() {
            listeners.push((HostRule::Any, HostTable::build(Vec::new(), fallback)));
        }
        listeners.sort_by_key(|(host, _)| std::cmp::Reverse(host.rank()));
        Self { listeners }
    }

    /// Returns the route of a request, with what matched its path. The most specific listener decides alone.
    #[must_use]
    pub(crate) fn find(&self, request: &RequestView<'_>) -> Option<(&Arc<Action>, Option<&PathRule>)> {
        let (_, hosts) = self.listeners.iter().find(|(host, _)| host.matches(request.host))?;
        hosts.find(request)
    }

    /// Tells whether there is nothing to find.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.iter().all(|(_, hosts)| hosts.is_empty())
    }
}

/// All routes of one listener, by host.
#[derive(Debug, Default)]
pub(crate) struct HostTable {
    exact: HashMap<String, Vec<Route>>,
    /// Longest suffix first.
    below: Vec<(HostRule, Vec<Route>)>,
    any: Vec<Route>,
    fallback: Option<Arc<Action>>,
}

impl HostTable {
    /// Orders routes for finding.
    #[must_use]
    pub(crate) fn build(routes: Vec<(HostRule, Route)>, fallback: Option<Arc<Action>>) -> Self {
        let mut by_host: BTreeMap<HostRule, Vec<Route>> = BTreeMap::new();
        for (host, route) in routes {
            by_host.entry(host).or_default().push(route);
        }
        let mut table = Self { fallback, ..Self::default() };
        for (host, mut routes) in by_host {
            routes.sort_by(compare);
            match host {
                HostRule::Exact(host) => drop(table.exact.insert(host, routes)),
                HostRule::Below { .. } => table.below.push((host, routes)),
                HostRule::Any => table.any = routes,
            }
        }
        table.below.sort_by_key(|(host, _)| std::cmp::Reverse(host.rank()));
        table
    }

    /// Returns the route of a request, with what matched its path. The most specific host decides alone.
    #[must_use]
    pub(crate) fn find(&self, request: &RequestView<'_>) -> Option<(&Arc<Action>, Option<&PathRule>)> {
        let routes = self
            .exact
            .get(request.host)
            .or_else(|| self.below.iter().find(|(host, _)| host.matches(request.host)).map(|(_, routes)| routes));
        let routes = routes.unwrap_or(&self.any);
        let found = routes.iter().find(|route| route.matcher.matches(request));
        found
            .map(|route| (&route.action, Some(&route.matcher.path)))
            .or_else(|| self.fallback.as_ref().map(|action| (action, None)))
    }

    /// Tells whether there is nothing to find.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty() && self.any.is_empty() && self.fallback.is_none()
    }
}

fn compare(a: &Route, b: &Route) -> std::cmp::Ordering {
    let rank = |route: &Route| {
        let matcher = &route.matcher;
        (matcher.path.rank(), matcher.method.is_some(), matcher.headers.len(), matcher.query.len())
    };
    rank(b).cmp(&rank(a)).then_with(|| a.origin.cmp(&b.origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 9] =
        ["root", "newer", "z-older", "query", "header", "method", "exact", "elsewhere", "fallback"];

    fn action(label: &str) -> Arc<Action> {
        Arc::new(Action {
            filters: Filters::default(),
            targets: Vec::new(),
            series: LABELS.iter().position(|one| *one == label).unwrap(),
            request_timeout: None,
            try_timeout: None,
        })
    }

    fn route(label: &str, path: PathRule) -> Route {
        let matcher = Matcher { path, method: None, headers: Vec::new(), query: Vec::new() };
        let origin = Origin { created: 0, name: label.to_owned(), position: (0, 0) };
        Route { matcher, origin, action: action(label) }
    }

    fn prefix(path: &str) -> PathRule {
        PathRule::Prefix(path.trim_end_matches('/').to_owned())
    }

    #[test]
    fn prefixes_match_by_element() {
        let table = [
            ("/", "/", true),
            ("/", "/foo", true),
            ("/foo", "/foo", true),
            ("/foo", "/foo/", true),
            ("/foo", "/foo/bar", true),
            ("/foo", "/foobar", false),
            ("/foo/", "/foo", true),
            ("/aaa/bb", "/aaa/bbb", false),
            ("/aaa/bbb/", "/aaa/bbb/ccc", true),
        ];
        for (rule, path, expected) in table {
            assert_eq!(prefix(rule).matches(path), expected, "{rule} {path}");
        }
    }

    #[test]
    fn hosts_match_and_intersect() {
        let below = |one_label| HostRule::parse(Some("*.Example.com"), one_label);
        assert!(below(true).matches("a.example.com") && !below(true).matches("a.b.example.com"));
        assert!(below(false).matches("a.b.example.com") && !below(false).matches("example.com"));
        let rule = |host| HostRule::parse(Some(host), false);
        assert_eq!(rule("*.example.com").intersect(&rule("a.example.com")), Some(rule("a.example.com")));
        assert_eq!(rule("*.example.com").intersect(&rule("*.a.example.com")), Some(rule("*.a.example.com")));
        assert_eq!(rule("*.example.com").intersect(&rule("example.com")), None);
        assert_eq!(HostRule::Any.intersect(&rule("x.y")), Some(rule("x.y")));
        assert_eq!(rule("a.b").intersect(&rule("a.c")), None);
    }

    #[test]
    fn the_most_specific_match_wins() {
        let mut with_method = route("method", prefix("/a"));
        with_method.matcher.method = Some(Method::POST);
        let mut with_header = route("header", prefix("/a"));
        with_header.matcher.headers = vec![(HeaderName::from_static("x-canary"), ValueRule::Exact("yes".to_owned()))];
        let mut with_query = route("query", prefix("/a"));
        with_query.matcher.query = vec![("v".to_owned(), ValueRule::Exact("a b".to_owned()))];
        let mut older = route("z-older", prefix("/a"));
        older.origin.created = -1;
        let host = HostRule::Exact("shop.example".to_owned());
        let any = |route| (host.clone(), route);
        let table = HostTable::build(
            vec![
                any(route("root", prefix("/"))),
                any(route("newer", prefix("/a"))),
                any(older),
                any(with_query),
                any(with_header),
                any(with_method),
                any(route("exact", PathRule::Exact("/a/b".to_owned()))),
                (HostRule::Any, route("elsewhere", prefix("/only"))),
            ],
            Some(action("fallback")),
        );
        let ask = |host, method: &Method, path, query, canary: bool| {
            let mut headers = HeaderMap::new();
            if canary {
                headers.insert("x-canary", HeaderValue::from_static("yes"));
            }
            let request = RequestView { host, path, query, method, headers: &headers };
            LABELS[table.find(&request).unwrap().0.series]
        };
        let shop = "shop.example";
        assert_eq!(ask(shop, &Method::GET, "/a/b", "", true), "exact");
        assert_eq!(ask(shop, &Method::POST, "/a/c", "", true), "method");
        assert_eq!(ask(shop, &Method::GET, "/a/c", "", true), "header");
        assert_eq!(ask(shop, &Method::GET, "/a/c", "x=1&v=a%20b", false), "query");
        assert_eq!(ask(shop, &Method::GET, "/a", "v=a+b", false), "query");
        assert_eq!(ask(shop, &Method::GET, "/a", "v=%zz%", false), "z-older");
        assert_eq!(ask(shop, &Method::GET, "/b", "", false), "root");
        assert_eq!(ask("other.example", &Method::GET, "/only/this", "", false), "elsewhere");
        assert_eq!(ask("other.example", &Method::GET, "/b", "", false), "fallback");
    }

    #[test]
    fn prefixes_are_replaced_cleanly() {
        let table = [
            ("/api", "/v2", "/api/x", "/v2/x"),
            ("/api", "/", "/api/x", "/x"),
            ("/api", "/", "/api", "/"),
            ("/api", "", "/api/", "/"),
            ("/", "/v2", "/x", "/v2/x"),
            ("/", "/v2/", "/", "/v2/"),
        ];
        for (matched, new, path, expected) in table {
            assert_eq!(
                NewPath::Prefix(new.to_owned()).apply(path, &prefix(matched)),
                expected,
                "{matched} {new} {path}"
            );
        }
    }
}
