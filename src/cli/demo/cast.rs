//! Who takes part in the story: tenants, their webhooks, and what happens.

use crate::actions::publish::NewEvent;
use crate::cli::demo::receivers::Behaviour;
use crate::domain::Invalid;

/// A webhook of the story.
pub(in crate::cli) struct DemoWebhook {
    pub tenant: &'static str,
    /// A word for its URL.
    pub name: &'static str,
    pub description: &'static str,
    pub events: &'static [&'static str],
    pub profile: &'static str,
    /// `None`: it points at the tenant's inbox.
    pub behaviour: Option<Behaviour>,
    /// Whether somebody pauses it in the middle.
    pub is_paused_later: bool,
}

const fn place(
    tenant: &'static str,
    name: &'static str,
    description: &'static str,
    events: &'static [&'static str],
    profile: &'static str,
    behaviour: Option<Behaviour>,
) -> DemoWebhook {
    DemoWebhook { tenant, name, description, events, profile, behaviour, is_paused_later: false }
}

#[rustfmt::skip]
pub(super) const PLACES: &[DemoWebhook] = &[
    place("acme", "fulfilment", "Order fulfilment", &["order.*"], "generic", Some(Behaviour::Ok)),
    place("acme", "ledger", "Ledger, slow at month's end", &["order.paid", "invoice.*"], "stripe", Some(Behaviour::Slow)),
    place("acme", "erp", "Old ERP behind a VPN", &["order.*"], "iverton", Some(Behaviour::Flaky)),
    place("acme", "beta", "Partner in the beta", &["order.created"], "influship", Some(Behaviour::Down)),
    place("globex", "search", "Search index", &["content.*"], "standard", Some(Behaviour::Ok)),
    place("globex", "newsletter", "Newsletter", &["content.published"], "generic", Some(Behaviour::Down)),
    place("globex", "agency", "The agency's site, until last year", &["content.published"], "generic", Some(Behaviour::Gone)),
    place("globex", "analytics", "Analytics", &["*"], "irisync", Some(Behaviour::Busy)),
    place("globex", "mirror", "Mirror in the office", &["content.*"], "socialsyncer", Some(Behaviour::Refused)),
    place("default", "warehouse", "Data warehouse", &["user.*"], "socialsyncer", Some(Behaviour::Silent)),
    place("default", "crm", "CRM", &["user.*"], "github", Some(Behaviour::Ok)),
    place("default", "inbox", "The built-in inbox", &["*"], "standard", None),
    DemoWebhook {
        is_paused_later: true,
        ..place("acme", "staging", "Staging, paused for a migration", &["order.*"], "generic", Some(Behaviour::Ok))
    },
];

/// Names, descriptions and examples.
#[rustfmt::skip]
pub(super) const EVENT_TYPES: &[(&str, &str, &str)] = &[
    ("order.created", "A customer placed an order.", r#"{"id": "ord_1001", "total": 4990, "currency": "EUR"}"#),
    ("order.paid", "The payment of an order came in.", r#"{"id": "ord_1001", "paid": 4990, "method": "card"}"#),
    ("order.refunded", "An order was paid back, in whole or in part.", r#"{"id": "ord_1001", "amount": 990}"#),
    ("invoice.failed", "An invoice could not be collected.", r#"{"id": "inv_77", "attempt": 2}"#),
    ("content.published", "A post went live.", r#"{"id": 7, "title": "Hello"}"#),
    ("content.updated", "A post was changed.", r#"{"id": 7, "title": "Hello again"}"#),
    ("user.signed_up", "Somebody made an account.", r#"{"id": "usr_5", "plan": "team"}"#),
];

/// The event with this number: types and tenants take turns.
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
        // A type that nobody described.
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
    })
}
