//! The room: what it is made from, and the way of every request.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use maru_client::Client;
use maru_http::{Body, Handler};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::SharedClock;

use crate::answer::Refusal;
use crate::assets::Assets;
use crate::guard;
use crate::links::Links;
use crate::records::ConsoleError;
use crate::sessions::Sessions;
use crate::socket::{self, Upgrade};
use crate::telemetry::Telemetry;
use crate::{forward, login};

/// More wait for nothing: they are refused, and pages ask again.
const REQUESTS_MAX: usize = 256;

/// How a room's own tokens are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomAccess {
    /// The handler only reads: `get` is enough for everything.
    Reads,
    /// `get` for reads, `post` for changes, `delete` for what is below `/-/`.
    ByMethod,
    /// The handler looks at the identity in a request's extensions, and asks the API as that one.
    Own,
}

/// Another room that the page speaks to.
#[derive(Debug, Clone)]
pub struct Room {
    /// As the page knows it.
    pub name: String,
    /// Where it is for the page: `/prometheus`.
    pub prefix: String,
    /// Answers for it and asks for no token.
    pub handler: Handler,
    /// The path that roles name to give access to it; not looked at for a room with checks of its own.
    pub role_path: String,
    /// Which verbs its requests need.
    pub access: RoomAccess,
}

/// What the console is made from.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// The API server's handler, which trusts an identity in a request's extensions.
    pub api: Handler,
    /// The other rooms that are there.
    pub rooms: Vec<Room>,
    /// Acts as the room itself.
    pub client: Client,
    /// Tells when links and sessions are over.
    pub clock: SharedClock,
    /// Where the room's metrics are registered.
    pub registry: Registry,
    /// Where links and sessions are kept.
    pub folder: PathBuf,
    /// Tells this Maru from others on the machine.
    pub instance: String,
    /// What people call this machine; shown on the page.
    pub machine: String,
    /// The version that the page shows.
    pub version: String,
    /// Names of this machine besides the loopback's.
    pub hosts: Vec<String>,
    /// Whether the listener speaks TLS.
    pub tls: bool,
    /// A folder with the built page, instead of what was built in.
    pub assets: Option<PathBuf>,
}

impl std::fmt::Debug for ConsoleOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ConsoleOptions")
            .field("rooms", &self.rooms)
            .field("folder", &self.folder)
            .field("instance", &self.instance)
            .field("hosts", &self.hosts)
            .field("tls", &self.tls)
            .field("assets", &self.assets)
            .finish_non_exhaustive()
    }
}

/// What every request shares.
pub(crate) struct State {
    pub(crate) api: Handler,
    pub(crate) rooms: Vec<Room>,
    pub(crate) client: Client,
    pub(crate) clock: SharedClock,
    pub(crate) links: Links,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) cookie_name: String,
    pub(crate) tls: bool,
    pub(crate) version: String,
    pub(crate) machine: String,
    pub(crate) scope: Scope,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Requests at a time that are no streams. The API server leaves it to callers in its process to bound themselves.
    pub(crate) requests: tokio::sync::Semaphore,
    hosts: Vec<String>,
    assets: Assets,
}

/// A running console. Clones share it.
#[derive(Clone)]
pub struct Console {
    state: Arc<State>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Console").field("cookie", &self.state.cookie_name).finish_non_exhaustive()
    }
}

impl Console {
    /// Starts the room: takes up the sessions of the process before.
    ///
    /// # Errors
    /// When its folder cannot be used.
    pub fn start(scope: &Scope, options: ConsoleOptions) -> Result<Self, ConsoleError> {
        let telemetry = Arc::new(Telemetry::new(&options.registry));
        let scope = scope.child("console");
        let clock = options.clock;
        let sessions = Sessions::load(&options.folder, Arc::clone(&clock), scope.clone(), Arc::clone(&telemetry))?;
        let sessions = Arc::new(sessions);
        drop(scope.spawn_until_cancelled("sessions", Arc::clone(&sessions).look_after(options.client.clone())));
        // Cookies do not know ports: two Marus on one machine must not take each other's.
        let prefix = if options.tls { "__Host-" } else { "" };
        let state = State {
            api: options.api,
            rooms: options.rooms,
            client: options.client,
            links: Links::new(&options.folder, Arc::clone(&clock)),
            clock,
            sessions,
            cookie_name: format!("{prefix}maru-session-{}", options.instance),
            tls: options.tls,
            version: options.version,
            machine: options.machine,
            scope,
            telemetry,
            requests: tokio::sync::Semaphore::new(REQUESTS_MAX),
            hosts: options.hosts,
            assets: options.assets.map_or(Assets::Built, Assets::Folder),
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Returns the links that log people in.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.state.links
    }

    /// Returns what answers browsers.
    #[must_use]
    pub fn handler(&self) -> Handler {
        let state = Arc::clone(&self.state);
        Handler::new(move |request| handle(Arc::clone(&state), request))
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Route<'a> {
    Login,
    Console,
    Api,
    Room(&'a Room),
    Page,
}

impl Route<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Console => "console",
            Self::Api => "api",
            Self::Room(_) => "room",
            Self::Page => "page",
        }
    }
}

fn route<'a>(state: &'a State, path: &str) -> Route<'a> {
    let is_below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path == "/login" {
        Route::Login
    } else if is_below("/console/v1") {
        Route::Console
    } else if forward::is_api(path) {
        Route::Api
    } else if let Some(room) = state.rooms.iter().find(|room| is_below(&room.prefix)) {
        Route::Room(room)
    } else {
        Route::Page
    }
}

async fn handle(state: Arc<State>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let route = route(&state, &path);
    let response = Box::pin(answer(&state, route, request)).await.unwrap_or_else(|refusal| {
        tracing::debug!(path, status = refusal.status.as_u16(), error = refusal.message, "request refused");
        let mut response = refusal.response();
        guard::seal(response.headers_mut(), None);
        response
    });
    state.telemetry.requests.with(&[route.name(), response.status().as_str()]).inc();
    response
}

async fn answer(state: &Arc<State>, route: Route<'_>, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let site = guard::site(&parts, state.tls, &state.hosts)?;
    let is_socket = socket::is_wanted(&parts.headers);
    if is_socket || !guard::is_safe(&parts.method) {
        guard::require_own_page(&parts.headers, &site)?;
    }
    let page = |path: &str| {
        if guard::is_safe(&parts.method) {
            Ok(state.assets.answer(path, &parts.headers, &site))
        } else {
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not possible here", parts.method)))
        }
    };
    let mut request = match route {
        Route::Login if guard::is_safe(&parts.method) => {
            return login::link(state, &parts, &site)?.map_or_else(|| page("/"), Ok);
        }
        Route::Login | Route::Page => return page(parts.uri.path()),
        Route::Console | Route::Api | Route::Room(_) => {
            guard::require_reader(&parts.headers)?;
            Request::from_parts(parts, body)
        }
    };
    let mut response = match route {
        Route::Console => {
            // The one answer that sets cookies.
            let mut response = login::console(state, request).await?;
            let cookie = response.headers_mut().remove(http::header::SET_COOKIE);
            guard::seal(response.headers_mut(), None);
            response.headers_mut().extend(cookie.map(|cookie| (http::header::SET_COOKIE, cookie)));
            return Ok(response);
        }
        _ => match (login::session(state, request.headers()), route) {
            (None, _) if is_socket => {
                let upgrade = Upgrade::take(&mut request).ok_or_else(Refusal::no_session)?;
                upgrade.refuse(&state.scope, socket::CLOSE_SESSION, "nobody is logged in")
            }
            (None, _) => return Err(Refusal::no_session()),
            (Some(session), route) => {
                let Ok(_permit) = state.requests.try_acquire() else {
                    let message = "the console is answering as many requests as it can; try again";
                    return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, message));
                };
                match route {
                    Route::Room(room) => forward::room(state, &session, room, request).await?,
                    _ => forward::api(state, &session, request).await?,
                }
            }
        },
    };
    guard::seal(response.headers_mut(), None);
    Ok(response)
}
