//! Faults of the machine that last.

use rusqlite::{Connection, named_params};

use super::super::error::Result;
use super::super::sql;
use super::super::{WriteTx, operational};
use super::insert;
use crate::domain::telling::EdgeKind;
use crate::domain::time::Millis;

/// Fault of the machine that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineFault {
    Disk,
    Clock,
    Backup,
}

impl MachineFault {
    fn name(self) -> &'static str {
        match self {
            MachineFault::Disk => "disk",
            MachineFault::Clock => "clock",
            MachineFault::Backup => "backup",
        }
    }
}

/// Returns since when there is a fault, and its size.
pub fn machine_fault(connection: &Connection, fault: MachineFault) -> Result<Option<(Millis, i64)>> {
    let query = "SELECT since_ms, size FROM machine_fault WHERE name = :name";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get("since_ms")?, row.get("size")?));
    sql::first(connection, query, named_params! {":name": fault.name()}, read)
}

/// Records that a fault began, with its size, or that it is over (`None`). `text` is a sentence for people.
pub fn set_machine_fault(tx: &mut WriteTx<'_>, fault: MachineFault, size: Option<i64>, text: &str) -> Result<()> {
    let (began, over) = match fault {
        MachineFault::Disk => (EdgeKind::DiskLow, EdgeKind::DiskEnough),
        MachineFault::Clock => (EdgeKind::ClockWrong, EdgeKind::ClockRight),
        MachineFault::Backup => (EdgeKind::BackupFailed, EdgeKind::BackupMade),
    };
    let name = fault.name();
    match size {
        Some(size) => sql::run(
            tx.connection(),
            "INSERT INTO machine_fault (name, since_ms, size) VALUES (:name, :now, :size)
             ON CONFLICT DO UPDATE SET size = :size",
            named_params! {":name": name, ":now": tx.now_ms(), ":size": size},
        )?,
        None => {
            let statement = "DELETE FROM machine_fault WHERE name = :name";
            sql::run(tx.connection(), statement, named_params! {":name": name})?;
        }
    }
    insert(tx, if size.is_some() { began } else { over }, (None, None, None), text)?;
    operational::machine(tx, fault, size.is_some(), text)
}
