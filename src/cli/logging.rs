//! The log on standard error: one line per event, as text or as JSON, with the ids of what it is about.

use std::io::{self, Write as _};

use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::Map;

use crate::config::LogFormat;
use crate::http::request_id::RequestId;

/// Starts the log of the process.
pub(super) fn start(level: LevelFilter, format: LogFormat) {
    env_logger::Builder::new()
        // Libraries log URLs and headers in detail, and those of webhooks may hold secrets.
        .filter_level(LevelFilter::Warn)
        .filter_module("hookpost", LevelFilter::Trace)
        // An error for each malformed request, so anybody could fill the log.
        .filter_module("actix_http", LevelFilter::Off)
        .format(move |out, record| write_line(out, record, format))
        .init();
    set_level(level);
}

/// Sets the level of a log that was started.
pub(super) fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Fields of a line, by name: `request_id`, `delivery_id`, `webhook_id`.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn write_line(out: &mut Formatter, record: &Record<'_>, format: LogFormat) -> io::Result<()> {
    let (time, level, target) = (out.timestamp_millis().to_string(), record.level(), record.target());
    // A message may have text of a client or a receiver, which must not begin a line of its own.
    let message: String = record.args().to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut fields = Fields::default();
    record.key_values().visit(&mut fields).map_err(io::Error::other)?;
    const REQUEST: &str = "request_id";
    if let (Some(id), false) = (RequestId::in_progress(), fields.0.iter().any(|(name, _)| name == REQUEST)) {
        fields.0.push((REQUEST.to_owned(), id.to_string()));
    }
    match format {
        LogFormat::Text => {
            let fields: String = fields.0.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            writeln!(out, "[{time} {level:<5} {target}] {message}{fields}")
        }
        LogFormat::Json => {
            let head =
                [("time", time), ("level", level.to_string().to_ascii_lowercase()), ("target", target.to_owned())];
            let head = head.map(|(name, value)| (name.to_owned(), value)).into_iter();
            let all = head.chain([("message".to_owned(), message)]).chain(fields.0);
            let line: Map<String, serde_json::Value> = all.map(|(name, value)| (name, value.into())).collect();
            writeln!(out, "{}", serde_json::Value::Object(line))
        }
    }
}
