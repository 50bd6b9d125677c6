//! `hookpost restore`: puts a copy in the place of the database.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::OutputFlags;
use super::progress::Progress;
use crate::clock::Clock;
use crate::config::DatabaseFlag;
use crate::domain::time::{rfc3339, rfc3339_seconds};
use crate::store::NeededKey;
use crate::store::restore::{Restore as Work, Restored};
use crate::text::humanize::counted;

/// Put a copy in the place of the database, while no server is running; the present file is kept beside it
///
/// The copy is checked before. A database with later events or attempts than the copy is replaced with --force only.
#[derive(Args)]
pub(super) struct Restore {
    #[command(flatten)]
    database: DatabaseFlag,
    /// Copy to restore, which stays as it is
    file: PathBuf,
    /// Replace a database that is newer than the copy, or cannot be read
    #[arg(long)]
    force: bool,
    /// Pause all deliveries of the restored database, until they are resumed
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    output: OutputFlags,
}

impl Restore {
    pub(super) fn run(self) -> Result<(), CliError> {
        let settings = self.database.settings()?;
        let keys = settings.master_key()?;
        let reason = format!("Restored from {}.", self.file.display());
        let (copying, comparing) = (Progress::of_bytes("Copying"), Progress::of_rows("Comparing"));
        let work = Work {
            database: &settings.db,
            file: &self.file,
            keys: &keys,
            force: self.force,
            pause: self.paused.then_some(reason.as_str()),
        };
        let copied = |done, all| copying.set(done, all);
        let restored = work.run(&Clock::machine(), &copied, &|done, all| comparing.set(done, all))?;
        drop((copying, comparing));
        let replaced = restored.replaced.as_ref();
        let found = replaced.and_then(|replaced| replaced.found.as_ref());
        let answer = json!({
            "database": settings.db.display().to_string(),
            "newest_event": restored.known.event.as_ref().map(|event| json!({
                "id": event.id, "tenant": event.tenant, "received_at": rfc3339(event.received_ms),
            })),
            "last_change_at": restored.known.changed_ms.map(rfc3339),
            "queued": restored.queued,
            "replaced_file": replaced.map(|replaced| replaced.kept.display().to_string()),
            "sent_again": found.map(|found| found.delivered),
            "finished_since": found.map(|found| found.finished),
            "missing_events": found.map(|found| found.missing_events),
            "key": match &restored.key {
                NeededKey::None | NeededKey::Present { .. } => "ok",
                NeededKey::Absent { .. } => "missing",
            },
            "key_id": match &restored.key {
                NeededKey::None => None,
                NeededKey::Present { id } | NeededKey::Absent { id, .. } => Some(id),
            },
            "paused": restored.is_paused,
        });
        self.output.print(&answer, || text(&settings.db, &self.file, &restored))
    }
}

fn text(database: &Path, file: &Path, restored: &Restored) -> String {
    let mut lines = vec![format!("{} is restored from {}.", database.display(), file.display())];
    lines.push(match &restored.known.event {
        Some(event) => format!(
            "Its newest event is {} of tenant {}, accepted at {}. Publish later events again: one that is stored already is \
             not accepted twice.",
            event.id,
            event.tenant,
            rfc3339_seconds(event.received_ms)
        ),
        None => "It has no events.".to_owned(),
    });
    let queued = counted(restored.queued, "delivery");
    lines.push(match (restored.queued, restored.is_paused) {
        (0, _) => "No deliveries are queued.".to_owned(),
        (_, false) => format!("Queued: {queued}. The next start of the server sends what is due."),
        (_, true) => format!("Queued: {queued}."),
    });
    if let Some(replaced) = &restored.replaced {
        if let Some(found) = &replaced.found {
            if found.delivered > 0 {
                lines.push(format!(
                    "According to the replaced file, {} of them were delivered since. They are sent again.",
                    found.delivered
                ));
            }
            if found.missing_events > 0 {
                let missing = counted(found.missing_events, "event");
                lines.push(format!("The replaced file has {missing} that the copy does not have."));
            }
        }
        lines.push(format!("The replaced file is {}.", replaced.kept.display()));
    }
    match &restored.key {
        NeededKey::None => {}
        NeededKey::Present { id } => lines.push(format!("The secrets need the master key {id}, which is in place.")),
        NeededKey::Absent { id, origin } => lines.push(format!(
            "The secrets need the master key {id}, and {origin} is another one. Put that key in place before you start the \
             server."
        )),
    }
    if restored.is_paused {
        let command = "\"hookpost resume\" or the banner of the pages";
        lines.push(format!("All deliveries are paused. {command} resumes them."));
    }
    lines.join("\n")
}
