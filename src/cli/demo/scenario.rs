//! Tenants, webhooks and events of the demo.

use crate::actions::publish::NewEvent;
use crate::cli::demo::receivers::Behavior;
use crate::domain::Invalid;

pub(in crate::cli) struct DemoWebhook {
    pub tenant: &'static str,
    /// Part of the URL.
    pub name: &'static str,
    pub description: &'static str,
    pub events: &'static [&'static str],
    pub profile: &'static str,
    pub target: Target,
    /// Whether the webhook is paused in the middle of the history.
    pub is_paused: bool,
}

pub(in crate::cli) enum Target {
    Receiver(Behavior),
    /// Built-in inbox of the tenant.
    Inbox,
}

const fn webhook(
    tenant: &'static str,
    name: &'static str,
    description: &'static str,
    events: &'static [&'static str],
    profile: &'static str,
    target: Target,
) -> DemoWebhook {
    DemoWebhook { tenant, name, description, events, profile, target, is_paused: false }
}

#[rustfmt::skip]
pub(super) const WEBHOOKS: &[DemoWebhook] = &[
    webhook("acme", "fulfilment", "Order fulfilment", &["order.*"], "generic", Target::Receiver(Behavior::Ok)),
    webhook("acme", "ledger", "Ledger, slow at the end of the month", &["order.paid", "invoice.*"], "stripe", Target::Receiver(Behavior::Slow)),
    webhook("acme", "erp", "Old ERP behind a VPN", &["order.*"], "iverton", Target::Receiver(Behavior::Flaky)),
    webhook("acme", "beta", "Beta partner", &["order.created"], "influship", Target::Receiver(Behavior::Down)),
    webhook("globex", "search", "Search index", &["content.*"], "standard", Target::Receiver(Behavior::Ok)),
    webhook("globex", "newsletter", "Newsletter", &["content.published"], "generic", Target::Receiver(Behavior::Down)),
    webhook("globex", "agency", "Former site of the agency", &["content.published"], "generic", Target::Receiver(Behavior::Gone)),
    webhook("globex", "analytics", "Analytics", &["*"], "irisync", Target::Receiver(Behavior::Busy)),
    webhook("globex", "mirror", "Office mirror", &["content.*"], "socialsyncer", Target::Receiver(Behavior::Refused)),
    webhook("default", "warehouse", "Data warehouse", &["user.*"], "socialsyncer", Target::Receiver(Behavior::Silent)),
    webhook("default", "crm", "CRM", &["user.*"], "github", Target::Receiver(Behavior::Ok)),
    webhook("default", "inbox", "Built-in inbox", &["*"], "standard", Target::Inbox),
    DemoWebhook {
        is_paused: true,
        ..webhook("acme", "staging", "Staging, paused for a migration", &["order.*"], "generic", Target::Receiver(Behavior::Ok))
    },
];

/// Name, description and example of each event type.
#[rustfmt::skip]
pub(super) const EVENT_TYPES: &[(&str, &str, &str)] = &[
    ("order.created", "A customer placed an order.", r#"{"id": "ord_1001", "total": 4990, "currency": "EUR"}"#),
    ("order.paid", "An order was paid.", r#"{"id": "ord_1001", "paid": 4990, "method": "card"}"#),
    ("order.refunded", "An order was refunded, fully or partially.", r#"{"id": "ord_1001", "amount": 990}"#),
    ("invoice.failed", "An invoice could not be collected.", r#"{"id": "inv_77", "attempt": 2}"#),
    ("content.published", "A post went live.", r#"{"id": 7, "title": "Hello"}"#),
    ("content.updated", "A post was edited.", r#"{"id": 7, "title": "Hello again"}"#),
    ("user.signed_up", "A user signed up.", r#"{"id": "usr_5", "plan": "team"}"#),
];

/// Returns the event with this number. Types and tenants alternate.
pub(in crate::cli) fn event(number: u64) -> Result<NewEvent, Invalid> {
    let (tenant, event_type, data) = match number % 9 {
        0 | 4 => (
            "acme",
            "order.created",
            format!(r#"{{"id": "ord_{}", "total": {}, "currency": "EUR"}}"#, 1000 + number, 990 + number * 137 % 9000),
        ),
        1 | 5 => (
            "globex",
            "content.published",
            format!(r#"{{"id": {number}, "title": "Post {number}", "tags": ["news", "été"]}}"#),
        ),
        2 => ("acme", "order.paid", format!(r#"{{"id": "ord_{}", "method": "card"}}"#, 998 + number)),
        3 => ("default", "user.signed_up", format!(r#"{{"id": "usr_{number}", "plan": "team"}}"#)),
        6 => ("globex", "content.updated", format!(r#"{{"id": {}, "title": "Post, corrected"}}"#, number - 1)),
        7 => ("acme", "order.refunded", format!(r#"{{"id": "ord_{}", "amount": 990}}"#, 993 + number)),
        // A type without a description.
        _ => ("default", "user.deleted", format!(r#"{{"id": "usr_{}"}}"#, number - 5)),
    };
    Ok(NewEvent {
        event_type: event_type.parse()?,
        tenant: tenant.parse()?,
        id: None,
        created_ms: None,
        data: data.into(),
        previous_data: None,
        idempotency: None,
        resent_from_seq: None,
    })
}
