//! Parts of the commands that show resources of the API: pages of lists, tables, fields.

use clap::Args;
use serde_json::Value;

use super::CliError;
use super::api::{Answer, Api, ApiFlags};
use super::output::{Cell, Color, OutputFlags, Style, Table, note, printable};
use crate::delivery::http::client::Method;

/// Flags of every command that lists.
#[derive(Args)]
pub(super) struct ListFlags {
    /// Largest number of rows, 1 to 250
    #[arg(long, value_name = "N", default_value = "50")]
    limit: String,
    /// Start of the page: the cursor of the one before
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Parameters of a call, without those that are not given.
#[derive(Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    pub(super) fn and(mut self, name: &'static str, value: Option<&str>) -> Query {
        self.0.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// Adds several values as one parameter.
    pub(super) fn and_all(self, name: &'static str, values: &[String]) -> Query {
        let joined = values.join(",");
        self.and(name, Some(joined.as_str()).filter(|_| !values.is_empty()))
    }

    pub(super) fn get(&self, api: &Api, path: &[&str]) -> Result<Answer, CliError> {
        self.call(api, Method::GET, path)
    }

    /// Calls a path without a body.
    pub(super) fn call(&self, api: &Api, method: Method, path: &[&str]) -> Result<Answer, CliError> {
        let pairs: Vec<(&str, &str)> = self.0.iter().map(|(name, value)| (*name, value.as_str())).collect();
        api.call(method, path, &pairs, &[])
    }
}

impl ListFlags {
    /// Prints a page of the list at a path: as the server wrote it, or as a table.
    pub(super) fn show<const N: usize>(
        &self,
        query: Query,
        path: &[&str],
        header: [&str; N],
        row: impl Fn(&Value) -> [Cell; N],
    ) -> Result<(), CliError> {
        let query = query.and("limit", Some(&self.limit)).and("cursor", self.cursor.as_deref());
        let answer = query.get(&self.api.client()?, path)?;
        let page = answer.json()?;
        self.output.print_raw(&answer.text, || {
            let mut table = Table::new(header);
            rows(&page["data"]).iter().for_each(|value| table.row(row(value)));
            table.text(Style::of_stdout())
        })?;
        if !self.output.json
            && let Some(cursor) = page["next_cursor"].as_str()
        {
            note(&format!("There are more. The next page: --cursor {cursor}"));
        }
        Ok(())
    }
}

/// Elements of a JSON array; none if it is no array.
pub(super) fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns a value in a line: strings as they are, lists with commas, other things as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            values.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Returns a cell with a value.
pub(super) fn cell(value: &Value) -> Cell {
    text(value).into()
}

/// Returns a cell with a state or status, in its color.
pub(super) fn state(value: &Value) -> Cell {
    Cell::colored(text(value), color_of(&text(value)))
}

/// Returns the color of a state or status.
pub(super) fn color_of(state: &str) -> Option<Color> {
    match state {
        "delivered" | "active" | "healthy" | "closed" => Some(Color::Green),
        "failed" | "disabled" | "failing" | "open" => Some(Color::Red),
        "retrying" | "paused" | "unverified" => Some(Color::Yellow),
        _ => None,
    }
}

/// Returns the fields of an object, one per line, without those named.
pub(super) fn fields(object: &Value, without: &[&str]) -> String {
    let fields = object.as_object().into_iter().flatten().filter(|(name, _)| !without.contains(&name.as_str()));
    let lines = fields.filter(|(_, value)| !value.is_null() && !text(value).is_empty()).map(|(name, value)| {
        let shown = printable(&text(value)).replace('\n', "\n  ");
        format!("{name}: {shown}\n")
    });
    lines.collect()
}
