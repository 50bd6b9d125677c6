//! Replicators: programs such as Litestream, which copy the write-ahead log while it grows.
//!
//! A replicator holds a snapshot, so that nobody else resets the log, and writes the log into the file itself. Then the
//! server leaves that to it: its own attempts would read the index of the log at each commit, in vain. At the end the log
//! stays, because what is not replicated yet is in it.

use std::path::Path;

/// Pages of the log from which on the server writes it into the file even so: 64 MiB. Nobody else does if the replicator
/// does not run.
pub(super) const MOST_PAGES: u32 = 16_384;

/// Whether Litestream has replicated a database: it keeps a folder beside the file.
pub fn is_found(database: &Path) -> bool {
    let folder = database.file_name().map(|name| {
        let mut folder = std::ffi::OsString::from(".");
        folder.push(name);
        folder.push("-litestream");
        database.with_file_name(folder)
    });
    folder.is_some_and(|folder| folder.is_dir())
}
