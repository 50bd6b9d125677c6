//! The condition of a webhook, which is the same on every page and in the API.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::{Hub, Page};

/// Words of the state badges on a page.
fn badges(page: &Page) -> Vec<String> {
    page.all("main .badge").iter().map(|badge| badge.text()).collect()
}

#[test]
fn a_webhook_without_a_delivered_delivery_is_failing_on_every_page() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let fields = json!({"description": "Shop", "retry": {"delays_s": [60], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.advance(MINUTE);
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    for _ in 0..78 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let check = |when: &str| {
        assert_eq!(hub.webhook(&webhook)["health"], "failing");
        let overview = visitor.page("/");
        let attention = overview.get("#attention").text();
        assert!(attention.contains("Shop") && attention.contains("Failing since"), "{when}: {attention}");
        for path in ["/webhooks", &format!("/webhooks/{webhook}"), &format!("/webhooks/{webhook}/metrics")] {
            let page = visitor.page(path);
            let badges = badges(&page);
            assert!(badges.iter().any(|badge| badge == "Failing"), "{when}: {path}: {badges:?}");
            assert!(!badges.iter().any(|badge| badge == "Active"), "{when}: {path}: {badges:?}");
            let words = "Failing since 2026-01-15 10:01:00 UTC (last success 2026-01-15 10:00:00 UTC)";
            assert!(page.contains(words), "{when}: {path}: {page}");
        }
    };
    check("while they are retried");
    hub.advance(HOUR);
    hub.deliver_until_idle();
    check("when all are dead letters");
    let failed = visitor.page("/failed");
    assert!(badges(&failed).iter().any(|badge| badge == "Failing"), "{:?}", badges(&failed));
}
