//! `hookpost demo`: a server with receivers, a history and new events, over a temporary database.

pub(super) mod history;
mod receivers;
pub(super) mod scenario;
mod stub_transport;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::common::in_temporary_folder;
use super::{CliError, serve};
use crate::actions::{ActionError, Actor};
use crate::auth::{password, users};
use crate::clock::Clock;
use crate::config::ADDRESS;
use crate::domain::time::HOUR;
use crate::http::site::BaseUrl;
use crate::random;
use crate::server::{Prepared, Running, ServerOptions};
use crate::store::user::Role;
use crate::store::{Store, StoreError};
use history::{HistoryOptions, build};
use receivers::Behavior;
use scenario::{DemoWebhook, Target, event};

/// Length of the history, in milliseconds.
const HISTORY: i64 = 6 * HOUR;
const EVENT_INTERVAL: Duration = Duration::from_secs(1);
const CLOSED_PORT: u16 = 1;

/// Run a demo with three tenants, receivers that work or fail, six hours of history, and new events; Ctrl-C deletes
/// everything
#[derive(Args)]
pub(super) struct Demo {
    /// Address and port to listen on; port 0 is any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = ADDRESS)]
    listen: SocketAddr,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), CliError> {
        in_temporary_folder("hookpost-demo", |folder| run(self.listen, folder))
    }
}

fn run(listen: SocketAddr, folder: &Path) -> Result<(), CliError> {
    let bind_receivers = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok((listener.local_addr()?.port(), listener))
    };
    let (port, receivers) = bind_receivers().map_err(CliError::because("the receivers cannot start"))?;
    // The history contains the URL of the inbox, so the port must be known before the server listens.
    let free_address = || -> io::Result<SocketAddr> { TcpListener::bind(listen)?.local_addr() };
    let listen = free_address().map_err(CliError::because(format!("cannot listen on {listen}")))?;
    let ports = [port, CLOSED_PORT];
    let allow_targets = ports.iter().filter_map(|port| format!("127.0.0.1:{port}").parse().ok()).collect();
    let options = ServerOptions { listen, allow_targets, ..ServerOptions::new(folder.join("webhooks.db")) };
    let now = Clock::machine().now_ms();
    let history = HistoryOptions {
        ends_ms: now,
        lasts_ms: HISTORY,
        quiet_ms: 0,
        events_per_step: 2.0,
        base_url: &BaseUrl::from_address(listen, false).to_string(),
        allow_targets: options.allow_targets.clone(),
        url: &|webhook: &DemoWebhook| {
            let behavior = if let Target::Receiver(behavior) = webhook.target { behavior } else { Behavior::Ok };
            let port = if behavior == Behavior::Refused { CLOSED_PORT } else { port };
            format!("http://127.0.0.1:{port}/{}/{}/{behavior}", webhook.tenant, webhook.name)
        },
    };
    build(&options.database, &history)?;
    let token = create_user(&options.database, now)?;
    start_thread("receivers", move || {
        if let Err(error) = receivers::run(receivers) {
            log::error!("the receivers stopped: {error}");
        }
    })?;
    serve::serve(Prepared::new(options)?, move |running| {
        announce(running, &token);
        let running = running.clone();
        if let Err(error) = start_thread("events", move || publish_events(&running)) {
            log::error!("new events cannot be published: {error}");
        }
    })
}

/// Adds an administrator. Returns the token of a link that signs them in.
fn create_user(database: &Path, now: i64) -> Result<String, CliError> {
    let connection = Store::open_for_command(database)?;
    // The link is the only way to sign in: nobody knows this password.
    let hash = password::hash(&hex::encode(random::bytes::<16>()));
    users::add(&connection, &Actor::Command, users::DEMO_USER, Role::Administrator, &hash, now)?;
    Ok(users::demo_link(&connection, now)?)
}

fn announce(running: &Running, token: &str) {
    let mut out = io::stdout();
    let link = running.app.site.url(&format!("/demo?token={token}"));
    // The server runs even if nobody reads standard output.
    let _ = writeln!(
        out,
        "Hookpost {} demo: {link}\n\nOpen this link in your browser. It works once. Ctrl-C stops the demo and deletes its data.",
        env!("CARGO_PKG_VERSION"),
    );
    let _ = out.flush();
}

/// Publishes an event every second until the server stops.
fn publish_events(running: &Running) {
    // Higher numbers than those of the history.
    for number in 1_000.. {
        thread::sleep(EVENT_INTERVAL);
        let Ok(new) = event(number) else { continue };
        match running.app.actions.publish(new).wait() {
            Err(ActionError::Store(StoreError::Stopping)) => return,
            Err(error) => log::warn!("an event was not published: {error}"),
            Ok(_) => {}
        }
    }
}

fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(CliError::because("a thread cannot start"))
}
