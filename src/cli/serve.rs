//! `hookpost serve`.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::rt::{System, SystemRunner};
use clap::{ArgMatches, Args};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::output::{note, print};
use super::reload::{Hangups, Reload};
use super::{CliError, logging};
use crate::config::{Loaded, SettingFlags, SettingValues, ignored_variables};
use crate::server::notify::{self, Starting};
use crate::server::{Prepared, Running, handed_socket};

/// How often the server looks whether its database is still there and can be written.
const DATABASE_CHECK: Duration = Duration::from_secs(1);
/// How often a server that starts looks whether it is ready.
const READY_CHECK: Duration = Duration::from_millis(50);
/// How long requests in flight may take once the database is lost. Their outcomes cannot be stored.
const LOST: Duration = Duration::from_secs(1);
/// When the process ends once the database is lost, whatever still waits for it.
const END: Duration = Duration::from_secs(4);

/// Run the server: accept events, deliver them, and serve the API and the pages
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    _settings: SettingFlags,
    /// Print every setting with the source of its value, and exit
    #[arg(long)]
    print_config: bool,
    /// Pause all deliveries: accept and store events, and send nothing to webhooks until somebody resumes deliveries on the
    /// pages, with the API or with "hookpost resume"
    #[arg(long)]
    paused: bool,
}

impl Serve {
    /// Runs the server. `flags` are the matches of this command, with the source of each value.
    pub(super) fn run(self, flags: ArgMatches) -> Result<(), CliError> {
        // No thread has started yet.
        let handed = handed_socket()?;
        let system = System::new();
        let hangups = system.block_on(Hangups::receive());
        let loaded = Loaded::new(flags.clone())?;
        if self.print_config {
            let config = loaded.print();
            loaded.settings.server_options()?;
            return print(&config);
        }
        let values = SettingValues::of(&loaded);
        logging::start(loaded.settings.log, loaded.settings.log_format);
        let mut options = loaded.settings.server_options()?;
        options.paused = self.paused;
        for warning in ignored_variables() {
            log::warn!("{warning}");
        }
        let database = options.database.display().to_string();
        let starting = Starting::begin();
        let prepared = Prepared::new(options)?;
        drop(starting);
        let reload = Reload { flags, values, hangups };
        serve_in(&system, prepared, handed, move |running| announce(running, &database), Some(reload))
    }
}

/// Serves until a signal arrives or the database is lost. Calls `announce` once the server listens, on a thread that may block.
/// SIGHUP ends the process.
pub(super) fn serve(prepared: Prepared, announce: impl FnOnce(&Running) + Send + 'static) -> Result<(), CliError> {
    serve_in(&System::new(), prepared, None, announce, None)
}

/// Like [`serve`], on the socket that systemd handed over, if any. SIGHUP rereads the settings if there is a `reload`.
fn serve_in(
    system: &SystemRunner,
    prepared: Prepared,
    handed: Option<TcpListener>,
    announce: impl FnOnce(&Running) + Send + 'static,
    reload: Option<Reload>,
) -> Result<(), CliError> {
    system.block_on(async {
        let is_handed = handed.is_some();
        let server = match handed {
            Some(socket) => prepared.listen_on(socket)?,
            None => prepared.listen()?,
        };
        let running = server.running();
        let stop_signal = stop_signal();
        let announced = running.clone();
        let hangups = reload.map(|reload| actix_web::rt::spawn(reload.at_each_hangup(running.clone())));
        // The setup link is stored by the writer, so this must not run on the thread that serves.
        let _ = tokio::task::spawn_blocking(move || announce(&announced)).await;
        if is_handed {
            log::info!("listening on {}, the socket that systemd handed over, and not on --listen", running.address);
        }
        let told = actix_web::rt::spawn(tell_when_ready(running.clone()));
        let stopped = actix_web::rt::spawn(stop_at_end(running, stop_signal, hangups));
        server.run().await.map_err(CliError::because("the server failed"))?;
        told.abort();
        match stopped.await {
            Ok(Some(reason)) => Err(CliError::Other(reason)),
            _ => Ok(()),
        }
    })
}

/// Prints the address in one line, the way to sign in, and a warning if all clients would look alike.
fn announce(running: &Running, database: &str) {
    let mut out = std::io::stdout();
    let (address, site) = (running.address, &running.app.site);
    let scheme = if running.has_tls() { "https" } else { "http" };
    // The server runs even if nobody reads standard output.
    let _ =
        writeln!(out, "Hookpost {} listens on {scheme}://{address} (database: {database})", env!("CARGO_PKG_VERSION"),);
    match running.setup_link() {
        Ok(Some(link)) => {
            let _ = writeln!(
                out,
                "\n  Open this link in your browser to set up Hookpost. It works once, for 30 minutes:\n\n      {link}\n"
            );
        }
        Ok(None) => {
            let _ = writeln!(out, "Sign in at {}", running.app.site.base());
        }
        Err(error) => {
            log::error!("the setup link cannot be created: {error}. \"hookpost users add NAME\" adds a user.")
        }
    }
    let _ = out.flush();
    log::info!("Hookpost {} listens on {address}, with the database {database}", env!("CARGO_PKG_VERSION"));
    if site.base().is_https() && !running.has_tls() && !site.has_trusted_proxies() {
        log::warn!(
            "the base URL has https, so a proxy is in front, but no proxy is trusted: all clients have the proxy's address, \
             and failed sign-ins of one delay the others. Set --trusted-proxy to the address of the proxy."
        );
    }
}

/// Tells systemd once `/readyz` would say so.
async fn tell_when_ready(running: Running) {
    while !running.app.is_ready() {
        tokio::time::sleep(READY_CHECK).await;
    }
    notify::ready(&format!("Serving on {}", running.address));
}

/// Waits for a signal or the loss of the database, and stops the server. Returns the reason for a loss.
async fn stop_at_end(
    running: Running,
    stop_signal: impl Future<Output = ()>,
    hangups: Option<JoinHandle<()>>,
) -> Option<String> {
    let terminal_gone = async {
        match hangups {
            Some(hangups) => drop(hangups.await),
            None => std::future::pending().await,
        }
    };
    let fault = tokio::select! {
        () = stop_signal => None,
        () = terminal_gone => None,
        fault = database_lost(&running) => Some(fault),
    };
    match &fault {
        None => {
            log::info!("stopping: requests in flight finish, queued deliveries stay queued");
            running.stop().await;
            log::info!("stopped: everything is on disk");
        }
        Some(fault) => {
            log::error!("stopping: {fault}");
            end_soon(fault.clone());
            running.stop_within(LOST).await;
        }
    }
    fault
}

/// Ends the process in a moment. A thread that waits for a broken disk would hold up a stop for any time.
fn end_soon(fault: String) {
    let end = move || {
        std::thread::sleep(END);
        note(&format!("hookpost: {fault}"));
        std::process::exit(1);
    };
    if let Err(error) = std::thread::Builder::new().name("end".to_owned()).spawn(end) {
        log::warn!("the stop has no time limit: {error}");
    }
}

/// Receives SIGTERM and SIGINT from the call on, which would end the process otherwise. Returns a wait for the first one.
fn stop_signal() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            log::warn!("signals cannot be received; stop the server by killing the process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Returns once the database file is gone or cannot be written.
async fn database_lost(running: &Running) -> String {
    loop {
        tokio::time::sleep(DATABASE_CHECK).await;
        if let Some(fault) = running.app.actions.store.broken() {
            return fault;
        }
    }
}
