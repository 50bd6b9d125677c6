//! Form of a contact.

use strum::VariantArray as _;

use crate::actions::contact::ContactInFull;
use crate::domain::Invalid;
use crate::domain::contact::{Channel, ContactSettings, ContactWebhook, QuietHoursSpec, ScopeSpec, Topic};
use crate::domain::event::Tenant;
use crate::domain::header;
use crate::http::web::made_of::{self, ChangedPart, MadeOf, Part};
use crate::http::web::webhooks::form::header_map;
use crate::http::web::{Fields, FormErrors, Session, form::Problem};

/// Fields of the form, as typed.
#[derive(Debug, Clone, Default)]
pub struct ContactForm {
    pub name: String,
    /// Whether the contact has a webhook in place of an address.
    pub is_webhook: bool,
    pub email: String,
    pub url: String,
    pub profile: String,
    /// One `Name: value` per line.
    pub headers: String,
    pub scope_tenant: String,
    /// One pattern per line.
    pub scope_webhooks: String,
    pub topics: Vec<String>,
    pub quiet_from: String,
    pub quiet_to: String,
    pub quiet_zone: String,
    /// Marks of the stored values that the form was made of.
    pub made_of: MadeOf,
}

/// Kind of message that can be ticked.
pub struct KnownTopic {
    pub value: &'static str,
    pub label: &'static str,
    pub why: &'static str,
}

/// Kinds of messages for contacts of a tenant, or of the operator.
pub fn known_topics(owner: Option<&Tenant>) -> Vec<KnownTopic> {
    let known = Topic::VARIANTS.iter().filter(|topic| topic.is_for(owner));
    known
        .map(|topic| {
            let (label, why) = match topic {
                Topic::Opened => ("Incident opened", "An endpoint is failing, or a webhook was disabled"),
                Topic::Reminder => ("Reminder", "Once a day while an incident is open"),
                Topic::Closed => ("Incident closed", "Deliveries succeed again"),
                Topic::Digest => ("Daily summary", "Dead letters since yesterday, if there are any"),
                Topic::Disk => ("Low disk space", "Before events have to be refused"),
                Topic::Clock => ("Wrong clock", "The time of the server was changed or is wrong"),
                Topic::Backup => ("Backup failed", "A scheduled backup failed, or is missing"),
                Topic::Certificate => ("Certificate expires", "A certificate of a webhook or an endpoint ends soon"),
            };
            KnownTopic { value: topic.into_str(), label, why }
        })
        .collect()
}

impl ContactForm {
    pub fn blank(session: &Session) -> ContactForm {
        let defaults = Topic::defaults(session.tenant());
        ContactForm {
            is_webhook: !session.app.actions.mailer.is_configured(),
            profile: session.app.actions.default_profile.to_string(),
            topics: defaults.into_iter().map(|topic| topic.to_string()).collect(),
            ..ContactForm::default()
        }
    }

    pub fn of_fields(fields: &Fields) -> ContactForm {
        let line = |name: &str| fields.text(name).trim().to_owned();
        ContactForm {
            name: line("name"),
            is_webhook: fields.text("channel") == "webhook",
            email: line("email"),
            url: line("url"),
            profile: line("profile"),
            headers: fields.text("headers").to_owned(),
            scope_tenant: line("scope_tenant"),
            scope_webhooks: fields.text("scope_webhooks").to_owned(),
            topics: fields.all("topic").map(str::to_owned).collect(),
            quiet_from: line("quiet_from"),
            quiet_to: line("quiet_to"),
            quiet_zone: line("quiet_zone"),
            made_of: MadeOf::of_fields(fields),
        }
    }

    pub fn of_contact(full: &ContactInFull) -> ContactForm {
        let ContactInFull { contact, webhook } = full;
        let quiet = contact.quiet_hours.as_ref().map(|hours| hours.spec());
        let mut form = ContactForm {
            name: contact.name.clone(),
            is_webhook: webhook.is_some(),
            scope_tenant: contact.scope.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
            scope_webhooks: contact.scope.webhooks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            topics: contact.topics.iter().map(ToString::to_string).collect(),
            ..ContactForm::default()
        };
        if let Some(QuietHoursSpec { from, to, time_zone }) = quiet {
            (form.quiet_from, form.quiet_to, form.quiet_zone) = (from, to, time_zone);
        }
        if let Channel::Email { address, .. } = &contact.channel {
            form.email = address.to_string();
        }
        if let Some(webhook) = webhook {
            let headers = webhook.headers.iter();
            let lines: Vec<_> =
                headers.map(|(name, value)| format!("{name}: {}", header::shown(name, value))).collect();
            form.url = webhook.url.to_string();
            form.profile.clone_from(&webhook.profile);
            form.headers = lines.join("\n");
        }
        form.made_of = MadeOf::of(&form.parts());
        form
    }

    /// Parts that somebody else may have changed, as people read them.
    fn parts(&self) -> Vec<Part> {
        let lines = |text: &str| {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.collect::<Vec<_>>().join("\n")
        };
        let known = known_topics(None);
        let topics = known.iter().filter(|topic| self.has_topic(topic.value)).map(|topic| topic.label);
        let zone = if self.quiet_zone.is_empty() { "UTC" } else { &self.quiet_zone };
        let quiet = format!("{} to {}, {zone}", self.quiet_from, self.quiet_to);
        made_of::parts(&[
            ("name", "Name", &self.name),
            ("email", "E-mail address", &self.email),
            ("profile", "Profile", &self.profile),
            ("url", "URL", &self.url),
            ("headers", "Custom headers", &lines(&self.headers)),
            ("topics", "Messages", &topics.collect::<Vec<_>>().join(", ")),
            ("scope_tenant", "Webhooks of tenant", &self.scope_tenant),
            ("scope_webhooks", "Only these webhooks", &lines(&self.scope_webhooks)),
            ("quiet_from", "Quiet hours", if self.has_quiet_hours() { &quiet } else { "" }),
        ])
    }

    /// Returns what was changed after the form was made.
    pub fn changed_meanwhile(&self, stored: &ContactForm) -> Vec<ChangedPart> {
        made_of::changed_meanwhile(&self.made_of, stored.parts(), self.parts())
    }

    /// Takes stored values in place of those that the visitor left as they were. The next save overwrites the others.
    pub fn take(&mut self, stored: ContactForm, changed: &[ChangedPart]) {
        for part in changed.iter().filter(|part| part.typed.is_none()) {
            match part.name {
                "name" => self.name.clone_from(&stored.name),
                "email" => self.email.clone_from(&stored.email),
                "profile" => self.profile.clone_from(&stored.profile),
                "url" => self.url.clone_from(&stored.url),
                "headers" => self.headers.clone_from(&stored.headers),
                "topics" => self.topics.clone_from(&stored.topics),
                "scope_tenant" => self.scope_tenant.clone_from(&stored.scope_tenant),
                "scope_webhooks" => self.scope_webhooks.clone_from(&stored.scope_webhooks),
                _ => {
                    self.quiet_from.clone_from(&stored.quiet_from);
                    self.quiet_to.clone_from(&stored.quiet_to);
                    self.quiet_zone.clone_from(&stored.quiet_zone);
                }
            }
        }
        self.made_of = stored.made_of;
    }

    pub fn has_topic(&self, value: &str) -> bool {
        self.topics.iter().any(|topic| topic == value)
    }

    pub fn has_quiet_hours(&self) -> bool {
        !self.quiet_from.is_empty() || !self.quiet_to.is_empty()
    }

    /// Parses the fields into settings. Their rules are checked when the contact is created or changed.
    pub fn settings(&self, session: &Session) -> Result<ContactSettings, Invalid> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let lines = self.scope_webhooks.lines().map(str::trim).filter(|line| !line.is_empty());
        let topics = self.topics.iter().map(|text| text.parse()).collect::<Result<_, Invalid>>();
        let quiet_hours = self.has_quiet_hours().then(|| QuietHoursSpec {
            from: self.quiet_from.clone(),
            to: self.quiet_to.clone(),
            time_zone: given(&self.quiet_zone).unwrap_or_else(|| "UTC".to_owned()),
        });
        let webhook = ContactWebhook {
            url: Some(self.url.clone()),
            profile: given(&self.profile),
            headers: Some(header_map(&self.headers)?),
            ..ContactWebhook::default()
        };
        Ok(ContactSettings {
            name: Some(self.name.clone()),
            tenant: None,
            email: (!self.is_webhook).then(|| self.email.clone()),
            webhook: self.is_webhook.then_some(webhook),
            scope: Some(ScopeSpec {
                tenant: given(&self.scope_tenant).filter(|_| session.tenant().is_none()),
                webhooks: lines.map(str::to_owned).collect(),
            }),
            topics: Some(topics.map_err(|invalid| invalid.in_field("topics"))?),
            quiet_hours: Some(quiet_hours),
        })
    }
}

/// Names of the form's fields in place of the API's.
pub fn errors(problem: Problem) -> FormErrors {
    let field = problem.field.map(|field| match field.split(['[', '.']).collect::<Vec<_>>()[..] {
        ["webhook", part, ..] => part.to_owned(),
        ["scope", "tenant", ..] => "scope_tenant".to_owned(),
        ["scope", ..] => "scope_webhooks".to_owned(),
        ["quiet_hours", "time_zone"] => "quiet_zone".to_owned(),
        ["quiet_hours", part] => format!("quiet_{part}"),
        _ => field,
    });
    Problem { field, ..problem }.into()
}
