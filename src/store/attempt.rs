//! The log of attempts.

use rusqlite::{Connection, Row, named_params};

use super::body_format;
use super::error::StoreError;
use super::row::{self, parsed};
use super::writer::WriteTx;
use crate::domain::attempt::{Failure, ReceiverResponse, Timings};
use crate::domain::delivery::Trigger;
use crate::domain::event::Event;
use crate::domain::id::AttemptId;
use crate::domain::time::Millis;
use crate::random;

/// One try of a delivery, as the log keeps it.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    /// 1 for the first of the delivery.
    pub number: u32,
    pub trigger: Trigger,
    pub started_ms: Millis,
    pub duration_ms: i64,
    pub timings: Timings,
    /// The address that the request went to, with its port.
    pub remote_address: Option<String>,
    /// 2 where a kept-alive connection broke and a fresh one was tried.
    pub connections: u8,
    pub url: String,
    /// In order, secrets masked.
    pub request_headers: Vec<(String, String)>,
    /// Composed again from the event and the form; `None` where nothing was sent.
    pub request_body: Option<Vec<u8>>,
    pub answer: Option<ReceiverResponse>,
    pub failure: Option<Failure>,
}

impl Attempt {
    /// An attempt that sent nothing.
    pub fn unsent(started_ms: Millis, number: u32, trigger: Trigger, url: &str, failure: Option<Failure>) -> Attempt {
        Attempt {
            id: AttemptId::generate(started_ms, random::bits()),
            number,
            trigger,
            started_ms,
            duration_ms: 0,
            timings: Timings::default(),
            remote_address: None,
            connections: 1,
            url: url.to_owned(),
            request_headers: Vec::new(),
            request_body: None,
            answer: None,
            failure,
        }
    }
}

/// Logs an attempt. Its body is not stored: the form's definition says how it was composed.
pub fn insert(
    tx: &mut WriteTx<'_>,
    delivery_seq: i64,
    attempt: &Attempt,
    form_definition: Option<&str>,
) -> Result<(), StoreError> {
    let body_format_seq = form_definition.map(|definition| body_format::seq_of(tx, definition)).transpose()?;
    let answer = attempt.answer.as_ref();
    let body = answer.map(|answer| &answer.body).filter(|body| !body.is_empty());
    let cause = attempt.failure.as_ref().map(|failure| serde_json::to_string(&failure.cause));
    let cause = cause.transpose().map_err(|error| StoreError::Corrupt(format!("a failure's cause: {error}")))?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO attempt (delivery_seq, number, id, trigger, started_ms, duration_ms, resolve_us, connect_us,
                 tls_us, first_byte_us, remote_address, connections, url, body_format_seq, request_headers, code,
                 response_headers, response_body, body_truncated, error_code, error_message, error_cause)
             VALUES (:delivery_seq, :number, :id, :trigger, :started_ms, :duration_ms, :resolve_us, :connect_us,
                 :tls_us, :first_byte_us, :remote_address, :connections, :url, :body_format_seq, :request_headers, :code,
                 :response_headers, :response_body, :body_truncated, :error_code, :error_message, :error_cause)",
        )?
        .execute(named_params! {
            ":delivery_seq": delivery_seq,
            ":number": attempt.number,
            ":id": attempt.id.to_bytes(),
            ":trigger": attempt.trigger.into_str(),
            ":started_ms": attempt.started_ms,
            ":duration_ms": attempt.duration_ms,
            ":resolve_us": attempt.timings.resolve_us,
            ":connect_us": attempt.timings.connect_us,
            ":tls_us": attempt.timings.tls_us,
            ":first_byte_us": attempt.timings.first_byte_us,
            ":remote_address": attempt.remote_address,
            ":connections": attempt.connections,
            ":url": attempt.url,
            ":body_format_seq": body_format_seq,
            ":request_headers": to_lines(&attempt.request_headers),
            ":code": answer.map(|answer| answer.code),
            ":response_headers": answer.map(|answer| to_lines(&answer.headers)),
            ":response_body": body,
            ":body_truncated": answer.is_some_and(|answer| answer.body_truncated),
            ":error_code": attempt.failure.as_ref().map(|failure| failure.code().into_str()),
            ":error_message": attempt.failure.as_ref().map(|failure| &failure.message),
            ":error_cause": cause,
        })?;
    Ok(())
}

/// All attempts of a delivery, in order. `event` is the delivery's: what was sent is composed from it again.
pub fn of_delivery(connection: &Connection, delivery_seq: i64, event: &Event) -> Result<Vec<Attempt>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM attempt WHERE delivery_seq = :delivery_seq ORDER BY number")?;
    row::collect(&mut statement, named_params! {":delivery_seq": delivery_seq}, |row| from_row(connection, row, event))
}

/// The last attempt of a delivery, where there was one. `event` is the delivery's.
pub fn last(connection: &Connection, delivery_seq: i64, event: &Event) -> Result<Option<Attempt>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT * FROM attempt WHERE delivery_seq = :delivery_seq ORDER BY number DESC LIMIT 1")?;
    row::first(&mut statement, named_params! {":delivery_seq": delivery_seq}, |row| from_row(connection, row, event))
}

fn from_row(connection: &Connection, row: &Row<'_>, event: &Event) -> Result<Attempt, StoreError> {
    let body_format_seq: Option<i64> = row.get("body_format_seq")?;
    let request_body = match body_format_seq {
        None => None,
        Some(seq) => body_format::get(connection, seq)?.compose(event).ok(),
    };
    let code: Option<u16> = row.get("code")?;
    let answer = match code {
        None => None,
        Some(code) => Some(ReceiverResponse {
            code,
            headers: from_lines(&row.get::<_, Option<String>>("response_headers")?.unwrap_or_default()),
            body: row.get::<_, Option<Vec<u8>>>("response_body")?.unwrap_or_default(),
            body_truncated: row.get("body_truncated")?,
        }),
    };
    let failure = match row.get::<_, Option<String>>("error_cause")? {
        None => None,
        Some(cause) => Some(Failure { cause: row::json(&cause, "error_cause")?, message: row.get("error_message")? }),
    };
    Ok(Attempt {
        id: AttemptId::from_bytes(row.get("id")?),
        number: row.get("number")?,
        trigger: parsed(row, "trigger")?,
        started_ms: row.get("started_ms")?,
        duration_ms: row.get("duration_ms")?,
        timings: Timings {
            resolve_us: row.get("resolve_us")?,
            connect_us: row.get("connect_us")?,
            tls_us: row.get("tls_us")?,
            first_byte_us: row.get("first_byte_us")?,
        },
        remote_address: row.get("remote_address")?,
        connections: row.get("connections")?,
        url: row.get("url")?,
        request_headers: from_lines(&row.get::<_, String>("request_headers")?),
        request_body,
        answer,
        failure,
    })
}

/// Headers as `name: value` lines; neither half can hold a line break.
fn to_lines(headers: &[(String, String)]) -> String {
    let mut lines = String::with_capacity(headers.iter().map(|(n, v)| n.len() + v.len() + 3).sum());
    for (name, value) in headers {
        lines.push_str(name);
        lines.push_str(": ");
        lines.extend(value.chars().filter(|c| *c != '\n'));
        lines.push('\n');
    }
    lines
}

fn from_lines(lines: &str) -> Vec<(String, String)> {
    lines
        .split('\n')
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
