//! Search of the documentation. It reads all sections for each query, which takes less than a millisecond.

use super::guide::Section;

/// Maximum words of a query.
const MAX_WORDS: usize = 8;
/// Maximum bytes of a query.
const MAX_BYTES: usize = 200;
/// Maximum results.
const MAX_HITS: usize = 30;
/// Bytes of an excerpt before its first match; twice as many follow.
const AROUND: usize = 90;

/// A section that contains all words.
pub(super) struct Hit {
    pub(super) path: &'static str,
    pub(super) document: &'static str,
    pub(super) heading: &'static str,
    pub(super) excerpt: Vec<Piece>,
}

/// A part of an excerpt.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// True for one of the words that were searched for.
    pub(super) is_match: bool,
}

/// Returns the sections that contain all words, those with the words in their headings first, and whether there are more.
pub(super) fn find(sections: &'static [Section], query: &str) -> (Vec<Hit>, bool) {
    let query = query[..query.floor_char_boundary(MAX_BYTES)].to_ascii_lowercase();
    let words: Vec<&str> = query.split_whitespace().take(MAX_WORDS).collect();
    let mut found: Vec<(usize, &Section, String)> = Vec::new();
    for section in sections {
        let heading = format!("{} {}", section.document, section.heading).to_ascii_lowercase();
        // ASCII only, so that positions are those of the text.
        let text = section.text.to_ascii_lowercase();
        if words.iter().all(|word| heading.contains(word) || text.contains(word)) {
            let in_heading = words.iter().filter(|word| heading.contains(**word)).count();
            found.push((words.len() - in_heading, section, text));
        }
    }
    found.sort_by_key(|(missing, _, _)| *missing);
    let is_cut = found.len() > MAX_HITS;
    let hits = found.into_iter().take(MAX_HITS).map(|(_, section, lower)| Hit {
        path: &section.path,
        document: &section.document,
        heading: &section.heading,
        excerpt: excerpt(&section.text, &lower, &words),
    });
    (hits.collect(), is_cut)
}

/// Returns the text around the first word, in pieces.
fn excerpt(text: &str, lower: &str, words: &[&str]) -> Vec<Piece> {
    let first = words.iter().filter_map(|word| lower.find(word)).min().unwrap_or(0);
    let mut at = word_boundary(text, first.saturating_sub(AROUND), first);
    let end = word_boundary(text, (first + 2 * AROUND).min(text.len()), text.len());
    let mut pieces = Vec::new();
    let mut push = |text: &str, is_match| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), is_match });
        }
    };
    push(if at > 0 { "…" } else { "" }, false);
    while at < end {
        let next = words.iter().filter_map(|word| Some((at + lower[at..end].find(word)?, word.len()))).min();
        let (start, length) = next.unwrap_or((end, 0));
        push(&text[at..start], false);
        push(&text[start..start + length], true);
        at = start + length;
    }
    push(if end < text.len() { "…" } else { "" }, false);
    pieces
}

/// Bytes in which an excerpt looks for the beginning of a word.
const LONG_WORD: usize = 24;

/// Returns the next position that begins a word, or a character if that is far, but none after `latest`.
fn word_boundary(text: &str, from: usize, latest: usize) -> usize {
    let from = text.ceil_char_boundary(from);
    match text[from..].find(' ') {
        Some(space) if from > 0 && space < LONG_WORD && from + space < latest => from + space + 1,
        _ => from.min(latest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, words: &[&str]) -> String {
        let pieces = excerpt(text, &text.to_ascii_lowercase(), words);
        pieces
            .iter()
            .map(|piece| if piece.is_match { format!("[{}]", piece.text) } else { piece.text.clone() })
            .collect()
    }

    #[test]
    fn an_excerpt_is_cut_at_characters_and_marks_each_word() {
        assert_eq!(
            shown("A Retry follows a retry-after.", &["retry", "after"]),
            "A [Retry] follows a [retry]-[after]."
        );
        assert_eq!(shown("nothing", &["x"]), "nothing");
        let long = "é".repeat(200) + " word " + &"日".repeat(200);
        let text = shown(&long, &["word"]);
        assert!(text.starts_with("…é") && text.contains("é [word] 日") && text.ends_with("日…"), "{text}");
        assert!(text.len() < 300, "{text}");
        let words = "word ".repeat(50) + "match" + &" word".repeat(50);
        let text = shown(&words, &["match"]);
        assert!(text.starts_with("…word ") && text.ends_with(" word …") && text.contains(" [match] "), "{text}");
    }

    #[test]
    fn sections_with_the_words_in_their_heading_come_first() {
        let section = |path: &str, heading: &str, text: &str| Section {
            path: path.to_owned(),
            document: "Receiving".to_owned(),
            heading: heading.to_owned(),
            text: text.to_owned(),
        };
        let sections = vec![
            section("a", "Other", "The retry schedule."),
            section("b", "Retry", "A schedule of attempts."),
            section("c", "Retry", "No other word."),
        ];
        let (hits, is_cut) = find(sections.leak(), "RETRY schedule ");
        assert_eq!(hits.iter().map(|hit| hit.path).collect::<Vec<_>>(), ["b", "a"]);
        assert!(!is_cut);
    }

    #[test]
    fn results_are_bounded() {
        let section =
            |_| Section { path: String::new(), document: String::new(), heading: String::new(), text: "a ".repeat(9) };
        let sections: Vec<Section> = (0..MAX_HITS + 1).map(section).collect();
        let (hits, is_cut) = find(sections.leak(), &"a ".repeat(10_000));
        assert_eq!((hits.len(), is_cut), (MAX_HITS, true));
    }
}
