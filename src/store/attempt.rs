//! The table of attempts, which is the delivery log.

use rusqlite::{Connection, Row, named_params};

use super::body_format;
use super::damage;
use super::delivery::Delivery;
use super::error::Result;
use super::event;
use super::group::WriteTx;
use super::page::{Cursor, Filling, Page, PageRequest};
use super::sql::{self, read_row, row_params};
use super::sql_types::Json;
use crate::domain::attempt::{Failure, FailureCause, ReceiverResponse, Timings};
use crate::domain::delivery::Trigger;
use crate::domain::event::Event;
use crate::domain::id::AttemptId;
use crate::domain::time::Millis;
use crate::profile::BodyFormat;
use crate::random;

#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    /// 1 for the first attempt of the delivery.
    pub number: u32,
    pub trigger: Trigger,
    pub started_ms: Millis,
    pub duration_ms: i64,
    pub timings: Timings,
    /// Address that the request was sent to, with its port.
    pub remote_address: Option<String>,
    /// 2 if a kept-alive connection broke and a new one was tried.
    pub connections: u8,
    /// Whether the receiver answered 401, and the request was sent again with a new access token.
    pub token_renewed: bool,
    pub url: String,
    /// In order, secrets masked.
    pub request_headers: Vec<(String, String)>,
    /// Composed again from the event and the body format; `None` if nothing was sent.
    pub request_body: Option<Vec<u8>>,
    pub answer: Option<ReceiverResponse>,
    /// Number of the earlier attempt with this code and body, if all attempts since then got them too. The body is stored
    /// there only.
    pub same_response_as: Option<u32>,
    pub failure: Option<Failure>,
}

impl Attempt {
    /// Approximate memory use in bytes.
    pub fn size_bytes(&self) -> usize {
        let size = |headers: &[(String, String)]| -> usize {
            headers.iter().map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>()).sum()
        };
        let answer = self.answer.as_ref().map_or(0, |answer| size(&answer.headers) + answer.body.len());
        let body = self.request_body.as_ref().map_or(0, Vec::len);
        size_of::<Attempt>() + self.url.len() + size(&self.request_headers) + body + answer
    }

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
            token_renewed: false,
            url: url.to_owned(),
            request_headers: Vec::new(),
            request_body: None,
            answer: None,
            same_response_as: None,
            failure,
        }
    }
}

/// Stores an attempt. The body of its request is not stored, only its format, by which the body is composed again. The
/// body of its response is not stored if the attempt before it got the same response.
pub fn insert(tx: &mut WriteTx<'_>, delivery_seq: i64, attempt: &Attempt, body_format: Option<&str>) -> Result<()> {
    let body_format_seq = body_format.map(|definition| body_format::seq_of(tx.connection(), definition)).transpose()?;
    let answer = attempt.answer.as_ref();
    let body = answer.map(|answer| &answer.body).filter(|body| !body.is_empty());
    let same_response_as = same_response_as(tx.connection(), delivery_seq, attempt)?;
    sql::run(
        tx.connection(),
        "INSERT INTO attempt (delivery_seq, number, id, trigger, started_ms, duration_ms, token_us, resolve_us, connect_us,
             tls_us, first_byte_us, remote_address, connections, token_renewed, url, body_format_seq, request_headers, code,
             response_headers, response_body, same_response_as, body_truncated, error_code, error_message, error_cause)
         VALUES (:delivery_seq, :number, :id, :trigger, :started_ms, :duration_ms, :token_us, :resolve_us, :connect_us,
             :tls_us, :first_byte_us, :remote_address, :connections, :token_renewed, :url, :body_format_seq, :request_headers, :code,
             :response_headers, :response_body, :same_response_as, :body_truncated, :error_code, :error_message, :error_cause)",
        row_params!(attempt {
            number, id, trigger, started_ms, duration_ms, remote_address, connections, token_renewed, url;
            delivery_seq: delivery_seq,
            token_us: attempt.timings.token_us,
            resolve_us: attempt.timings.resolve_us,
            connect_us: attempt.timings.connect_us,
            tls_us: attempt.timings.tls_us,
            first_byte_us: attempt.timings.first_byte_us,
            body_format_seq: body_format_seq,
            request_headers: to_lines(&attempt.request_headers),
            code: answer.map(|answer| answer.code),
            response_headers: answer.map(|answer| to_lines(&answer.headers)),
            response_body: body.filter(|_| same_response_as.is_none()),
            same_response_as: same_response_as,
            body_truncated: answer.is_some_and(|answer| answer.body_truncated),
            error_code: attempt.failure.as_ref().map(Failure::code),
            error_message: attempt.failure.as_ref().map(|failure| &failure.message),
            error_cause: attempt.failure.as_ref().map(|failure| Json(&failure.cause)),
        }),
    )?;
    event::hide_if_erased(tx, delivery_seq, attempt.number)
}

/// Finds the attempt that holds the response of the one before the first, by two lookups of a primary key.
pub(super) const SAME_RESPONSE: &str = "SELECT whole.number FROM attempt last
    JOIN attempt whole ON whole.delivery_seq = last.delivery_seq
        AND whole.number = coalesce(last.same_response_as, last.number)
    WHERE last.delivery_seq = :delivery_seq AND last.number = :last AND whole.code = :code
        AND whole.response_body = :body AND whole.body_truncated = :body_truncated";

/// Returns the number of the attempt that holds this response, if the previous attempt got it too. Empty bodies cost
/// nothing and are not compared.
fn same_response_as(connection: &Connection, delivery_seq: i64, attempt: &Attempt) -> Result<Option<u32>> {
    let Some(answer) = attempt.answer.as_ref().filter(|answer| attempt.number > 1 && !answer.body.is_empty()) else {
        return Ok(None);
    };
    let params = named_params! {
        ":delivery_seq": delivery_seq,
        ":last": attempt.number - 1,
        ":code": answer.code,
        ":body": answer.body,
        ":body_truncated": answer.body_truncated,
    };
    sql::first(connection, SAME_RESPONSE, params, |row| row.get(0))
}

const SELECT: &str =
    "SELECT a.*, f.definition AS body_format, coalesce(a.response_body, same.response_body) AS whole_body
    FROM attempt a LEFT JOIN body_format f ON f.seq = a.body_format_seq
    LEFT JOIN attempt same ON same.delivery_seq = a.delivery_seq AND same.number = a.same_response_as
    WHERE a.delivery_seq = :delivery_seq";

/// Returns a page of the attempts of a delivery, newest first, without those that cannot be read. `event` is the
/// delivery's event, from which the bodies of requests are composed; without it, they are left out.
pub fn page(
    connection: &Connection,
    delivery: &Delivery,
    event: Option<&Event>,
    request: &PageRequest,
) -> Result<Page<Attempt>> {
    let below = request.cursor.map_or(i64::MAX, Cursor::seq);
    match whole_page(connection, delivery.seq, event, request, below) {
        Err(error) if error.is_damage() => damage::report("attempt", delivery.seq, &error),
        page => return page,
    }
    let mut page: Filling<Attempt> = Filling::new(request);
    for number in (1..=delivery.attempt_count).rev().skip_while(|number| i64::from(*number) >= below) {
        if page.is_full() {
            return Ok(page.continued(|attempt| i64::from(attempt.number)));
        }
        match get(connection, delivery.seq, number, event) {
            Ok(attempt) => attempt.into_iter().for_each(|attempt| page.push_attempt(attempt)),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(page.complete())
}

fn whole_page(
    connection: &Connection,
    delivery_seq: i64,
    event: Option<&Event>,
    request: &PageRequest,
    below: i64,
) -> Result<Page<Attempt>> {
    let query = format!("{SELECT} AND a.number < :below ORDER BY a.number DESC");
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(named_params! {":delivery_seq": delivery_seq, ":below": below})?;
    let mut page: Filling<Attempt> = Filling::new(request);
    let mut bodies = Bodies::of(event);
    while let Some(row) = rows.next()? {
        if page.is_full() {
            return Ok(page.continued(|attempt| i64::from(attempt.number)));
        }
        page.push_attempt(from_row(row, &mut bodies)?);
    }
    Ok(page.complete())
}

impl Filling<Attempt> {
    fn push_attempt(&mut self, attempt: Attempt) {
        let bytes = attempt.size_bytes();
        self.push(attempt, bytes);
    }
}

/// Returns one attempt of a delivery. `event` is the delivery's event, as for [`page`].
pub fn get(connection: &Connection, delivery_seq: i64, number: u32, event: Option<&Event>) -> Result<Option<Attempt>> {
    let query = format!("{SELECT} AND a.number = :number");
    let params = named_params! {":delivery_seq": delivery_seq, ":number": number};
    sql::first(connection, &query, params, |row| from_row(row, &mut Bodies::of(event)))
}

/// Returns the number of the next attempt of a delivery, from the log.
pub fn next_number(connection: &Connection, delivery_seq: i64) -> Result<u32> {
    let query = "SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE delivery_seq = :delivery_seq";
    sql::value(connection, query, named_params! {":delivery_seq": delivery_seq})
}

/// Returns the last attempt of a delivery, if any. `event` is the delivery's event; `None` if it is damaged.
pub fn last(connection: &Connection, delivery_seq: i64, event: Option<&Event>) -> Result<Option<Attempt>> {
    let query = format!("{SELECT} ORDER BY a.number DESC LIMIT 1");
    sql::first(connection, &query, named_params! {":delivery_seq": delivery_seq}, |row| {
        from_row(row, &mut Bodies::of(event))
    })
}

/// Bodies of the attempts of one delivery, which usually are one body.
struct Bodies<'a> {
    event: Option<&'a Event>,
    /// Format and body of the attempt before.
    last: Option<(String, Option<Vec<u8>>)>,
}

impl Bodies<'_> {
    fn of(event: Option<&Event>) -> Bodies<'_> {
        Bodies { event, last: None }
    }

    /// Composes a body; `None` without the event, or for a template that this version of the program refuses.
    fn compose(&mut self, definition: String) -> Option<Vec<u8>> {
        let event = self.event?;
        if let Some((last, body)) = &self.last
            && *last == definition
        {
            return body.clone();
        }
        let format = BodyFormat::from_definition(&definition).ok();
        let body = format.and_then(|format| format.compose(event).ok());
        self.last = Some((definition, body.clone()));
        body
    }
}

fn from_row(row: &Row<'_>, bodies: &mut Bodies<'_>) -> rusqlite::Result<Attempt> {
    let body_format: Option<String> = row.get("body_format")?;
    let code: Option<u16> = row.get("code")?;
    let answer = match code {
        None => None,
        Some(code) => Some(ReceiverResponse {
            code,
            headers: from_lines(&row.get::<_, Option<String>>("response_headers")?.unwrap_or_default()),
            body: row.get::<_, Option<Vec<u8>>>("whole_body")?.unwrap_or_default(),
            body_truncated: row.get("body_truncated")?,
        }),
    };
    let failure = match row.get::<_, Option<Json<FailureCause>>>("error_cause")? {
        None => None,
        Some(Json(cause)) => Some(Failure { cause, message: row.get("error_message")? }),
    };
    Ok(read_row!(row, Attempt {
        id, number, trigger, started_ms, duration_ms, remote_address, connections, token_renewed, url,
        same_response_as;
        timings: read_row!(row, Timings { token_us, resolve_us, connect_us, tls_us, first_byte_us }),
        request_headers: from_lines(&row.get::<_, String>("request_headers")?),
        request_body: body_format.and_then(|definition| bodies.compose(definition)),
        answer,
        failure,
    }))
}

/// Formats headers as `name: value` lines. Neither part can contain a line break.
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
