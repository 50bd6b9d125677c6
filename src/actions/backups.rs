//! Scheduled backups: one run, and what is known of those before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Actions;
use crate::domain::backup_plan::{BackupPlan, file_name, made_ms};
use crate::domain::time::Millis;
use crate::store::backup::BackupError;
use crate::text::message;

/// Files of the folder that are looked at.
const MOST_FILES: usize = 100_000;

/// Setting of scheduled backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    pub folder: PathBuf,
    pub plan: BackupPlan,
}

/// Scheduled backups of a server, if it makes any. Cheap to clone.
#[derive(Clone)]
pub struct Backups(Option<Arc<Scheduled>>);

struct Scheduled {
    settings: BackupSettings,
    /// Name of the database without its ending, which the names of the backups begin with.
    stem: String,
    started_ms: Millis,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the next run is due.
    next_ms: Millis,
    newest_ms: Option<Millis>,
    /// Why the last run failed.
    error: Option<String>,
}

/// A backup in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    pub path: PathBuf,
    pub made_ms: Millis,
    pub bytes: u64,
}

/// State of the backups, for people.
#[derive(Debug, Clone)]
pub struct BackupStatus {
    pub settings: BackupSettings,
    /// Newest first; the error of a folder that cannot be read.
    pub files: Result<Vec<BackupFile>, String>,
    pub next_ms: Millis,
    /// The trouble, as a sentence.
    pub fault: Option<String>,
}

impl Backups {
    pub fn none() -> Backups {
        Backups(None)
    }

    pub fn new(settings: BackupSettings, database: &Path, now: Millis) -> Backups {
        let stem =
            database.file_stem().map_or_else(|| "hookpost".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let scheduled = Scheduled { settings, stem, started_ms: now, state: Mutex::default() };
        // A folder that cannot be read makes the first run fail, which is told.
        let newest_ms = scheduled.files().ok().and_then(|files| files.first().map(|file| file.made_ms));
        let next_ms = scheduled.settings.plan.due_ms(newest_ms, now);
        *scheduled.lock() = State { next_ms, newest_ms, error: None };
        Backups(Some(Arc::new(scheduled)))
    }

    /// Returns when the next run is due; `None` if none ever is. Sooner if the clock was set back.
    pub fn next_ms(&self, now: Millis) -> Option<Millis> {
        let scheduled = self.0.as_ref()?;
        let mut state = scheduled.lock();
        state.next_ms = state.next_ms.min(now.saturating_add(scheduled.settings.plan.every));
        Some(state.next_ms)
    }

    /// Puts a run off until this time.
    pub fn put_off(&self, until_ms: Millis) {
        if let Some(scheduled) = &self.0 {
            let mut state = scheduled.lock();
            state.next_ms = state.next_ms.max(until_ms);
        }
    }

    /// Returns when the newest backup was made.
    pub fn newest_ms(&self) -> Option<Millis> {
        self.0.as_ref()?.lock().newest_ms
    }

    /// Returns what is wrong, as a sentence: the last run failed, or the newest backup is too old.
    pub fn fault(&self, now: Millis) -> Option<String> {
        let scheduled = self.0.as_ref()?;
        let state = scheduled.lock();
        let is_overdue = scheduled.settings.plan.is_overdue(state.newest_ms, scheduled.started_ms, now);
        let is_wrong = state.error.is_some() || is_overdue;
        is_wrong.then(|| message::backup_failed(state.error.as_deref(), state.newest_ms.map(|at| now - at)))
    }

    /// Returns the state for people. Reads the folder.
    pub fn status(&self, now: Millis) -> Option<BackupStatus> {
        let scheduled = self.0.as_ref()?;
        let next_ms = scheduled.lock().next_ms;
        Some(BackupStatus {
            settings: scheduled.settings.clone(),
            files: scheduled.files().map_err(|error| format!("{}: {error}", scheduled.settings.folder.display())),
            next_ms,
            fault: self.fault(now),
        })
    }
}

impl Scheduled {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the backups in the folder, newest first. Files with other names are not looked at.
    fn files(&self) -> io::Result<Vec<BackupFile>> {
        let entries = fs::read_dir(&self.settings.folder)?.take(MOST_FILES).flatten();
        let file = |entry: fs::DirEntry| {
            let made_ms = made_ms(&self.stem, entry.file_name().to_str()?)?;
            let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(BackupFile { path: entry.path(), made_ms, bytes: found.len() })
        };
        let mut files: Vec<BackupFile> = entries.filter_map(file).collect();
        files.sort_unstable_by_key(|file| std::cmp::Reverse(file.made_ms));
        Ok(files)
    }

    /// Deletes the oldest backups beyond the number to keep. The newest is never among them.
    fn prune(&self) {
        let files = self.files().unwrap_or_default();
        for file in files.iter().skip(self.settings.plan.keep.max(1)) {
            match fs::remove_file(&file.path) {
                Ok(()) => log::info!("deleted the old backup {}", file.path.display()),
                Err(error) => log::warn!("the old backup {} stays: {error}", file.path.display()),
            }
        }
    }
}

impl Actions {
    /// Makes a scheduled backup and deletes old ones. A run that fails leaves all of them. Ends early once `is_stopping`.
    pub fn back_up(&self, is_stopping: &Arc<AtomicBool>) {
        let Some(scheduled) = &self.backups.0 else { return };
        let BackupSettings { folder, plan } = &scheduled.settings;
        let now = self.clock.now_ms();
        let to = folder.join(file_name(&scheduled.stem, now));
        let made = self.store.backup_to(&to, is_stopping);
        let mut state = scheduled.lock();
        match made {
            Ok(()) => {
                log::info!("made the backup {}", to.display());
                *state = State { next_ms: now.saturating_add(plan.every), newest_ms: Some(now), error: None };
                drop(state);
                scheduled.prune();
            }
            Err(BackupError::Unwanted) => {}
            Err(error) => {
                log::error!("the scheduled backup failed: {error}");
                state.next_ms = plan.retry_ms(now);
                state.error = Some(error.to_string());
            }
        }
    }
}
