//! The page of tenants, and the deletion of one by an administrator.

use std::time::{Duration, Instant};

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;
use crate::support::visitor::PASSWORD;

fn world() -> (Hub, Receiver) {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme", "active": false}));
    for _ in 0..2 {
        hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    }
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "globex"}));
    hub.deliver_until_idle();
    (hub, receiver)
}

#[test]
fn tenants_are_listed_with_counts_that_open_what_they_count() {
    let (hub, _receiver) = world();
    let viewer = hub.viewer();
    let page = viewer.page("/settings/tenants");
    let rows: Vec<String> = page.all("tbody tr").iter().map(|row| row.text()).collect();
    assert_eq!(rows.len(), 2, "{page}");
    assert!(rows[0].starts_with("acme") && rows[0].contains("1 paused"), "{}", rows[0]);
    assert!(rows[1].contains("none stored"), "{}", rows[1]);
    assert_eq!(viewer.page(page.link("2").unwrap()).rows().len(), 2);
    assert!(!page.contains("Delete"), "{page}");
    let found = viewer.page("/settings/tenants?q=GLO");
    assert!(found.contains("globex") && !found.contains("acme"), "{found}");
    assert!(viewer.page("/settings/tenants?q=nothing").contains("No tenant's name contains this text."));
    assert!(hub.administrator().page("/settings/tenants").links_to("/settings/tenants/acme/delete"));
    hub.portal("acme").get("/settings/tenants").expect(404);
}

#[test]
fn an_administrator_types_the_name_and_the_password_and_sees_how_far_the_deletion_is() {
    let (hub, receiver) = world();
    let anna = hub.administrator();
    let path = "/settings/tenants/acme/delete";
    let page = anna.page(path);
    let facts = ["Webhooks", "Events", "Deliveries"].map(|what| page.fact(what).unwrap());
    assert_eq!(facts, ["2", "2", "4"]);
    let again = anna.submit(path, &[("typed", "globex")]).expect(422).page();
    assert!(again.problem("typed").unwrap().contains("This is not acme"), "{again}");
    // Typed long ago, the password is asked for again.
    hub.clock.advance(HOUR);
    let asked = anna.submit(path, &[("typed", "acme")]).page();
    assert!(asked.has_field("own_password"), "{asked}");
    assert_eq!(hub.get("/v1/tenants/acme").json()["deletion"], json!(null));
    // An incident that is still to be told of holds the deletion up, so that the page shows it.
    hub.post("/v1/contacts", &json!({"name": "On call", "webhook": {"url": receiver.url()}})).expect(201);
    let lost = json!({"tenant": "acme", "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with("http://127.0.0.1:9/", &lost);
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    hub.deliver_until_idle();
    let done = anna.submit_and_follow(path, &[("typed", "acme"), ("own_password", PASSWORD)]);
    assert!(done.has_flash("acme is being deleted"), "{done}");
    let listed = anna.page("/settings/tenants");
    assert!(listed.contains("being deleted: 0 %") && !listed.links_to(path), "{listed}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while anna.page("/settings/tenants").contains("acme") {
        assert!(Instant::now() < deadline, "the deletion did not end");
        hub.clock.advance(MINUTE);
        hub.tell();
    }
    anna.get(path).expect(404);
    let audit = anna.page("/settings/audit");
    assert!(audit.contains("began to delete the tenant") && audit.contains("deleted the tenant"), "{audit}");
    let operators = hub.operator();
    operators.get("/settings/tenants/globex/delete").expect(403);
    operators.submit("/settings/tenants/globex/delete", &[("typed", "globex")]).expect(403);
    anna.submit("/settings/tenants/hookpost/delete", &[("typed", "hookpost"), ("own_password", PASSWORD)]).expect(422);
}
