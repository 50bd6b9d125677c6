//! Parts of the form of a webhook: the settings, which somebody else may have changed, and the fields that only one choice
//! makes effective.

use super::auth::AuthForm;
use super::form::WebhookForm;
use super::signing;
use crate::domain::Invalid;
use crate::domain::filter::FilterText;
use crate::http::web::made_of::{self, ChangedPart, MadeOf, Part};

/// A setting in the form.
struct Setting {
    name: &'static str,
    label: &'static str,
    text: fn(&WebhookForm) -> String,
    /// Takes the setting from another form.
    take: fn(&mut WebhookForm, &WebhookForm),
}

macro_rules! settings {
    ($($name:literal, $label:literal, $text:expr => $($field:ident)*;)+) => {
        [$(Setting {
            name: $name,
            label: $label,
            text: $text,
            take: |_form, _other| { $(_form.$field = _other.$field.clone();)* },
        }),+]
    };
}

const SETTINGS: &[Setting] = &settings! {
    "url", "URL", |form| form.url.clone() => url;
    "events", "Events", events => ticked patterns;
    "filter", "Filter", filter => filter;
    "profile", "Profile", |form| form.profile.clone() => profile;
    "description", "Description", |form| form.description.trim().to_owned() => description;
    "template", "Body template", |form| form.body.template.clone() => body;
    "headers", "Custom headers", headers => headers;
    "auth", "Authentication", |form| form.auth.summary() => auth;
    "timeout_s", "Timeout", |form| form.timeout_s.clone() => timeout_s;
    "max_in_flight", "Concurrent requests", |form| form.max_in_flight.clone() => max_in_flight;
    "rate_limit_per_s", "Rate limit", |form| form.rate_limit_per_s.clone() => rate_limit_per_s;
    "ordered", "Strictly in order", |form| yes(form.ordered) => ordered;
    "standard_headers", "Standard Webhooks headers", |form| yes(form.standard_headers) => standard_headers;
    "signing", "Signatures", signing => signing;
    "retry", "Retries", retry => own_retry delays measured_from exhausted;
    "tls", "TLS certificates", |form| form.tls.summary() => ;
};

impl WebhookForm {
    fn settings_parts(&self) -> Vec<Part> {
        let part = |setting: &Setting| Part { name: setting.name, label: setting.label, text: (setting.text)(self) };
        SETTINGS.iter().map(part).collect()
    }

    /// Marks of all parts, for the form as it is first shown.
    pub fn marks(&self) -> MadeOf {
        MadeOf::of(&[self.settings_parts(), self.conditional_parts()].concat())
    }

    /// Fields that only one choice makes effective.
    fn conditional_parts(&self) -> Vec<Part> {
        self.auth.kinds().map(|(_, part)| part).chain([self.schedule_part()]).collect()
    }

    /// Returns the settings that were changed after this form was made. Those that the visitor left alone take their new
    /// values; saving the form again overwrites the others.
    pub fn rebase(&mut self, stored: &WebhookForm) -> Vec<ChangedPart> {
        let changed = made_of::changed_meanwhile(&self.made_of, stored.settings_parts(), self.settings_parts());
        for part in changed.iter().filter(|part| part.typed.is_none()) {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == part.name) {
                (setting.take)(self, stored);
            }
        }
        if !changed.is_empty() {
            // What was not typed before is not typed now.
            let pairs = self.conditional_parts().into_iter().zip(stored.conditional_parts());
            let conditional = pairs.map(|(own, stored)| if self.made_of.differs(&own, true) { stored } else { own });
            self.made_of = MadeOf::of(&[stored.settings_parts(), conditional.collect()].concat());
        }
        changed
    }

    /// Refuses values that another choice makes ineffective.
    pub fn refuse_ignored(&self) -> Result<(), Invalid> {
        if let Some((label, _)) = self.ignored_auth() {
            let message = format!(
                "Fields of {label} are filled in, but it is not selected. Select {label}, or clear its fields."
            );
            return Err(Invalid::new("ignored_value", message).in_field("auth"));
        }
        self.tls.refuse_ignored()
    }

    /// Refuses a schedule that was typed although the profile's is chosen.
    pub fn refuse_ignored_schedule(&self) -> Result<(), Invalid> {
        let schedule = self.schedule_part();
        if self.own_retry || schedule.text.is_empty() || !self.made_of.differs(&schedule, true) {
            return Ok(());
        }
        let message = "The schedule was changed, but the profile's schedule is selected. Select Custom schedule, or leave the delays blank.";
        Err(Invalid::new("ignored_value", message).in_field("retry"))
    }

    /// Kind of authentication that is filled in and not chosen.
    pub fn ignored_auth(&self) -> Option<(&'static str, Part)> {
        let mut others = self.auth.kinds().filter(|(_, part)| part.name != format!("auth_{}", self.auth.kind));
        others.find(|(_, part)| !part.text.is_empty() && self.made_of.differs(part, true))
    }

    /// Fields of a custom schedule. Without delays, the others mean nothing.
    fn schedule_part(&self) -> Part {
        let text = match self.delays.trim() {
            "" => String::new(),
            delays => format!("{delays}\n{}\n{}", self.measured_from, self.exhausted),
        };
        Part { name: "schedule", label: "Custom schedule", text }
    }
}

impl AuthForm {
    /// Fields of each kind, with its label.
    fn kinds(&self) -> impl Iterator<Item = (&'static str, Part)> {
        let place = if self.client_in_body { "body" } else { "" };
        let kinds = [
            ("auth_basic", "Basic", vec![&*self.username, &self.password]),
            ("auth_bearer", "Bearer token", vec![&*self.token]),
            (
                "auth_oauth2",
                "OAuth 2.0 client credentials",
                vec![&self.token_url, &self.client_id, &self.client_secret, &self.scope, &self.audience, place],
            ),
        ];
        kinds.into_iter().map(|(name, label, values)| {
            let is_blank = values.iter().all(|value| value.is_empty());
            (label, Part { name, label, text: if is_blank { String::new() } else { values.join("\n") } })
        })
    }

    /// Setting in words, without its secret.
    fn summary(&self) -> String {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let renewed = |secret: &String, name: &str| (!secret.is_empty()).then(|| format!("new {name}"));
        let place = if self.client_in_body { "in the request body" } else { "in the Authorization header" };
        let facts = match self.kind.as_str() {
            "basic" => vec![given("Basic"), given(&self.username), renewed(&self.password, "password")],
            "bearer" => vec![given("Bearer token"), renewed(&self.token, "token")],
            "oauth2" => vec![
                given("OAuth 2.0 client credentials"),
                given(&self.token_url),
                given(&self.client_id),
                renewed(&self.client_secret, "client secret"),
                given(&self.scope),
                given(&self.audience),
                given(place),
            ],
            _ => vec![given("None")],
        };
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Patterns in alphabetical order: which of them are ticked depends on the known types.
fn events(form: &WebhookForm) -> String {
    let mut patterns = form.event_texts();
    patterns.sort_unstable();
    patterns.dedup();
    patterns.join(", ")
}

fn filter(form: &WebhookForm) -> String {
    match form.filter.setting() {
        Ok(filter) => filter.map_or_else(String::new, |FilterText(text)| text.into()),
        Err(_) => form.filter.json.clone(),
    }
}

fn headers(form: &WebhookForm) -> String {
    let lines = form.headers.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn signing(form: &WebhookForm) -> String {
    form.signing.parse().map_or_else(|_| form.signing.clone(), |known| signing::label(known).to_owned())
}

fn retry(form: &WebhookForm) -> String {
    if !form.own_retry {
        return "The profile's schedule".to_owned();
    }
    let from = if form.measured_from == "first_failure" { "the first failure" } else { "the previous attempt" };
    let then = if form.exhausted == "dead_letter" { "dead letter" } else { "disable the webhook" };
    format!("{} from {from}, then {then}", form.delays.trim())
}

fn yes(is_on: bool) -> String {
    if is_on { "yes" } else { "no" }.to_owned()
}
