//! The files of ConfigMap, Secret, downward API and projected volumes.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use maru_time::Timestamp;

use super::payload::File;
use super::{VolumeError, VolumeInput};
use crate::config::{field, resource_field};
use crate::objects::{ObjectError, Secrecy, config_map_data, secret_data};
use crate::plan::after;
use crate::pod;

/// Mode of files that nothing is said about.
const DEFAULT_MODE: u32 = 0o644;
/// Lifetime of a token that nothing is said about.
const DEFAULT_LIFETIME_SECONDS: i64 = 3600;
/// A token is replaced at the latest after this time.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a volume should hold.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) files: BTreeMap<String, File>,
    pub(super) refresh_at: Option<Timestamp>,
}

/// Returns the content of a volume that is made from objects; `None` for all other volumes.
pub(super) async fn collect(input: &mut VolumeInput<'_>, volume: &Volume) -> Result<Option<Content>, VolumeError> {
    let mut collector = Collector { input, volume: &volume.name, content: Content::default() };
    if let Some(source) = &volume.config_map {
        let mode = mode(source.default_mode);
        collector.config_map(&source.name, source.items.as_deref(), source.optional, mode).await?;
    } else if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        collector.secret(name, source.items.as_deref(), source.optional, mode(source.default_mode)).await?;
    } else if let Some(source) = &volume.downward_api {
        collector.downward(source.items.as_deref().unwrap_or_default(), mode(source.default_mode))?;
    } else if let Some(source) = &volume.projected {
        let mode = mode(source.default_mode);
        for one in source.sources.iter().flatten() {
            collector.projection(one, mode).await?;
        }
    } else {
        return Ok(None);
    }
    Ok(Some(collector.content))
}

fn mode(mode: Option<i32>) -> u32 {
    mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(DEFAULT_MODE)
}

struct Collector<'a, 'b> {
    input: &'a mut VolumeInput<'b>,
    volume: &'a str,
    content: Content,
}

impl Collector<'_, '_> {
    async fn projection(&mut self, source: &VolumeProjection, mode: u32) -> Result<(), VolumeError> {
        if let Some(one) = &source.config_map {
            self.config_map(&one.name, one.items.as_deref(), one.optional, mode).await?;
        }
        if let Some(one) = &source.secret {
            self.secret(&one.name, one.items.as_deref(), one.optional, mode).await?;
        }
        if let Some(one) = &source.downward_api {
            self.downward(one.items.as_deref().unwrap_or_default(), mode)?;
        }
        if let Some(one) = &source.service_account_token {
            self.token(one, mode).await?;
        }
        if source.cluster_trust_bundle.is_some() || source.pod_certificate.is_some() {
            let kind = "clusterTrustBundle and podCertificate".to_owned();
            return Err(VolumeError::Unsupported { volume: self.volume.to_owned(), kind });
        }
        Ok(())
    }

    async fn config_map(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        mode: u32,
    ) -> Result<(), VolumeError> {
        let found = self.input.objects.config_map(pod::namespace(self.input.pod), name).await;
        let data = self.allow_missing(found, optional)?.as_ref().map(config_map_data).unwrap_or_default();
        self.keys(data, items, optional, mode)
    }

    async fn secret(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        mode: u32,
    ) -> Result<(), VolumeError> {
        let found = self.input.objects.secret(pod::namespace(self.input.pod), name).await;
        let data = self.allow_missing(found, optional)?.as_ref().map(secret_data).unwrap_or_default();
        self.keys(data, items, optional, mode)
    }

    fn allow_missing<T>(
        &self,
        found: Result<T, ObjectError>,
        optional: Option<bool>,
    ) -> Result<Option<T>, VolumeError> {
        match found {
            Ok(object) => Ok(Some(object)),
            Err(ObjectError::Missing { .. }) if optional == Some(true) => Ok(None),
            Err(source) => Err(VolumeError::Object { volume: self.volume.to_owned(), source }),
        }
    }

    fn keys(
        &mut self,
        mut data: BTreeMap<String, Vec<u8>>,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        default_mode: u32,
    ) -> Result<(), VolumeError> {
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            for (key, data) in data {
                self.add(&key, data, default_mode, None)?;
            }
            return Ok(());
        };
        for item in items {
            match data.remove(&item.key) {
                Some(content) => {
                    self.add(&item.path, content.clone(), item.mode.map_or(default_mode, |m| mode(Some(m))), None)?
                }
                None if optional == Some(true) => {}
                None => return Err(VolumeError::Key { volume: self.volume.to_owned(), key: item.key.clone() }),
            }
        }
        Ok(())
    }

    fn downward(&mut self, items: &[DownwardAPIVolumeFile], default_mode: u32) -> Result<(), VolumeError> {
        for item in items {
            let text = if let Some(selector) = &item.field_ref {
                field(self.input.pod, &selector.field_path, self.input.facts)
            } else if let Some(selector) = &item.resource_field_ref {
                let name = selector.container_name.as_deref().unwrap_or_default();
                pod::member(self.input.pod, name)
                    .and_then(|one| resource_field(&one.container, selector, self.input.facts))
            } else {
                None
            };
            let text = text.ok_or_else(|| VolumeError::Refused {
                volume: self.volume.to_owned(),
                problem: format!("the field of \"{}\" is not supported", item.path),
            })?;
            self.add(&item.path, text.into_bytes(), item.mode.map_or(default_mode, |m| mode(Some(m))), None)?;
        }
        Ok(())
    }

    async fn token(&mut self, source: &ServiceAccountTokenProjection, mode: u32) -> Result<(), VolumeError> {
        let key = (self.volume.to_owned(), source.path.clone());
        let lifetime = source.expiration_seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let present =
            self.input.tokens.get(&key).filter(|token| replace_at(token.issued_at, token.expires_at) > self.input.now);
        let token = match present {
            Some(token) => token.clone(),
            None => {
                let audience = source.audience.as_deref().filter(|audience| !audience.is_empty());
                let asked = self.input.objects.token(self.input.pod, audience, lifetime, self.input.now).await;
                let token =
                    asked.map_err(|error| VolumeError::Object { volume: self.volume.to_owned(), source: error })?;
                self.input.tokens.insert(key, token.clone());
                token
            }
        };
        let due = replace_at(token.issued_at, token.expires_at);
        self.content.refresh_at = Some(self.content.refresh_at.map_or(due, |before| before.min(due)));
        let context = pod::spec(self.input.pod).security_context.clone().unwrap_or_default();
        let user = common_user(self.input.pod);
        // Only the pod's own user or group may read it, when the pod says which that is.
        let mode = if user.is_some() || context.fs_group.is_some() { 0o600 } else { mode };
        let Secrecy(text) = token.text;
        self.add(&source.path, text.into_bytes(), mode, user)
    }

    fn add(&mut self, path: &str, data: Vec<u8>, mode: u32, user: Option<u32>) -> Result<(), VolumeError> {
        let is_safe = !path.is_empty()
            && !path.starts_with('/')
            && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !path.starts_with("..");
        if !is_safe {
            let problem = format!("the path \"{path}\" must stay inside the volume and not begin with \"..\"");
            return Err(VolumeError::Refused { volume: self.volume.to_owned(), problem });
        }
        self.content.files.insert(path.to_owned(), File { data, mode, user });
        Ok(())
    }
}

/// Returns the user that all containers of the pod run as, when the specification says so.
fn common_user(pod: &k8s_openapi::api::core::v1::Pod) -> Option<u32> {
    let of_pod = pod::spec(pod).security_context.as_ref().and_then(|context| context.run_as_user);
    let mut users = pod::members(pod)
        .into_iter()
        .map(|one| one.container.security_context.and_then(|context| context.run_as_user).or(of_pod));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok())?
}

/// Returns when a token is replaced: at 80 % of its lifetime, at the latest after a day.
fn replace_at(issued_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    let lifetime = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
    after(issued_at, (lifetime * 4 / 5).min(TOKEN_AGE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FieldFacts;
    use crate::test_api::objects;
    use serde_json::json;

    async fn files(volume: serde_json::Value) -> Result<Vec<(String, String, u32)>, String> {
        let existing = vec![
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1", "b": "2"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"p": "eA=="}}),
        ];
        let pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "labels": {"l": "v"}},
            "spec": {"containers": [{"name": "m", "resources": {"limits": {"cpu": "2"}}}]}}))
        .unwrap();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let mut input = VolumeInput {
            pod: &pod,
            directory: std::path::Path::new("/nowhere"),
            objects: &objects(existing),
            facts: &FieldFacts::default(),
            tokens: &mut crate::volumes::Tokens::new(),
            present: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let content = collect(&mut input, &volume).await.map_err(|error| error.to_string())?.unwrap();
        Ok(content
            .files
            .into_iter()
            .map(|(path, file)| (path, String::from_utf8(file.data).unwrap(), file.mode))
            .collect())
    }

    fn file(path: &str, text: &str, mode: u32) -> (String, String, u32) {
        (path.to_owned(), text.to_owned(), mode)
    }

    #[tokio::test]
    async fn keys_become_files_with_their_modes() {
        let all = files(json!({"name": "v", "configMap": {"name": "c", "defaultMode": 0o400}})).await.unwrap();
        assert_eq!(all, [file("a", "1", 0o400), file("b", "2", 0o400)]);
        let some = files(
            json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "p", "path": "d/q", "mode": 0o440}]}}),
        )
        .await;
        assert_eq!(some.unwrap(), [file("d/q", "x", 0o440)]);
    }

    #[tokio::test]
    async fn projections_come_together() {
        let all = files(json!({"name": "v", "projected": {"sources": [
            {"configMap": {"name": "c", "items": [{"key": "a", "path": "x"}]}},
            {"secret": {"name": "none", "optional": true}},
            {"downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "cpu", "resourceFieldRef": {"containerName": "m", "resource": "limits.cpu"}},
            ]}},
        ]}}))
        .await
        .unwrap();
        assert_eq!(all, [file("cpu", "2", 0o644), file("labels", "l=\"v\"", 0o644), file("x", "1", 0o644)]);
    }

    #[tokio::test]
    async fn what_is_missing_or_escapes_is_refused() {
        for (volume, message) in [
            (json!({"name": "v", "configMap": {"name": "none"}}), "volume \"v\""),
            (
                json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}}),
                "volume \"v\": references non-existent config key: z",
            ),
            (
                json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "../a"}]}}),
                "volume \"v\": the path \"../a\" must stay inside the volume and not begin with \"..\"",
            ),
            (
                json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "d/../../a"}]}}),
                "volume \"v\": the path \"d/../../a\" must stay inside the volume and not begin with \"..\"",
            ),
        ] {
            assert_eq!(files(volume).await.unwrap_err(), message);
        }
    }

    #[test]
    fn tokens_are_replaced_at_four_fifths_of_their_life() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(replace_at(at(0), at(3600)), at(2880));
        assert_eq!(replace_at(at(0), at(10 * 24 * 3600)), at(24 * 3600));
    }
}
