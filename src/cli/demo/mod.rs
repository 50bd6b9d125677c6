//! `hookpost demo`: everything at work at once, over a database that is thrown away.

mod cast;
pub(in crate::cli) mod history;
mod receivers;
mod stand_in;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

use super::input::text;
use super::{CliError, serve};
use crate::actions::Actor;
use crate::auth::{password, users};
use crate::cli::demo::history::{DemoWebhook, HistoryOptions, build, event};
use crate::cli::demo::receivers::Behaviour;
use crate::clock::Clock;
use crate::config::temporary_folder;
use crate::domain::time::HOUR;
use crate::random;
use crate::server::{Prepared, Running, ServerOptions};
use crate::store::user::Role;
use crate::store::{Store, StoreError};

/// How much has happened already.
const HISTORY: i64 = 6 * HOUR;
/// Between two events.
const PACE: Duration = Duration::from_secs(1);
/// Where nothing listens.
const DEAD_PORT: u16 = 1;

pub(super) fn command() -> Command {
    Command::new("demo")
        .about("Shows everything at work: tenants, receivers of all kinds, hours of history, events that keep coming. Nothing is kept")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .help("Address and port to listen on [default: a free port of 127.0.0.1]"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let address = text(matches, "listen").unwrap_or("127.0.0.1:0");
    let listen: SocketAddr = address.parse().map_err(|_| {
        CliError::Other(format!("--listen: {address:?} is not an address with a port such as 127.0.0.1:8080"))
    })?;
    let folder = temporary_folder("hookpost-demo")?;
    let ran = show(listen, &folder);
    let removed = std::fs::remove_dir_all(&folder);
    ran?;
    removed.map_err(|error| CliError::Other(format!("{} could not be removed: {error}", folder.display())))
}

fn show(listen: SocketAddr, folder: &Path) -> Result<(), CliError> {
    let failed = |what: &str, error: std::io::Error| CliError::Other(format!("{what}: {error}"));
    let receiver = receivers::bind().map_err(|error| failed("the receivers", error))?;
    let port = receiver.local_addr().map_err(|error| failed("the receivers", error))?.port();
    // The inbox's URL holds the port, and the history the inbox: a free one is found first.
    let found = TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| failed(&format!("{listen} cannot be listened on"), error))?;
    let mut options = ServerOptions::new(folder.join("webhooks.db"));
    options.listen = found;
    options.allow_targets =
        [port, DEAD_PORT].iter().filter_map(|port| format!("127.0.0.1:{port}").parse().ok()).collect();
    let base_url = crate::http::site::BaseUrl::of(found).to_string();
    let url = |place: &DemoWebhook| {
        let behaviour = place.behaviour.unwrap_or(Behaviour::Ok);
        let port = if behaviour == Behaviour::Refused { DEAD_PORT } else { port };
        format!("http://127.0.0.1:{port}/{}/{}/{behaviour}", place.tenant, place.name)
    };
    let now = Clock::machine().now_ms();
    build(
        &options.database,
        &HistoryOptions {
            ends_ms: now,
            lasts_ms: HISTORY,
            quiet_ms: 0,
            per_step: 2.0,
            base_url: &base_url,
            allow: options.allow_targets.clone(),
            url: &url,
        },
    )?;
    let link = invite(&options.database, now)?;
    start("receivers", move || {
        if let Err(error) = receivers::run(receiver) {
            log::error!("the receivers ended: {error}");
        }
    })?;
    serve::serve(Prepared::new(options)?, move |running| {
        announce(running, &link);
        let running = running.clone();
        if let Err(error) = start("events", move || publish(&running)) {
            log::error!("no events are going to come: {error}");
        }
    })
}

/// Makes somebody who may do everything, and a link that signs them in; its token.
fn invite(database: &Path, now: i64) -> Result<String, CliError> {
    let connection = Store::open_for_command(database)?;
    // Nobody knows it: the link is the only way in.
    let hash = password::hash(&hex::encode(random::bytes::<16>()));
    users::add(&connection, &Actor::Command, users::DEMO_USER, Role::Administrator, &hash, now)?;
    Ok(users::demo_link(&connection, now)?)
}

fn announce(running: &Running, token: &str) {
    let mut out = std::io::stdout();
    let link = running.app.site.url(&format!("/demo?token={token}"));
    // Nobody may be reading; the server runs all the same.
    let _ = writeln!(
        out,
        "Hookpost {} demo: {link}\n\nOpen this link in your browser; it works once. Ctrl-C ends the demo and removes everything.",
        env!("CARGO_PKG_VERSION"),
    );
    let _ = out.flush();
}

/// Publishes an event every second, until the server stops.
fn publish(running: &Running) {
    // On from where the history ended.
    for number in 1_000.. {
        thread::sleep(PACE);
        let Ok(new) = event(number) else { continue };
        match running.app.actions.publish(new).wait() {
            Err(crate::actions::ActionError::Store(StoreError::Stopping)) => return,
            Err(error) => log::warn!("an event was not taken: {error}"),
            Ok(_) => {}
        }
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| CliError::Other(format!("a thread could not be started: {error}")))
}
