//! `hookpost serve`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::CliError;
use crate::config::{Values, flags};
use crate::server::{Prepared, Running};

/// How often the server looks whether its file is still there and can be written.
const WATCH: Duration = Duration::from_secs(5);

pub(super) fn command() -> Command {
    Command::new("serve").about("Takes events in, delivers them, and shows what happened").args(flags()).arg(
        Arg::new("print-config")
            .long("print-config")
            .action(ArgAction::SetTrue)
            .help("Shows every setting and where it came from, and ends"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let values = Values::collect(matches)?;
    let options = values.server_options()?;
    let level = values.log_level()?;
    if matches.get_flag("print-config") {
        print!("{}", values.print());
        return Ok(());
    }
    env_logger::Builder::new()
        .filter_level(level)
        .filter_module("actix_server", level.min(log::LevelFilter::Warn))
        .init();
    let database = options.database.display().to_string();
    serve(Prepared::new(options)?, move |running| {
        announce(running, &database);
    })
}

/// Serves until a signal comes or the database is lost. `announce` says so once it listens; it may wait for the writer.
pub(super) fn serve(prepared: Prepared, announce: impl FnOnce(&Running) + Send + 'static) -> Result<(), CliError> {
    actix_web::rt::System::new().block_on(async {
        let server = prepared.listen()?;
        let running = server.running();
        let announced = running.clone();
        // A link is written by the writer: not on the thread that serves.
        let said = tokio::task::spawn_blocking(move || announce(&announced));
        drop(said.await);
        let broken = actix_web::rt::spawn(end(running));
        server.run().await.map_err(|error| CliError::Other(format!("the server failed: {error}")))?;
        match broken.await {
            Ok(Some(why)) => Err(CliError::Other(why)),
            _ => Ok(()),
        }
    })
}

/// Says where it listens, in a line on standard output, and how to get in.
fn announce(running: &Running, database: &str) {
    let mut out = std::io::stdout();
    // Nobody may be reading; the server runs all the same.
    let _ = writeln!(
        out,
        "Hookpost {} listens on http://{} (database: {database})",
        env!("CARGO_PKG_VERSION"),
        running.address
    );
    match running.setup_link() {
        Ok(Some(link)) => {
            let _ = writeln!(
                out,
                "\n  Set it up in your browser (this link works once, for 30 minutes):\n\n      {link}\n"
            );
        }
        Ok(None) => {
            let _ = writeln!(out, "Sign in at {}", running.app.site.base());
        }
        Err(error) => log::error!("there is no setup link: {error}. \"hookpost users add NAME\" makes a user."),
    }
    let _ = out.flush();
}

/// Waits for what ends the server (a signal, or a database that is lost), and stops it. What was lost, if so.
async fn end(running: Running) -> Option<String> {
    let broken = tokio::select! {
        () = signal() => None,
        why = lost(&running) => Some(why),
    };
    match &broken {
        None => log::info!("stopping: requests in flight finish, the rest stays queued"),
        Some(why) => log::error!("stopping: {why}"),
    }
    running.stop().await;
    broken
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => {
            log::warn!("signals cannot be received here; the server ends when it is killed");
            std::future::pending::<()>().await;
        }
    }
}

async fn lost(running: &Running) -> String {
    loop {
        tokio::time::sleep(WATCH).await;
        if let Some(why) = running.app.actions.store.broken() {
            return why;
        }
    }
}
