//! Who is logged in: in memory for each request, and on disk so that a restart of Maru logs nobody out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenReview;
use maru_auth::{Identity, SecretText};
use maru_client::Client;
use maru_task::Scope;
use maru_time::{SharedClock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access;
use crate::records::{ConsoleError, Records, hash, random_secret};
use crate::telemetry::{Counted, Telemetry};

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// How often sessions are looked at: whether they have expired, were ended from outside, or their token was.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Sessions of one user; the oldest ends when there would be more.
const SESSIONS_OF_USER_MAX: usize = 50;

/// What is known of a session; on disk under the hash of its cookie.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRecord {
    /// Names the session, and opens nothing.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    /// When it began.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The browser, as it calls itself.
    pub agent: String,
    /// Where it came from.
    pub address: String,
    /// Whether it began with a token: it ends with that token, and with this process.
    pub by_token: bool,
}

impl SessionRecord {
    fn identity(&self) -> Identity {
        Identity {
            user: self.user.clone(),
            uid: self.uid.clone(),
            groups: self.groups.clone(),
            extra: self.extra.clone(),
        }
    }
}

/// How a session began.
#[derive(Debug, Clone)]
pub(crate) struct Beginning {
    pub(crate) identity: Identity,
    pub(crate) agent: String,
    pub(crate) address: String,
    /// The token that it hangs on.
    pub(crate) token: Option<SecretText>,
}

/// A session. Its scope ends with it: all that is open on its behalf runs there.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) record: SessionRecord,
    pub(crate) identity: Identity,
    pub(crate) scope: Scope,
    /// What it may do with other rooms, and until when that is believed.
    pub(crate) access: Mutex<access::Known>,
    /// WebSockets that are open.
    pub(crate) sockets: Arc<tokio::sync::Semaphore>,
    /// The token that it hangs on.
    token: Option<SecretText>,
    _counted: Counted,
}

/// WebSockets of one session.
const SOCKETS_OF_SESSION_MAX: usize = 200;

/// All sessions, by the hash of their cookie.
#[derive(Debug)]
pub(crate) struct Sessions {
    live: Mutex<BTreeMap<String, Arc<Session>>>,
    records: Records<SessionRecord>,
    clock: SharedClock,
    scope: Scope,
    telemetry: Arc<Telemetry>,
}

impl Sessions {
    /// Takes up the sessions of the process before.
    pub(crate) fn load(
        folder: &Path,
        clock: SharedClock,
        scope: Scope,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, ConsoleError> {
        let records = Records::<SessionRecord>::new(folder.join("sessions"));
        let sessions = Self { live: Mutex::default(), records, clock, scope, telemetry };
        let now = sessions.clock.now();
        for (name, record) in sessions.records.list()? {
            if record.by_token || record.expires <= now {
                sessions.records.remove(&name)?;
            } else {
                let session = sessions.session(record, None);
                sessions.live().insert(name, session);
            }
        }
        Ok(sessions)
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, record: SessionRecord, token: Option<SecretText>) -> Arc<Session> {
        let kind = if record.by_token { "token" } else { "link" };
        Arc::new(Session {
            identity: record.identity(),
            record,
            scope: self.scope.child("session"),
            access: Mutex::default(),
            sockets: Arc::new(tokio::sync::Semaphore::new(SOCKETS_OF_SESSION_MAX)),
            token,
            _counted: Counted::new(self.telemetry.sessions.with(&[kind])),
        })
    }

    /// Begins a session and returns what its cookie says.
    pub(crate) fn begin(&self, beginning: Beginning) -> Result<SecretText, ConsoleError> {
        let secret = random_secret();
        let name = hash(secret.reveal());
        let created = self.clock.now();
        let identity = beginning.identity;
        let record = SessionRecord {
            id: maru_ids::random_suffix(10),
            user: identity.user,
            groups: identity.groups,
            uid: identity.uid,
            extra: identity.extra,
            created,
            expires: created.saturating_add(LIFETIME).unwrap_or(created),
            agent: beginning.agent,
            address: beginning.address,
            by_token: beginning.token.is_some(),
        };
        self.make_room(&record.user)?;
        self.records.write(&name, &record)?;
        tracing::info!(user = record.user, session = record.id, address = record.address, "logged in");
        let session = self.session(record, beginning.token);
        self.live().insert(name, session);
        Ok(secret)
    }

    fn make_room(&self, user: &str) -> Result<(), ConsoleError> {
        let oldest = {
            let live = self.live();
            let of_user: Vec<_> = live.iter().filter(|(_, session)| session.record.user == user).collect();
            if of_user.len() < SESSIONS_OF_USER_MAX {
                return Ok(());
            }
            of_user.into_iter().min_by_key(|(_, session)| session.record.created).map(|(name, _)| name.clone())
        };
        oldest.map_or(Ok(()), |name| self.end(&name, "the user has too many sessions"))
    }

    /// Returns the session that a cookie opens.
    pub(crate) fn find(&self, cookie: &str) -> Option<Arc<Session>> {
        let session = self.live().get(&hash(cookie)).cloned()?;
        (session.record.expires > self.clock.now() && !session.scope.is_cancelled()).then_some(session)
    }

    /// Returns a user's sessions, the newest first.
    pub(crate) fn of_user(&self, user: &str) -> Vec<Arc<Session>> {
        let mut found: Vec<_> = self.live().values().filter(|one| one.record.user == user).cloned().collect();
        found.sort_by_key(|session| std::cmp::Reverse(session.record.created));
        found
    }

    /// Ends those of a user's sessions that are meant and returns how many there were.
    pub(crate) fn end_of_user(&self, user: &str, id: Option<&str>) -> Result<usize, ConsoleError> {
        let names: Vec<String> = self
            .live()
            .iter()
            .filter(|(_, one)| one.record.user == user && id.is_none_or(|id| one.record.id == id))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &names {
            self.end(name, "the user ended it")?;
        }
        Ok(names.len())
    }

    /// Ends the session that a cookie opens.
    pub(crate) fn end_by_cookie(&self, cookie: &str) -> Result<(), ConsoleError> {
        self.end(&hash(cookie), "the user logged out")
    }

    /// Ends a session; everything that is open on its behalf ends with it. On disk first: it must not come back.
    fn end(&self, name: &str, why: &str) -> Result<(), ConsoleError> {
        self.records.remove(name)?;
        if let Some(session) = self.live().remove(name) {
            session.scope.cancel();
            tracing::info!(user = session.record.user, session = session.record.id, why, "logged out");
        }
        Ok(())
    }

    /// Ends sessions that are over, until the scope ends.
    pub(crate) async fn look_after(self: Arc<Self>, client: Client) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            ticks.tick().await;
            let sessions: Vec<_> =
                self.live().iter().map(|(name, session)| (name.clone(), Arc::clone(session))).collect();
            for (name, session) in sessions {
                let why = if session.record.expires <= self.clock.now() {
                    Some("its time was over")
                } else if self.records.is_gone(&name) {
                    Some("it was ended on the machine")
                } else if token_is_gone(&client, &session).await {
                    Some("its token is not accepted any more")
                } else {
                    None
                };
                if let Some(why) = why
                    && let Err(error) = self.end(&name, why)
                {
                    tracing::error!(error = %error, "a session could not be ended on disk");
                }
            }
        }
    }
}

/// Tells whether a session hangs on a token that does not count any more. An API that does not answer decides nothing.
async fn token_is_gone(client: &Client, session: &Session) -> bool {
    let Some(token) = &session.token else { return false };
    matches!(review(client, token).await, Ok(identity) if identity.as_ref() != Some(&session.identity))
}

/// Asks the API server whose token it is; nothing when it does not count.
pub(crate) async fn review(client: &Client, token: &SecretText) -> Result<Option<Identity>, String> {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token.reveal()},
    });
    let request = http::Request::post("/apis/authentication.k8s.io/v1/tokenreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let answered: TokenReview = client.request(request).await.map_err(|error| error.to_string())?;
    let user = answered.status.filter(|status| status.authenticated == Some(true)).and_then(|status| status.user);
    Ok(user.map(|user| Identity {
        user: user.username.unwrap_or_default(),
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    }))
}

/// The sessions as they are on disk, for whoever may write the console's folder: root on this machine.
#[derive(Debug, Clone)]
pub struct SessionFiles(Records<SessionRecord>);

impl SessionFiles {
    /// Returns the sessions in the console's folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(Records::new(folder.join("sessions")))
    }

    /// Returns all sessions.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<SessionRecord>, ConsoleError> {
        Ok(self.0.list()?.into_iter().map(|(_, record)| record).collect())
    }

    /// Ends those that are meant and returns how many there were; a running Maru follows within seconds.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn end(&self, is_meant: impl Fn(&SessionRecord) -> bool) -> Result<usize, ConsoleError> {
        let mut ended = 0;
        for (name, record) in self.0.list()? {
            if is_meant(&record) && self.0.remove(&name)? {
                ended += 1;
            }
        }
        Ok(ended)
    }
}
