//! Filter of the deliveries on a page, as the query of its URL.

use crate::domain::Invalid;
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, parse_rfc3339, rfc3339_seconds};
use crate::domain::zone::{Twice, Zone};
use crate::http::delivery_filter::DeliveryTexts;
use crate::http::web::date_field;
use crate::http::web::layout::code_label;
use crate::http::web::list_query::{Chip, ListQuery, Parameter, below, query_of};
use crate::http::web::{Fields, Session};
use crate::store::delivery::DeliveryFilter;
use crate::text::failure::status_words;
use crate::text::humanize::to_the_second;

const PARAMETERS: &[Parameter] = &[
    Parameter::one("q", "q", "Text"),
    Parameter::several("status", "status", "Status"),
    Parameter::several("webhook", "webhook_id", "Webhook"),
    Parameter::one("event", "event_id", "Event"),
    Parameter::several("type", "event_type", "Event type"),
    Parameter::one("tenant", "tenant", "Tenant"),
    Parameter::several("code", "response_code", "Response code"),
    Parameter::several("error", "error_code", "Error"),
    Parameter::one("test", "test", "Tests"),
    Parameter::one("from", "since", "Created at or after"),
    Parameter::one("to", "until", "Created before"),
    Parameter::one("finished_from", "finished_since", "Finished at or after"),
    Parameter::one("finished_to", "finished_until", "Finished before"),
];

/// Query of the list with the deliveries that statistics count: without tests, finished from a time and before another.
pub fn finished(webhook: Option<&str>, statuses: &str, from: Millis, until: Option<Millis>) -> String {
    let until = until.map(rfc3339_seconds).unwrap_or_default();
    let pairs = [
        ("status", statuses),
        ("webhook", webhook.unwrap_or_default()),
        ("test", "false"),
        ("finished_from", &rfc3339_seconds(from)),
        ("finished_to", &until),
    ];
    query_of(pairs.into_iter())
}

/// A filter, and the query that it was parsed from.
pub struct Criteria {
    pub query: ListQuery,
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
        let zone = session.zone();
        let query = ListQuery::of(fields, PARAMETERS, session.tenant().is_some()).mapped(|name, text| match name {
            "from" | "finished_from" => date_field::exact(text, zone, Twice::First),
            "to" | "finished_to" => date_field::exact(text, zone, Twice::Second),
            _ => text.to_owned(),
        });
        let mut criteria =
            Criteria { query, filter: DeliveryFilter::default(), needle: None, problem: None, zone: zone.clone() };
        match criteria.parse() {
            Ok((filter, needle)) => (criteria.filter, criteria.needle) = (filter, needle),
            Err(invalid) => criteria.problem = Some(invalid.message),
        }
        if let Some(own) = session.tenant() {
            criteria.filter.tenant = Some(own.clone());
        }
        criteria
    }

    fn parse(&self) -> Result<(DeliveryFilter, Option<Needle>), Invalid> {
        let given = |name| self.query.given(name);
        let time = |name| given(name).map(|text| date_field::parse(text, &self.zone, Twice::First)).transpose();
        let texts = DeliveryTexts {
            webhook: given("webhook"),
            event: given("event"),
            status: given("status"),
            event_type: given("type"),
            code: given("code"),
            error: given("error"),
            test: given("test"),
        };
        let filter = DeliveryFilter {
            tenant: given("tenant").map(str::parse).transpose()?,
            since: time("from")?,
            until: time("to")?,
            finished_since: time("finished_from")?,
            finished_until: time("finished_to")?,
            ..texts.parse()?
        };
        Ok((filter, given("q").map(str::parse).transpose()?))
    }

    /// The filter without a text to search for.
    #[must_use]
    pub fn without_text(&self) -> Criteria {
        Criteria {
            query: self.query.with("q", ""),
            filter: self.filter.clone(),
            needle: None,
            problem: self.problem.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Text of a parameter; empty if it is not set.
    pub fn text(&self, name: &str) -> &str {
        self.query.text(name)
    }

    pub fn is_empty(&self) -> bool {
        self.query.is_empty()
    }

    /// Whether the list is limited to a time.
    pub fn has_times(&self) -> bool {
        ["from", "to", "finished_from", "finished_to"].iter().any(|name| !self.text(name).is_empty())
    }

    /// Hidden fields of a form that repeats the filter.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.query.pairs().iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
    }

    /// Query string of a page.
    pub fn query(&self) -> String {
        self.query.query()
    }

    /// Query string with one parameter changed, or removed if `value` is empty.
    pub fn query_with(&self, name: &'static str, value: &str) -> String {
        self.query.with(name, value).query()
    }

    /// Path of the list with this filter.
    pub fn list(&self) -> String {
        below("/deliveries", &self.query())
    }

    /// Query string of the API.
    pub fn api_query(&self) -> String {
        query_of(self.api_pairs().iter().map(|(name, text)| (*name, text.as_str())))
    }

    /// Body of a bulk call of the API.
    pub fn api_body(&self) -> String {
        let pairs = self.api_pairs();
        if pairs.is_empty() {
            return "{\"all\": true}".to_owned();
        }
        let member = |(name, text): &(&str, String)| match *name {
            "test" => format!("\"{name}\": {text}"),
            _ => format!("\"{name}\": \"{text}\""),
        };
        format!("{{{}}}", pairs.iter().map(member).collect::<Vec<_>>().join(", "))
    }

    /// Fields and values of the API. The values are parsed ones, so none has a quote in it.
    fn api_pairs(&self) -> Vec<(&'static str, String)> {
        self.query.api_pairs(|name, text| {
            let time = match name {
                "from" => self.filter.since,
                "to" => self.filter.until,
                "finished_from" => self.filter.finished_since,
                "finished_to" => self.filter.finished_until,
                _ => None,
            };
            time.map_or_else(|| text.to_owned(), rfc3339_seconds)
        })
    }

    /// Labels and values, for a confirmation page. `webhook` returns the name of a webhook.
    pub fn facts(&self, webhook: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
        let fact = |(name, text): &(&'static str, String)| {
            let values: Vec<String> = match *name {
                "webhook" | "status" | "type" | "code" | "error" => {
                    text.split(',').map(|value| words(name, value.trim(), &webhook, &self.zone)).collect()
                }
                _ => vec![words(name, text, &webhook, &self.zone)],
            };
            (self.query.label(name), values.join(", "))
        };
        self.query.pairs().iter().map(fact).collect()
    }

    /// Filters in use, each with the list without it. `webhook` returns the name of a webhook.
    pub fn chips(&self, base: &str, webhook: impl Fn(&str) -> Option<String>) -> Vec<Chip> {
        self.query.chips(&format!("{base}/deliveries"), |name, value| words(name, value, &webhook, &self.zone))
    }
}

/// A value in words.
fn words(name: &str, value: &str, webhook: &impl Fn(&str) -> Option<String>, zone: &Zone) -> String {
    match name {
        "webhook" => webhook(value).unwrap_or_else(|| value.to_owned()),
        "code" => value.parse().map_or_else(|_| value.to_owned(), status_words),
        "from" | "to" | "finished_from" | "finished_to" => {
            parse_rfc3339(value).map_or_else(|_| value.to_owned(), |at| to_the_second(at, zone))
        }
        "test" if value == "false" => "hidden".to_owned(),
        "test" => "only".to_owned(),
        "error" => code_label(value),
        _ => value.to_owned(),
    }
}
