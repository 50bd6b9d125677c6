//! SIGHUP: the server rereads its settings. The log has the answer.

use std::io::IsTerminal as _;

use clap::ArgMatches;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CliError, logging};
use crate::config::{Changed, Loaded, SettingValues};
use crate::server::{Running, notify};

/// Settings that a reload compares with those in the file.
pub(super) struct Reload {
    /// Flags and environment of the process, which do not change.
    pub(super) flags: ArgMatches,
    /// Settings that the server has now.
    pub(super) values: SettingValues,
    pub(super) hangups: Hangups,
}

/// SIGHUPs since the process began, which would end it otherwise. One that arrives before the server listens, such as during a
/// migration, is kept until then.
pub(super) struct Hangups {
    /// `None` if they cannot be received.
    signals: Option<Signal>,
    /// Whether the process had a terminal, whose end sends SIGHUP too.
    had_terminal: bool,
}

impl Hangups {
    /// Receives SIGHUP from now on. Needs the runtime that the server will run in.
    pub(super) async fn receive() -> Hangups {
        Hangups { signals: signal(SignalKind::hangup()).ok(), had_terminal: std::io::stdin().is_terminal() }
    }

    /// Waits for the next one. Returns false once the terminal was closed.
    async fn next(&mut self) -> bool {
        let Some(signals) = &mut self.signals else {
            log::warn!("SIGHUP cannot be received; restart the server to change settings");
            return std::future::pending().await;
        };
        if signals.recv().await.is_none() {
            return std::future::pending().await;
        }
        !self.had_terminal || std::io::stdin().is_terminal()
    }
}

impl Reload {
    /// Rereads the settings at each SIGHUP. Returns once the terminal of the process was closed, which sends SIGHUP too.
    pub(super) async fn at_each_hangup(mut self, running: Running) {
        while self.hangups.next().await {
            let running = running.clone();
            let reread = tokio::task::spawn_blocking(move || {
                notify::reload(|| self.reread(&running));
                self
            });
            match reread.await {
                Ok(reload) => self = reload,
                Err(error) => {
                    log::error!(
                        "a fault in Hookpost interrupted a reload: {error}. Restart the server to change settings."
                    );
                    return std::future::pending().await;
                }
            }
        }
    }

    fn reread(&mut self, running: &Running) {
        match self.changed(running) {
            Ok(Changed { reread, restart }) if reread.is_empty() && restart.is_empty() => {
                log::info!("the settings were reread: nothing has changed");
            }
            Ok(Changed { reread, restart }) => {
                let list =
                    |names: &[String]| names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
                let taken = match &reread[..] {
                    [] => "none of the changed settings could be taken over".to_owned(),
                    names => format!("in effect now: {}", list(names)),
                };
                if restart.is_empty() {
                    log::info!("the settings were reread; {taken}");
                } else {
                    log::warn!(
                        "the settings were reread; {taken}; changed, but a restart is needed: {}",
                        list(&restart)
                    );
                }
            }
            Err(error) => {
                log::error!("the settings were not reread, and nothing has changed: {error}");
            }
        }
    }

    fn changed(&mut self, running: &Running) -> Result<Changed, CliError> {
        let loaded = Loaded::new(self.flags.clone())?;
        let values = SettingValues::of(&loaded);
        let level = loaded.settings.log;
        running.reload(&loaded.settings.server_options()?)?;
        logging::set_level(level);
        Ok(self.values.update(values))
    }
}
