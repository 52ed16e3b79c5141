//! Columns of volumes, claims and their classes, and of configuration.

use serde_json::{Value, json};

use super::{Column, Row};
use crate::Quantity;

fn access_modes(modes: &[Value]) -> String {
    let short = |mode: &Value| {
        Some(match mode.as_str()? {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            _ => return None,
        })
    };
    let mut texts: Vec<&str> = Vec::new();
    for text in modes.iter().filter_map(short) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(",")
}

fn storage(row: Row<'_>, pointer: &str) -> String {
    Quantity::from_json(row.at(pointer)).map(|quantity| quantity.to_string()).unwrap_or_default()
}

fn phase(row: Row<'_>) -> &str {
    if row.is_being_deleted() { "Terminating" } else { row.text("/status/phase") }
}

fn class(row: Row<'_>) -> &str {
    let old = row.at("/metadata/annotations/volume.beta.kubernetes.io~1storage-class").as_str();
    old.unwrap_or_else(|| row.text("/spec/storageClassName"))
}

pub(super) fn persistent_volume() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Capacity", |row| json!(storage(row, "/spec/capacity/storage"))),
        Column::text("Access Modes", |row| json!(access_modes(row.list("/spec/accessModes")))),
        Column::text("Reclaim Policy", |row| json!(row.text("/spec/persistentVolumeReclaimPolicy"))),
        Column::text("Status", |row| json!(phase(row))),
        Column::text("Claim", |row| {
            let claim = row.at("/spec/claimRef");
            let text = |field: &str| claim[field].as_str().unwrap_or_default();
            if claim.is_null() { json!("") } else { json!(format!("{}/{}", text("namespace"), text("name"))) }
        }),
        Column::text("StorageClass", |row| json!(class(row))),
        Column::text("VolumeAttributesClass", |row| json!(row.text_or("/spec/volumeAttributesClassName", "<unset>"))),
        Column::text("Reason", |row| json!(row.text("/status/reason"))),
        Column::age(),
        Column::wide("VolumeMode", |row| json!(row.text_or("/spec/volumeMode", "<unset>"))),
    ]
}

pub(super) fn persistent_volume_claim() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Status", |row| json!(phase(row))),
        Column::text("Volume", |row| json!(row.text("/spec/volumeName"))),
        Column::text("Capacity", |row| {
            let is_bound = !row.text("/spec/volumeName").is_empty();
            json!(if is_bound { storage(row, "/status/capacity/storage") } else { String::new() })
        }),
        Column::text("Access Modes", |row| {
            let is_bound = !row.text("/spec/volumeName").is_empty();
            json!(if is_bound { access_modes(row.list("/status/accessModes")) } else { String::new() })
        }),
        Column::text("StorageClass", |row| json!(class(row))),
        Column::text("VolumeAttributesClass", |row| json!(row.text_or("/spec/volumeAttributesClassName", "<unset>"))),
        Column::age(),
        Column::wide("VolumeMode", |row| json!(row.text_or("/spec/volumeMode", "<unset>"))),
    ]
}

pub(super) fn storage_class() -> Vec<Column> {
    vec![
        Column { format: "name".to_owned(), ..Column::text("Name", |row| json!(class_name(row))) },
        Column::text("Provisioner", |row| json!(row.text("/provisioner"))),
        Column::text("ReclaimPolicy", |row| json!(row.text_or("/reclaimPolicy", "Delete"))),
        Column::text("VolumeBindingMode", |row| json!(row.text_or("/volumeBindingMode", "Immediate"))),
        Column::text("AllowVolumeExpansion", |row| json!(row.at("/allowVolumeExpansion") == true)),
        Column::age(),
    ]
}

fn class_name(row: Row<'_>) -> String {
    let is_default = row.at("/metadata/annotations/storageclass.kubernetes.io~1is-default-class") == "true";
    format!("{}{}", row.text("/metadata/name"), if is_default { " (default)" } else { "" })
}

pub(super) fn volume_attachment() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Attacher", |row| json!(row.text("/spec/attacher"))),
        Column::text("PV", |row| json!(row.text("/spec/source/persistentVolumeName"))),
        Column::text("Node", |row| json!(row.text("/spec/nodeName"))),
        Column::new("Attached", "boolean", |row| json!(row.at("/status/attached") == true)),
        Column::age(),
    ]
}

pub(super) fn csi_node() -> Vec<Column> {
    vec![Column::name(), Column::new("Drivers", "integer", |row| json!(row.count("/spec/drivers"))), Column::age()]
}

pub(super) fn config_map() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Data", |row| json!(row.count("/data") + row.count("/binaryData"))),
        Column::age(),
    ]
}

pub(super) fn secret() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Type", |row| json!(row.text("/type"))),
        Column::text("Data", |row| json!(row.count("/data"))),
        Column::age(),
    ]
}
