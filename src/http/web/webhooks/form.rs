//! Form of a webhook: its typed values, and the settings parsed from them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::auth::AuthForm;
use super::filter::FilterFields;
use super::template::Typed;
use super::tls::TlsForm;
use crate::domain::Invalid;
use crate::domain::duration_list;
use crate::domain::header;
use crate::domain::retry::{Exhausted, MeasuredFrom, Schedule, ScheduleSpec};
use crate::domain::signing::Signing;
use crate::domain::time::Millis;
use crate::domain::webhook::{HeaderMap, Limits, Webhook, WebhookSettings};
use crate::domain::zone::Zone;
use crate::http::web::layout::capitalized;
use crate::http::web::made_of::MadeOf;
use crate::http::web::{Connection, Fields, PageError, Session};
use crate::store::StoreError;
use crate::store::page::MAX_LIMIT;
use crate::store::{event_type, topic};
use crate::text::humanize;
use crate::text::retry_preview::{self, Planned};

/// Typed values of the form.
#[derive(Debug, Clone, Default)]
pub struct WebhookForm {
    pub url: String,
    pub description: String,
    pub tenant: String,
    pub profile: String,
    pub secret: String,
    /// Ticked event types.
    pub ticked: Vec<String>,
    /// Other types and patterns, one per line.
    pub patterns: String,
    pub filter: FilterFields,
    /// `Name: value`, one per line.
    pub headers: String,
    pub auth: AuthForm,
    pub timeout_s: String,
    pub max_in_flight: String,
    pub rate_limit_per_s: String,
    pub ordered: bool,
    pub standard_headers: bool,
    pub signing: String,
    /// Whether a custom schedule replaces the profile's.
    pub own_retry: bool,
    /// `1m, 5m, 30m, 2h`.
    pub delays: String,
    pub measured_from: String,
    pub exhausted: String,
    pub body: Typed,
    pub tls: TlsForm,
    /// Values that the form was made of.
    pub made_of: MadeOf,
}

impl WebhookForm {
    pub fn blank(default_profile: &str) -> WebhookForm {
        let limits = Limits::DEFAULT;
        WebhookForm {
            profile: default_profile.to_owned(),
            timeout_s: limits.timeout_s.to_string(),
            max_in_flight: limits.max_in_flight.to_string(),
            standard_headers: true,
            signing: Signing::Hmac.to_string(),
            delays: "1m, 5m, 30m, 2h".to_owned(),
            measured_from: "previous_attempt".to_owned(),
            exhausted: "disable".to_owned(),
            ..WebhookForm::default()
        }
    }

    pub fn of_fields(fields: &Fields) -> WebhookForm {
        let text = |name: &str| fields.text(name).to_owned();
        let line = |name: &str| fields.text(name).trim().to_owned();
        WebhookForm {
            url: line("url"),
            description: text("description"),
            tenant: line("tenant"),
            profile: line("profile"),
            secret: text("secret"),
            ticked: fields.all("event").map(str::to_owned).collect(),
            patterns: text("patterns"),
            filter: FilterFields::of_fields(fields),
            headers: text("headers"),
            auth: AuthForm::of_fields(fields),
            timeout_s: line("timeout_s"),
            max_in_flight: line("max_in_flight"),
            rate_limit_per_s: line("rate_limit_per_s"),
            ordered: fields.has("ordered"),
            standard_headers: fields.has("standard_headers"),
            // A script may leave it out.
            signing: fields.given("signing").unwrap_or(Signing::Hmac.into()).to_owned(),
            own_retry: fields.text("retry") == "own",
            delays: text("delays"),
            measured_from: line("measured_from"),
            exhausted: line("exhausted"),
            body: Typed {
                template: text("template"),
                sample: (fields.text("preview") == "template").then(|| line("sample")),
            },
            tls: TlsForm::of_fields(fields),
            made_of: MadeOf::of_fields(fields),
        }
    }

    /// Values of a stored webhook, without its secret. Secret values of headers are masked. `profile_schedule` is the
    /// schedule of a webhook without a custom one.
    pub fn of_webhook(webhook: &Webhook, known: &[KnownType], profile_schedule: Option<&Schedule>) -> WebhookForm {
        let patterns: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
        let is_known = |pattern: &String| pattern == "*" || known.iter().any(|known| known.name == *pattern);
        let (ticked, others): (Vec<_>, Vec<_>) = patterns.into_iter().partition(is_known);
        let headers: Vec<String> =
            webhook.headers.iter().map(|(name, value)| format!("{name}: {}", header::shown(name, value))).collect();
        let schedule = webhook.retry.as_ref().or(profile_schedule);
        let blank = WebhookForm::blank(&webhook.profile);
        WebhookForm {
            url: webhook.url.as_str().to_owned(),
            description: webhook.description.clone(),
            tenant: webhook.tenant.to_string(),
            ticked,
            patterns: others.join("\n"),
            filter: FilterFields::of_webhook(webhook),
            headers: headers.join("\n"),
            auth: AuthForm::of_webhook(webhook),
            timeout_s: webhook.limits.timeout_s.to_string(),
            max_in_flight: webhook.limits.max_in_flight.to_string(),
            rate_limit_per_s: webhook.limits.rate_limit_per_s.map_or_else(String::new, |rate| rate.to_string()),
            ordered: webhook.ordered,
            standard_headers: webhook.standard_headers,
            signing: webhook.signing.to_string(),
            own_retry: webhook.retry.is_some(),
            delays: schedule.map_or(blank.delays, |schedule| duration_list::text(schedule.delays())),
            measured_from: match schedule.map(|schedule| schedule.measured_from) {
                Some(MeasuredFrom::FirstFailure) => "first_failure".to_owned(),
                _ => "previous_attempt".to_owned(),
            },
            exhausted: match schedule.map(|schedule| schedule.exhausted) {
                Some(Exhausted::DeadLetter) => "dead_letter".to_owned(),
                _ => "disable".to_owned(),
            },
            profile: webhook.profile.clone(),
            secret: String::new(),
            body: Typed { template: webhook.template.clone().unwrap_or_default(), sample: None },
            tls: TlsForm::default(),
            made_of: MadeOf::default(),
        }
    }

    /// Removes the headers with masked values and returns their names.
    pub fn drop_masked(&mut self) -> Vec<String> {
        let (masked, kept): (Vec<&str>, Vec<&str>) =
            self.headers.lines().partition(|line| line.ends_with(header::MASK));
        let names = masked.iter().filter_map(|line| line.split_once(':'));
        let names = names.map(|(name, _)| name.to_owned()).collect();
        self.headers = kept.join("\n");
        names
    }

    /// Whether an advanced field differs from its default.
    pub fn is_advanced(&self) -> bool {
        let usual = WebhookForm::blank("");
        !self.headers.is_empty()
            || !self.auth.kind.is_empty()
            || self.timeout_s != usual.timeout_s
            || self.max_in_flight != usual.max_in_flight
            || !self.rate_limit_per_s.is_empty()
            || self.ordered
            || !self.standard_headers
            || self.signing != usual.signing
            || self.own_retry
            || self.tls.is_used()
    }

    pub fn has_ticked(&self, name: &str) -> bool {
        self.ticked.iter().any(|ticked| ticked == name)
    }

    /// Ticked event types, and the other types and patterns.
    pub fn event_texts(&self) -> Vec<String> {
        let lines = self.patterns.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        self.ticked.iter().cloned().chain(lines).collect()
    }

    /// Parses the fields into settings. Their rules are checked when the webhook is created or changed.
    pub fn settings(&self) -> Result<WebhookSettings, Invalid> {
        let usual = Limits::DEFAULT;
        self.refuse_ignored()?;
        Ok(WebhookSettings {
            url: Some(self.url.clone()),
            events: Some(self.event_texts()),
            filter: Some(self.filter.setting()?),
            description: Some(self.description.trim().to_owned()),
            profile: Some(self.profile.clone()),
            headers: Some(header_map(&self.headers)?),
            auth: Some(self.auth.setting()),
            timeout_s: Some(number("timeout_s", &self.timeout_s)?.unwrap_or(usual.timeout_s)),
            max_in_flight: Some(number("max_in_flight", &self.max_in_flight)?.unwrap_or(usual.max_in_flight)),
            rate_limit_per_s: Some(number("rate_limit_per_s", &self.rate_limit_per_s)?),
            ordered: Some(self.ordered),
            retry: Some(self.own_schedule()?.map(Into::into)),
            standard_headers: Some(self.standard_headers),
            signing: Some(self.signing.parse().map_err(|invalid: Invalid| invalid.in_field("signing"))?),
            template: Some(Some(self.body.template.clone()).filter(|text| !text.trim().is_empty())),
            tls: self.tls.settings(),
            ..WebhookSettings::default()
        })
    }

    /// Like [`WebhookForm::settings`], plus the settings of the creation. `is_operator` may choose the tenant.
    pub fn new_settings(&self, is_operator: bool) -> Result<WebhookSettings, Invalid> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(WebhookSettings {
            tenant: given(&self.tenant).filter(|_| is_operator),
            profile: given(&self.profile),
            secret: given(&self.secret),
            ..self.settings()?
        })
    }

    fn own_schedule(&self) -> Result<Option<ScheduleSpec>, Invalid> {
        self.refuse_ignored_schedule()?;
        self.own_retry.then(|| self.schedule()).transpose()
    }

    fn schedule(&self) -> Result<ScheduleSpec, Invalid> {
        let in_retry = |invalid: Invalid| Invalid { field: Some("retry".to_owned()), ..invalid };
        let spec = ScheduleSpec {
            delays_s: duration_list::parse(&self.delays).map_err(in_retry)?,
            measured_from: match self.measured_from.as_str() {
                "first_failure" => MeasuredFrom::FirstFailure,
                _ => MeasuredFrom::PreviousAttempt,
            },
            exhausted: match self.exhausted.as_str() {
                "dead_letter" => Exhausted::DeadLetter,
                _ => Exhausted::Disable,
            },
        };
        Schedule::parse(&spec).map_err(in_retry)?;
        Ok(spec)
    }

    /// Schedule that the webhook would have, with dates from now on.
    pub fn preview(&self, session: &Session) -> Result<SchedulePreview, Invalid> {
        let profile = session.app.actions.store.profiles().find(&self.profile);
        let schedule = match (self.own_schedule()?, profile) {
            (Some(own), _) => Schedule::parse(&own)?,
            (None, Some(profile)) => profile.schedule().clone(),
            (None, None) => Schedule::parse(&self.schedule()?)?,
        };
        Ok(SchedulePreview::of(&schedule, session.now(), session.zone()))
    }
}

/// Parses custom headers, one `Name: value` per line.
pub fn header_map(lines: &str) -> Result<HeaderMap, Invalid> {
    let invalid = |message: String| Invalid::new("invalid_headers", message).in_field("headers");
    let mut map = HeaderMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            let start: String = line.chars().take(40).collect();
            return Err(invalid(format!("{start:?} is not a header. Write one per line, as Name: value.")));
        };
        if map.insert(name.trim().to_owned(), Value::from(value.trim())).is_some() {
            return Err(invalid(format!("The header {} appears twice.", name.trim())));
        }
    }
    Ok(map)
}

/// A schedule with dates.
pub struct SchedulePreview {
    pub steps: Vec<Planned>,
    pub note: String,
}

impl SchedulePreview {
    /// Schedule of a delivery that is due at `start` and always fails.
    pub fn of(schedule: &Schedule, start: Millis, zone: &Zone) -> SchedulePreview {
        SchedulePreview { steps: retry_preview::schedule(schedule, start, zone), note: retry_preview::note(schedule) }
    }

    /// `5th attempt`.
    pub fn nth(&self, attempt: u32) -> String {
        format!("{} attempt", capitalized(&humanize::ordinal(attempt)))
    }
}

fn number(field: &str, text: &str) -> Result<Option<u32>, Invalid> {
    let number = (!text.is_empty()).then(|| text.parse()).transpose();
    number.map_err(|_| Invalid::new("invalid_number", "Must be a whole number.").in_field(field))
}

/// Event type that can be ticked.
pub struct KnownType {
    pub name: String,
    pub description: String,
}

/// Event types that were described, or published where the visitor sees them, by name; 250 of each at most.
pub fn known_types(session: &Session, db: &Connection) -> Result<Vec<KnownType>, StoreError> {
    let seen = topic::types(db, session.tenant(), MAX_LIMIT)?.into_iter();
    let mut known: BTreeMap<String, String> = seen.map(|name| (name.to_string(), String::new())).collect();
    let described = event_type::heads(db, MAX_LIMIT)?.into_iter();
    known.extend(described.map(|described| (described.name.to_string(), described.description)));
    Ok(known.into_iter().map(|(name, description)| KnownType { name, description }).collect())
}

/// Name and label of each profile that the visitor may choose.
pub fn profile_choices(session: &Session, db: &Connection) -> Result<Vec<(String, String)>, PageError> {
    let caller = session.caller();
    let mut chosen = Vec::new();
    for (name, label) in known_profiles(session) {
        if session.app.actions.may_choose(db, &caller, &name)? {
            chosen.push((name, label));
        }
    }
    Ok(chosen)
}

/// Name and label of every profile.
pub fn known_profiles(session: &Session) -> Vec<(String, String)> {
    let all = session.app.actions.store.profiles().all();
    let label = |name: &str, title: &str| match title {
        "" => name.to_owned(),
        title => format!("{name}: {title}"),
    };
    all.iter().map(|profile| (profile.name().to_owned(), label(profile.name(), &profile.spec().title))).collect()
}
