//! Pages about deliveries.

use serde_json::json;

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::visitor::Visitor;

/// Text that pages must escape.
const MARKUP: &str = "<script>alert(1)</script>{{7*7}}{% raw %}%00\u{202e}😀";

pub(super) fn once() -> serde_json::Value {
    json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}})
}

pub(super) fn location(answer: &Answer) -> &str {
    answer.header("location").unwrap()
}

/// Three deliveries: failed, retrying and delivered.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) failing: String,
    pub(super) failed: String,
    pub(super) retrying: String,
    pub(super) delivered: String,
    _receivers: [Receiver; 2],
}

impl World {
    pub(super) fn new() -> World {
        let hub = Hub::start();
        let bad = Receiver::answering(503);
        let good = Receiver::start();
        let mut failing = once();
        failing["events"] = json!(["a.failed"]);
        failing["description"] = json!("Shop of Acme");
        let failing = hub.add_webhook_with(bad.url(), &failing);
        hub.add_webhook_with(bad.url(), &json!({"events": ["a.retrying"]}));
        hub.add_webhook_with(good.url(), &json!({"events": ["a.delivered"]}));
        let failed = hub.publish_one("a.failed", json!({}));
        let retrying = hub.publish_one("a.retrying", json!({}));
        let delivered = hub.publish_one("a.delivered", json!({}));
        hub.deliver_until_idle();
        World { hub, failing, failed, retrying, delivered, _receivers: [bad, good] }
    }
}

#[test]
fn every_filter_of_the_address_narrows_the_list() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let World { failed, retrying, delivered, failing, .. } = &world;
    let all = visitor.page("/deliveries");
    assert_eq!(all.row_ids(), [delivered.as_str(), retrying, failed]);
    assert!(all.contains("Shop of Acme") && all.contains("503"));
    for (query, expected) in [
        ("status=failed".to_owned(), vec![failed]),
        ("status=retrying".to_owned(), vec![retrying]),
        (format!("webhook={failing}"), vec![failed]),
        ("type=a.delivered".to_owned(), vec![delivered]),
        ("code=503".to_owned(), vec![retrying, failed]),
        ("error=status&status=failed".to_owned(), vec![failed]),
        ("tenant=default&code=200".to_owned(), vec![delivered]),
        ("test=true".to_owned(), vec![]),
        ("from=2026-01-15T10:00:00Z".to_owned(), vec![delivered, retrying, failed]),
        ("from=2026-01-15T11:00:01%2B01:00".to_owned(), vec![]),
        ("to=2026-01-15T10:00:00Z".to_owned(), vec![]),
    ] {
        let page = visitor.page(&format!("/deliveries?{query}"));
        assert_eq!(page.row_ids().iter().collect::<Vec<_>>(), expected, "{query}");
        // Links of the rows keep the filter.
        for id in page.row_ids() {
            assert!(page.links_below(&format!("/deliveries/{id}?")), "{query}");
        }
    }
    let none = visitor.page("/deliveries?type=a.nothing");
    assert!(none.contains("No matching deliveries") && none.has_button("Clear filters"));
    for wrong in ["status=lost", "code=many", "from=yesterday", "webhook=x", "error=no", "test=perhaps"] {
        let page = visitor.page(&format!("/deliveries?{wrong}"));
        assert!(page.has(".problem-state") && page.has_button("Clear filters"), "{wrong}");
    }
}

#[test]
fn without_deliveries_the_list_says_where_they_come_from() {
    let hub = Hub::start();
    assert!(hub.administrator().page("/deliveries").contains("No deliveries yet"));
    let viewer = hub.viewer().page("/deliveries");
    assert!(!viewer.holds("/events/new"));
}

#[test]
fn an_id_leads_to_what_has_it() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let event = world.hub.delivery(&world.failed)["event_id"].as_str().unwrap().to_owned();
    for (id, leads_to) in [
        (world.failed.clone(), format!("/deliveries/{}?status=failed", world.failed)),
        (world.failing.clone(), format!("/deliveries?status=failed&webhook={}", world.failing)),
        (event.clone(), format!("/events/{event}?tenant=default")),
    ] {
        let answer = visitor.get(&format!("/deliveries?status=failed&q={id}")).expect(303);
        assert_eq!(location(&answer), leads_to);
    }
    let page = visitor.page("/deliveries?q=%3Cscript%3E");
    assert!(page.contains("No matching deliveries"));
    assert!(!page.source().contains("<script>") && page.get("input#q").attribute("value") == Some("<script>"));
}

#[test]
fn pages_go_down_and_back_up_with_the_filter() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    for i in 0..120 {
        hub.publish(if i % 2 == 0 { "a.even" } else { "a.odd" }, json!({}));
    }
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let first = visitor.page("/deliveries?type=a.even");
    assert_eq!(first.rows().len(), 50);
    assert_eq!(first.previous(), None);
    let down = first.next().unwrap_or_else(|| panic!("{first}"));
    assert!(down.starts_with("/deliveries?type=a.even&cursor="), "{down}");
    let second = visitor.page(down);
    assert_eq!(second.rows().len(), 10);
    assert_eq!(second.next(), None);
    assert_eq!(visitor.page(second.previous().unwrap()).row_ids(), first.row_ids());
}

#[test]
fn a_delivery_says_in_words_what_became_of_it_and_shows_its_attempts() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let page = visitor.page(&format!("/deliveries/{}", world.retrying));
    for text in [
        "127.0.0.1 answered 503 Service Unavailable.",
        "Attempt 1: 503",
        "User-Agent",
        "curl --include",
        "First byte",
        "/v1/deliveries/",
    ] {
        let lower = page.text().to_lowercase();
        assert!(lower.contains(&text.to_lowercase()), "{text} in {page}");
    }
    assert!(page.has("#delivery[data-live]"));
    let delivered = visitor.page(&format!("/deliveries/{}", world.delivered));
    assert!(delivered.contains("Delivered on the first attempt: 200 in"));
    assert!(delivered.has("#delivery") && !delivered.has("#delivery[data-live]"));
}

#[test]
fn a_retry_by_hand_says_that_it_is_queued() {
    let world = World::new();
    let visitor = world.hub.administrator();
    for (id, words) in [(&world.failed, "A new series of attempts starts."), (&world.retrying, "Queued for retry now.")]
    {
        let path = format!("/deliveries/{id}");
        let here = format!("{path}?status=failed");
        visitor.page(&here);
        let answer = visitor.submit(&format!("{path}/retry"), &[("back", &here)]).expect(303);
        assert_eq!(location(&answer), here);
        let page = visitor.page(&here);
        assert!(page.has_flash(words), "{page}");
        world.hub.deliver_until_idle();
        assert_eq!(world.hub.delivery(id)["attempt_count"], 2);
    }
    // A URL of another site is ignored.
    let answer =
        visitor.submit(&format!("/deliveries/{}/retry", world.failed), &[("back", "//evil.example")]).expect(303);
    assert_eq!(location(&answer), format!("/deliveries/{}", world.failed));
}

#[test]
fn a_discard_of_one_asks_first() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let path = format!("/deliveries/{}", world.retrying);
    visitor.page(&path);
    let asked = visitor.submit(&format!("{path}/discard"), &[]).expect(200);
    assert!(asked.page().contains("Discard this delivery?"));
    assert_eq!(world.hub.status_of(&world.retrying), "retrying");
    let page = visitor.submit_and_follow(&format!("{path}/discard"), &[("confirmed", "yes")]);
    assert!(page.has_flash("Discarded. It will not be sent."));
    let again = visitor.submit_and_follow(&format!("{path}/discard"), &[("confirmed", "yes")]);
    assert!(again.has_flash("This delivery is already discarded"));
    assert!(!again.holds("/retry\""));
    let refused = visitor.submit_and_follow(&format!("{path}/retry"), &[]);
    assert!(refused.has_flash("A discarded delivery cannot be retried"));
}

#[test]
fn a_test_cannot_be_retried_and_says_so() {
    let world = World::new();
    let test = world.hub.post(&format!("/v1/webhooks/{}/test", world.failing), &json!({})).json();
    let path = format!("/deliveries/{}", test["id"].as_str().unwrap());
    let visitor = world.hub.administrator();
    let page = visitor.page(&path);
    assert!(page.contains("cannot be retried") && !page.holds(&format!("{path}/retry")));
    let refused = visitor.submit_and_follow(&format!("{path}/retry"), &[]);
    assert!(refused.has_flash("A test is attempted once."));
    assert!(visitor.page("/deliveries?test=true").statuses().contains(&"test"));
}

#[test]
fn newer_and_older_stay_within_the_filter() {
    let world = World::new();
    let hub = &world.hub;
    let other = hub.publish_one("a.failed", json!({}));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let page = visitor.page(&format!("/deliveries/{other}?status=failed"));
    let older = page.next().unwrap();
    assert_eq!(older, format!("/deliveries/{}?status=failed", world.failed));
    assert_eq!(page.previous(), None);
    let page = visitor.page(older);
    assert_eq!(page.previous(), Some(format!("/deliveries/{other}?status=failed").as_str()));
    assert_eq!(page.get(".crumbs a").attribute("href"), Some("/deliveries?status=failed"));
    // Without a filter, the neighbours differ.
    let page = visitor.page(&format!("/deliveries/{other}"));
    assert_eq!(page.next(), Some(format!("/deliveries/{}", world.delivered).as_str()));
}

#[test]
fn bodies_are_shown_as_text_and_kept_as_files() {
    let hub = Hub::start();
    let body = format!("{MARKUP}\0\u{7f}");
    let answer = body.clone();
    let receiver = Receiver::with(move |_| Reply::status(500).header("x-evil", "<b>").body(answer.clone()));
    let mut fields = once();
    fields["description"] = json!(MARKUP);
    hub.add_webhook_with(receiver.url(), &fields);
    let id = hub.publish_one("a.b", json!({"text": MARKUP}));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    for path in [format!("/deliveries/{id}"), "/deliveries".to_owned(), "/failed".to_owned()] {
        let page = visitor.page(&path);
        assert!(!page.source().contains("<script>alert") && !page.source().contains("<b>"), "{path}");
        assert!(page.contains("<script>alert(1)") && page.contains("{{7*7}}"), "{path}");
        assert!(!page.holds("\0"), "{path}");
    }
    let file = visitor.get(&format!("/deliveries/{id}/attempts/1/response")).expect(200);
    assert_eq!(file.text, body);
    assert_eq!(file.header("content-type"), Some("application/octet-stream"));
    assert_eq!(
        file.header("content-disposition"),
        Some(format!("attachment; filename=\"{id}-1-response.txt\"").as_str())
    );
    let sent = visitor.get(&format!("/deliveries/{id}/attempts/1/request")).expect(200);
    assert_eq!(sent.text, receiver.last().text());
    for missing in ["2/request", "1/nothing", "x/request"] {
        visitor.get(&format!("/deliveries/{id}/attempts/{missing}")).expect(404);
    }
}

#[test]
fn a_long_body_is_cut_on_the_page_and_whole_in_the_file() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let id = hub.publish_one("a.b", json!({"text": "é".repeat(400_000)}));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let page = visitor.page(&format!("/deliveries/{id}"));
    assert!(page.source().len() < 100_000, "{}", page.source().len());
    assert!(page.contains("the first 64 KiB are shown"));
    let file = visitor.get(&format!("/deliveries/{id}/attempts/1/request")).expect(200);
    assert_eq!(file.text, receiver.last().text());
}

#[test]
fn of_many_attempts_the_newest_are_shown_whole_and_any_other_when_asked_for() {
    let world = World::new();
    let hub = &world.hub;
    let visitor = hub.administrator();
    let path = format!("/deliveries/{}", world.failed);
    for _ in 0..11 {
        hub.post(&format!("/v1{path}/retry"), &json!({})).expect(202);
        hub.deliver_until_idle();
    }
    let page = visitor.page(&path);
    assert!(page.has("#attempt-12[open]") && page.has("#attempt-3"));
    assert!(!page.has("#attempt-1") && page.contains("Attempt 1: 503"));
    let page = visitor.page(&format!("{path}?attempt=1"));
    assert!(page.has("#attempt-1[open]"));
}

#[test]
fn a_delivery_of_a_deleted_webhook_is_still_there() {
    let world = World::new();
    world.hub.delete(&format!("/v1/webhooks/{}", world.failing)).expect(204);
    let visitor = world.hub.administrator();
    let page = visitor.page(&format!("/deliveries/{}", world.failed));
    assert!(page.contains("Failed: 503.") && page.contains("The webhook was deleted."));
    assert!(!page.holds("/retry\""));
    assert!(visitor.page("/deliveries").contains("deleted webhook"));
    assert!(visitor.page("/failed").contains("deleted"));
}

#[test]
fn viewers_look_and_change_nothing() {
    let world = World::new();
    let viewer = world.hub.viewer();
    let page = viewer.page("/deliveries");
    assert!(!page.holds("Retry selected") && !page.holds("all matches") && !page.has(".tick"));
    let path = format!("/deliveries/{}", world.failed);
    let page = viewer.page(&path);
    assert!(!page.holds("/retry\""));
    for (path, fields) in [
        (format!("{path}/retry"), vec![]),
        (format!("{path}/discard"), vec![("confirmed", "yes")]),
        ("/deliveries/retry".to_owned(), vec![("id", world.failed.as_str())]),
        ("/deliveries/discard".to_owned(), vec![("all", "yes"), ("confirmed", "yes")]),
    ] {
        assert_eq!(viewer.submit(&path, &fields).status, 403, "{path}");
    }
    assert_eq!(viewer.get("/deliveries/retry?status=failed").status, 403);
    assert_eq!(world.hub.delivery(&world.failed)["attempt_count"], 1);
}

#[test]
fn there_is_no_page_for_what_is_not_there() {
    let world = World::new();
    let visitor = world.hub.administrator();
    visitor.page("/deliveries");
    for path in ["/deliveries/x", "/deliveries/dlv_01KF0000000000000000000000"] {
        visitor.get(path).expect(404);
        visitor.submit(&format!("{path}/retry"), &[]).expect(404);
    }
    visitor.get("/deliveries?cursor=x").expect(422);
}

#[test]
fn a_delivery_that_waits_is_watched() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::Answer(Reply::status(200)));
    let webhook = hub.add_webhook(receiver.url());
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    let id = hub.publish_one("a.b", json!({}));
    let visitor: Visitor<'_> = hub.administrator();
    let page = visitor.page(&format!("/deliveries/{id}"));
    assert!(page.contains("Queued: the webhook is paused.") && page.has("[data-live]"));
    let retried = visitor.submit_and_follow(&format!("/deliveries/{id}/retry"), &[]);
    assert!(retried.has_flash("Queued until the webhook is active."));
    assert!(visitor.page("/deliveries").contains("Webhook paused"));
}

#[test]
fn the_people_of_a_tenant_see_and_change_their_own_alone() {
    let hub = Hub::start();
    let bad = Receiver::answering(500);
    let mut fields = once();
    let mut made = Vec::new();
    for tenant in ["acme", "globex"] {
        fields["tenant"] = json!(tenant);
        fields["description"] = json!(format!("Hook of {tenant}"));
        let webhook = hub.add_webhook_with(bad.url(), &fields);
        let body = json!({"type": "a.b", "data": {"of": tenant}, "tenant": tenant});
        let receipt = hub.post("/v1/events", &body).expect(202).json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        made.push((webhook, text(&receipt["deliveries"][0]["id"]), text(&receipt["id"])));
    }
    hub.deliver_until_idle();
    let (own, other) = (&made[0], &made[1]);
    let visitor = hub.portal("acme");
    for path in [
        "/deliveries".to_owned(),
        "/deliveries?tenant=globex".to_owned(),
        "/failed".to_owned(),
        "/events".to_owned(),
        "/events?tenant=globex".to_owned(),
        format!("/deliveries/{}", own.1),
        format!("/events/{}", own.2),
        format!("/deliveries?webhook={}", other.0),
        format!("/deliveries?event={}", other.2),
        "/deliveries/retry?tenant=globex".to_owned(),
    ] {
        let page = visitor.page(&path);
        // Ids and tenants from the request's own URL may be repeated.
        let source = page.source().replace("tenant=globex", "").replace(other.0.as_str(), "");
        let seen = source.replace(other.2.as_str(), "");
        assert!(!seen.contains("globex") && !seen.contains(&other.1), "{path}");
        assert!(!seen.contains("Authorization: Bearer"), "{path}");
    }
    assert!(visitor.page("/deliveries/retry?tenant=globex").contains("Retry 1 delivery?"));
    for (path, verb) in [
        (format!("/deliveries/{}", other.1), "retry"),
        (format!("/deliveries/{}", other.1), "discard"),
        (format!("/events/{}", other.2), "replay"),
    ] {
        visitor.get(&path).expect(404);
        let fields = [("confirmed", "yes")];
        visitor.submit(&format!("{path}/{verb}"), &fields).expect(404);
    }
    visitor.get("/events/new").expect(404);
    for id in [&other.0, &other.1, &other.2] {
        let page = visitor.page(&format!("/deliveries?q={id}"));
        assert!(page.contains("No matching deliveries"));
    }
    let export = visitor.get("/failed/export?tenant=globex").expect(200).text;
    assert!(export.contains(&own.1) && !export.contains("globex"));
    visitor.page("/deliveries");
    let both = [("id", own.1.as_str()), ("id", other.1.as_str())];
    let page = visitor.submit_and_follow("/deliveries/retry", &both);
    assert!(page.has_flash("Queued for retry: 1 delivery."));
    let page = visitor.submit_and_follow("/deliveries/retry", &[("all", "yes"), ("confirmed", "yes")]);
    assert!(page.has_flash("Queued for retry: 1 delivery."), "{page}");
    hub.deliver_until_idle();
    assert_eq!(hub.delivery(&other.1)["attempt_count"], 1);
    let path = format!("/events/{}/replay", own.2);
    visitor.submit(&path, &[("webhook", other.0.as_str())]).expect(404);
}
