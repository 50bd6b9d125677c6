//! Socket by which `hookpost backup` has a running server make the copy.
//!
//! Only the server can copy while it writes: a change by another process starts SQLite's online backup again, and one long
//! snapshot keeps the write-ahead log from being reset.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Store;
use super::backup::{BackupError, Report};
use super::open::beside;
use super::part::{Part, io_error};

/// How long a program may read nothing before the copy is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rest after an error of the socket, such as a lack of file descriptors.
const AFTER_ERROR: Duration = Duration::from_millis(200);
/// Bytes written between two syncs: 2 MiB.
const SYNC: u64 = 2 << 20;
/// Rest after a sync, as a multiple of the time since the one before.
const REST: u32 = 2;
const LONGEST_REST: Duration = Duration::from_millis(100);
/// Longest first line of an answer in bytes.
const LINE: u64 = 4 << 10;

/// Socket with a thread that answers each connection with a copy, one after the other. Dropping it removes the socket; a
/// copy under way ends once the store is closed.
pub struct BackupSocket {
    path: PathBuf,
    is_closing: Arc<AtomicBool>,
}

impl BackupSocket {
    /// Listens beside the database, whose lock the caller holds. The socket has mode 0600: only a user who can read the
    /// database can connect.
    pub fn listen(store: &Store) -> io::Result<BackupSocket> {
        let path = address(store.path());
        // A killed server leaves its sockets behind.
        let bound = beside(&path, "-new");
        for left in [&path, &bound] {
            match fs::remove_file(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let listener = UnixListener::bind(&bound)?;
        fs::set_permissions(&bound, Permissions::from_mode(0o600))?;
        fs::rename(&bound, &path)?;
        let is_closing = Arc::new(AtomicBool::new(false));
        let (store, closing) = (store.clone(), Arc::clone(&is_closing));
        std::thread::Builder::new().name("backup".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                if let Err(error) = stream.and_then(|stream| answer(&store, stream)) {
                    log::warn!("a backup was not completed: {error}");
                    std::thread::sleep(AFTER_ERROR);
                }
            }
        })?;
        Ok(BackupSocket { path, is_closing })
    }
}

impl Drop for BackupSocket {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

fn address(database: &Path) -> PathBuf {
    beside(database, ".sock")
}

/// Sends one line, `copy` with a number of bytes or `error` with a text, and then the bytes of a copy.
fn answer(store: &Store, mut stream: UnixStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nonblocking(true)?;
    // The client sends nothing, so its end is all there is to read.
    let is_awaited = || (&stream).read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    let copied = store.backup(is_awaited);
    stream.set_nonblocking(false)?;
    let mut copy = match copied {
        Ok(copy) => copy,
        Err(BackupError::Unwanted) => return Ok(()),
        Err(error) => return writeln!(stream, "error {}", error.to_string().replace('\n', " ")),
    };
    writeln!(stream, "copy {}", copy.metadata()?.len())?;
    io::copy(&mut copy, &mut stream).map(drop)
}

/// Has the server of a database copy it into a new file in a folder. Returns `None` if no server answers.
pub(super) fn fetch(database: &Path, folder: &Path, report: Report<'_>) -> Option<Result<Part, BackupError>> {
    let stream = UnixStream::connect(address(database)).ok()?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // A server that is stopping closes the connection without a word.
    (&mut stream).take(LINE).read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(match line.trim_end().split_once(' ') {
        Some(("copy", bytes)) => bytes.parse().map_err(|_| BackupError::Interrupted).and_then(|bytes| {
            let part = Part::create(folder, bytes)?;
            receive(&mut stream, bytes, &part, report)?;
            Ok(part)
        }),
        Some(("error", text)) => Err(BackupError::Server(text.to_owned())),
        _ => Err(BackupError::Interrupted),
    })
}

/// Writes a copy at the pace of a disk that others use too.
fn receive(stream: &mut BufReader<UnixStream>, bytes: u64, part: &Part, report: Report<'_>) -> Result<(), BackupError> {
    let mut file: &File = part.file();
    let mut left = bytes;
    while left > 0 {
        let begin = Instant::now();
        let count = io::copy(&mut stream.take(left.min(SYNC)), &mut file).map_err(io_error(part.path()))?;
        if count == 0 {
            return Err(BackupError::Interrupted);
        }
        left -= count;
        report(bytes - left, bytes);
        part.sync()?;
        std::thread::sleep((begin.elapsed() * REST).min(LONGEST_REST));
    }
    Ok(())
}
