//! What a form sent: names and values in order, each name as often as it was ticked.

use serde_json::value::RawValue;

use crate::domain::{Invalid, json};

/// The fields of a form, or of a query.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. Line ends are as the server's own: browsers send `\r\n`.
    pub fn parse(body: &[u8]) -> Fields {
        let pairs = url::form_urlencoded::parse(body);
        let pairs = pairs.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")));
        Fields(pairs.collect())
    }

    /// The first value of a name; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The first value of a name without white space around it, where there is any.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// What was typed as JSON, as it was spelled without white space around it; what is wrong with it otherwise.
    pub fn json(&self, name: &str) -> Result<Option<Box<str>>, Invalid> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        let parsed = serde_json::from_str::<&RawValue>(text);
        parsed.map_err(|error| Invalid::new("invalid_json", format!("This is not JSON: {error}.")).in_field(name))?;
        json::check(text.as_bytes()).map_err(|invalid| invalid.in_field(name))?;
        Ok(Some(text.into()))
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked, or a button of this name pressed.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The same as a query, without these names and without what is empty.
    pub fn query_without(&self, left_out: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            if !value.is_empty() && !left_out.contains(&name.as_str()) {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_a_name_as_often_as_it_was_ticked() {
        let fields = Fields::parse(b"events=a&events=b+c&note=%20x%0D%0Ay%20&empty=");
        assert_eq!(fields.all("events").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(fields.given("note"), Some("x\ny"));
        assert_eq!(fields.given("empty"), None);
        assert!(fields.has("empty") && !fields.has("other"));
        assert_eq!(fields.query_without(&["events"]), "note=+x%0Ay+");
    }
}
