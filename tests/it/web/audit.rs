//! The audit log: each action is recorded in the transaction of its change.

use hookpost::actions::{Actor, Caller};
use hookpost::store::audit::{self, AuditFilter};
use hookpost::store::page::PageRequest;
use serde_json::json;

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

/// Actor, action, subject and details of every entry, oldest first.
fn entries(hub: &Hub) -> Vec<(String, String, String, String)> {
    let request = PageRequest { limit: 250, cursor: None };
    let store = &hub.running.app.actions.store;
    let page = store.read(|connection| audit::list(connection, &AuditFilter::default(), &request));
    let entries = page.unwrap().rows.into_iter().rev();
    entries.map(|entry| (entry.actor, entry.action, entry.subject, entry.detail)).collect()
}

/// Check of a successful response.
trait Well {
    fn well(self) -> Answer;
}

impl Well for Answer {
    #[track_caller]
    fn well(self) -> Answer {
        assert!((200..300).contains(&self.status), "{}", self.text);
        self
    }
}

/// Action and details of the last entry.
fn last(hub: &Hub) -> (String, String) {
    let (_, action, _, detail) = entries(hub).pop().unwrap();
    (action, detail)
}

#[track_caller]
fn assert_last(hub: &Hub, action: &str, detail: &str) {
    assert_eq!(last(hub), (action.to_owned(), detail.to_owned()));
}

#[test]
fn every_change_over_the_api_is_written_down_and_publishing_is_not() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": retry}));
    assert_eq!(
        entries(&hub),
        [(
            "API key test".to_owned(),
            "webhook.created".to_owned(),
            webhook.clone(),
            receiver.url().replace("/hook", "/…")
        )]
    );
    let at = |rest: &str| format!("/v1/webhooks/{webhook}{rest}");
    let change = json!({"description": "x", "timeout_s": 7});
    hub.patch(&at(""), &change).well();
    assert_last(&hub, "webhook.changed", "description, timeout_s");
    hub.patch(&at(""), &json!({"active": false})).well();
    assert_last(&hub, "webhook.paused", "");
    hub.patch(&at(""), &json!({"active": true, "waiting": "discard"})).well();
    assert_last(&hub, "webhook.resumed", "queued deliveries are discarded");
    let count = entries(&hub).len();
    hub.patch(&at(""), &json!({"active": true})).well();
    assert_eq!(entries(&hub).len(), count, "nothing changed");
    hub.post(&at("/secret/rotate"), &json!({})).well();
    assert_last(&hub, "secret.rotated", "both secrets sign for 1 day");
    hub.get(&at("/secret")).well();
    assert_last(&hub, "secret.revealed", "");
    hub.post(&at("/test"), &json!({"event_type": "a.test"})).well();
    assert_last(&hub, "test.sent", "a.test");

    let count = entries(&hub).len();
    let receipt = hub.publish("order.paid", json!({}));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(entries(&hub).len(), count, "publishing is no change");

    hub.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).well();
    assert_last(&hub, "delivery.retried", "order.paid, which was failed");
    hub.deliver_until_idle();
    let filter = json!({"status": "failed", "dry_run": true});
    hub.post("/v1/deliveries/retry", &filter).well();
    assert_last(&hub, "delivery.retried", "order.paid, which was failed");
    let filter = json!({"status": "failed"});
    hub.post("/v1/deliveries/retry", &filter).well();
    assert_last(&hub, "deliveries.retried", "2: all with status failed");
    let event = receipt["id"].as_str().unwrap();
    hub.post(&format!("/v1/events/{event}/replay"), &json!({})).well();
    assert_last(&hub, "event.replayed", "to 1 webhook");
    hub.post(&at("/replay"), &json!({"since": "2026-01-01T00:00:00Z"})).well();
    assert_last(&hub, "webhook.replayed", "2 events");

    let described = json!({"description": "Paid"}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/order.paid", Some(&described)).well();
    assert_last(&hub, "event_type.put", "");
    hub.delete("/v1/event-types/order.paid").well();
    assert_last(&hub, "event_type.deleted", "");
    let own = json!({"based_on": "generic"}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/profiles/own", Some(&own)).well();
    assert_last(&hub, "profile.put", "");
    hub.delete("/v1/profiles/own").well();
    assert_last(&hub, "profile.deleted", "");
    let key = json!({"name": "shop", "scope": "publish"});
    let key = hub.post("/v1/api-keys", &key).well().json();
    assert_last(&hub, "api_key.created", "shop, publish");
    let id = key["id"].as_str().unwrap();
    hub.delete(&format!("/v1/api-keys/{id}")).well();
    assert_last(&hub, "api_key.revoked", "shop");
    let link = json!({"tenant": "acme", "subject": "jo"});
    let link = hub.post("/v1/portal-links", &link).well().json();
    assert_last(&hub, "portal_link.made", "jo");
    hub.delete(&format!("/v1/portal-links/{}", link["id"].as_str().unwrap())).well();
    assert_last(&hub, "portal_link.ended", "jo");
    hub.delete("/v1/portal-links?tenant=acme").well();
    assert_last(&hub, "portal_link.ended", "all");
    hub.download("/v1/backup");
    assert_last(&hub, "backup.downloaded", "");
    hub.delete(&at("")).well();
    assert_last(&hub, "webhook.deleted", &receiver.url().replace("/hook", "/…"));

    let all = format!("{:?}", entries(&hub));
    let token = link["url"].as_str().unwrap().split('=').nth(1).unwrap();
    for secret in ["whsec_", key["key"].as_str().unwrap(), token, &hub.key] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn what_was_refused_or_failed_is_not_written_down() {
    let hub = Hub::start();
    let webhook = hub.add_webhook(Receiver::refused_url());
    let count = entries(&hub).len();
    let bad = json!({"url": "http://10.0.0.1/"});
    hub.patch(&format!("/v1/webhooks/{webhook}"), &bad).expect(422);
    hub.delete("/v1/webhooks/wh_01ARZ3NDEKTSV4RRFFQ69G5FAV").expect(404);
    hub.delete("/v1/profiles/generic").expect(409);
    hub.delete("/v1/api-keys/nonsense").expect(404);
    assert_eq!(entries(&hub).len(), count);
}

#[test]
fn what_a_person_publishes_is_written_down_once() {
    let hub = Hub::start();
    let actions = &hub.running.app.actions;
    let caller = Caller { actor: Actor::Person("anna".to_owned()), ..Caller::default() };
    let new = || hookpost::actions::publish::NewEvent {
        event_type: "order.paid".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        id: Some("evt_1".parse().unwrap()),
        created_ms: None,
        data: "{}".into(),
        previous_data: None,
        idempotency: None,
        resent_from_seq: None,
    };
    for _ in 0..2 {
        actions.publish_by_hand(&caller, new()).wait().unwrap();
    }
    assert_eq!(
        entries(&hub),
        [("anna", "event.published", "evt_1", "order.paid")].map(|(a, b, c, d)| (
            a.to_owned(),
            b.to_owned(),
            c.to_owned(),
            d.to_owned()
        ))
    );
}

#[test]
fn the_list_tells_in_words_and_links_what_is_still_there() {
    let hub = Hub::start();
    let webhook = hub.add_webhook(Receiver::refused_url());
    let gone = hub.add_webhook(Receiver::refused_url());
    hub.delete(&format!("/v1/webhooks/{gone}")).expect(204);
    let key = json!({"name": "<script>alert(1)</script>", "scope": "read"});
    hub.post("/v1/api-keys", &key).expect(201);
    let visitor = hub.administrator();
    let page = visitor.page("/settings/audit");
    for text in [
        "API key test",
        "created the webhook",
        &format!("created the webhook {webhook}"),
        &format!("deleted the webhook {gone}"),
        "anna",
        "signed in as the user",
        "command line",
        "added the user",
        "<script>alert(1)</script>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.source().contains("<script>alert"));
    assert!(page.links_to(&format!("/webhooks/{webhook}")), "{page}");
    let links_deleted = page.all("tr").iter().any(|row| row.contains("deleted the webhook") && row.has("a[href]"));
    assert!(!links_deleted, "{page}");
    for number in 0..60 {
        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"description": format!("{number}")})).expect(200);
    }
    let page = visitor.page("/settings/audit");
    let older = visitor.page(page.next().unwrap());
    assert!(older.contains("created the webhook"));
    assert_eq!(older.previous(), Some("/settings/audit"));
    assert_eq!(hub.portal("acme").get("/settings/audit").status, 404);
}
