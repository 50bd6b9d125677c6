//! Domain objects for tests. The unit tests and benchmarks include this file too.

use hookpost::domain::id::WebhookId;
use hookpost::domain::pattern::EventPattern;
use hookpost::domain::webhook::Webhook;

/// Returns an active webhook for all events, to be stored by `store::webhook::insert_row`. The number makes its id.
pub fn webhook(number: u32, tenant: &str) -> Webhook {
    let url = "https://example.com/".parse().expect("a valid URL");
    let (tenant, secret) = (tenant.parse().expect("a valid tenant"), "secret".parse().expect("a valid secret"));
    let mut webhook = Webhook::new(WebhookId::generate(0, number.into()), tenant, url, "generic", secret, 0);
    webhook.events = vec![EventPattern::All];
    webhook
}
