//! The result of a template: its text, and the escapes that its place in JSON needs.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Fault, MAX_OUTPUT_BYTES, Output};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Text,
    /// JSON, outside of strings.
    Json,
    /// Between two quotation marks of the template.
    String,
}

/// The result, as far as it is written.
pub(super) struct Printer {
    pub text: String,
    output: Output,
    in_string: bool,
    after_backslash: bool,
}

impl Printer {
    pub fn new(output: Output) -> Printer {
        Printer { text: String::new(), output, in_string: false, after_backslash: false }
    }

    pub fn context(&self) -> Context {
        match (self.output, self.in_string) {
            (Output::Text, _) => Context::Text,
            (Output::Json, false) => Context::Json,
            (Output::Json, true) => Context::String,
        }
    }

    /// Writes text of the template itself, and follows its quotation marks.
    pub fn literal(&mut self, text: &str) -> Result<(), Fault> {
        if self.output == Output::Json {
            for byte in text.bytes() {
                match byte {
                    _ if self.after_backslash => self.after_backslash = false,
                    b'\\' if self.in_string => self.after_backslash = true,
                    b'"' => self.in_string = !self.in_string,
                    _ => {}
                }
            }
        }
        self.push(text)
    }

    pub fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.text.len() + text.len() > MAX_OUTPUT_BYTES {
            let message = format!("The result is longer than {} MiB.", MAX_OUTPUT_BYTES >> 20);
            return Err(Fault::new(message));
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Appends a text as JSON.
pub(super) fn quote(text: &str, json: &mut String) {
    json.push('"');
    escape(text, json);
    json.push('"');
}

/// Appends the content of a JSON string.
pub(super) fn escape(text: &str, json: &mut String) {
    for run in text.split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\') {
        let last = run.chars().next_back().filter(|c| *c < ' ' || *c == '"' || *c == '\\');
        json.push_str(&run[..run.len() - last.map_or(0, char::len_utf8)]);
        let escaped: Cow<'_, str> = match last {
            None => "".into(),
            Some('"') => "\\\"".into(),
            Some('\\') => "\\\\".into(),
            Some('\n') => "\\n".into(),
            Some('\r') => "\\r".into(),
            Some('\t') => "\\t".into(),
            Some(control) => format!("\\u{:04x}", u32::from(control)).into(),
        };
        json.push_str(&escaped);
    }
}

/// Returns JSON with line breaks and an indentation. The text is JSON already.
pub(super) fn indent(json: &str, width: usize) -> Result<String, Fault> {
    let mut pretty = String::new();
    let mut depth = 0_usize;
    let mut rest = json.bytes().enumerate();
    let line = |depth: usize, pretty: &mut String| {
        let _ = write!(pretty, "\n{:spaces$}", "", spaces = depth * width);
    };
    while let Some((at, byte)) = rest.next() {
        if pretty.len() > MAX_OUTPUT_BYTES {
            return Err(Fault::new(format!("The indented JSON is longer than {} MiB.", MAX_OUTPUT_BYTES >> 20)));
        }
        match byte {
            b'{' | b'[' => {
                pretty.push(char::from(byte));
                let is_empty = json[at + 1..].trim_ascii_start().starts_with(['}', ']']);
                if !is_empty {
                    depth += 1;
                    line(depth, &mut pretty);
                }
            }
            b'}' | b']' => {
                if !pretty.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(depth, &mut pretty);
                }
                pretty.push(char::from(byte));
            }
            b',' => {
                pretty.push(',');
                line(depth, &mut pretty);
            }
            b':' => pretty.push_str(": "),
            b'"' => {
                let mut end = at + 1;
                while let Some((next, byte)) = rest.next() {
                    end = next + 1;
                    match byte {
                        b'\\' => {
                            rest.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
                pretty.push_str(&json[at..end]);
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            other => pretty.push(char::from(other)),
        }
    }
    Ok(pretty)
}
