//! Starts and stops the parts of the server: store, engine, retention, API and pages.

mod edge;
mod heartbeat_job;
mod options;
mod reload;
mod retention_job;
mod telling_job;

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::App as ActixApp;
use actix_web::dev::{AppConfig, Server as ActixServer, ServerHandle, Service as _};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use thiserror::Error;

use crate::actions::telling::Style;
use crate::actions::{Actions, Actor, pause};
use crate::auth::users;
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::client::{Client, ClientError, ClientOptions};
use crate::delivery::mail::Mailer;
use crate::delivery::{Engine, EngineOptions, Guard, Sender};
use crate::domain::live::Live;
use crate::domain::target::{OwnInbox, TargetPolicy};
use crate::http::hosts::Hosts;
use crate::http::refusals::Connection;
use crate::http::site::Site;
use crate::http::{App, BodyLimits, api, inbox, request_id, security_txt, unknown_path, web};
use crate::metrics::Metrics;
pub use crate::server::options::ServerOptions;
pub use crate::server::retention_job::RetentionJob;
pub use crate::server::telling_job::TellingJob;
use crate::store::{BackupSocket, FileLock, OpenError, Store, StoreError, WriteTx, delivery};
use edge::{connections_per_thread, default_headers, limit_stall, serve_head_as_get, strip_prefix};
use heartbeat_job::Heartbeating;

/// New connections that the system queues.
const NEW_CONNECTIONS: i32 = 1_024;
/// Longest timeout of a webhook, and so of a request in flight.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// Time that a stop grants beyond [`LONGEST_ATTEMPT`].
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}: {source}. Choose another address with --listen.")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("--{setting}: there is no profile {name:?}. Profiles: {known}.")]
    UnknownProfile { setting: &'static str, name: String, known: String },
    #[error("--ca-file: {0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Mail(String),
}

/// A server with an open database and a running engine that does not listen yet.
pub struct Prepared {
    options: ServerOptions,
    app: App,
    retention_job: RetentionJob,
    lock: FileLock,
}

/// A listening server.
pub struct Server {
    http: ActixServer,
    running: Running,
}

/// Handle of a listening server.
#[derive(Clone)]
pub struct Running {
    pub address: SocketAddr,
    pub app: App,
    pub retention_job: RetentionJob,
    pub telling: TellingJob,
    heartbeating: Arc<Mutex<Heartbeating>>,
    handle: ServerHandle,
    held: Arc<Mutex<Option<Held>>>,
}

/// Released by a stop, after the store is closed.
struct Held {
    /// `None` where it could not be opened.
    _backups: Option<BackupSocket>,
    _lock: FileLock,
}

impl Prepared {
    /// Opens the database and starts the engine. Blocks: call it outside of an async runtime.
    pub fn new(options: ServerOptions) -> Result<Prepared, StartError> {
        let metrics = Metrics::new();
        let (store, lock) = Store::open(&options.database, &options.master_key, &options.clock, &metrics)?;
        require_profile(&store, "default-profile", &options.default_profile)?;
        for name in &options.portal_profiles {
            require_profile(&store, "portal-profiles", name)?;
        }
        let policy = TargetPolicy::new(options.allow_targets.clone());
        let guard = Guard::new(policy, store.allowed_targets().clone(), Arc::clone(&options.lookup));
        let transport = match &options.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::new(client(&options, &guard)?),
        };
        let mailer = mailer(&options)?;
        let interrupted =
            store.write(|tx| -> Result<usize, StoreError> { delivery::end_interrupted_tests(tx) }).wait()?;
        if interrupted > 0 {
            log::info!("{interrupted} test deliveries were interrupted when the server last stopped");
        }
        if options.paused {
            let begin = |tx: &mut WriteTx<'_>| {
                pause::begin(tx.connection(), tx.now_ms(), &Actor::Command, "The server was started with --paused.")
            };
            store.write(begin).wait()?;
        }
        let engine = Engine::start(
            store.clone(),
            Sender::new(transport, options.clock.clone()),
            options.clock.clone(),
            metrics.clone(),
            EngineOptions { workers: options.workers },
        )?;
        let actions = Actions {
            store,
            engine,
            guard,
            mailer,
            clock: options.clock.clone(),
            default_profile: options.default_profile.as_str().into(),
            live: Live::new(options.live()),
        };
        let retention_job = RetentionJob::start(actions.clone())?;
        let limits = BodyLimits { single: options.max_body, batch: 16 << 20 };
        let live = actions.live.clone();
        let mut site = Site::new(options.base_url.clone(), live.clone());
        site.auth_proxy = options.auth_proxy.clone();
        let mut app = App::new(actions, limits, site, metrics);
        app.hosts = Hosts::new(options.base_url.as_ref(), live);
        app.write_timeout = options.write_timeout;
        app.search_time = options.search_time;
        Ok(Prepared { app, retention_job, options, lock })
    }

    pub fn actions(&self) -> Actions {
        self.app.actions.clone()
    }

    /// Stops, with everything on disk. Returns whether all requests in flight ended within `patience`.
    pub fn close(self, patience: Duration) -> bool {
        let is_idle = self.app.actions.engine.stop(patience);
        self.retention_job.stop();
        self.app.actions.store.close();
        drop(self.lock);
        is_idle
    }

    /// Binds the address. Needs an actix runtime.
    pub fn listen(self) -> Result<Server, StartError> {
        let Prepared { options, app, retention_job, lock } = self;
        let state = app.clone();
        let write_timeout = options.write_timeout;
        let refused = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(refused)?;
        // The standard library queues fewer new connections.
        rustix::net::listen(&listener, NEW_CONNECTIONS).map_err(|error| refused(error.into()))?;
        let address = listener.local_addr().map_err(refused)?;
        let head_timeout = options.head_timeout;
        let serve = move || {
            let app = ActixApp::new()
                .wrap(default_headers(state.site.base().is_https()))
                .wrap_fn({
                    let state = state.clone();
                    move |request, service| request_id::serve(&state, request, service)
                })
                .wrap_fn({
                    let state = state.clone();
                    move |mut request, service| {
                        strip_prefix(&mut request, state.site.base().prefix());
                        serve_head_as_get(&mut request);
                        state.site.remove_forged_user(&mut request);
                        service.call(request)
                    }
                })
                .app_data(Data::new(state.clone()))
                .configure(web::routes)
                .configure(inbox::routes)
                .configure(security_txt::routes)
                .configure(api::routes)
                .default_service(actix_web::web::to(unknown_path));
            let http = HttpService::build()
                .client_request_timeout(head_timeout)
                .client_disconnect_timeout(Duration::from_secs(1))
                // A client that closes its side has left: its handler is dropped, as by other servers.
                .h1_allow_half_closed(false)
                .keep_alive(Duration::from_secs(75))
                .local_addr(address)
                .on_connect_ext(|connection: &Connection<TcpStream>, data| connection.announce(data))
                .finish(map_config(app, |()| AppConfig::default()));
            let refusals = Rc::new(state.refusals());
            let connect = move |stream: TcpStream| {
                limit_stall(&stream, write_timeout);
                let peer = stream.peer_addr().ok();
                ready(Ok::<_, DispatchError>((Connection::new(stream, Rc::clone(&refusals)), Protocol::Http1, peer)))
            };
            fn_service(connect).and_then(http)
        };
        // The builder of actix-web has no place for connections of our own.
        let http = ActixServer::build()
            .workers(options.http_threads)
            .max_concurrent_connections(connections_per_thread(options.http_threads))
            // More than tests and jobs can hold, because a test to the built-in inbox needs a thread to arrive.
            .worker_max_blocking_threads(32)
            .shutdown_timeout(5)
            .disable_signals()
            .listen("http", listener, serve)
            .map_err(refused)?;
        app.site.listens_on(address);
        match OwnInbox::below(&app.site.base().to_string()) {
            Ok(inbox) => app.actions.guard.open_inbox(inbox),
            Err(error) => log::warn!("webhooks cannot target the built-in inbox: {error}"),
        }
        let http = http.run();
        let backups = BackupSocket::listen(&app.actions.store);
        if let Err(error) = &backups {
            log::warn!("\"hookpost backup\" copies from a long snapshot, without help of this server: {error}");
        }
        let site = Arc::clone(&app.site);
        let style = Style { link: Box::new(move |path| site.url(path)), live: app.actions.live.clone() };
        let telling = TellingJob::start(app.actions.clone(), style)?;
        let heartbeating = Arc::new(Mutex::new(Heartbeating::start(app.actions.clone(), &options)?));
        let held = Arc::new(Mutex::new(Some(Held { _backups: backups.ok(), _lock: lock })));
        let running = Running { address, app, retention_job, telling, heartbeating, handle: http.handle(), held };
        Ok(Server { http, running })
    }
}

impl Server {
    pub fn running(&self) -> Running {
        self.running.clone()
    }

    /// Serves until `Running::stop` is called.
    pub async fn run(self) -> io::Result<()> {
        self.http.await
    }
}

fn require_profile(store: &Store, setting: &'static str, name: &str) -> Result<(), StartError> {
    if store.profiles().find(name).is_some() {
        return Ok(());
    }
    let all = store.profiles().all();
    let known: Vec<&str> = all.iter().map(|profile| profile.name()).collect();
    Err(StartError::UnknownProfile { setting, name: name.to_owned(), known: known.join(", ") })
}

fn mailer(options: &ServerOptions) -> Result<Mailer, StartError> {
    match &options.mail {
        Some(mail) => Mailer::start(mail.clone()).map_err(StartError::Mail),
        None => Ok(Mailer::none()),
    }
}

fn client(options: &ServerOptions, guard: &Arc<Guard>) -> Result<Client, ClientError> {
    let resolve = Arc::clone(guard);
    Client::new(
        resolve,
        ClientOptions {
            user_agent: USER_AGENT.to_owned(),
            extra_root_certificates: options.extra_certificates.clone(),
            idle_connections: options.workers.max(64),
            ..ClientOptions::default()
        },
    )
}

impl Running {
    /// Returns the setup link, valid once and for half an hour; `None` if there is a user.
    pub fn setup_link(&self) -> Result<Option<String>, StoreError> {
        let token = self.app.actions.store.write(|tx| users::setup_link(tx.connection(), tx.now_ms())).wait()?;
        let site = &self.app.site;
        Ok(token.map(|token| site.url(&format!("/setup?token={token}"))))
    }

    /// Stops: accepts no new events, and waits for requests in flight up to their timeout and five seconds. Queued
    /// deliveries stay queued. Returns once everything is on disk.
    pub async fn stop(&self) {
        self.stop_within(LONGEST_ATTEMPT + GRACE).await;
    }

    /// Like [`stop`](Running::stop), with another limit for requests in flight.
    pub async fn stop_within(&self, patience: Duration) {
        let engine = self.app.actions.engine.clone();
        // A server that stops sends nothing: the monitor may notice.
        self.heartbeating.lock().unwrap_or_else(PoisonError::into_inner).stop();
        engine.begin_stop();
        self.app.stop();
        let is_idle = tokio::task::spawn_blocking(move || engine.stop(patience));
        if !is_idle.await.unwrap_or(false) {
            log::warn!("some requests did not end in time; they are sent again at the next start");
        }
        let responses = async {
            while self.app.requests() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Limited, because a client may never read its response.
        let _ = tokio::time::timeout(GRACE.min(patience), responses).await;
        // A graceful stop would wait for connections that clients keep open between requests.
        self.handle.stop(false).await;
        let store = self.app.actions.store.clone();
        let (retention_job, telling) = (self.retention_job.clone(), self.telling.clone());
        let close = move || {
            telling.stop();
            retention_job.stop();
            store.close();
        };
        if tokio::task::spawn_blocking(close).await.is_err() {
            log::error!("the database was not closed cleanly; no committed data is lost");
            return;
        }
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
