//! Output of the commands: sentences and tables for people, JSON for programs. A standard output that is closed or full is
//! an error, never a panic.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::CliError;
use crate::config;

/// Spaces between the columns of a table.
const GAP: usize = 2;

/// `--json` of a command.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputFlags {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl OutputFlags {
    /// Prints a value as one line of JSON, or the text for people.
    pub(super) fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.json {
            true => print(&json(value)?),
            false => print(&text()),
        }
    }

    /// Prints the negative answer of a check as JSON, if that is wanted, and returns it as an error.
    pub(super) fn negative(self, value: &impl Serialize, text: String) -> Result<(), CliError> {
        self.negative_raw(&json(value)?, text)
    }

    /// Like [`OutputFlags::negative`], with JSON as it is.
    pub(super) fn negative_raw(self, json: &str, text: String) -> Result<(), CliError> {
        let printed = if self.json { print(json) } else { Ok(()) };
        match printed {
            Err(error) if !error.is_closed_pipe() => Err(error),
            _ => Err(CliError::Negative(text)),
        }
    }

    /// Prints JSON as it is, or the text for people.
    pub(super) fn print_raw(self, json: &str, text: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.json {
            true => print(json),
            false => print(&text()),
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(value).map_err(|error| CliError::Other(error.to_string()))
}

/// Prints a text and a line break if it has none.
///
/// # Errors
/// [`CliError::Output`], which a closed pipe is too.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let write = |out: &mut io::StdoutLock<'_>| {
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write(&mut out).map_err(CliError::Output)
}

/// Writes a line to standard error, for people beside the output. It is lost if nobody can read it.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Colors of the terminal, as numbers of ANSI's "select graphic rendition".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// Whether texts are colored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    is_colored: bool,
}

impl Style {
    /// Returns the style of standard output: colors on a terminal alone, and not with `NO_COLOR`.
    pub(super) fn of_stdout() -> Style {
        Style { is_colored: io::stdout().is_terminal() && !config::is_color_unwanted() }
    }

    /// Paints a text if it has a color.
    pub(super) fn maybe(self, text: &str, color: Option<Color>) -> String {
        color.map_or_else(|| text.to_owned(), |color| self.paint(text, color))
    }

    pub(super) fn paint(self, text: &str, color: Color) -> String {
        match self.is_colored {
            true => format!("\x1b[{}m{text}\x1b[0m", color as u8),
            false => text.to_owned(),
        }
    }
}

/// Replaces control characters, which could steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Rows in aligned columns under a header.
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// Text of a table in one line, perhaps colored.
pub(super) struct Cell {
    text: String,
    color: Option<Color>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        let text = printable(&text.into()).replace(['\n', '\t'], " ");
        Cell { text: if text.is_empty() { "-".to_owned() } else { text }, color: None }
    }
}

impl Cell {
    pub(super) fn colored(text: impl Into<String>, color: Option<Color>) -> Cell {
        Cell { color, ..Cell::from(text) }
    }
}

impl Table {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Table {
        Table { rows: vec![header.into_iter().map(Cell::from).collect()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Returns the table as lines. The last column is not padded.
    pub(super) fn text(&self, style: Style) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].text.width()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.len() - 1;
            for (column, Cell { text: cell, color }) in row.iter().enumerate() {
                let painted = style.maybe(cell, *color);
                let padding = if column == last { 0 } else { widths[column] - cell.width() + GAP };
                // Writing to a string cannot fail.
                let _ = write!(text, "{painted}{:padding$}", "");
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_do_not_move_the_columns_and_nothing_steers_the_terminal() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::colored("red", Some(Color::Red)), "\x1b[2J\nx".into()]);
        table.row(["".into(), "y".into()]);
        let plain = table.text(Style { is_colored: false });
        assert_eq!(plain, "A    B\nred  \u{fffd}[2J x\n-    y\n");
        let colored = table.text(Style { is_colored: true });
        assert_eq!(colored.replace("\x1b[31m", "").replace("\x1b[0m", ""), plain);
        assert_ne!(colored, plain);
    }
}
