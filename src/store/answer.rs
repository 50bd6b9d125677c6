//! The table of answers to calls with an `Idempotency-Key`. Bodies are sealed, since an answer may have a new secret.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::idempotency::KEPT;
use super::sql;
use super::sql_types::Json;
use crate::domain::time::Millis;

/// Answers kept for one API key; the oldest go first.
pub const MOST: u32 = 1_000;
/// Longest body that is kept, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// Maximum rows that one step deletes.
const STEP: usize = 500;

/// Answer of a call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// `None` if it was too long to keep.
    pub body: Option<Vec<u8>>,
}

/// State of a call.
#[derive(Debug)]
pub enum Begun {
    /// It is new, and has this number now.
    New(i64),
    /// It was made, with this answer.
    Made(Answer),
    /// It has not ended, or the server stopped before it did.
    Unknown,
    /// The key was used for another call.
    Different,
}

/// A call: who makes it, its `Idempotency-Key`, and the SHA-256 of what it asks for.
#[derive(Debug, Clone)]
pub struct Made {
    pub api_key_seq: i64,
    pub key: String,
    pub fingerprint: [u8; 32],
}

/// Returns the state of a call, and begins it if it is new. Answers older than 24 hours count as never made.
pub fn begin(tx: &mut WriteTx<'_>, call: &Made) -> Result<Begun> {
    let (connection, now) = (tx.connection(), tx.now_ms());
    let Made { api_key_seq, key, fingerprint } = call;
    let query = "SELECT seq, fingerprint, created_ms, status, headers, unseal(body, 'answer.body', seq) AS body
                 FROM answer WHERE api_key_seq = :api_key_seq AND key = :key";
    let params = named_params! {":api_key_seq": api_key_seq, ":key": key};
    let before = sql::first(connection, query, params, |row| {
        let headers: Option<Json<Vec<(String, String)>>> = row.get("headers")?;
        let (status, body): (Option<u16>, Option<Vec<u8>>) = (row.get("status")?, row.get("body")?);
        let answer =
            status.map(|status| Answer { status, headers: headers.map(|Json(all)| all).unwrap_or_default(), body });
        Ok((
            row.get::<_, i64>("seq")?,
            row.get::<_, [u8; 32]>("fingerprint")?,
            row.get::<_, Millis>("created_ms")?,
            answer,
        ))
    })?;
    match before {
        Some((seq, _, created_ms, _)) if created_ms <= now - KEPT => release(connection, seq)?,
        Some((_, before, _, _)) if before != *fingerprint => return Ok(Begun::Different),
        Some((_, _, _, Some(answer))) => return Ok(Begun::Made(answer)),
        Some((_, _, _, None)) => return Ok(Begun::Unknown),
        None => {}
    }
    sql::run(
        connection,
        "INSERT INTO answer (api_key_seq, key, fingerprint, created_ms) VALUES (:api_key_seq, :key, :fingerprint, :now)",
        named_params! {":api_key_seq": api_key_seq, ":key": key, ":fingerprint": fingerprint, ":now": now},
    )?;
    let seq = connection.last_insert_rowid();
    sql::run(
        connection,
        "DELETE FROM answer WHERE seq IN
             (SELECT seq FROM answer WHERE api_key_seq = :api_key_seq ORDER BY seq DESC LIMIT 10 OFFSET :most)",
        named_params! {":api_key_seq": api_key_seq, ":most": MOST},
    )?;
    Ok(Begun::New(seq))
}

/// Stores the answer of a call that has begun.
pub fn finish(connection: &Connection, seq: i64, answer: &Answer) -> Result<()> {
    sql::run(
        connection,
        "UPDATE answer SET status = :status, headers = :headers, body = seal(:body, 'answer.body', seq) WHERE seq = :seq",
        named_params! {
            ":seq": seq, ":status": answer.status, ":headers": Json(&answer.headers), ":body": answer.body,
        },
    )
}

/// Forgets a call, which can be made again.
pub fn release(connection: &Connection, seq: i64) -> Result<()> {
    sql::run(connection, "DELETE FROM answer WHERE seq = :seq", named_params! {":seq": seq})
}

/// Deletes answers older than 24 hours, in one step. Returns whether more may remain.
pub fn delete_expired(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let deleted = sql::change(
        tx.connection(),
        "DELETE FROM answer WHERE seq IN (SELECT seq FROM answer WHERE created_ms <= :oldest LIMIT :step)",
        named_params! {":oldest": now - KEPT, ":step": STEP},
    )?;
    Ok(deleted == STEP)
}
