//! Filter of a list, as the query of its URL: what is set, the list without a part of it, and the number of matches.

use crate::http::web::Fields;
use crate::store::StoreError;
use crate::store::page::{Page, PageRequest, Total};
use crate::text::humanize;

/// Parameter of a filter.
pub struct Parameter {
    pub name: &'static str,
    /// Parameter of the API.
    pub api: &'static str,
    pub label: &'static str,
    /// Several values are allowed, with commas in between or repeated.
    pub is_list: bool,
}

impl Parameter {
    pub const fn one(name: &'static str, api: &'static str, label: &'static str) -> Parameter {
        Parameter { name, api, label, is_list: false }
    }

    pub const fn several(name: &'static str, api: &'static str, label: &'static str) -> Parameter {
        Parameter { name, api, label, is_list: true }
    }
}

/// Value of a filter that is set.
pub struct Chip {
    pub label: &'static str,
    pub value: String,
    /// URL of the list without it.
    pub href: String,
}

/// Parameters that are not empty, in the order of their table.
#[derive(Clone)]
pub struct ListQuery {
    parameters: &'static [Parameter],
    given: Vec<(&'static str, String)>,
}

impl ListQuery {
    /// Portal visitors have no parameter `tenant`.
    pub fn of(fields: &Fields, parameters: &'static [Parameter], is_portal: bool) -> ListQuery {
        let known = parameters.iter().filter(|parameter| !(is_portal && parameter.name == "tenant"));
        let given = known.filter_map(|Parameter { name, is_list, .. }| {
            let all: Vec<&str> = fields.all(name).map(str::trim).filter(|text| !text.is_empty()).collect();
            let text = if *is_list { all.join(",") } else { (*all.first()?).to_owned() };
            (!text.is_empty()).then_some((*name, text))
        });
        ListQuery { parameters, given: given.collect() }
    }

    /// Rewrites the texts.
    #[must_use]
    pub fn mapped(mut self, text: impl Fn(&str, &str) -> String) -> ListQuery {
        for (name, value) in &mut self.given {
            *value = text(name, value);
        }
        self
    }

    /// Text of a parameter; empty if it is not set.
    pub fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    pub fn given(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// Whether a parameter has this value among others.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.text(name).split(',').any(|one| one.trim() == value)
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    pub fn pairs(&self) -> &[(&'static str, String)] {
        &self.given
    }

    /// Query string of a page.
    pub fn query(&self) -> String {
        query_of(self.given.iter().map(|(name, text)| (*name, text.as_str())))
    }

    /// The query with another value of a parameter; without the parameter if the value is empty.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &str) -> ListQuery {
        let mut given = self.given.clone();
        given.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            given.push((name, value.to_owned()));
        }
        ListQuery { parameters: self.parameters, given }
    }

    fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    pub fn label(&self, name: &str) -> &'static str {
        self.parameter(name).map_or("", |parameter| parameter.label)
    }

    /// Query string of the API. `value` returns the text of a parameter there.
    pub fn api_pairs(&self, value: impl Fn(&str, &str) -> String) -> Vec<(&'static str, String)> {
        let pair = |parameter: &Parameter| {
            let text = self.given(parameter.name)?;
            Some((parameter.api, value(parameter.name, text)))
        };
        self.parameters.iter().filter_map(pair).collect()
    }

    /// Filters in use, each with the list without it. `words` returns a value as people read it.
    pub fn chips(&self, path: &str, words: impl Fn(&str, &str) -> String) -> Vec<Chip> {
        let mut chips = Vec::new();
        for (name, text) in &self.given {
            let Some(parameter) = self.parameter(name) else {
                continue;
            };
            let values: Vec<&str> =
                if parameter.is_list { text.split(',').map(str::trim).collect() } else { vec![text.as_str()] };
            for value in &values {
                let others: Vec<&str> = values.iter().copied().filter(|other| other != value).collect();
                let rest = self.with(name, &others.join(","));
                let value = words(name, value);
                chips.push(Chip { label: parameter.label, value, href: below(path, &rest.query()) });
            }
        }
        chips
    }
}

/// Title of a list with a filter: the filter first, which tells tabs apart.
pub fn title(chips: &[Chip], list: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut words = chips.iter().map(|chip| chip.value.as_str()).collect::<Vec<_>>().join(", ");
    if let Some((end, _)) = words.char_indices().nth(MAX_CHARS) {
        words.truncate(end);
        words.push('…');
    }
    if words.is_empty() { list.to_owned() } else { format!("{words} · {list}") }
}

/// Number of matches of a list. `count` is asked only if its first page does not tell.
pub fn total<T>(
    page: &Page<T>,
    request: &PageRequest,
    count: impl FnOnce() -> Result<Total, StoreError>,
) -> Result<Total, StoreError> {
    match (&page.next, request.cursor) {
        (None, None) => Ok(Total { count: page.rows.len() as u64, is_partial: false }),
        _ => count(),
    }
}

/// Number of rows in words: `1,234 events`, `over 10,000 events`, `12 or more events`.
pub fn total_words(Total { count, is_partial }: Total, noun: &str) -> String {
    const MOST: u64 = 10_000;
    match (count, is_partial) {
        (count, _) if count > MOST => format!("Over {}", humanize::counted(MOST, noun)),
        (0, true) => String::new(),
        (count, true) => {
            let counted = humanize::counted(count.max(2), noun);
            let noun = counted.split_once(' ').map_or("", |(_, noun)| noun);
            format!("{} or more {noun}", humanize::number(count))
        }
        (count, false) => humanize::counted(count, noun),
    }
}

pub fn query_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// A path with its query, if there is one.
pub fn below(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        _ => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] =
        &[Parameter::one("q", "q", "Text"), Parameter::several("status", "status", "Status")];

    #[test]
    fn each_value_that_is_set_can_be_removed_alone() {
        let fields = Fields::parse(b"status=failed&q=a,b&status=retrying&status=&other=1");
        let query = ListQuery::of(&fields, PARAMETERS, false);
        assert_eq!(query.query(), "q=a%2Cb&status=failed%2Cretrying");
        let chips = query.chips("/d", |_, value| value.to_owned());
        let chips: Vec<_> = chips.iter().map(|chip| (chip.value.as_str(), chip.href.as_str())).collect();
        assert_eq!(
            chips,
            [
                ("a,b", "/d?status=failed%2Cretrying"),
                ("failed", "/d?q=a%2Cb&status=retrying"),
                ("retrying", "/d?q=a%2Cb&status=failed"),
            ]
        );
        assert!(query.has("status", "retrying") && !query.has("status", "delivered"));
    }

    #[test]
    fn a_total_says_whether_it_is_complete() {
        for (count, is_partial, words) in [
            (1, false, "1 delivery"),
            (1_234, false, "1,234 deliveries"),
            (10_000, false, "10,000 deliveries"),
            (10_001, true, "Over 10,000 deliveries"),
            (12, true, "12 or more deliveries"),
            (1, true, "1 or more deliveries"),
            (0, true, ""),
            (0, false, "0 deliveries"),
        ] {
            assert_eq!(total_words(Total { count, is_partial }, "delivery"), words);
        }
    }
}
