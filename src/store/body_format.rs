//! The table of body formats, by which the log composes bodies again.
//!
//! Each edit of a template adds a row. Formats with a template have negative numbers, so that a partial index finds the
//! attempts that use them, and attempts with an envelope cost no index entry. A template that no attempt uses any more is
//! replaced by a short text, and its row is used again: to delete the row, SQLite would search all attempts for it.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::sql;
use crate::profile::BodyFormat;

/// Returns the number of a format, inserting it if it is new.
pub(super) fn seq_of(connection: &Connection, definition: &str) -> Result<i64> {
    let query = "SELECT seq FROM body_format WHERE definition = :definition";
    let params = named_params! {":definition": definition};
    if let Some(seq) = sql::first(connection, query, params, |row| row.get(0))? {
        return Ok(seq);
    }
    if !BodyFormat::from_definition(definition).is_ok_and(|format| format.is_template()) {
        sql::run(connection, "INSERT INTO body_format (definition) VALUES (:definition)", params)?;
        return Ok(connection.last_insert_rowid());
    }
    let unused = "SELECT seq FROM body_format WHERE seq < 0 AND definition GLOB 'unused *' LIMIT 1";
    let (seq, statement) = match sql::first(connection, unused, [], |row| row.get(0))? {
        Some(seq) => (seq, "UPDATE body_format SET definition = :definition WHERE seq = :seq"),
        None => {
            let next = "SELECT min(coalesce(min(seq), 0), 0) - 1 FROM body_format";
            (sql::value(connection, next, [])?, "INSERT INTO body_format (seq, definition) VALUES (:seq, :definition)")
        }
    };
    sql::run(connection, statement, named_params! {":seq": seq, ":definition": definition})?;
    Ok(seq)
}

/// Returns the definition of the body that the first attempt of a delivery sent, if any did.
pub fn of_first_attempt(connection: &Connection, delivery_seq: i64) -> Result<Option<String>> {
    sql::first(connection, OF_FIRST_ATTEMPT, named_params! {":delivery_seq": delivery_seq}, |row| row.get(0))
}

/// Follows the primary key from the first attempt, which has a format unless nothing was sent.
const OF_FIRST_ATTEMPT: &str = "SELECT f.definition FROM attempt a
    JOIN body_format f ON f.seq = a.body_format_seq
    WHERE a.delivery_seq = :delivery_seq AND a.body_format_seq IS NOT NULL
    ORDER BY a.number LIMIT 1";

/// Empties formats with a template that no attempt uses, among the next 100 after a number, in one step. Returns the
/// last number examined; `None` at the end.
pub fn empty_unused(tx: &mut WriteTx<'_>, after: i64) -> Result<Option<i64>> {
    let query = "SELECT max(-seq) FROM (SELECT seq FROM body_format WHERE seq < -:after ORDER BY seq DESC LIMIT 100)";
    let last: Option<i64> = sql::value(tx.connection(), query, named_params! {":after": after})?;
    if let Some(last) = last {
        sql::run(tx.connection(), EMPTY_UNUSED, named_params! {":after": after, ":last": last})?;
    }
    Ok(last)
}

const EMPTY_UNUSED: &str = "UPDATE body_format SET definition = 'unused ' || seq
    WHERE seq >= -:last AND seq < -:after AND definition NOT GLOB 'unused *'
        AND NOT EXISTS (SELECT 1 FROM attempt INDEXED BY attempt_template
                        WHERE body_format_seq = body_format.seq AND body_format_seq < 0)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::directory::Directory;
    use crate::store::migrate;

    fn template(text: &str) -> String {
        format!(r#"{{"template":"{text}","output":"json"}}"#)
    }

    #[test]
    fn a_template_that_no_attempt_uses_is_emptied_and_its_row_used_again() {
        let connection = migrate::in_memory();
        let exact = r#"{"envelope":"data","body":"exact"}"#;
        let seqs: Vec<i64> = [&template("1"), exact, &template("2"), exact, &template("1")]
            .iter()
            .map(|definition| seq_of(&connection, definition).unwrap())
            .collect();
        assert_eq!(seqs, [-1, 0, -2, 0, -1]);
        let attempt = |seq: i64| {
            format!(
                "PRAGMA foreign_keys = OFF; INSERT INTO attempt (delivery_seq, number, id, trigger, started_ms,
                     duration_ms, connections, url, body_format_seq, request_headers)
                 VALUES (7, {}, x'00', 'initial', 0, 0, 1, '', {seq}, '')",
                seq + 10
            )
        };
        connection.execute_batch(&attempt(-2)).unwrap();
        connection.execute_batch(&attempt(0)).unwrap();
        let mut directory = Directory::default();
        let mut tx = WriteTx::of_test(&connection, &mut directory, 0);
        assert_eq!(empty_unused(&mut tx, 0).unwrap(), Some(2));
        assert_eq!(empty_unused(&mut tx, 2).unwrap(), None);
        let rows = || -> Vec<(i64, String)> {
            let query = "SELECT seq, definition FROM body_format ORDER BY seq";
            sql::all(&connection, query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let emptied = [(-2, template("2")), (-1, "unused -1".to_owned()), (0, exact.to_owned())];
        assert_eq!(rows(), emptied);
        assert_eq!(seq_of(&connection, &template("3")).unwrap(), -1);
        assert_eq!(seq_of(&connection, &template("4")).unwrap(), -3);
        assert_eq!(of_first_attempt(&connection, 7).unwrap(), Some(template("2")));
    }
}
