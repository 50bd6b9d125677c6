//! `hookpost doctor`: checks of a server's surroundings, each bounded in time, with what to do about what it finds.
//!
//! The checks read the same settings as `serve` and change nothing.

mod local;
mod network;

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args};
use serde_json::json;
use strum::Display;
use url::Url;

use super::CliError;
use super::output::{Color, OutputFlags, Style, print, printable};
use crate::config::{Loaded, SettingFlags};

/// Time limit of all checks, which run at the same time.
const LIMIT: Duration = Duration::from_secs(30);

/// Check database, disk, clock, addresses, proxy, network, mail server and backups, and say what to do
///
/// Takes the settings of serve, from flags, the environment and the file. Exits with 1 if there is a problem.
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    _settings: SettingFlags,
    /// URL that is requested to check outgoing HTTPS and the clock
    #[arg(long, value_name = "URL", default_value = "https://example.com/")]
    probe: Url,
    /// Newest backup, or the folder of the backups, to check its age; --backup-dir if unset
    #[arg(long, value_name = "PATH")]
    backups: Option<PathBuf>,
    /// Say up to when the database is known, so that later events can be published again
    #[arg(long)]
    after_restore: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
enum Grade {
    Ok,
    /// There was nothing to check.
    Skipped,
    Warning,
    Problem,
}

/// Result of a check.
struct Finding {
    check: &'static str,
    grade: Grade,
    /// The fact, as a sentence.
    message: String,
    /// Advice, as a sentence.
    advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, grade: Grade, message: impl Into<String>) -> Finding {
        Finding { check, grade, message: message.into(), advice: None }
    }

    fn ok(check: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(check, Grade::Ok, message)
    }

    fn skipped(check: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(check, Grade::Skipped, message)
    }

    fn warning(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding::new(check, Grade::Warning, message).with(advice)
    }

    fn problem(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding::new(check, Grade::Problem, message).with(advice)
    }

    fn with(mut self, advice: impl Into<String>) -> Finding {
        self.advice = Some(advice.into());
        self
    }
}

/// A check, which may block.
type Check = Box<dyn FnOnce() -> Vec<Finding> + Send>;

impl Doctor {
    /// Runs the checks. `flags` are the matches of this command, with the source of each value.
    pub(super) fn run(self, flags: ArgMatches) -> Result<(), CliError> {
        let loaded = Loaded::new(flags)?;
        let options = loaded.settings.server_options()?;
        let database = options.database.clone();
        let (listen, key, keys) = (options.listen, options.database.clone(), options.master_key.clone());
        let (base, proxies, mail) = (options.base_url.clone(), options.trusted_proxies.clone(), options.mail.clone());
        let network = network::Network::new(&options, self.probe)?;
        let (names, reached, probed) = (network.clone(), network.clone(), network.clone());
        let backups = self.backups.or_else(|| options.backups.as_ref().map(|backups| backups.folder.clone()));
        let every = options.backups.as_ref().map(|backups| backups.plan.every);
        let own = network.clone();
        let restored = self.after_restore.then(|| options.database.clone());
        let mut checks: Vec<(&'static str, Check)> = vec![
            ("database", Box::new(move || local::database(&database))),
            ("master key", Box::new(move || local::master_key(&key, &keys))),
            ("listen", Box::new(move || own.listen(listen))),
            ("base URL", Box::new(move || reached.base_url(base.as_ref(), listen, &proxies))),
            ("DNS", Box::new(move || names.dns())),
            ("outgoing HTTPS", Box::new(move || probed.outgoing())),
            ("mail", Box::new(move || network::mail(mail))),
            ("backup", Box::new(move || local::backups(backups.as_deref(), every))),
        ];
        if let Some(database) = restored {
            checks.push(("known until", Box::new(move || local::known_until(&database))));
        }
        let findings = all(checks);
        let has_problem = findings.iter().any(|finding| finding.grade == Grade::Problem);
        if self.output.json {
            let views = findings.iter().map(|finding| {
                json!({
                    "check": finding.check,
                    "result": finding.grade.to_string(),
                    "message": finding.message,
                    "advice": finding.advice,
                })
            });
            print(&json!({"healthy": !has_problem, "checks": views.collect::<Vec<_>>()}).to_string())?;
        } else {
            print(&text(&findings))?;
        }
        match has_problem {
            true => Err(CliError::Negative("there are problems; see above".to_owned())),
            false => Ok(()),
        }
    }
}

/// Runs checks at the same time. One that takes too long is a warning, and goes on in vain.
fn all(checks: Vec<(&'static str, Check)>) -> Vec<Finding> {
    let end = Instant::now() + LIMIT;
    let started = checks.into_iter().map(|(name, check)| {
        let (sender, receiver) = channel();
        let run = move || {
            // The receiver may have given up.
            let _ = sender.send(check());
        };
        let is_started = std::thread::Builder::new().name(name.to_owned()).spawn(run).is_ok();
        (name, receiver, is_started)
    });
    let started: Vec<_> = started.collect();
    let finish = |(name, receiver, is_started): (_, std::sync::mpsc::Receiver<Vec<Finding>>, bool)| {
        if !is_started {
            return vec![Finding::problem(name, "No thread could be started.", "Check the limits of this user.")];
        }
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(findings) => findings,
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("This check took more than {} seconds.", LIMIT.as_secs());
                vec![Finding::warning(name, message, "Try again when the machine has less to do.")]
            }
            Err(RecvTimeoutError::Disconnected) => {
                vec![Finding::problem(name, "This check failed.", "Please report it with the output above.")]
            }
        }
    };
    started.into_iter().flat_map(finish).collect()
}

/// Returns the findings as lines.
fn text(findings: &[Finding]) -> String {
    let style = Style::of_stdout();
    let line = |finding: &Finding| {
        let (mark, color) = match finding.grade {
            Grade::Ok => ("ok     ", Some(Color::Green)),
            Grade::Skipped => ("skipped", Some(Color::Dim)),
            Grade::Warning => ("warning", Some(Color::Yellow)),
            Grade::Problem => ("problem", Some(Color::Red)),
        };
        let advice = finding.advice.as_ref().map(|advice| format!("         {advice}\n")).unwrap_or_default();
        let message = printable(&finding.message);
        format!("{}  {}: {message}\n{}", style.maybe(mark, color), finding.check, printable(&advice))
    };
    findings.iter().map(line).collect()
}
