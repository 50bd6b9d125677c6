//! The code blocks of a document.

use std::fs;
use std::path::Path;

/// If set, the code of the documents is written anew from the program's templates.
pub const UPDATE: &str = "HOOKPOST_UPDATE_DOCS";

/// A fenced code block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Closest heading above it.
    pub heading: String,
    /// First word after the fence, such as `sh`.
    pub language: String,
    /// Second word: what the block is for, such as `by-hand`. Empty if there is none.
    pub purpose: String,
    pub text: String,
}

fn path(document: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(document)
}

pub fn read(document: &str) -> String {
    fs::read_to_string(path(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Returns the fenced code blocks of a document, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    parse(&read(document))
}

/// Returns the blocks of a document for a purpose.
pub fn blocks_for(document: &str, purpose: &str) -> Vec<Block> {
    let mut found = blocks(document);
    found.retain(|block| block.purpose == purpose);
    assert!(!found.is_empty(), "{document} has no block for {purpose}");
    found
}

fn parse(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut heading, mut is_open) = ("", false);
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                let mut words = info.split_whitespace().map(str::to_owned);
                let (language, purpose) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                found.push(Block { heading: heading.to_owned(), language, purpose, text: String::new() });
            }
        } else if is_open {
            let block = found.last_mut().unwrap();
            block.text += line;
            block.text.push('\n');
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
    }
    assert!(!is_open, "a code block does not end");
    found
}

/// Checks that a block of a document has this text. With [`UPDATE`] the document gets it.
pub fn holds(document: &str, language: &str, purpose: &str, code: &str) {
    let mut text = read(document);
    let fence = format!("```{language} {purpose}\n");
    let start =
        text.find(&fence).unwrap_or_else(|| panic!("{document} has no block {language} {purpose}")) + fence.len();
    let end = start + text[start..].find("```\n").unwrap();
    let code = format!("{}\n", code.trim_end());
    if std::env::var_os(UPDATE).is_some() && text[start..end] != code {
        text.replace_range(start..end, &code);
        fs::write(path(document), text).unwrap();
        return;
    }
    assert!(
        text[start..end] == code,
        "{document}: the block {language} {purpose} is not the code of the pages; {UPDATE}=1 writes it anew"
    );
}

#[test]
fn blocks_are_read_with_their_heading_language_and_purpose() {
    let found = parse("# A\n\n```sh\none\n# two\n```\n\n## B `c`\n\n    indented\n\n```js by-hand\n\n```\n");
    let parts: Vec<_> = found
        .iter()
        .map(|block| [&block.heading, &block.language, &block.purpose, &block.text].map(String::as_str))
        .collect();
    assert_eq!(parts, [["A", "sh", "", "one\n# two\n"], ["B `c`", "js", "by-hand", "\n"]]);
}
