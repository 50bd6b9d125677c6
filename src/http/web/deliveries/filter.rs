//! Filter of the deliveries on a page, as the query of its URL.

use std::str::FromStr;

use crate::domain::Invalid;
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, rfc3339_seconds};
use crate::domain::zone::{Twice, Zone};
use crate::http::web::date_field;
use crate::http::web::{Fields, Session};
use crate::store::delivery::DeliveryFilter;
use crate::text::failure::status_words;
use crate::text::humanize::to_the_second;

/// Query parameter, field of the API, label on pages.
const NAMES: [(&str, &str, &str); 11] = [
    ("q", "q", "Text"),
    ("status", "status", "Status"),
    ("webhook", "webhook_id", "Webhook"),
    ("event", "event_id", "Event"),
    ("type", "event_type", "Event type"),
    ("tenant", "tenant", "Tenant"),
    ("code", "response_code", "Response code"),
    ("error", "error_code", "Error"),
    ("test", "test", "Tests"),
    ("from", "since", "Created at or after"),
    ("to", "until", "Created before"),
];

/// A filter, and the text that it was parsed from.
pub struct Criteria {
    /// Query parameters that are not empty.
    given: Vec<(&'static str, String)>,
    pub filter: DeliveryFilter,
    /// Text that the id, the event's id or the event's data contains. Not part of `filter`: only lists search.
    pub needle: Option<Needle>,
    /// Error in a parameter. `filter` is unusable if set.
    pub problem: Option<String>,
    zone: Zone,
}

impl Criteria {
    /// Reads the parameters; limits portal visitors to their tenant.
    pub fn of(session: &Session, fields: &Fields) -> Criteria {
        let names = NAMES.iter().filter(|(name, ..)| *name != "tenant" || session.tenant().is_none());
        let zone = session.zone();
        let exact = |name: &str, text: &str| match name {
            "from" => date_field::exact(text, zone, Twice::First),
            "to" => date_field::exact(text, zone, Twice::Second),
            _ => text.to_owned(),
        };
        let given = names.filter_map(|(name, ..)| Some((*name, exact(name, fields.given(name)?))));
        let mut criteria = Criteria {
            given: given.collect(),
            filter: DeliveryFilter::default(),
            needle: None,
            problem: None,
            zone: zone.clone(),
        };
        match criteria.parse() {
            Ok((filter, needle)) => (criteria.filter, criteria.needle) = (filter, needle),
            Err(problem) => criteria.problem = Some(problem),
        }
        if let Some(own) = session.tenant() {
            criteria.filter.tenant = Some(own.clone());
        }
        criteria
    }

    fn parse(&self) -> Result<(DeliveryFilter, Option<Needle>), String> {
        let message = |invalid: Invalid| invalid.message;
        let time = |name| match self.text(name) {
            "" => Ok(None),
            text => date_field::parse(text, &self.zone, Twice::First).map(Some).map_err(message),
        };
        let filter = DeliveryFilter {
            status: self.parsed("status", message)?,
            webhook: self.parsed("webhook", |_| "Enter a webhook ID such as wh_….".to_owned())?,
            event: self.parsed("event", message)?,
            event_type: self.parsed("type", message)?,
            tenant: self.parsed("tenant", message)?,
            response_code: self.parsed("code", |_| "Enter a response code such as 500.".to_owned())?,
            error_code: self.parsed("error", |_| "Enter an error code such as timeout.".to_owned())?,
            test: self.parsed("test", |_| "Tests must be true or false.".to_owned())?,
            since: time("from")?,
            until: time("to")?,
        };
        Ok((filter, self.parsed("q", message)?))
    }

    fn parsed<T: FromStr>(&self, name: &str, message: impl Fn(T::Err) -> String) -> Result<Option<T>, String> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(message),
        }
    }

    /// The filter without a text to search for.
    #[must_use]
    pub fn without_text(&self) -> Criteria {
        let given = self.given.iter().filter(|(name, _)| *name != "q").cloned().collect();
        Criteria {
            given,
            filter: self.filter.clone(),
            needle: None,
            problem: self.problem.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Text of a parameter; empty if it is not set.
    pub fn text(&self, name: &str) -> &str {
        let found = self.given.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, text)| text)
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Hidden fields of a form that repeats the filter.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.given.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
    }

    /// Query string of a page.
    pub fn query(&self) -> String {
        query_of(&self.given)
    }

    /// Query string with one parameter changed, or removed if `value` is empty.
    pub fn query_with(&self, name: &'static str, value: &str) -> String {
        let mut pairs = self.given.clone();
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, value.to_owned()));
        query_of(&pairs)
    }

    /// Path of the list with this filter.
    pub fn list(&self) -> String {
        below("/deliveries", &self.query())
    }

    /// Query string of the API.
    pub fn api_query(&self) -> String {
        query_of(&self.api_pairs())
    }

    /// Body of a bulk call of the API.
    pub fn api_body(&self) -> String {
        let pairs = self.api_pairs();
        if pairs.is_empty() {
            return "{\"all\": true}".to_owned();
        }
        let member = |(name, text): &(&str, String)| match *name {
            "response_code" | "test" => format!("\"{name}\": {text}"),
            _ => format!("\"{name}\": \"{text}\""),
        };
        format!("{{{}}}", pairs.iter().map(member).collect::<Vec<_>>().join(", "))
    }

    /// Fields and values of the API. The values are parsed ones, so none has a quote in it.
    fn api_pairs(&self) -> Vec<(&'static str, String)> {
        let pair = |(name, api, _): &(&'static str, &'static str, _)| {
            let time = match *name {
                "from" => self.filter.since,
                "to" => self.filter.until,
                _ => None,
            };
            (*api, time.map_or_else(|| self.text(name).to_owned(), rfc3339_seconds))
        };
        NAMES.iter().map(pair).filter(|(_, text)| !text.is_empty()).collect()
    }

    /// Labels and values, for a confirmation page.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let fact = |(name, text): &(&str, String)| {
            let label = NAMES.iter().find(|(known, ..)| known == name).map_or("", |(.., label)| label);
            let time = |at: Option<Millis>| at.map_or_else(|| text.clone(), |at| to_the_second(at, &self.zone));
            let value = match (*name, self.filter.response_code) {
                ("code", Some(code)) => status_words(code),
                ("from", _) => time(self.filter.since),
                ("to", _) => time(self.filter.until),
                ("test", _) if text == "false" => "hidden".to_owned(),
                ("test", _) => "only".to_owned(),
                ("error", _) => text.replace('_', " "),
                _ => text.clone(),
            };
            (label, value)
        };
        self.given.iter().map(fact).collect()
    }
}

fn query_of(pairs: &[(&str, String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// A path with its query, if there is one.
pub fn below(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        _ => format!("{path}?{query}"),
    }
}
