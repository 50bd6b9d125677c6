//! Filters of the lists: several values, patterns, suggestions, chips, totals, titles.

use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

/// A failed, a retrying and a delivered delivery of one tenant, and one of another.
fn mixed() -> (Hub, [Receiver; 2], [String; 4]) {
    let hub = Hub::start();
    let (bad, good) = (Receiver::answering(503), Receiver::start());
    let once = json!({"delays_s": [], "exhausted": "dead_letter"});
    hub.add_webhook_with(bad.url(), &json!({"events": ["order.lost"], "retry": once, "description": "Shop"}));
    hub.add_webhook_with(bad.url(), &json!({"events": ["order.late"]}));
    hub.add_webhook_with(good.url(), &json!({"events": ["user.made"], "description": "People"}));
    hub.add_webhook_with(good.url(), &json!({"tenant": "rival", "description": "Secret of rival"}));
    let ids = ["order.lost", "order.late", "user.made"].map(|name| hub.publish_one(name, json!({})));
    let other = hub.post("/v1/events", &json!({"type": "rival.only", "tenant": "rival", "data": {}})).expect(202);
    let other = other.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();
    hub.deliver_until_idle();
    let [lost, late, made] = ids;
    (hub, [bad, good], [lost, late, made, other])
}

#[test]
fn a_filter_takes_several_values_and_patterns_from_ticks_and_from_text() {
    let (hub, _receivers, [lost, late, made, other]) = mixed();
    let visitor = hub.administrator();
    for (query, wanted) in [
        ("status=failed,retrying", vec![&late, &lost]),
        ("status=failed&status=retrying", vec![&late, &lost]),
        ("type=order.*", vec![&late, &lost]),
        ("type=order.late,+user.*", vec![&made, &late]),
        ("code=5xx", vec![&late, &lost]),
        ("code=5xx,200", vec![&other, &made, &late, &lost]),
        ("error=status,timeout&type=order.late", vec![&late]),
        ("finished_from=2026-01-15T10:00:00Z&status=failed,delivered", vec![&other, &made, &lost]),
        ("finished_to=2026-01-15T10:00:00Z", vec![]),
    ] {
        let page = visitor.page(&format!("/deliveries?{query}"));
        assert_eq!(page.row_ids().iter().collect::<Vec<_>>(), wanted, "{query}");
    }
    let page = visitor.page("/deliveries?status=failed,retrying");
    let ticked: Vec<_> = page.all("input[name=status][checked]");
    assert_eq!(ticked.len(), 2, "{page}");
    assert_eq!(visitor.page("/events?type=order.*").rows().len(), 2);
    assert_eq!(visitor.page("/webhooks?state=active,paused&event=user.*").rows().len(), 2);
    assert_eq!(visitor.page("/webhooks?state=paused&state=disabled").rows().len(), 0);
}

#[test]
fn what_is_set_stands_as_chips_that_are_removed_one_by_one() {
    let (hub, _receivers, [lost, ..]) = mixed();
    let shop = hub.delivery(&lost)["webhook_id"].as_str().unwrap().to_owned();
    let visitor = hub.administrator();
    let page = visitor.page(&format!("/deliveries?status=failed,retrying&code=5xx&webhook={shop}&test=false"));
    let chips: Vec<String> = page.all(".chips a.chip").iter().map(|chip| chip.text()).collect();
    assert_eq!(
        chips,
        [
            "Status: failed Remove this filter",
            "Status: retrying Remove this filter",
            "Webhook: Shop Remove this filter",
            "Response code: 5xx Remove this filter",
            "Tests: hidden Remove this filter"
        ]
    );
    let without = page.all(".chips a.chip")[1].attribute("href").unwrap().replace("&amp;", "&");
    let page = visitor.page(&without);
    assert_eq!(page.row_ids(), [lost.as_str()]);
    assert_eq!(page.all(".chips a.chip").len(), 4);
    // An action keeps the filter.
    let fields = [("id", lost.as_str()), ("back", without.as_str())];
    let answer = visitor.submit("/deliveries/retry", &fields).expect(303);
    assert_eq!(answer.header("location"), Some(without.as_str()));
    let asked = visitor.page("/deliveries/retry?status=failed,retrying&type=order.*&code=5xx");
    assert_eq!(asked.fact("Status").as_deref(), Some("failed, retrying"));
    assert_eq!(asked.fact("Event type").as_deref(), Some("order.*"));
    assert!(asked.contains("\"response_code\": \"5xx\""), "{asked}");
    assert!(!visitor.page("/deliveries").has(".chips"));
    assert!(visitor.page("/events?type=order.*").contains("Event type: order.*"));
    assert!(visitor.page("/webhooks?event=user.*").contains("Subscribed to: user.*"));
}

#[test]
fn webhooks_and_tenants_are_suggested_by_name_and_never_those_of_another_tenant() {
    let (hub, _receivers, [lost, ..]) = mixed();
    let shop = hub.delivery(&lost)["webhook_id"].as_str().unwrap().to_owned();
    let visitor = hub.administrator();
    let page = visitor.page("/deliveries");
    let suggested = |list: &str| -> Vec<String> {
        let options = page.all(&format!("{list} option"));
        options.iter().map(|option| option.attribute("value").unwrap().to_owned()).collect()
    };
    assert_eq!(suggested("#known-tenants"), ["default", "rival"]);
    assert!(suggested("#known-types").contains(&"order.lost".to_owned()));
    assert!(page.all("#known-webhooks option").iter().any(|option| option.attribute("label") == Some("Shop")));
    for (list, field) in [("known-webhooks", "webhook"), ("known-tenants", "tenant"), ("known-types", "type")] {
        assert_eq!(page.get(&format!("#{field}")).attribute("list"), Some(list));
    }
    // A name that is typed leads to the list with the ID.
    let answer = visitor.get("/deliveries?webhook=shop&status=failed").expect(303);
    assert_eq!(answer.header("location"), Some(format!("/deliveries?status=failed&webhook={shop}").as_str()));
    let page = visitor.page("/deliveries?webhook=nobody");
    assert!(page.contains("No webhook matches “nobody”."), "{page}");
    let page = visitor.page("/deliveries?webhook=127.0.0.1");
    assert!(page.contains("Several webhooks match"), "{page}");

    let portal = hub.portal("default");
    for path in ["/deliveries", "/events", "/webhooks", "/deliveries?webhook=Secret"] {
        let page = portal.page(path);
        assert!(page.has("#known-types") && !page.has("#known-tenants"), "{path}");
        assert!(!page.source().contains("rival"), "{path}: {page}");
    }
}

#[test]
fn a_list_says_how_many_match() {
    let (hub, _receivers, _) = mixed();
    for _ in 0..60 {
        hub.publish("user.made", json!({}));
    }
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    for (path, words) in [
        ("/deliveries", "64 deliveries"),
        ("/deliveries?type=user.*", "61 deliveries"),
        ("/deliveries?status=failed,retrying", "2 deliveries"),
        ("/deliveries?type=order.lost", "1 delivery"),
        ("/events?type=user.*", "61 events"),
        ("/events?tenant=rival", "1 event"),
        ("/webhooks", "4 webhooks"),
        ("/webhooks?event=user.made&tenant=default", "1 webhook"),
    ] {
        let page = visitor.page(path);
        assert!(page.contains(words), "{path}: {words} in {page}");
    }
    let second = visitor.page("/deliveries");
    let second = visitor.page(second.next().unwrap());
    assert!(second.contains("64 deliveries"), "{second}");
}

#[test]
fn titles_tell_tabs_apart() {
    let (hub, _receivers, [lost, ..]) = mixed();
    let visitor = hub.administrator();
    let title = |path: &str| visitor.page(path).get("title").text();
    assert_eq!(title("/deliveries"), "Deliveries · Hookpost");
    assert_eq!(title("/deliveries?status=failed&type=order.*"), "failed, order.* · Deliveries · Hookpost");
    assert_eq!(title("/events?type=user.*"), "user.* · Events · Hookpost");
    assert_eq!(title(&format!("/deliveries/{lost}")), "order.lost failed · Shop · Hookpost");
    let long = "https://api.acme.example/hooks/of/the/shop/";
    let webhooks: Vec<String> = ["a", "b"]
        .into_iter()
        .flat_map(|end| {
            [
                hub.add_webhook(format!("http://127.0.0.1:9/{end}")),
                hub.add_webhook_with("http://127.0.0.1:9/", &json!({"description": format!("{long}{end}")})),
            ]
        })
        .collect();
    let twins: Vec<String> =
        (0..2).map(|_| hub.add_webhook_with("http://127.0.0.1:9/", &json!({"description": "Twin"}))).collect();
    let mut begins: Vec<String> = Vec::new();
    for id in webhooks.iter().chain(&twins) {
        for tab in ["", "/settings", "/metrics"] {
            let title = title(&format!("/webhooks/{id}{tab}"));
            assert!(title.ends_with(" · Hookpost"), "{title}");
            begins.push(format!("{}{tab}", title.chars().take(20).collect::<String>()));
        }
    }
    let count = begins.len();
    begins.sort();
    begins.dedup();
    assert_eq!(begins.len(), count, "{begins:?}");
    assert!(title("/").starts_with("1 dead letter · Overview"), "{}", title("/"));
    assert!(title("/failed").starts_with("Failed (1)"), "{}", title("/failed"));
}

#[test]
fn failures_by_cause_take_a_webhook_event_types_and_a_tenant() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let fields = |tenant: &str| json!({"tenant": tenant, "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let acme = hub.add_webhook_with(receiver.url(), &fields("acme"));
    hub.add_webhook_with(receiver.url(), &fields("acme"));
    hub.add_webhook_with(receiver.url(), &fields("globex"));
    for (tenant, name) in [("acme", "order.paid"), ("acme", "user.made"), ("globex", "order.paid")] {
        hub.post("/v1/events", &json!({"type": name, "tenant": tenant, "data": {}})).expect(202);
    }
    hub.deliver_until_idle();
    let anna = hub.administrator();
    let title = |query: &str| anna.page(&format!("/failed{query}")).get("title").text();
    for (query, count) in [
        ("", 5),
        ("?tenant=acme", 4),
        ("?type=order.*", 3),
        (&*format!("?webhook={acme}"), 2),
        ("?tenant=acme&type=order.paid&status=delivered", 2),
    ] {
        assert!(title(query).starts_with(&format!("Failed ({count})")), "{query}: {}", title(query));
    }
    // Links, the retry of all and the download keep the filter.
    let page = anna.page("/failed?tenant=acme&type=order.*");
    for link in page.links() {
        if link.starts_with("/deliveries?") || link.starts_with("/deliveries/retry") || link.contains("export") {
            assert!(link.contains("type=order.*"), "{link}");
        }
    }
    let list = page.links().into_iter().find(|link| link.starts_with("/deliveries?")).unwrap();
    assert_eq!(anna.page(list).rows().len(), 2, "{list}");
    assert!(anna.page("/failed?tenant=nobody").contains("No dead letters match"));
    assert!(anna.page("/failed?webhook=x").contains("Clear filters"));
    assert!(hub.portal("acme").page("/failed?tenant=globex").get("title").text().starts_with("Failed (4)"));
}
