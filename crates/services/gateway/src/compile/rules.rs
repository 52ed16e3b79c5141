//! The rules of routes: matches, filters, backends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use kube::core::ObjectMeta;
use regex::{Regex, RegexBuilder};

use crate::inputs::{Index, PortName, Referrer, text};
use crate::kinds::{
    BackendRef, GROUP, GrpcMatch, GrpcRule, HeaderModifier, HttpFilter, HttpMatch, HttpRule, PathModifier, ValueMatch,
};
use crate::table::{Action, Filters, HeaderEdit, Matcher, Mirror, NewPath, PathRule, Redirect, Target, ValueRule};

/// Bytes that a compiled expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The rules of one route.
#[derive(Default)]
pub(super) struct Compiled {
    pub routes: Vec<(Matcher, Arc<Action>, (usize, usize))>,
    /// Why the route is not accepted.
    pub problem: Option<String>,
    /// The first reference that is broken, with its reason.
    pub broken_reference: Option<(&'static str, String)>,
    /// Namespace and name of the Services that it leads to.
    pub services: BTreeSet<(String, String)>,
}

/// Compiles the rules of one route.
pub(super) struct Compiler<'a, 'b> {
    kind: &'static str,
    namespace: &'a str,
    /// What requests are counted under.
    label: String,
    /// How much of the label names the route; a rule's name stands behind it.
    route_bytes: usize,
    index: &'a mut Index<'b>,
    compiled: Compiled,
}

impl<'a, 'b> Compiler<'a, 'b> {
    pub(super) fn new(kind: &'static str, metadata: &'a ObjectMeta, index: &'a mut Index<'b>) -> Self {
        let namespace = text(metadata.namespace.as_ref());
        let label = format!("{}/{namespace}/{}", kind.to_lowercase(), text(metadata.name.as_ref()));
        Self { kind, namespace, route_bytes: label.len(), label, index, compiled: Compiled::default() }
    }

    /// Has what follows counted under the rule's own name, when it has one.
    fn enter(&mut self, rule: Option<&String>) {
        self.label.truncate(self.route_bytes);
        if let Some(rule) = rule {
            self.label.push('/');
            self.label.push_str(rule);
        }
    }

    fn problem(&mut self, message: String) {
        self.compiled.problem.get_or_insert(message);
    }

    fn broken(&mut self, reason: &'static str, message: String) -> StatusCode {
        self.compiled.broken_reference.get_or_insert((reason, message));
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn backend(&mut self, reference: &BackendRef) -> Result<usize, StatusCode> {
        let name = reference.name.as_str();
        let group = reference.group.as_deref().unwrap_or_default();
        let kind = reference.kind.as_deref().unwrap_or("Service");
        if !group.is_empty() || kind != "Service" {
            return Err(self.broken("InvalidKind", format!("a backend of kind \"{kind}\" is not supported")));
        }
        let namespace = reference.namespace.as_deref().unwrap_or(self.namespace);
        if !self.index.is_granted((GROUP, self.kind, self.namespace), ("", "Service"), namespace, name) {
            let message = format!("no ReferenceGrant lets this route use the Service \"{namespace}/{name}\"");
            return Err(self.broken("RefNotPermitted", message));
        }
        let Some(port) = reference.port else {
            return Err(self.broken("BackendNotFound", format!("the reference to \"{namespace}/{name}\" has no port")));
        };
        let referrer = if self.kind == "GRPCRoute" { Referrer::GrpcRoute } else { Referrer::HttpRoute };
        self.compiled.services.insert((namespace.to_owned(), name.to_owned()));
        self.index
            .backend(namespace, name, PortName::Number(port), referrer)
            .map_err(|problem| self.broken("BackendNotFound", problem.message(namespace, name)))
    }

    fn target(&mut self, reference: &BackendRef) -> Target {
        let backend = self.backend(reference);
        let service = backend.map_or_else(|_| "none".into(), |backend| self.index.label_of(backend));
        Target {
            weight: reference.weight.unwrap_or(1),
            backend,
            series: self.index.series(&self.label, &service),
            filters: self.filters(&reference.filters),
        }
    }

    fn action(&mut self, filters: &[HttpFilter], backends: &[BackendRef]) -> Action {
        Action {
            filters: self.filters(filters),
            targets: backends.iter().map(|reference| self.target(reference)).collect(),
            series: self.index.series(&self.label, "none"),
            request_timeout: None,
            try_timeout: None,
        }
    }

    fn filters(&mut self, filters: &[HttpFilter]) -> Filters {
        let mut compiled = Filters::default();
        for filter in filters {
            match filter.kind.as_str() {
                "RequestHeaderModifier" => {
                    compiled.request_headers = self.header_edit(filter.request_header_modifier.as_ref());
                }
                "ResponseHeaderModifier" => {
                    compiled.response_headers = self.header_edit(filter.response_header_modifier.as_ref());
                }
                "RequestRedirect" => compiled.redirect = self.redirect(filter),
                "URLRewrite" => {
                    let rewrite = filter.url_rewrite.clone().unwrap_or_default();
                    compiled.rewrite_path = self.new_path(rewrite.path.as_ref());
                    compiled.rewrite_host = rewrite.hostname.and_then(|host| HeaderValue::try_from(host).ok());
                }
                "RequestMirror" => {
                    let mirror = filter.request_mirror.clone().unwrap_or_default();
                    if let Ok(backend) = self.backend(&mirror.backend_ref) {
                        let share = match (mirror.percent, mirror.fraction) {
                            (Some(percent), _) => (percent, 100),
                            (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
                            (None, None) => (1, 1),
                        };
                        compiled.mirrors.push(Mirror { backend, share });
                    }
                }
                other => self.problem(format!("the filter \"{other}\" is not supported")),
            }
        }
        compiled
    }

    fn header_edit(&mut self, modifier: Option<&HeaderModifier>) -> HeaderEdit {
        let mut edit = HeaderEdit::default();
        let Some(modifier) = modifier else { return edit };
        for (from, to) in [(&modifier.set, &mut edit.set), (&modifier.add, &mut edit.add)] {
            for header in from {
                match (HeaderName::try_from(&header.name), HeaderValue::try_from(&header.value)) {
                    (Ok(name), Ok(value)) => to.push((name, value)),
                    _ => self.problem(format!("\"{}\" is not a header", header.name)),
                }
            }
        }
        edit.remove = modifier.remove.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect();
        edit
    }

    fn redirect(&mut self, filter: &HttpFilter) -> Option<Redirect> {
        let redirect = filter.request_redirect.clone().unwrap_or_default();
        let status = StatusCode::from_u16(redirect.status_code.unwrap_or(302)).ok();
        let Some(status) = status.filter(StatusCode::is_redirection) else {
            self.problem("a redirect needs a status of 3xx".to_owned());
            return None;
        };
        let path = self.new_path(redirect.path.as_ref());
        Some(Redirect { scheme: redirect.scheme, hostname: redirect.hostname, path, port: redirect.port, status })
    }

    fn new_path(&mut self, modifier: Option<&PathModifier>) -> Option<NewPath> {
        let modifier = modifier?;
        match modifier.kind.as_str() {
            "ReplaceFullPath" => Some(NewPath::Full(modifier.replace_full_path.clone().unwrap_or_default())),
            "ReplacePrefixMatch" => Some(NewPath::Prefix(modifier.replace_prefix_match.clone().unwrap_or_default())),
            other => {
                self.problem(format!("the path modifier \"{other}\" is not supported"));
                None
            }
        }
    }

    fn regex(&mut self, expression: &str) -> Option<Regex> {
        let whole = format!("^(?:{expression})$");
        let built = RegexBuilder::new(&whole).size_limit(REGEX_BYTES_MAX).build();
        built.map_err(|_| self.problem(format!("\"{expression}\" is not a regular expression"))).ok()
    }

    fn value_rule(&mut self, rule: &ValueMatch) -> Option<ValueRule> {
        match rule.kind.as_deref() {
            None | Some("Exact") => Some(ValueRule::Exact(rule.value.clone())),
            Some("RegularExpression") => self.regex(&rule.value).map(ValueRule::Regex),
            Some(other) => {
                self.problem(format!("the match type \"{other}\" is not supported"));
                None
            }
        }
    }

    fn header_rules(&mut self, rules: &[ValueMatch]) -> Option<Vec<(HeaderName, ValueRule)>> {
        let mut compiled: Vec<(HeaderName, ValueRule)> = Vec::new();
        for rule in rules {
            let name = HeaderName::try_from(&rule.name).ok()?;
            // Only the first of equal names counts.
            if !compiled.iter().any(|(known, _)| *known == name) {
                compiled.push((name, self.value_rule(rule)?));
            }
        }
        Some(compiled)
    }

    fn http_matcher(&mut self, rule: &HttpMatch) -> Option<Matcher> {
        let path = rule.path.clone().unwrap_or_default();
        let value = path.value.unwrap_or_else(|| "/".to_owned());
        let path = match path.kind.as_deref() {
            None | Some("PathPrefix") => PathRule::Prefix(value.trim_end_matches('/').to_owned()),
            Some("Exact") => PathRule::Exact(value),
            Some("RegularExpression") => PathRule::Regex(self.regex(&value)?),
            Some(other) => {
                self.problem(format!("the path match \"{other}\" is not supported"));
                return None;
            }
        };
        let method = match &rule.method {
            Some(method) => Some(Method::from_bytes(method.as_bytes()).ok()?),
            None => None,
        };
        let mut query: Vec<(String, ValueRule)> = Vec::new();
        for parameter in &rule.query_params {
            if !query.iter().any(|(known, _)| *known == parameter.name) {
                query.push((parameter.name.clone(), self.value_rule(parameter)?));
            }
        }
        Some(Matcher { path, method, headers: self.header_rules(&rule.headers)?, query })
    }

    fn grpc_matcher(&mut self, rule: &GrpcMatch) -> Option<Matcher> {
        let method = rule.method.clone().unwrap_or_default();
        let path = match (method.kind.as_deref(), method.service, method.method) {
            (None | Some("Exact"), Some(service), Some(method)) => PathRule::Exact(format!("/{service}/{method}")),
            (None | Some("Exact"), Some(service), None) => PathRule::Prefix(format!("/{service}")),
            (None | Some("Exact"), None, Some(method)) => {
                PathRule::Regex(self.regex(&format!("/[^/]+/{}", regex::escape(&method)))?)
            }
            (_, None, None) => PathRule::Prefix(String::new()),
            (Some("RegularExpression"), service, method) => {
                let any = || "[^/]+".to_owned();
                PathRule::Regex(self.regex(&format!(
                    "/{}/{}",
                    service.unwrap_or_else(any),
                    method.unwrap_or_else(any)
                ))?)
            }
            (Some(other), _, _) => {
                self.problem(format!("the method match \"{other}\" is not supported"));
                return None;
            }
        };
        Some(Matcher { path, method: None, headers: self.header_rules(&rule.headers)?, query: Vec::new() })
    }
}

/// Compiles the rules of an HTTPRoute.
pub(super) fn http(compiler: &mut Compiler<'_, '_>, rules: &[HttpRule]) -> Compiled {
    for (position, rule) in rules.iter().enumerate() {
        compiler.enter(rule.name.as_ref());
        let mut action = compiler.action(&rule.filters, &rule.backend_refs);
        let timeouts = rule.timeouts.clone().unwrap_or_default();
        action.request_timeout = timeouts.request.as_deref().and_then(parse_duration);
        action.try_timeout = timeouts.backend_request.as_deref().and_then(parse_duration);
        let action = Arc::new(action);
        let all = [HttpMatch::default()];
        let matches = if rule.matches.is_empty() { &all[..] } else { &rule.matches };
        for (match_position, one) in matches.iter().enumerate() {
            if let Some(matcher) = compiler.http_matcher(one) {
                compiler.compiled.routes.push((matcher, Arc::clone(&action), (position, match_position)));
            }
        }
    }
    finish(compiler)
}

/// Compiles the rules of a GRPCRoute.
pub(super) fn grpc(compiler: &mut Compiler<'_, '_>, rules: &[GrpcRule]) -> Compiled {
    for (position, rule) in rules.iter().enumerate() {
        compiler.enter(rule.name.as_ref());
        let action = Arc::new(compiler.action(&rule.filters, &rule.backend_refs));
        let all = [GrpcMatch::default()];
        let matches = if rule.matches.is_empty() { &all[..] } else { &rule.matches };
        for (match_position, one) in matches.iter().enumerate() {
            if let Some(matcher) = compiler.grpc_matcher(one) {
                compiler.compiled.routes.push((matcher, Arc::clone(&action), (position, match_position)));
            }
        }
    }
    finish(compiler)
}

/// A route that is not accepted serves nothing.
fn finish(compiler: &mut Compiler<'_, '_>) -> Compiled {
    let mut compiled = std::mem::take(&mut compiler.compiled);
    if compiled.problem.is_some() {
        compiled.routes.clear();
    }
    compiled
}

/// Reads `1h30m`, `10s`, `500ms` (GEP-2257); zero and nonsense are no limit.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|one: char| one.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let letters = tail.len() - tail.trim_start_matches(|one: char| one.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at_checked(letters)?;
        total += match unit {
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = tail;
    }
    (total > Duration::ZERO).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_specification_writes_them() {
        let table = [
            ("10s", Some(10_000)),
            ("1h30m", Some(5_400_000)),
            ("1s500ms", Some(1500)),
            ("0s", None),
            ("", None),
            ("10", None),
            ("s", None),
            ("5d", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
