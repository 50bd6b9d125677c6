//! Library under the program's system calls (`disk.c`), for tests of power cuts and of kills at a given call. The program
//! itself has no code for these tests.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::skipped;

/// If set, a missing C compiler is a failure.
const REQUIRE_CC: &str = "HOOKPOST_TEST_REQUIRE_CC";

/// The library, with a disk that holds of each database file what it held at its last fsync.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Compiles the library. Prints a message and returns `None` if this machine cannot.
    pub fn new() -> Option<Disk> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            skipped(REQUIRE_CC, "power cuts and kills at a system call need Linux with glibc");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        match compiler.arg(folder.path().join("disk.so")).arg(source).args(["-ldl", "-lpthread"]).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skipped(REQUIRE_CC, "no C compiler (cc)");
                return None;
            }
            output => {
                let output = output.unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let disk = Disk { folder };
        fs::create_dir(disk.files()).unwrap();
        Some(disk)
    }

    /// Loads the library under a command, which then writes the disk's files.
    pub fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.folder.path().join("disk.so")).env("DISK_FOLDER", self.files());
    }

    /// Loads the library under a command, which is killed at the n-th call at a point once [`Disk::arm`] was called.
    pub fn kill_at(&self, command: &mut Command, point: &str, number: u32) {
        command.env("LD_PRELOAD", self.folder.path().join("disk.so"));
        command.env("DISK_KILL", format!("{point} {number}")).env("DISK_ARMED", self.armed());
    }

    /// Loads the library under a command, whose commits hang while the file that is returned exists.
    pub fn hang(&self, command: &mut Command) -> PathBuf {
        let hanging = self.folder.path().join("hanging");
        command.env("LD_PRELOAD", self.folder.path().join("disk.so")).env("DISK_HANG", &hanging);
        hanging
    }

    pub fn arm(&self) {
        fs::write(self.armed(), "").unwrap();
    }

    /// Folder with the files as a power cut leaves them.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    fn armed(&self) -> PathBuf {
        self.folder.path().join("armed")
    }
}
