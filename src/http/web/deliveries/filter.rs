//! Which deliveries a page shows: the names of its address, and what they mean.

use std::str::FromStr;

use crate::domain::Invalid;
use crate::domain::time::{Millis, parse_rfc3339, rfc3339_seconds};
use crate::http::web::form::Fields;
use crate::http::web::session::Session;
use crate::store::delivery::DeliveryFilter;
use crate::text::failure::status_words;

/// The names in the order in which they are told, each with its name in the API.
const NAMES: [(&str, &str); 10] = [
    ("status", "status"),
    ("webhook", "webhook_id"),
    ("event", "event_id"),
    ("type", "event_type"),
    ("tenant", "tenant"),
    ("code", "response_code"),
    ("error", "error_code"),
    ("test", "test"),
    ("from", "since"),
    ("to", "until"),
];

/// What somebody looks for.
pub struct Criteria {
    /// What was given, by the names of the address.
    given: Vec<(&'static str, String)>,
    pub filter: DeliveryFilter,
    /// What is wrong with it; the filter is of no use then.
    pub problem: Option<String>,
}

impl Criteria {
    /// The people of a tenant see what is theirs, whatever they ask for.
    pub fn of(session: &Session, fields: &Fields) -> Criteria {
        let mut criteria = Criteria { given: Vec::new(), filter: DeliveryFilter::default(), problem: None };
        for (name, _) in NAMES {
            let is_meant = name != "tenant" || session.tenant().is_none();
            if let Some(text) = fields.given(name).filter(|_| is_meant) {
                criteria.given.push((name, text.to_owned()));
            }
        }
        if let Err(problem) = criteria.read() {
            criteria.problem = Some(problem);
        }
        if let Some(own) = session.tenant() {
            criteria.filter.tenant = Some(own.clone());
        }
        criteria
    }

    fn read(&mut self) -> Result<(), String> {
        let filter = DeliveryFilter {
            status: self.parsed("status")?,
            webhook: self.other("webhook", "The id of a webhook looks like wh_….")?,
            event: self.parsed("event")?,
            event_type: self.parsed("type")?,
            tenant: self.parsed("tenant")?,
            response_code: self.other("code", "A response code is a number such as 500.")?,
            error_code: self.other("error", "An error is a code such as timeout.")?,
            test: self.other("test", "Tests are shown with true, left out with false.")?,
            since: self.time("from")?,
            until: self.time("to")?,
        };
        self.filter = filter;
        Ok(())
    }

    fn parsed<T: FromStr<Err = Invalid>>(&self, name: &str) -> Result<Option<T>, String> {
        let text = self.text(name);
        let parsed = (!text.is_empty()).then(|| text.parse()).transpose();
        parsed.map_err(|invalid: Invalid| invalid.message)
    }

    fn other<T: FromStr>(&self, name: &str, otherwise: &str) -> Result<Option<T>, String> {
        let text = self.text(name);
        let parsed = (!text.is_empty()).then(|| text.parse()).transpose();
        parsed.map_err(|_| otherwise.to_owned())
    }

    fn time(&self, name: &str) -> Result<Option<Millis>, String> {
        let text = self.text(name);
        let parsed = (!text.is_empty()).then(|| parse_utc(text)).transpose();
        parsed.map_err(|invalid| invalid.message)
    }

    /// What was given by this name; empty where nothing was.
    pub fn text(&self, name: &str) -> &str {
        let found = self.given.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, text)| text)
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// What a form carries along.
    pub fn fields(&self) -> Vec<(String, String)> {
        let pairs = self.given.iter();
        pairs.map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
    }

    /// The same as a query of a page's address.
    pub fn query(&self) -> String {
        query_of(self.given.iter().map(|(name, text)| (*name, text.as_str())))
    }

    /// The query with one name set to another value; without it where that is empty.
    pub fn query_with(&self, name: &'static str, value: &str) -> String {
        let others = self.given.iter().filter(|(known, _)| *known != name);
        let others = others.map(|(name, text)| (*name, text.as_str()));
        query_of(others.chain([(name, value)]))
    }

    /// The address of the list, below the server's prefix.
    pub fn list(&self) -> String {
        below("/deliveries", &self.query())
    }

    /// The same as a query of the API.
    pub fn api_query(&self) -> String {
        let named = self.api_pairs();
        query_of(named.iter().map(|(name, text)| (*name, text.as_str())))
    }

    /// The same as the body of a bulk call of the API.
    pub fn api_body(&self) -> String {
        let value = |(name, text): &(&'static str, String)| {
            let quoted = match *name {
                "response_code" | "test" => text.clone(),
                _ => format!("\"{text}\""),
            };
            format!("\"{name}\": {quoted}")
        };
        let named: Vec<String> = self.api_pairs().iter().map(value).collect();
        if named.is_empty() { "{\"all\": true}".to_owned() } else { format!("{{{}}}", named.join(", ")) }
    }

    /// Names and values as the API has them; the values hold no quotes, for they were parsed.
    fn api_pairs(&self) -> Vec<(&'static str, String)> {
        let times = [("from", self.filter.since), ("to", self.filter.until)];
        let named = NAMES.iter().filter_map(|(name, api)| {
            let time = times.iter().find(|(known, _)| known == name);
            let text = match time.and_then(|(_, at)| *at) {
                Some(at) => rfc3339_seconds(at),
                None => self.text(name).to_owned(),
            };
            (!text.is_empty()).then_some((*api, text))
        });
        named.collect()
    }

    /// What is meant, for a person who is about to change all of it.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let told = self.given.iter().map(|(name, text)| {
            let value = match (*name, self.filter.response_code) {
                ("code", Some(code)) => status_words(code),
                ("from" | "to", _) => {
                    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
                }
                ("test", _) if text == "false" => "left out".to_owned(),
                ("test", _) => "only".to_owned(),
                ("error", _) => text.replace('_', " "),
                _ => text.clone(),
            };
            (label(name), value)
        });
        told.collect()
    }
}

fn label(name: &str) -> &'static str {
    match name {
        "status" => "Status",
        "webhook" => "Webhook",
        "event" => "Event",
        "type" => "Event type",
        "tenant" => "Tenant",
        "code" => "Response code",
        "error" => "Error",
        "test" => "Tests",
        "from" => "Created at or after",
        _ => "Created before",
    }
}

fn query_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// A path with a query, if there is one.
pub fn below(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        _ => format!("{path}?{query}"),
    }
}

/// What a field for a date and a time sends, which is taken as UTC; RFC 3339 too.
pub fn parse_utc(text: &str) -> Result<Millis, Invalid> {
    // 2026-01-15T10:00, and with seconds.
    match text.len() {
        16 => parse_rfc3339(&format!("{text}:00Z")),
        19 => parse_rfc3339(&format!("{text}Z")),
        _ => parse_rfc3339(text),
    }
    .map_err(|invalid| Invalid::new(invalid.code, "A time looks like 2026-01-15T10:00, in UTC."))
}

/// A time as such a field takes it, to the second.
pub fn field_time(ms: Millis) -> String {
    rfc3339_seconds(ms).trim_end_matches('Z').to_owned()
}
