//! A mail on its way: SMTP with STARTTLS or TLS, and three ways to say who one is. RFC 5321, RFC 3207, RFC 4954, RFC 2195.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Failure, tls};
use crate::notify::reveal;
use maru_monitoring::alerting::EmailConfig;
use maru_monitoring::relabel::md5;

/// Most bytes of one line, and most lines of one answer.
const LINE_BYTES_MAX: usize = 4096;
const LINES_MAX: usize = 100;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Session {
    wire: BufReader<Box<dyn Wire>>,
    /// What the server can: lines of its answer to EHLO, in capitals.
    abilities: Vec<String>,
    is_encrypted: bool,
}

struct Answer {
    code: u16,
    lines: Vec<String>,
}

impl Answer {
    fn failure(&self, what: &str) -> Failure {
        let message = format!("{what}: {} {}", self.code, self.lines.join(" "));
        Failure { message, is_passing: self.code < 500 }
    }
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::passing(format!("{what}: {error}"))
}

impl Session {
    async fn answer(&mut self) -> Result<Answer, Failure> {
        let mut answer = Answer { code: 0, lines: Vec::new() };
        while answer.lines.len() < LINES_MAX {
            let mut line = Vec::new();
            let mut limited = tokio::io::AsyncReadExt::take(&mut self.wire, LINE_BYTES_MAX as u64);
            let read = limited.read_until(b'\n', &mut line).await.map_err(|error| broken("the mail server", &error))?;
            if read == 0 {
                return Err(Failure::passing("the mail server closed the connection"));
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (Some(code), rest) =
                (text.get(..3).and_then(|code| code.parse().ok()), text.get(3..).unwrap_or_default())
            else {
                return Err(Failure::passing(format!(
                    "the mail server said \"{}\", which is no SMTP",
                    text.chars().take(80).collect::<String>()
                )));
            };
            answer.code = code;
            answer.lines.push(rest.trim_start_matches(['-', ' ']).to_owned());
            if !rest.starts_with('-') {
                return Ok(answer);
            }
        }
        Err(Failure::passing("the mail server does not stop talking"))
    }

    async fn send(&mut self, text: &str) -> Result<(), Failure> {
        let wire = self.wire.get_mut();
        wire.write_all(text.as_bytes()).await.map_err(|error| broken("the mail server", &error))?;
        wire.flush().await.map_err(|error| broken("the mail server", &error))
    }

    /// Says a command; `what` names it in errors, so that no secret is told.
    async fn command(&mut self, what: &str, text: &str, expected: u16) -> Result<Answer, Failure> {
        self.send(&format!("{text}\r\n")).await?;
        let answer = self.answer().await?;
        if answer.code / 10 == expected / 10 { Ok(answer) } else { Err(answer.failure(what)) }
    }

    async fn hello(&mut self, name: &str) -> Result<(), Failure> {
        let answer = self.command("EHLO", &format!("EHLO {name}"), 250).await?;
        self.abilities = answer.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn ways(&self) -> Vec<String> {
        let auth = self.abilities.iter().find_map(|line| line.strip_prefix("AUTH"));
        auth.map(|ways| ways.trim_start_matches('=').split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    }
}

/// Sends a mail.
pub(super) async fn send(config: &EmailConfig, from: &str, to: &[String], mail: &str) -> Result<String, Failure> {
    let connected = TcpStream::connect((config.host.as_str(), config.port)).await;
    let socket = connected.map_err(|error| broken(&format!("{}:{}", config.host, config.port), &error))?;
    let implicit = config.implicit_tls.unwrap_or(config.port == 465);
    let wire: Box<dyn Wire> = if implicit { encrypted(config, Box::new(socket)).await? } else { Box::new(socket) };
    let mut session = Session { wire: BufReader::new(wire), abilities: Vec::new(), is_encrypted: implicit };
    let greeting = session.answer().await?;
    if greeting.code != 220 {
        return Err(greeting.failure("the greeting"));
    }
    session.hello(&config.hello).await?;
    if !session.is_encrypted {
        session = start_tls(session, config).await?;
    }
    if !config.username.is_empty() {
        authenticate(&mut session, config).await?;
    }
    session.command("MAIL FROM", &format!("MAIL FROM:<{from}>"), 250).await?;
    for one in to {
        session.command(&format!("RCPT TO <{one}>"), &format!("RCPT TO:<{one}>"), 250).await?;
    }
    session.command("DATA", "DATA", 354).await?;
    let dotted = mail.replace("\r\n.", "\r\n..");
    let taken = session.command("the mail", &format!("{}\r\n.", dotted.trim_end_matches("\r\n")), 250).await?;
    // It is taken: what the server says to the farewell changes nothing.
    drop(session.command("QUIT", "QUIT", 221).await);
    Ok(format!("{} {}", taken.code, taken.lines.join(" ")))
}

async fn start_tls(mut session: Session, config: &EmailConfig) -> Result<Session, Failure> {
    if !session.abilities.iter().any(|line| line == "STARTTLS") {
        if config.require_tls {
            return Err(Failure::lasting("the mail server does not offer STARTTLS, and require_tls is true"));
        }
        return Ok(session);
    }
    if !config.require_tls {
        return Ok(session);
    }
    session.command("STARTTLS", "STARTTLS", 220).await?;
    // What came before the handshake is not to be trusted.
    if !session.wire.buffer().is_empty() {
        return Err(Failure::lasting("the mail server said something before TLS began"));
    }
    let wire = encrypted(config, session.wire.into_inner()).await?;
    let mut session = Session { wire: BufReader::new(wire), abilities: Vec::new(), is_encrypted: true };
    session.hello(&config.hello).await?;
    Ok(session)
}

async fn encrypted(config: &EmailConfig, socket: Box<dyn Wire>) -> Result<Box<dyn Wire>, Failure> {
    let client = tls::client_config(&config.tls)?;
    let name = config.tls.server_name.as_deref().unwrap_or(&config.host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name)
        .map_err(|error| Failure::lasting(format!("the mail server's name: {error}")))?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = connector.connect(name, socket).await.map_err(|error| broken("TLS with the mail server", &error))?;
    Ok(Box::new(stream))
}

async fn authenticate(session: &mut Session, config: &EmailConfig) -> Result<(), Failure> {
    let is_local = config.host == "localhost"
        || config.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    for way in session.ways() {
        match (way.as_str(), &config.password, &config.secret) {
            ("CRAM-MD5", _, Some(secret)) => {
                let challenge = session.command("AUTH CRAM-MD5", "AUTH CRAM-MD5", 334).await?;
                let text = challenge.lines.first().map(String::as_str).unwrap_or_default();
                let decoded = STANDARD.decode(text).map_err(|_| Failure::passing("the challenge is no base64"))?;
                let digest = maru_ids::to_hex(&hmac_md5(reveal(secret)?.as_bytes(), &decoded));
                let answer = STANDARD.encode(format!("{} {digest}", config.username));
                return session.command("AUTH CRAM-MD5", &answer, 235).await.map(|_| ());
            }
            ("PLAIN" | "LOGIN", Some(_), _) if !session.is_encrypted && !is_local => {
                return Err(Failure::lasting(
                    "the password is not sent without TLS; set require_tls, or use auth_secret",
                ));
            }
            ("PLAIN", Some(password), _) => {
                let triple = format!("{}\0{}\0{}", config.identity, config.username, reveal(password)?);
                let text = format!("AUTH PLAIN {}", STANDARD.encode(triple));
                return session.command("AUTH PLAIN", &text, 235).await.map(|_| ());
            }
            ("LOGIN", Some(password), _) => {
                session.command("AUTH LOGIN", "AUTH LOGIN", 334).await?;
                session.command("AUTH LOGIN", &STANDARD.encode(&config.username), 334).await?;
                return session.command("AUTH LOGIN", &STANDARD.encode(reveal(password)?), 235).await.map(|_| ());
            }
            _ => {}
        }
    }
    let offered = session.ways().join(", ");
    Err(Failure::lasting(format!(
        "the mail server offers no way to authenticate that the configuration fits: \"{offered}\""
    )))
}

/// HMAC with MD5, for CRAM-MD5 alone.
fn hmac_md5(key: &[u8], text: &[u8]) -> [u8; 16] {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..16].copy_from_slice(&md5(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |byte: u8| block.map(|own| own ^ byte);
    let inner = md5(&[&padded(0x36)[..], text].concat());
    md5(&[&padded(0x5c)[..], &inner].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // RFC 2195 §2.
        let digest = hmac_md5(b"tanstaaftanstaaf", b"<1896.697170952@postoffice.reston.mci.net>");
        assert_eq!(maru_ids::to_hex(&digest), "b913a602c7eda7a495b4e6e7334d3890");
    }
}
