//! Contacts: people and systems that are told about incidents, and what each of them is told.

mod quiet_hours;
mod scope;
mod settings;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use email_address::Options;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::event::Tenant;
use super::id::ContactId;
use super::time::{MINUTE, Millis};

pub use quiet_hours::{QuietHours, QuietHoursSpec};
pub use scope::{MAX_PATTERNS, Scope, ScopedWebhook, WebhookPattern};
pub use settings::{ContactSettings, ContactWebhook, ScopeSpec};

/// Contacts of one tenant at most.
pub const MAX_OF_TENANT: u64 = 20;
/// Contacts of the operator at most.
pub const MAX_OF_OPERATOR: u64 = 200;
/// Contacts of all at most.
pub const MAX_IN_ALL: u64 = 5_000;
/// Maximum characters of a contact's name.
pub const MAX_NAME: usize = 80;
/// Time of failed attempts after which a contact counts as failing. An endpoint that is restarted is none.
const FAILING: Millis = 5 * MINUTE;

/// Contact as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Assigned by the store, never twice.
    pub seq: i64,
    pub id: ContactId,
    /// Owning tenant; `None` for the operator.
    pub tenant: Option<Tenant>,
    pub name: String,
    pub channel: Channel,
    pub scope: Scope,
    pub topics: BTreeSet<Topic>,
    pub quiet_hours: Option<QuietHours>,
    pub created_ms: Millis,
    pub updated_ms: Millis,
    pub status: Status,
}

impl Contact {
    /// Records a change. The time differs from that of each earlier version, whatever the clock says.
    pub fn touch(&mut self, now: Millis) {
        self.updated_ms = now.max(self.updated_ms + 1);
    }

    /// Whether messages are sent to it. An address of a tenant must be confirmed first.
    pub fn is_reachable(&self) -> bool {
        match &self.channel {
            Channel::Email { confirmed_ms, .. } => confirmed_ms.is_some(),
            Channel::Webhook { .. } => true,
        }
    }

    pub fn health(&self, now: Millis) -> Health {
        match (self.is_reachable(), self.status.is_failing(now)) {
            (false, _) => Health::Unconfirmed,
            (true, true) => Health::Failing,
            (true, false) => Health::Ok,
        }
    }
}

/// Condition of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Health>)]
pub enum Health {
    Ok,
    /// Messages do not reach it.
    Failing,
    /// The address is not confirmed, so nothing is sent to it.
    Unconfirmed,
}

/// Way to a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Email {
        address: EmailAddress,
        /// When the address was confirmed. An operator's needs no confirmation.
        confirmed_ms: Option<Millis>,
    },
    /// Webhook that belongs to the contact, in the tenant of Hookpost itself.
    Webhook { webhook_seq: i64 },
}

/// Results of the messages to a contact, as of the last attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Last message that was delivered.
    pub told_ms: Option<Millis>,
    /// First failed attempt since the last success.
    pub failing_since_ms: Option<Millis>,
    /// Whether a message was given up since the last success.
    pub has_lost: bool,
    /// Why the last attempt failed, as a sentence.
    pub error: Option<String>,
}

impl Status {
    /// Whether the contact does not get its messages.
    pub fn is_failing(&self, now: Millis) -> bool {
        self.failing_since_ms.is_some_and(|since| self.has_lost || since <= now - FAILING)
    }

    /// Latest beginning of failures that count as failing.
    pub fn failing_before(now: Millis) -> Millis {
        now - FAILING
    }
}

/// Kind of message to contacts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Topic>)]
pub enum Topic {
    /// An incident opened.
    Opened,
    /// An incident is still open, daily.
    Reminder,
    /// An incident closed.
    Closed,
    /// Dead letters since yesterday.
    Digest,
    /// Little disk space is left.
    Disk,
    /// The server's clock is wrong.
    Clock,
    /// A scheduled backup failed.
    Backup,
    /// A certificate of an endpoint is about to end.
    Certificate,
}

impl Topic {
    /// Whether the message is about the server, which is the operator's.
    pub fn is_of_server(self) -> bool {
        matches!(self, Topic::Disk | Topic::Clock | Topic::Backup)
    }

    /// Topics of a new contact of an owner.
    pub fn defaults(owner: Option<&Tenant>) -> BTreeSet<Topic> {
        let wanted = |topic: &Topic| *topic != Topic::Digest && topic.is_for(owner);
        Topic::VARIANTS.iter().copied().filter(wanted).collect()
    }

    /// Whether contacts of an owner may be told about it.
    pub fn is_for(self, owner: Option<&Tenant>) -> bool {
        owner.is_none() || !self.is_of_server()
    }
}

/// Address of an e-mail: ASCII, without a display name, quotes and comments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(Box<str>);

impl EmailAddress {
    /// Maximum bytes (RFC 5321, 4.5.3.1).
    pub const MAX_BYTES: usize = 254;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<EmailAddress, Invalid> {
        let options = Options::default().without_display_text().without_domain_literal();
        let is_plain = text.len() <= EmailAddress::MAX_BYTES
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"()<>,;:\\[]".contains(&byte));
        if is_plain && email_address::EmailAddress::parse_with_options(text, options).is_ok() {
            return Ok(EmailAddress(text.into()));
        }
        Err(Invalid::new("invalid_email", "Must be an e-mail address such as ops@example.com.").in_field("email"))
    }
}

/// Checks the name of a contact: one line.
pub fn parse_name(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        let message = "A name has 1 to 80 characters and no control characters.";
        return Err(Invalid::new("invalid_name", message).in_field("name"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_plain_address() {
        for good in ["ops@example.com", "a.b+c@mail.example.co.uk", "root@localhost", "o'neill@example.com"] {
            assert_eq!(good.parse::<EmailAddress>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "Ops <ops@example.com>",
            "a@b@c.com",
            "a@example.com, b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "\"a b\"@example.com",
            "a@[127.0.0.1]",
            "zoë@example.com",
            &long,
        ] {
            assert_eq!(bad.parse::<EmailAddress>().map_err(|error| error.code), Err("invalid_email"), "{bad}");
        }
    }

    #[test]
    fn a_tenant_is_told_nothing_about_the_server() {
        let tenant: Tenant = "acme".parse().unwrap();
        let of = |owner| Topic::defaults(owner).into_iter().collect::<Vec<_>>();
        assert_eq!(of(Some(&tenant)), [Topic::Opened, Topic::Reminder, Topic::Closed, Topic::Certificate]);
        assert_eq!(
            of(None),
            [
                Topic::Opened,
                Topic::Reminder,
                Topic::Closed,
                Topic::Disk,
                Topic::Clock,
                Topic::Backup,
                Topic::Certificate
            ]
        );
        assert!(!Topic::Disk.is_for(Some(&tenant)) && Topic::Digest.is_for(Some(&tenant)));
    }

    #[test]
    fn a_contact_is_failing_once_a_message_is_lost_or_attempts_have_failed_for_five_minutes() {
        let status = |since, has_lost| Status { failing_since_ms: since, has_lost, ..Status::default() };
        assert!(!status(None, false).is_failing(FAILING));
        assert!(!status(Some(1), false).is_failing(FAILING));
        assert!(status(Some(0), false).is_failing(FAILING));
        assert!(status(Some(FAILING), true).is_failing(FAILING));
    }
}
