//! Each number of a page opens a list with as many rows.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::page::Page;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::visitor::Visitor;

/// Links that are numbers, or part of a card or chart with one.
const NUMBERS: [&str; 8] =
    ["a.stat", ".chart a", ".strip a", ".matrix td a", "td.num a", ".concerns p a", ".steps p a", ".banner a"];

/// Returns the number that a link shows; `None` if it shows another text.
fn number(text: &str) -> Option<usize> {
    if text.contains("p50") {
        return None;
    }
    if text.contains("no deliveries finished") {
        return Some(0);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let before = |noun: &str| {
        let at = words.iter().position(|word| word.trim_end_matches([',', '.']) == noun)?;
        words.get(at.checked_sub(1)?)?.replace(',', "").parse::<usize>().ok()
    };
    match (before("delivered"), before("failed")) {
        (Some(delivered), Some(failed)) => Some(delivered + failed),
        _ => words.iter().find_map(|word| word.replace(',', "").parse().ok()),
    }
}

/// Counts the rows of a list, page by page.
fn rows(visitor: &Visitor<'_>, path: &str) -> usize {
    let mut page = visitor.page(path);
    let mut count = page.rows().len();
    while let Some(next) = page.next().map(str::to_owned) {
        page = visitor.page(&next);
        count += page.rows().len();
    }
    count
}

/// Follows every number of a page. Returns how many there were, without zeros.
fn follow(visitor: &Visitor<'_>, path: &str) -> usize {
    let page: Page = visitor.page(path);
    let mut followed = 0;
    for link in NUMBERS.iter().flat_map(|place| page.all(place)) {
        let text = link.attribute("aria-label").map_or_else(|| link.text(), str::to_owned);
        let href = link.attribute("href").unwrap().replace("&amp;", "&");
        let is_list = href.contains("/deliveries?") || href.contains("/webhooks?");
        let Some(number) = number(&text).filter(|_| is_list) else {
            continue;
        };
        assert_eq!(rows(visitor, &href), number, "{text:?} on {path} opens {href}");
        if number > 0 {
            let total = visitor.page(&href).text();
            let words = [" deliver", " webhook"].map(|noun| format!("{number}{noun}"));
            assert!(words.iter().any(|words| total.contains(words.as_str())), "{href}: {total}");
            followed += 1;
        }
    }
    followed
}

#[test]
fn every_number_opens_exactly_what_it_counted() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let answer = |code: u16| receiver.behave(Behaviour::Answer(Reply::status(code)));
    let retry = json!({"delays_s": [36000], "exhausted": "dead_letter"});
    let shop = json!({"events": ["order.*"], "description": "Shop", "retry": retry});
    let shop = hub.add_webhook_with(receiver.url(), &shop);
    let gone = Receiver::answering(410);
    let paused = hub.add_webhook_with(receiver.url(), &json!({"events": ["user.*"], "active": false}));
    hub.add_webhook_with(gone.url(), &json!({"events": ["gone.*"], "tenant": "acme"}));
    hub.post("/v1/events", &json!({"type": "gone.a", "tenant": "acme", "data": {}})).expect(202);

    // Created on one day and finished on the next: two become dead letters, one of which is retried by hand.
    answer(500);
    hub.advance(12 * HOUR);
    let late: Vec<String> = (0..2).map(|_| hub.publish_one("order.late", json!({}))).collect();
    hub.deliver_until_idle();
    hub.advance(11 * HOUR);
    hub.deliver_until_idle();
    answer(200);
    for _ in 0..3 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    hub.post(&format!("/v1/deliveries/{}/retry", late[0]), &json!({})).expect(202);
    hub.deliver_until_idle();
    // Tests are counted nowhere; what waits is queued.
    hub.post(&format!("/v1/webhooks/{shop}/test"), &json!({})).expect(200);
    hub.advance(HOUR);
    answer(503);
    for _ in 0..2 {
        hub.publish("order.stuck", json!({}));
        hub.publish("user.made", json!({}));
    }
    hub.post(&format!("/v1/webhooks/{shop}/test"), &json!({})).expect(200);
    hub.deliver_until_idle();
    hub.advance(5 * MINUTE);

    let visitor = hub.administrator();
    let incidents = hub.get("/v1/incidents").expect(200).json();
    let mut pages = vec!["/".to_owned(), "/failed".to_owned()];
    for webhook in [&shop, &paused] {
        pages.extend(["", "/metrics"].map(|tab| format!("/webhooks/{webhook}{tab}")));
    }
    for incident in incidents["data"].as_array().unwrap() {
        pages.push(format!("/incidents/{}", incident["id"].as_str().unwrap()));
    }
    assert!(pages.len() >= 8, "{pages:?}");
    let follow_all = |visitor: &Visitor<'_>| pages.iter().map(|path| follow(visitor, path)).sum::<usize>();
    let followed = follow_all(&visitor);
    assert!(followed > 20, "only {followed} numbers were followed");

    // Later, when rows of hours have become rows of days.
    hub.advance(10 * DAY);
    hub.deliver_until_idle();
    let (now, store) = (hub.clock.now_ms(), &hub.running.app.actions.store);
    while store.write(move |tx| hookpost::store::stats::merge_old(tx, now)).wait().unwrap() {}
    let followed = follow_all(&hub.operator());
    assert!(followed > 5, "only {followed} numbers were followed");
}

#[test]
fn a_day_that_retention_may_have_emptied_is_no_link() {
    let hub = Hub::with(|options| options.retention = hookpost::domain::retention::Retention::new(7, 7));
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    hub.clock.advance(10 * DAY);
    let page = hub.administrator().page(&format!("/webhooks/{webhook}"));
    assert!(page.contains("15 Jan 2026: 1 delivered, 0 failed"), "{page}");
    assert_eq!(page.all(".strip a").len(), 7 + 24);
}

#[test]
fn hours_of_the_charts_are_links_with_words_and_response_times() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    for path in ["/".to_owned(), format!("/webhooks/{webhook}/metrics")] {
        let page = visitor.page(&path);
        let links = page.all(".chart a");
        assert_eq!(links.len(), 2, "{path}: the deliveries and the response times of one hour");
        let labels: Vec<&str> = links.iter().filter_map(|link| link.attribute("aria-label")).collect();
        assert_eq!(labels[0], "10:00 UTC: 1 delivered, 0 failed");
        assert!(labels[1].starts_with("10:00 UTC: p50 ") && labels[1].contains("p95 "), "{labels:?}");
        assert_eq!(page.all(".chart a title").len(), 2, "{path}: hover text");
        let opened = links[1].attribute("href").unwrap().replace("&amp;", "&");
        assert_eq!(opened.contains(&webhook), path != "/", "{opened}");
        assert!(page.has("#chart-table") && page.column("p95").iter().any(|text| text.ends_with("ms")), "{page}");
    }
}
