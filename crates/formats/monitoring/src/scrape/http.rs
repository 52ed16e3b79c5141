//! How a server is reached: credentials, TLS, headers.

use maru_yaml::Cursor;

use super::values::parse_url;

/// A text that is shown as `<secret>`.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("<secret>")
    }
}

/// Where a secret comes from. Files are read again whenever the secret is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// Written in the configuration.
    Text(Secret),
    /// The content of a file, without white space around it.
    File(String),
}

/// Who the caller says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub enum Authentication {
    /// Nobody.
    #[default]
    None,
    /// A user with a password.
    Basic {
        /// The user.
        username: SecretSource,
        /// The password.
        password: SecretSource,
    },
    /// The header `Authorization` with a scheme and credentials.
    Header {
        /// The scheme, such as `Bearer`.
        kind: String,
        /// What follows it.
        credentials: SecretSource,
    },
}

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct TlsConfig {
    /// The authorities to trust (PEM); the machine's own when absent.
    pub ca: Option<SecretSource>,
    /// The client's certificate (PEM).
    pub certificate: Option<SecretSource>,
    /// The client's key (PEM).
    pub key: Option<SecretSource>,
    /// The name that the server's certificate must have; the address's host when absent.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure_skip_verify: bool,
    /// Whether only TLS 1.3 is spoken.
    pub needs_tls13: bool,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpClientConfig {
    /// Who the caller is.
    pub authentication: Authentication,
    /// How TLS is spoken.
    pub tls: TlsConfig,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 may be spoken.
    pub enable_http2: bool,
    /// Headers that are sent with each request.
    pub headers: Vec<(String, SecretSource)>,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            authentication: Authentication::None,
            tls: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            headers: Vec::new(),
        }
    }
}

/// Reads a secret that is written, or whose file is named.
pub(crate) fn secret(of: &Cursor<'_>, text: &'static str, file: &'static str) -> Option<SecretSource> {
    let (text, file) = (of.field(text), of.field(file));
    match (text.string().filter(|text| !text.is_empty()), file.string().filter(|file| !file.is_empty())) {
        (Some(_), Some(_)) => {
            file.problem("the secret itself is given too; keep one of the two");
            None
        }
        (Some(text), None) => Some(SecretSource::Text(Secret::new(text))),
        (None, Some(file)) => Some(SecretSource::File(file)),
        (None, None) => None,
    }
}

/// Reads the fields that all clients of HTTP share. The caller finishes the object.
pub fn read_client(of: &Cursor<'_>) -> HttpClientConfig {
    const ELSEWHERE: &str = "; let a proxy beside Maru do it";
    of.unsupported(&["oauth2"], "; use authorization with a credentials_file that something else renews");
    of.unsupported(
        &["proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"],
        "; requests go straight to their address",
    );
    of.unsupported(&["sigv4", "azuread", "google_iam"], ELSEWHERE);
    let headers = of.field("http_headers");
    let mut config = HttpClientConfig {
        tls: read_tls(&of.field("tls_config")),
        follow_redirects: of.field("follow_redirects").boolean().unwrap_or(true),
        enable_http2: of.field("enable_http2").boolean().unwrap_or(true),
        headers: read_headers(&headers),
        ..HttpClientConfig::default()
    };
    let mut ways = Vec::new();
    let basic = of.field("basic_auth");
    if basic.is_present() {
        let username = secret(&basic, "username", "username_file");
        let password = secret(&basic, "password", "password_file");
        basic.finish();
        let empty = || SecretSource::Text(Secret::default());
        ways.push("basic_auth");
        config.authentication = Authentication::Basic {
            username: username.unwrap_or_else(empty),
            password: password.unwrap_or_else(empty),
        };
    }
    let authorization = of.field("authorization");
    if authorization.is_present() {
        let kind = authorization.field("type");
        let text = kind.string().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("basic")) {
            kind.problem("the type Basic is written as basic_auth");
        }
        let credentials = secret(&authorization, "credentials", "credentials_file");
        authorization.finish();
        ways.push("authorization");
        if let Some(credentials) = credentials {
            let kind = text.unwrap_or_else(|| "Bearer".to_owned());
            config.authentication = Authentication::Header { kind, credentials };
        }
    }
    if let Some(credentials) = secret(of, "bearer_token", "bearer_token_file") {
        ways.push("bearer_token");
        config.authentication = Authentication::Header { kind: "Bearer".to_owned(), credentials };
    }
    if ways.len() > 1 {
        of.problem(format!("at most one of {} may be given", ways.join(", ")));
    }
    config
}

fn read_headers(of: &Cursor<'_>) -> Vec<(String, SecretSource)> {
    const RESERVED: [&str; 4] = ["authorization", "host", "content-encoding", "content-length"];
    let mut headers = Vec::new();
    for (name, entry) in of.entries() {
        let is_token = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte));
        if !is_token || RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            entry.problem(format!("the header \"{name}\" cannot be set here"));
        }
        let texts = ["values", "secrets"].map(|field| entry.field(field).strings());
        let files = entry.field("files").strings();
        entry.finish();
        headers
            .extend(texts.into_iter().flatten().map(|text| (name.to_owned(), SecretSource::Text(Secret::new(text)))));
        headers.extend(files.into_iter().map(|file| (name.to_owned(), SecretSource::File(file))));
    }
    headers
}

/// Reads how TLS is spoken.
pub fn read_tls(of: &Cursor<'_>) -> TlsConfig {
    let versions = [("TLS10", false), ("TLS11", false), ("TLS12", false), ("TLS13", true)];
    let (certificate, key) = (secret(of, "cert", "cert_file"), secret(of, "key", "key_file"));
    if certificate.is_some() != key.is_some() {
        of.problem("a client's certificate and its key go together: give both");
    }
    of.unsupported(&["ca_ref", "cert_ref", "key_ref"], "; name a file");
    let tls = TlsConfig {
        ca: secret(of, "ca", "ca_file"),
        certificate,
        key,
        server_name: of.field("server_name").string().filter(|name| !name.is_empty()),
        insecure_skip_verify: of.field("insecure_skip_verify").boolean().unwrap_or_default(),
        needs_tls13: of.field("min_version").one_of(&versions).unwrap_or_default(),
    };
    if of.field("max_version").one_of(&versions) == Some(false)
        && of.field("max_version").string().as_deref() != Some("TLS12")
    {
        of.field("max_version").problem("TLS older than 1.2 is not spoken");
    }
    of.finish();
    tls
}

/// Reads an address of HTTP that must be there.
pub(super) fn read_url(of: &Cursor<'_>) -> String {
    if !of.is_present() {
        of.problem("is missing");
        return String::new();
    }
    of.read(parse_url).unwrap_or_default()
}
