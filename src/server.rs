//! Starts and stops the parts of the server: store, engine, retention, API and pages.

mod backup_job;
pub mod certificate_job;
mod clock_job;
mod edge;
mod heartbeat_job;
mod listen;
pub mod notify;
mod options;
mod reload;
mod repeated_job;
mod retention_job;
mod stop;
mod telling_job;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::{Server as ActixServer, ServerHandle};
use thiserror::Error;

use crate::actions::backups::Backups;
use crate::actions::{Actions, Actor, pause};
use crate::auth::users;
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::client::{Client, ClientError, ClientOptions};
use crate::delivery::mail::Mailer;
use crate::delivery::{Engine, EngineOptions, Guard, Sender};
use crate::domain::live::Live;
use crate::domain::target::TargetPolicy;
use crate::http::hosts::Hosts;
use crate::http::site::Site;
use crate::http::{App, BodyLimits};
use crate::metrics::Metrics;
pub use crate::server::clock_job::ClockJob;
pub use crate::server::listen::handed_socket;
pub use crate::server::options::ServerOptions;
pub use crate::server::telling_job::TellingJob;
use crate::store::{BackupSocket, FileLock, OpenError, Store, StoreError, WriteTx, delivery};
use certificate_job::CertificateJob;
use heartbeat_job::Heartbeating;
use repeated_job::RepeatedJob;
use tls::{Pair, TlsError, TlsFiles};

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}: {source}. Choose another address with --listen.")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{0}")]
    Handed(String),
    #[error("--tls-cert, --tls-key: {0}")]
    Tls(#[from] TlsError),
    #[error("--{setting}: there is no profile {name:?}. Profiles: {known}.")]
    UnknownProfile { setting: &'static str, name: String, known: String },
    #[error("--ca-file: {0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Mail(String),
}

/// A server with an open database that neither listens nor sends yet.
pub struct Prepared {
    options: ServerOptions,
    app: App,
    retention_job: ClockJob,
    backup_job: ClockJob,
    /// Certificate of the server, as read at the start.
    pair: Option<Pair>,
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
    pub retention_job: ClockJob,
    pub backup_job: ClockJob,
    pub telling: TellingJob,
    pub certificate: CertificateJob,
    heartbeating: Arc<Mutex<Heartbeating>>,
    watchdog: RepeatedJob,
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
    /// Opens the database, and sends nothing yet. Blocks: call it outside of an async runtime.
    pub fn new(options: ServerOptions) -> Result<Prepared, StartError> {
        let pair = options.tls.as_ref().map(TlsFiles::read).transpose()?;
        let metrics = Metrics::new();
        let (keys, replicated) = (&options.master_key, options.replicated);
        let (store, lock) = Store::open_replicated(&options.database, keys, &options.clock, &metrics, replicated)?;
        if store.is_replicated() {
            log::info!("the write-ahead log is left to a replicator such as Litestream (--replicated)");
        }
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
        let engine = Engine::new(
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
            backups: options.backups.clone().map_or_else(Backups::none, |settings| {
                Backups::new(settings, &options.database, options.clock.now_ms())
            }),
            clock: options.clock.clone(),
            default_profile: options.default_profile.as_str().into(),
            live: Live::new(options.live()),
        };
        let retention_job = retention_job::start(actions.clone())?;
        let backup_job = backup_job::start(actions.clone())?;
        let limits = BodyLimits { single: options.max_body, batch: 16 << 20 };
        let live = actions.live.clone();
        let mut site = Site::new(options.base_url.clone(), live.clone());
        site.auth_proxy = options.auth_proxy.clone();
        let mut app = App::new(actions, limits, site, metrics);
        app.hosts = Hosts::new(options.base_url.as_ref(), live);
        app.write_timeout = options.write_timeout;
        app.search_time = options.search_time;
        Ok(Prepared { app, retention_job, backup_job, options, pair, lock })
    }

    pub fn actions(&self) -> Actions {
        self.app.actions.clone()
    }

    /// Stops, with everything on disk. Returns whether all requests in flight ended within `patience`.
    pub fn close(self, patience: Duration) -> bool {
        let is_idle = self.app.actions.engine.stop(patience);
        self.retention_job.stop();
        self.backup_job.stop();
        self.app.actions.store.close();
        drop(self.lock);
        is_idle
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
    /// Whether the server speaks HTTPS itself.
    pub fn has_tls(&self) -> bool {
        self.certificate.is_used()
    }

    /// Returns the setup link, valid once and for half an hour; `None` if there is a user.
    pub fn setup_link(&self) -> Result<Option<String>, StoreError> {
        let token = self.app.actions.store.write(|tx| users::setup_link(tx.connection(), tx.now_ms())).wait()?;
        let site = &self.app.site;
        Ok(token.map(|token| site.url(&format!("/setup?token={token}"))))
    }
}
