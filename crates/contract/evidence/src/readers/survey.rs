//! A survey of what is there: Maru's own form (YAML or JSON), a register as CSV, or Ansible's inventory.
//!
//! A survey counts when it looked at something, and at all that it meant to: an asset of which nothing was seen is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use maru_api::{Measured, Outcome, Window};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Content, Format, REPORT_ITEMS_MAX, ReadError, Report, malformed, note, noted, text_of, too_many, written};
use crate::record::{Case, EvidenceKind};

const KIND: &str = "maru.dev/survey/v1";
/// Headers of registers, folded to lower case, that are an asset's name or its type.
const NAME_HEADERS: [&str; 8] = ["name", "asset", "host", "hostname", "자산명", "이름", "호스트", "서버명"];
const TYPE_HEADERS: [&str; 6] = ["type", "kind", "category", "종류", "유형", "구분"];
/// Assets that a note names.
const NAMED_MAX: usize = 3;

/// What a survey saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Survey {
    pub(super) name: Option<String>,
    cases: Vec<Case>,
    types: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Own {
    kind: String,
    name: String,
    from: Timestamp,
    to: Timestamp,
    #[serde(default)]
    by: String,
    /// What was to be looked at; empty: what is listed.
    #[serde(default)]
    scope: Vec<String>,
    #[serde(default)]
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asset {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    /// How it was looked at: a protocol, a talk.
    #[serde(default)]
    seen: String,
    /// Why it was not.
    #[serde(default)]
    missed: String,
    #[serde(default)]
    facts: Map<String, Value>,
}

/// What `ansible-inventory --list` writes.
#[derive(Deserialize)]
struct Inventory {
    #[serde(rename = "_meta")]
    meta: Meta,
    #[serde(flatten)]
    groups: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    hostvars: BTreeMap<String, Map<String, Value>>,
}

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let text = text_of(Format::Survey, report)?;
    if text.contains(KIND) {
        return own(&text);
    }
    if text.trim_start().starts_with('{') {
        return inventory(&text);
    }
    register(&text)
}

fn finish(
    tool: &str,
    name: Option<String>,
    window: Option<Window>,
    assets: Vec<Asset>,
    scope: &[String],
) -> Result<Report, ReadError> {
    if assets.len().max(scope.len()) > REPORT_ITEMS_MAX {
        return Err(too_many(Format::Survey, "assets"));
    }
    let mut names = BTreeSet::new();
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut cases = Vec::new();
    for asset in &assets {
        if asset.name.trim().is_empty() {
            return Err(malformed(Format::Survey, "an asset has no name"));
        }
        if !names.insert(asset.name.as_str()) {
            return Err(malformed(Format::Survey, format!("\"{}\" is listed twice", note(&asset.name))));
        }
        let facts = asset.facts.values().filter(|value| !value.is_null() && **value != "").count();
        let (outcome, said) = if !asset.missed.is_empty() {
            (Outcome::Insufficient, format!("not looked at: {}", note(&asset.missed)))
        } else if facts == 0 {
            (Outcome::Insufficient, "nothing is known of it".to_owned())
        } else {
            *types.entry(asset.kind.trim().to_owned()).or_default() += 1;
            let how = if asset.seen.is_empty() { String::new() } else { format!(" by {}", note(&asset.seen)) };
            (Outcome::Met, format!("{facts} facts{how}"))
        };
        cases.push(Case { name: asset.name.clone(), outcome, note: said });
    }
    for missing in scope.iter().filter(|name| !names.contains(name.as_str())) {
        let said = "in the scope, but not looked at".to_owned();
        cases.push(Case { name: missing.clone(), outcome: Outcome::Insufficient, note: said });
    }
    Ok(Report {
        kind: EvidenceKind::Survey,
        tool: tool.to_owned(),
        version: String::new(),
        window,
        content: Content::Survey(Survey { name, cases, types }),
    })
}

fn own(text: &str) -> Result<Report, ReadError> {
    let own: Own = written(Format::Survey, text)?;
    if own.kind != KIND {
        return Err(malformed(Format::Survey, format!("its kind is not \"{KIND}\"")));
    }
    if own.to < own.from {
        return Err(malformed(Format::Survey, "it ends before it begins"));
    }
    let tool = if own.by.trim().is_empty() { "person".to_owned() } else { note(&own.by) };
    let window = Window { from: own.from, to: own.to };
    finish(&tool, Some(own.name), Some(window), own.assets, &own.scope)
}

/// Ansible's hosts with their variables; a host that no variable describes is named, not known.
fn inventory(text: &str) -> Result<Report, ReadError> {
    let inventory: Inventory = written(Format::Survey, text)?;
    let mut assets: BTreeMap<String, Asset> = BTreeMap::new();
    let asset = |name: &str, kind: &str, facts: Map<String, Value>| Asset {
        name: name.to_owned(),
        kind: kind.to_owned(),
        seen: String::new(),
        missed: String::new(),
        facts,
    };
    for (group, content) in &inventory.groups {
        let hosts = content.get("hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for host in hosts {
            let facts = inventory.meta.hostvars.get(host).cloned().unwrap_or_default();
            assets.entry(host.to_owned()).or_insert_with(|| asset(host, group, facts));
        }
    }
    for (host, facts) in &inventory.meta.hostvars {
        assets.entry(host.clone()).or_insert_with(|| asset(host, "", facts.clone()));
    }
    finish("ansible", None, None, assets.into_values().collect(), &[])
}

/// A register of assets, as spreadsheets and inventories write it out: a row of headers, then a row for each asset.
fn register(text: &str) -> Result<Report, ReadError> {
    let mut rows = rows(text)?.into_iter();
    let headers = rows.next().ok_or_else(|| malformed(Format::Survey, "it is empty"))?;
    let column =
        |known: &[&str]| headers.iter().position(|header| known.contains(&header.trim().to_lowercase().as_str()));
    let name = column(&NAME_HEADERS).ok_or_else(|| {
        malformed(
            Format::Survey,
            "neither its kind is \"maru.dev/survey/v1\", nor has its first line a column \"name\" (or \"host\", \"자산명\", \"이름\" …)",
        )
    })?;
    let kind = column(&TYPE_HEADERS);
    let mut assets = Vec::new();
    for (index, row) in rows.enumerate() {
        if row.len() != headers.len() {
            let why = format!("row {} has {} cells, the headers are {}", index + 2, row.len(), headers.len());
            return Err(malformed(Format::Survey, why));
        }
        let cell = |place: Option<usize>| place.and_then(|place| row.get(place)).map_or("", |cell| cell.trim());
        let facts = headers.iter().zip(&row).enumerate();
        let facts = facts.filter(|(place, _)| *place != name && Some(*place) != kind);
        assets.push(Asset {
            name: cell(Some(name)).to_owned(),
            kind: cell(kind).to_owned(),
            seen: String::new(),
            missed: String::new(),
            facts: facts.map(|(_, (header, cell))| (header.clone(), cell.trim().into())).collect(),
        });
    }
    finish("register", None, None, assets, &[])
}

/// Reads CSV (RFC 4180), with commas, semicolons or tabs; empty lines are passed over.
fn rows(text: &str) -> Result<Vec<Vec<String>>, ReadError> {
    let first = text.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|letter| first.matches(*letter).count()).unwrap_or(',');
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.is_empty() => is_quoted = true,
            letter if is_quoted => cell.push(letter),
            letter if letter == separator => row.push(std::mem::take(&mut cell)),
            '\r' => {}
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
        if rows.len() > REPORT_ITEMS_MAX || row.len() > REPORT_ITEMS_MAX {
            return Err(too_many(Format::Survey, "rows"));
        }
    }
    if is_quoted {
        return Err(malformed(Format::Survey, "a quotation mark is not closed"));
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    Ok(rows)
}

impl Survey {
    pub(super) fn measure(&self) -> (Measured, Vec<Case>) {
        let short: Vec<&str> =
            self.cases.iter().filter(|case| case.outcome != Outcome::Met).map(|case| case.name.as_str()).collect();
        let seen = self.cases.len() - short.len();
        let result = if self.cases.is_empty() {
            noted(Outcome::Insufficient, "it looked at nothing")
        } else if short.is_empty() {
            let kinds: Vec<String> = self
                .types
                .iter()
                .map(|(kind, count)| format!("{count} {}", if kind.is_empty() { "other" } else { kind }))
                .collect();
            noted(Outcome::Met, note(&format!("{seen} assets: {}", kinds.join(", "))))
        } else {
            let named = short.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
            let more = short.len().saturating_sub(NAMED_MAX);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            noted(Outcome::Insufficient, note(&format!("{seen} assets seen, not {named}{more}")))
        };
        (result, self.cases.clone())
    }
}
