//! Makes `crates/formats/kube/data` from Kubernetes' own definitions.
//!
//! `cargo xtask schemas <definitions.json>` reads the upstream OpenAPI definitions (one JSON document with all of them under
//! `$defs` or `definitions`) and writes `schemas.bin`; `cargo xtask messages <folder>` reads a folder that holds the Go
//! modules `api`, `apimachinery`, `apiextensions-apiserver` and `kube-aggregator` (as `k8s.io/<module>@<version>`), their
//! `generated.proto` for types and their structs' tags for JSON names and emptiness, and writes `messages.bin`.
//! Both files are deflated text; `docs/formats/kube-data.md` has their grammar.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde_json::{Map, Value, json};

const DATA: &str = "crates/formats/kube/data";

/// Runs `schemas` or `messages`; `root` is the workspace's folder and the arguments begin with the command's name.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let data = root.join(DATA);
    match arguments {
        [command, source] if command == "schemas" => {
            write_deflated(&data.join("schemas.bin"), &schemas(Path::new(source))?)
        }
        [command, source] if command == "messages" => {
            let schemas = read_deflated(&data.join("schemas.bin"))?;
            write_deflated(&data.join("messages.bin"), &messages(Path::new(source), &schemas)?)
        }
        _ => bail!("usage: cargo xtask schemas <definitions.json> | cargo xtask messages <folder with k8s.io modules>"),
    }
}

fn write_deflated(path: &Path, text: &str) -> Result<()> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    fs::write(path, encoder.finish()?).with_context(|| format!("could not write {}", path.display()))
}

fn read_deflated(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let mut text = String::new();
    ZlibDecoder::new(bytes.as_slice()).read_to_string(&mut text)?;
    Ok(text)
}

/// Keys of a schema that are kept, besides those that hold schemas.
const KEPT: &[&str] = &[
    "type",
    "format",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-group-version-kind",
];

/// Definitions whose JSON form is no plain structure, and what stands for them.
fn special(name: &str) -> Option<Value> {
    let last = name.rsplit('.').next()?;
    Some(match last {
        "IntOrString" => json!({"x-kubernetes-int-or-string": true}),
        "Quantity" => json!({"format": "quantity"}),
        "RawExtension" | "FieldsV1" => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        "JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray" => {
            json!({"x-kubernetes-preserve-unknown-fields": true})
        }
        _ => return None,
    })
}

/// Defaults of merge keys, which the definitions leave out: without them two ports of one number could not be told apart.
const KEY_DEFAULTS: &[(&str, &str, &str)] =
    &[("io.k8s.api.core.v1.ContainerPort", "protocol", "TCP"), ("io.k8s.api.core.v1.ServicePort", "protocol", "TCP")];

/// Required fields that the server fills in or accepts as empty; the definitions cannot say so.
const NOT_REQUIRED: &[(&str, &str)] = &[
    ("io.k8s.api.authentication.v1.TokenRequestSpec", "audiences"),
    ("io.k8s.api.discovery.v1.EndpointSlice", "endpoints"),
    ("io.k8s.api.rbac.v1.RoleRef", "apiGroup"),
    ("io.k8s.api.scheduling.v1.PriorityClass", "value"),
];

fn schemas(source: &Path) -> Result<String> {
    let document: Value = serde_json::from_slice(&fs::read(source)?)?;
    let definitions = document.get("$defs").or_else(|| document.get("definitions")).and_then(Value::as_object);
    let definitions = definitions.context("the document has neither $defs nor definitions")?;
    let mut text = String::new();
    for (name, definition) in definitions {
        let mut node = special(name).map_or_else(|| compact(definition), Ok)?;
        for (_, property, default) in KEY_DEFAULTS.iter().filter(|(owner, _, _)| owner == name) {
            node["properties"][*property]["default"] = json!(default);
        }
        if let Some(required) = node.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| !NOT_REQUIRED.iter().any(|(owner, name_of)| owner == name && field == name_of));
        }
        writeln!(text, "{name}\t{node}")?;
    }
    ensure!(text.contains("io.k8s.api.core.v1.Pod\t"), "the definitions lack Pod");
    Ok(text)
}

fn compact(schema: &Value) -> Result<Value> {
    let schema = schema.as_object().context("a schema is no object")?;
    let mut out = Map::new();
    for (key, value) in schema {
        match key.as_str() {
            "$ref" => {
                let name = value.as_str().and_then(|r| r.rsplit('/').next()).context("a $ref is no string")?;
                out.insert("$ref".to_owned(), json!(name));
            }
            "type" => {
                let kind = match value {
                    Value::Array(kinds) => kinds.iter().find(|k| *k != "null").context("a type is only null")?,
                    one => one,
                };
                out.insert(key.clone(), kind.clone());
            }
            "properties" => {
                let properties = value.as_object().context("properties is no object")?;
                let compacted = properties.iter().map(|(name, property)| Ok((name.clone(), compact(property)?)));
                out.insert(key.clone(), Value::Object(compacted.collect::<Result<_>>()?));
            }
            "items" | "additionalProperties" => {
                out.insert(key.clone(), compact(value)?);
            }
            kept if KEPT.contains(&kept) => {
                out.insert(key.clone(), value.clone());
            }
            "description" | "enum" | "x-kubernetes-unions" => {}
            other => bail!("key {other:?} is new; decide whether it is kept"),
        }
    }
    Ok(Value::Object(out))
}

/// One field of a protobuf message.
struct Field {
    number: u32,
    name: String,
    /// `s`tring, b`y`tes, `i`nteger, `b`oolean, `d`ouble, `m`essage; prefixed by `*` when repeated and `%` for a map.
    kind: String,
    reference: Option<String>,
}

/// How Go prints a field: its JSON name and when it is left out.
struct Tag {
    name: String,
    /// `p`ointer (printed when present), `o`mitted when empty, `a`lways printed, i`n`lined.
    emptiness: char,
}

type Messages = BTreeMap<String, Vec<Field>>;
type Tags = BTreeMap<(String, u32), Tag>;

fn messages(source: &Path, schemas: &str) -> Result<String> {
    let mut messages = Messages::new();
    let mut tags = Tags::new();
    let mut files = Vec::new();
    collect_protos(source, &mut files)?;
    ensure!(!files.is_empty(), "no generated.proto below {}", source.display());
    for file in files {
        let text = fs::read_to_string(&file)?;
        let package = text.lines().find_map(|l| l.strip_prefix("package ")).context("a .proto lacks its package")?;
        let package = definition_name(package.trim_end_matches(';'));
        read_proto(&text, &package, &mut messages)?;
        for entry in fs::read_dir(file.parent().context("a .proto has no folder")?)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".go") && !name.ends_with("_test.go") && !name.starts_with("generated.") {
                read_structs(&fs::read_to_string(&path)?, &package, &mut tags);
            }
        }
    }
    print_messages(&messages, &tags, schemas)
}

fn collect_protos(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.ends_with("generated.proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// Turns a protobuf name (`k8s.io.api.core.v1.Pod`) into that of the OpenAPI definition (`io.k8s.api.core.v1.Pod`).
fn definition_name(name: &str) -> String {
    let name = name.trim_start_matches('.');
    name.strip_prefix("k8s.io.").map_or_else(|| name.to_owned(), |rest| format!("io.k8s.{}", rest.replace('_', "-")))
}

/// Reads the messages of a `generated.proto`; these files have one field a line and no nested messages.
fn read_proto(text: &str, package: &str, messages: &mut Messages) -> Result<()> {
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ").and_then(|l| l.strip_suffix(" {")) {
            let name = format!("{package}.{name}");
            messages.insert(name.clone(), Vec::new());
            current = Some(name);
        } else if line == "}" {
            current = None;
        } else if let (Some(name), Some(declaration)) = (&current, line.strip_suffix(';')) {
            if declaration.starts_with("//") || declaration.starts_with("reserved") {
                continue;
            }
            let (left, number) = declaration.rsplit_once(" = ").with_context(|| format!("field {line:?}"))?;
            let (kind, field_name) = left.rsplit_once(' ').with_context(|| format!("field {line:?}"))?;
            let (prefix, kind) = match kind.split_once(' ') {
                Some(("optional" | "required", kind)) => ("", kind),
                Some(("repeated", kind)) => ("*", kind),
                _ => {
                    let value = kind.strip_prefix("map<string, ").and_then(|k| k.strip_suffix('>'));
                    ("%", value.with_context(|| format!("field {line:?}"))?)
                }
            };
            let (kind, reference) = field_kind(kind, package);
            let field_name = field_name.to_owned();
            let field = Field { number: number.parse()?, name: field_name, kind: format!("{prefix}{kind}"), reference };
            messages.entry(name.clone()).or_default().push(field);
        }
    }
    Ok(())
}

fn field_kind(kind: &str, package: &str) -> (char, Option<String>) {
    match kind {
        "string" => ('s', None),
        "bytes" => ('y', None),
        "int32" | "int64" | "uint32" | "uint64" => ('i', None),
        "bool" => ('b', None),
        "double" => ('d', None),
        message if message.starts_with('.') => ('m', Some(definition_name(message))),
        message => ('m', Some(format!("{package}.{message}"))),
    }
}

/// Reads the struct tags of a Go file.
fn read_structs(text: &str, package: &str, tags: &mut Tags) {
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("type ").and_then(|l| l.strip_suffix(" struct {")) {
            current = Some(format!("{package}.{name}"));
        } else if line == "}" {
            current = None;
        } else if let Some(owner) = &current {
            let Some((declaration, tag)) = line.trim().split_once('`') else { continue };
            let Some(number) = tag_value(tag, "protobuf").and_then(|t| t.split(',').nth(1)?.parse().ok()) else {
                continue;
            };
            let Some(json) = tag_value(tag, "json") else { continue };
            let (name, options) = json.split_once(',').unwrap_or((json, ""));
            let kind = declaration.split_whitespace().last().unwrap_or_default();
            let emptiness = if name.is_empty() {
                'n'
            } else if kind.starts_with('*') {
                'p'
            } else if options.contains("omit") {
                'o'
            } else {
                'a'
            };
            tags.insert((owner.clone(), number), Tag { name: name.to_owned(), emptiness });
        }
    }
}

fn tag_value<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{key}:\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Prints the messages that the kinds of the schemas reach.
fn print_messages(messages: &Messages, tags: &Tags, schemas: &str) -> Result<String> {
    let mut wanted: Vec<String> =
        schemas.lines().filter_map(|l| l.split_once('\t')).map(|(name, _)| name.to_owned()).collect();
    wanted.push("io.k8s.apimachinery.pkg.runtime.Unknown".to_owned());
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let Some(fields) = messages.get(&name) else { continue };
        if seen.insert(name) {
            wanted.extend(fields.iter().filter_map(|f| f.reference.clone()));
        }
    }
    let mut text = String::new();
    for name in &seen {
        let fields = messages.get(name).map_or(&[][..], Vec::as_slice);
        let mut parts = Vec::new();
        for field in fields {
            // Types without tags are slices (one field, `items`), or have a JSON form of their own that the reader knows.
            let untagged =
                if fields.len() == 1 && field.name == "items" { ("-", 'n') } else { (field.name.as_str(), 'o') };
            let tag = tags.get(&(name.clone(), field.number));
            let (json, emptiness) = tag.map_or(untagged, |tag| (tag.name.as_str(), tag.emptiness));
            let json = if json.is_empty() { "-" } else { json };
            let reference = field.reference.as_deref().unwrap_or_default();
            parts.push(format!("{} {} {json} {emptiness} {reference}", field.number, field.kind).trim_end().to_owned());
        }
        writeln!(text, "{name}\t{}", parts.join(","))?;
    }
    ensure!(text.contains("io.k8s.api.core.v1.PodSpec\t"), "the modules lack PodSpec");
    Ok(text)
}
