//! Receivers: whom alerts go to and in which words. Long because it is one table of the services' own fields.

use std::time::Duration;

use maru_yaml::Cursor;
use serde_json::{Map, Value, json};

use super::read::{Checks, secret_or};
use super::{EmailConfig, Integration, IntegrationKind, Receiver};
use crate::scrape::{HttpClientConfig, Secret, SecretSource, TlsConfig, parse_duration, read_client, read_tls};

/// What `global` says for all receivers.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    http: HttpClientConfig,
    slack: Option<SecretSource>,
    mattermost: Option<SecretSource>,
    telegram_token: Option<SecretSource>,
    pagerduty_url: Option<String>,
    telegram_url: Option<String>,
    from: Option<String>,
    smarthost: Option<String>,
    hello: Option<String>,
    username: Option<String>,
    password: Option<SecretSource>,
    secret: Option<SecretSource>,
    identity: Option<String>,
    require_tls: Option<bool>,
    implicit_tls: Option<bool>,
    tls: Option<TlsConfig>,
}

const WEBHOOK_INSTEAD: &str = "; use a webhook";

impl Defaults {
    /// Reads `global`; the caller finishes it.
    pub(super) fn read(of: &Cursor<'_>) -> Self {
        of.unsupported(
            &[
                "victorops_api_key",
                "victorops_api_key_file",
                "victorops_api_url",
                "opsgenie_api_key",
                "opsgenie_api_key_file",
                "opsgenie_api_url",
                "wechat_api_url",
                "wechat_api_secret",
                "wechat_api_secret_file",
                "wechat_api_corp_id",
                "webex_api_url",
                "rocketchat_api_url",
                "rocketchat_token",
                "rocketchat_token_file",
                "rocketchat_token_id",
                "rocketchat_token_id_file",
                "jira_api_url",
                "slack_app_token",
                "slack_app_token_file",
                "slack_app_url",
            ],
            WEBHOOK_INSTEAD,
        );
        let text = |name: &'static str| of.field(name).string().filter(|text| !text.is_empty());
        let tls = of.field("smtp_tls_config");
        let http = of.field("http_config");
        let client = read_client(&http);
        http.finish();
        Self {
            http: client,
            slack: secret_or(of, "slack_api_url", "slack_api_url_file", None),
            mattermost: secret_or(of, "mattermost_webhook_url", "mattermost_webhook_url_file", None),
            telegram_token: secret_or(of, "telegram_bot_token", "telegram_bot_token_file", None),
            pagerduty_url: text("pagerduty_url"),
            telegram_url: text("telegram_api_url"),
            from: text("smtp_from"),
            smarthost: text("smtp_smarthost"),
            hello: text("smtp_hello"),
            username: text("smtp_auth_username"),
            password: secret_or(of, "smtp_auth_password", "smtp_auth_password_file", None),
            secret: secret_or(of, "smtp_auth_secret", "smtp_auth_secret_file", None),
            identity: text("smtp_auth_identity"),
            require_tls: of.field("smtp_require_tls").boolean(),
            implicit_tls: of.field("smtp_force_implicit_tls").boolean(),
            tls: tls.is_present().then(|| read_tls(&tls)),
        }
    }
}

type Reader = fn(&Entry<'_, '_>) -> Option<Integration>;

const READERS: [(&str, Reader); 8] = [
    ("webhook_configs", webhook),
    ("email_configs", email),
    ("slack_configs", slack),
    ("mattermost_configs", mattermost),
    ("pagerduty_configs", pagerduty),
    ("telegram_configs", telegram),
    ("discord_configs", discord),
    ("msteamsv2_configs", teams),
];

pub(super) fn read_receiver(of: &Cursor<'_>, defaults: &Defaults, checks: Checks<'_>) -> Receiver {
    let name = of.field("name").required().string().unwrap_or_default();
    if name.is_empty() {
        of.field("name").problem("a receiver's name is not empty");
    }
    of.unsupported(&["labels"], "; the receiver is known by its name");
    let mut integrations = Vec::new();
    for (field, read) in READERS {
        for item in of.field(field).list() {
            integrations.extend(read(&Entry { of: &item, defaults, checks }));
            item.finish();
        }
    }
    of.unsupported(
        &[
            "opsgenie_configs",
            "victorops_configs",
            "pushover_configs",
            "wechat_configs",
            "sns_configs",
            "webex_configs",
            "msteams_configs",
            "jira_configs",
            "rocketchat_configs",
            "incidentio_configs",
        ],
        WEBHOOK_INSTEAD,
    );
    of.finish();
    Receiver { name, integrations }
}

/// One integration being read.
struct Entry<'e, 'd> {
    of: &'e Cursor<'d>,
    defaults: &'e Defaults,
    checks: Checks<'e>,
}

impl<'d> Entry<'_, 'd> {
    /// Reads a field that is a template.
    fn template(&self, name: &'static str, default: &str) -> String {
        self.template_of(&self.of.field(name), default)
    }

    fn template_of(&self, field: &Cursor<'d>, default: &str) -> String {
        let Some(text) = field.string() else { return default.to_owned() };
        if let Err(why) = (self.checks.template)(&text) {
            field.problem(why);
        }
        text
    }

    /// Reads fields that are templates into an object: pairs of a field and of its default.
    fn templates(&self, fields: &[(&'static str, &str)]) -> Map<String, Value> {
        fields.iter().map(|(name, default)| ((*name).to_owned(), Value::String(self.template(name, default)))).collect()
    }

    /// Reads a list of objects whose fields are templates, or booleans.
    fn items(&self, of: &Cursor<'d>, texts: &[&'static str], booleans: &[&'static str]) -> Vec<Value> {
        let mut items = Vec::new();
        for item in of.list() {
            let mut object = Map::new();
            for name in texts {
                let field = item.field(name);
                if field.is_present() {
                    object.insert((*name).to_owned(), Value::String(self.template_of(&field, "")));
                }
            }
            for name in booleans {
                object.extend(item.field(name).boolean().map(|value| ((*name).to_owned(), Value::Bool(value))));
            }
            item.finish();
            items.push(Value::Object(object));
        }
        items
    }

    fn integration(&self, kind: IntegrationKind, send_resolved: bool) -> Integration {
        let http = self.of.field("http_config");
        let client = if http.is_present() { read_client(&http) } else { self.defaults.http.clone() };
        http.finish();
        Integration {
            kind,
            send_resolved: self.of.field("send_resolved").boolean().unwrap_or(send_resolved),
            http: client,
            timeout: self.of.field("timeout").read(parse_duration).filter(|time| !time.is_zero()),
            url: None,
            token: None,
            body: Value::Null,
            max_alerts: 0,
            email: None,
        }
    }

    /// Reads where messages go, and says that it is missing.
    fn url(&self, text: &'static str, file: &'static str, default: Option<&SecretSource>) -> Option<SecretSource> {
        let url = secret_or(self.of, text, file, default);
        match &url {
            None => self.of.problem(format!("\"{text}\" or \"{file}\" is missing")),
            Some(SecretSource::Text(secret)) if !secret.reveal().contains("{{") => {
                if let Err(why) = crate::scrape::parse_url(secret.reveal()) {
                    self.of.field(text).problem(why);
                }
            }
            Some(SecretSource::Text(secret)) => {
                if let Err(why) = (self.checks.template)(secret.reveal()) {
                    self.of.field(text).problem(why);
                }
            }
            Some(SecretSource::File(_)) => {}
        }
        url
    }
}

fn webhook(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::Webhook, true);
    integration.url = entry.url("url", "url_file", None);
    let most = entry.of.field("max_alerts").count().unwrap_or(0);
    integration.max_alerts = usize::try_from(most).unwrap_or(usize::MAX);
    let payload = entry.of.field("payload");
    if payload.is_present() {
        check_texts(&payload, &payload.json(), entry.checks);
        integration.body = payload.json();
    }
    Some(integration)
}

/// Checks all texts of a free tree.
fn check_texts(at: &Cursor<'_>, value: &Value, checks: Checks<'_>) {
    match value {
        Value::String(text) => {
            if let Err(why) = (checks.template)(text) {
                at.problem(why);
            }
        }
        Value::Array(list) => list.iter().for_each(|item| check_texts(at, item, checks)),
        Value::Object(map) => map.values().for_each(|item| check_texts(at, item, checks)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn slack(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::Slack, false);
    entry.of.unsupported(
        &["app_token", "app_token_file", "app_url", "update_message"],
        "; make an incoming webhook and give it as api_url",
    );
    integration.url = entry.url("api_url", "api_url_file", entry.defaults.slack.as_ref());
    let mut body = entry.templates(&[
        ("channel", ""),
        ("username", "{{ template \"slack.default.username\" . }}"),
        ("icon_emoji", "{{ template \"slack.default.iconemoji\" . }}"),
        ("icon_url", "{{ template \"slack.default.iconurl\" . }}"),
    ]);
    body.insert("text".to_owned(), Value::String(entry.template("message_text", "")));
    body.insert("link_names".to_owned(), entry.of.field("link_names").boolean().unwrap_or(false).into());
    let mut attachment = entry.templates(&[
        ("title", "{{ template \"slack.default.title\" . }}"),
        ("title_link", "{{ template \"slack.default.titlelink\" . }}"),
        ("pretext", "{{ template \"slack.default.pretext\" . }}"),
        ("text", "{{ template \"slack.default.text\" . }}"),
        ("fallback", "{{ template \"slack.default.fallback\" . }}"),
        ("callback_id", "{{ template \"slack.default.callbackid\" . }}"),
        ("image_url", ""),
        ("thumb_url", ""),
        ("footer", "{{ template \"slack.default.footer\" . }}"),
        ("color", "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}"),
    ]);
    let short = entry.of.field("short_fields").boolean().unwrap_or(false);
    let mut fields = entry.items(&entry.of.field("fields"), &["title", "value"], &["short"]);
    for field in fields.iter_mut().filter_map(Value::as_object_mut) {
        field.entry("short").or_insert(Value::Bool(short));
    }
    let actions = entry.of.field("actions");
    for action in actions.list() {
        let confirm = action.field("confirm");
        if confirm.is_present() {
            confirm.problem("\"confirm\" is not supported");
        }
    }
    let actions = entry.items(&actions, &["type", "text", "url", "style", "name", "value"], &[]);
    attachment.insert("fields".to_owned(), Value::Array(fields));
    attachment.insert("actions".to_owned(), Value::Array(actions));
    let mut markdown = entry.of.field("mrkdwn_in").strings();
    if markdown.is_empty() {
        markdown = ["fallback", "pretext", "text"].map(str::to_owned).into();
    }
    attachment.insert("mrkdwn_in".to_owned(), markdown.into());
    body.insert("attachments".to_owned(), Value::Array(vec![Value::Object(attachment)]));
    integration.body = Value::Object(body);
    Some(integration)
}

fn mattermost(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::Mattermost, true);
    integration.url = entry.url("webhook_url", "webhook_url_file", entry.defaults.mattermost.as_ref());
    let mut body = entry.templates(&[
        ("channel", ""),
        ("username", "{{ template \"mattermost.default.username\" . }}"),
        ("text", "{{ template \"mattermost.default.text\" . }}"),
        ("icon_url", ""),
        ("icon_emoji", ""),
    ]);
    let attachments = entry.of.field("attachments");
    let mut items = Vec::new();
    for item in attachments.list() {
        let inner = Entry { of: &item, defaults: entry.defaults, checks: entry.checks };
        let mut attachment = inner.templates(&[
            ("fallback", ""),
            ("color", "{{ if eq .Status \"firing\" }}#d0021b{{ else }}#2eb886{{ end }}"),
            ("pretext", ""),
            ("text", ""),
            ("author_name", ""),
            ("author_link", ""),
            ("author_icon", ""),
            ("title", ""),
            ("title_link", ""),
            ("image_url", ""),
            ("thumb_url", ""),
            ("footer", ""),
            ("footer_icon", ""),
        ]);
        let fields = inner.items(&item.field("fields"), &["title", "value"], &["short"]);
        attachment.insert("fields".to_owned(), Value::Array(fields));
        item.finish();
        items.push(Value::Object(attachment));
    }
    body.insert("attachments".to_owned(), Value::Array(items));
    let props = entry.of.field("props");
    if props.is_present() {
        body.insert("props".to_owned(), json!({"card": entry.template_of(&props.field("card"), "")}));
        props.finish();
    }
    let priority = entry.of.field("priority");
    if priority.is_present() {
        let level = entry.template_of(&priority.field("priority"), "");
        let requested_ack = priority.field("requested_ack").boolean().unwrap_or(false);
        let persistent = priority.field("persistent_notifications").boolean().unwrap_or(false);
        priority.finish();
        let value = json!({"priority": level, "requested_ack": requested_ack, "persistent_notifications": persistent});
        body.insert("priority".to_owned(), value);
    }
    integration.body = Value::Object(body);
    Some(integration)
}

fn pagerduty(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::PagerDuty, true);
    entry.of.unsupported(
        &["service_key", "service_key_file"],
        "; use an integration of the Events API v2 and give its routing_key",
    );
    integration.token = secret_or(entry.of, "routing_key", "routing_key_file", None);
    if integration.token.is_none() {
        entry.of.problem("\"routing_key\" or \"routing_key_file\" is missing");
    }
    let default = entry.defaults.pagerduty_url.as_deref().unwrap_or("https://events.pagerduty.com/v2/enqueue");
    let default = SecretSource::Text(Secret::new(default));
    integration.url = entry.url("url", "url_file", Some(&default));
    let mut details = Map::new();
    for (name, default) in [
        ("firing", "{{ template \"pagerduty.default.instances\" .Alerts.Firing }}"),
        ("resolved", "{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}"),
        ("num_firing", "{{ .Alerts.Firing | len }}"),
        ("num_resolved", "{{ .Alerts.Resolved | len }}"),
    ] {
        details.insert(name.to_owned(), Value::String(default.to_owned()));
    }
    for (name, value) in entry.of.field("details").entries() {
        details.insert(name.to_owned(), Value::String(entry.template_of(&value, "")));
    }
    let mut payload = entry.templates(&[
        ("source", "{{ template \"pagerduty.default.client\" . }}"),
        ("severity", "error"),
        ("class", ""),
        ("component", ""),
        ("group", ""),
    ]);
    let summary = entry.template("description", "{{ template \"pagerduty.default.description\" . }}");
    payload.insert("summary".to_owned(), Value::String(summary));
    payload.insert("custom_details".to_owned(), Value::Object(details));
    let mut body = entry.templates(&[
        ("client", "{{ template \"pagerduty.default.client\" . }}"),
        ("client_url", "{{ template \"pagerduty.default.clientURL\" . }}"),
    ]);
    body.insert("payload".to_owned(), Value::Object(payload));
    let images = entry.items(&entry.of.field("images"), &["href", "src", "alt"], &[]);
    let links = entry.items(&entry.of.field("links"), &["href", "text"], &[]);
    body.insert("images".to_owned(), Value::Array(images));
    body.insert("links".to_owned(), Value::Array(links));
    integration.body = Value::Object(body);
    Some(integration)
}

fn telegram(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::Telegram, true);
    integration.token = secret_or(entry.of, "bot_token", "bot_token_file", entry.defaults.telegram_token.as_ref());
    if integration.token.is_none() {
        entry.of.problem("\"bot_token\" or \"bot_token_file\" is missing");
    }
    let default = entry.defaults.telegram_url.as_deref().unwrap_or("https://api.telegram.org");
    let default = SecretSource::Text(Secret::new(default));
    entry.of.unsupported(&["chat_id_file"], "; write chat_id");
    integration.url = entry.url("api_url", "api_url_file", Some(&default));
    let chat = entry.of.field("chat_id").required().integer().unwrap_or_default();
    let modes = [("HTML", "HTML"), ("Markdown", "Markdown"), ("MarkdownV2", "MarkdownV2"), ("", "")];
    let mode = entry.of.field("parse_mode").one_of(&modes).unwrap_or("HTML");
    let mut body = Map::new();
    body.insert("chat_id".to_owned(), chat.into());
    if let Some(thread) = entry.of.field("message_thread_id").integer() {
        body.insert("message_thread_id".to_owned(), thread.into());
    }
    let text = entry.template("message", "{{ template \"telegram.default.message\" . }}");
    body.insert("text".to_owned(), Value::String(text));
    body.insert("parse_mode".to_owned(), mode.into());
    let silent = entry.of.field("disable_notifications").boolean().unwrap_or(false);
    body.insert("disable_notification".to_owned(), silent.into());
    body.insert("disable_web_page_preview".to_owned(), true.into());
    integration.body = Value::Object(body);
    Some(integration)
}

fn discord(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::Discord, true);
    integration.url = entry.url("webhook_url", "webhook_url_file", None);
    let mut body = entry.templates(&[
        ("content", "{{ template \"discord.default.content\" . }}"),
        ("username", ""),
        ("avatar_url", ""),
    ]);
    let title = entry.template("title", "{{ template \"discord.default.title\" . }}");
    let description = entry.template("message", "{{ template \"discord.default.message\" . }}");
    body.insert("embeds".to_owned(), json!([{"title": title, "description": description}]));
    integration.body = Value::Object(body);
    Some(integration)
}

fn teams(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration(IntegrationKind::MsTeamsV2, true);
    integration.url = entry.url("webhook_url", "webhook_url_file", None);
    let title = entry.template("title", "{{ template \"msteamsv2.default.title\" . }}");
    let text = entry.template("text", "{{ template \"msteamsv2.default.text\" . }}");
    let color = "{{ if eq .Status \"firing\" }}attention{{ else }}good{{ end }}";
    integration.body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    {"type": "TextBlock", "text": title, "weight": "bolder", "size": "medium", "wrap": true,
                     "style": "heading", "color": color},
                    {"type": "TextBlock", "text": text, "wrap": true},
                ],
                "msteams": {"width": "full"},
            },
        }],
    });
    Some(integration)
}

fn email(entry: &Entry<'_, '_>) -> Option<Integration> {
    let mut integration = entry.integration_without_http(IntegrationKind::Email);
    let (of, defaults) = (entry.of, entry.defaults);
    let text = |name: &'static str, default: &Option<String>| {
        let own = of.field(name).string().filter(|text| !text.is_empty());
        own.or_else(|| default.clone())
    };
    let missing = |name: &str, place: &str| of.problem(format!("\"{name}\" is missing, here and as \"{place}\""));
    let to = entry.template("to", "");
    if to.is_empty() {
        of.field("to").problem("is missing");
    }
    let from = text("from", &defaults.from);
    if from.is_none() {
        missing("from", "global.smtp_from");
    }
    let smarthost = text("smarthost", &defaults.smarthost);
    let (host, port) = match smarthost.as_deref().and_then(|text| text.rsplit_once(':')) {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(25))
        }
        Some(_) => {
            of.field("smarthost").problem("it is no \"host:port\"");
            (String::new(), 0)
        }
        None => {
            missing("smarthost", "global.smtp_smarthost");
            (String::new(), 0)
        }
    };
    let tls = of.field("tls_config");
    let tls = if tls.is_present() { read_tls(&tls) } else { defaults.tls.clone().unwrap_or_default() };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in of.field("headers").entries() {
        if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            value.problem(format!("the header \"{name}\" is there already"));
        }
        headers.push((name.to_owned(), entry.template_of(&value, "")));
    }
    let threading = of.field("threading");
    let is_threaded = threading.field("enabled").boolean().unwrap_or(false);
    let by_date = threading.field("thread_by_date").one_of(&[("daily", true), ("none", false)]).unwrap_or(true);
    threading.finish();
    integration.email = Some(Box::new(EmailConfig {
        to,
        from: from.unwrap_or_default(),
        host,
        port,
        hello: text("hello", &defaults.hello).unwrap_or_else(|| "localhost".to_owned()),
        username: text("auth_username", &defaults.username).unwrap_or_default(),
        password: secret_or(of, "auth_password", "auth_password_file", defaults.password.as_ref()),
        secret: secret_or(of, "auth_secret", "auth_secret_file", defaults.secret.as_ref()),
        identity: text("auth_identity", &defaults.identity).unwrap_or_default(),
        tls,
        require_tls: of.field("require_tls").boolean().or(defaults.require_tls).unwrap_or(true),
        implicit_tls: of.field("force_implicit_tls").boolean().or(defaults.implicit_tls),
        headers,
        html: entry.template("html", "{{ template \"email.default.html\" . }}"),
        text: entry.template("text", ""),
        threading: is_threaded.then_some(by_date),
    }));
    Some(integration)
}

impl Entry<'_, '_> {
    /// Mail does not go by HTTP.
    fn integration_without_http(&self, kind: IntegrationKind) -> Integration {
        Integration {
            kind,
            send_resolved: self.of.field("send_resolved").boolean().unwrap_or(false),
            http: HttpClientConfig::default(),
            timeout: self.of.field("timeout").read(parse_duration).filter(|time| *time > Duration::ZERO),
            url: None,
            token: None,
            body: Value::Null,
            max_alerts: 0,
            email: None,
        }
    }
}
