//! The thread of the server's certificate: reads the files again when they change, and warns of the end of the certificate.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::repeated_job::RepeatedJob;
use super::tls::{Pair, Presented, TlsError, TlsFiles};
use crate::clock::Clock;
use crate::domain::time::{DAY, Millis, rfc3339_seconds};
use crate::domain::tls::Validity;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Follows the files until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct CertificateJob {
    /// `None` without TLS.
    followed: Option<Arc<Followed>>,
    job: RepeatedJob,
}

struct Followed {
    files: TlsFiles,
    presented: Presented,
    clock: Clock,
    metrics: Metrics,
    state: Mutex<State>,
}

struct State {
    /// The files when they were last read.
    read: Stamp,
    /// The files at the last look. They are read once they rest, since a program may be writing them.
    seen: Stamp,
    validity: Validity,
    /// When the end of the certificate was last warned of.
    warned_ms: Option<Millis>,
}

/// Identity and time of both files; `None` for one that is not there.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| -> io::Result<_> {
        let found = fs::metadata(path)?;
        Ok((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    [of(&files.certificate).ok(), of(&files.key).ok()]
}

impl CertificateJob {
    /// Without TLS.
    pub(super) fn none() -> CertificateJob {
        CertificateJob { followed: None, job: RepeatedJob::default() }
    }

    /// Follows the files of a pair that was read from them.
    pub(super) fn start(
        files: TlsFiles,
        pair: &Pair,
        presented: Presented,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<CertificateJob, StoreError> {
        metrics.certificate_ends(pair.validity.to_ms);
        // A change between the reading and this look is not missed: the files are read once more.
        let state = State { read: [None; 2], seen: stamp(&files), validity: pair.validity, warned_ms: None };
        let followed = Arc::new(Followed { files, presented, clock, metrics, state: Mutex::new(state) });
        followed.look();
        let looking = Arc::clone(&followed);
        let job = RepeatedJob::start("certificate", LOOK, move || looking.look())?;
        Ok(CertificateJob { followed: Some(followed), job })
    }

    /// Whether there is a certificate.
    pub(super) fn is_used(&self) -> bool {
        self.followed.is_some()
    }

    /// Reads the files now. Without TLS, nothing is done.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.followed.as_ref().map_or(Ok(()), |followed| followed.read(stamp(&followed.files)))
    }

    /// Ends the thread, and does not wait for it.
    pub(super) fn stop(&self) {
        self.job.stop();
    }
}

impl Followed {
    fn look(&self) {
        let now = stamp(&self.files);
        let is_due = {
            let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let rests = state.seen == now;
            state.seen = now;
            rests && state.read != now
        };
        if is_due && let Err(error) = self.read(now) {
            log::error!("the certificate stays as it was, because its files cannot be used: {error}");
        }
        self.warn_of_end();
    }

    /// Reads the files, which have this stamp.
    fn read(&self, now: Stamp) -> Result<(), TlsError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).read = now;
        let pair = self.files.read()?;
        if !self.presented.replace(&pair) {
            return Ok(());
        }
        self.metrics.certificate_ends(pair.validity.to_ms);
        log::info!("the certificate was replaced; it is valid until {}", rfc3339_seconds(pair.validity.to_ms));
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.validity, state.warned_ms) = (pair.validity, None);
        Ok(())
    }

    /// Warns once a day of a certificate that should have been renewed, and of one that is not valid yet.
    fn warn_of_end(&self) {
        let now = self.clock.now_ms();
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.warned_ms.is_some_and(|warned| (0..DAY).contains(&(now - warned))) {
            return;
        }
        if let Some(warning) = warning(&state.validity, now) {
            log::warn!("{warning}");
            state.warned_ms = Some(now);
        }
    }
}

/// Warns of the time of a certificate; `None` if there is nothing to do.
pub fn warning(validity: &Validity, now: Millis) -> Option<String> {
    let (from, to) = (rfc3339_seconds(validity.from_ms), rfc3339_seconds(validity.to_ms));
    if validity.to_ms <= now {
        Some(format!("The server's certificate expired at {to}. Clients refuse to connect. Replace its file."))
    } else if validity.from_ms > now {
        Some(format!("The server's certificate is not valid before {from}. Check the clock, or replace its file."))
    } else if validity.overdue_ms() <= now {
        Some(format!("The server's certificate expires at {to}. Replace its file; it is read again by itself."))
    } else {
        None
    }
}
