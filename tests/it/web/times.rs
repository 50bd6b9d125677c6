//! One time zone on each page: the browser's, the server's setting, or UTC.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::page::Page;
use crate::support::receiver::Receiver;
use crate::support::visitor::{PASSWORD, Visitor};

/// A server in Berlin with a webhook that fails since 10:00 UTC.
struct World {
    hub: Hub,
    webhook: String,
    delivery: String,
    _receiver: Receiver,
}

impl World {
    fn new() -> World {
        let hub = Hub::with(|options| options.time_zone = "Europe/Berlin".parse().unwrap());
        let receiver = Receiver::answering(503);
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [60, 48_000]}}));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        hub.advance(2 * MINUTE);
        hub.deliver_until_idle();
        World { hub, webhook, delivery, _receiver: receiver }
    }

    /// Name of the cookie in which the script stores the zone of the browser.
    fn cookie(&self) -> String {
        format!("{}_zone", self.hub.running.app.site.cookie())
    }
}

/// Every time on the page without those that machines read.
fn times(page: &Page) -> Vec<String> {
    page.all("time").iter().map(crate::support::page::Element::text).collect()
}

fn assert_all_end(page: &Page, zone: &str) {
    let times = times(page);
    assert!(!times.is_empty() && times.iter().all(|time| time.ends_with(zone)), "{zone}: {times:?}");
    let titles: Vec<_> =
        page.all("time").iter().map(|time| time.attribute("title").unwrap_or_default().to_owned()).collect();
    assert!(
        titles.iter().all(|title| title.contains(zone) && title.contains("2026-01-1") && title.contains('Z')),
        "{titles:?}"
    );
}

#[test]
fn all_times_of_a_page_are_in_one_zone_and_the_page_names_it() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let page = visitor.page(&format!("/deliveries/{}", world.delivery));
    assert!(page.contains("Times are in Europe/Berlin (UTC+1)."), "{page}");
    assert!(page.contains("2026-01-15 11:00:00 CET"), "{page}");
    // 10:02 UTC and 48,000 s are 00:21 of the next day in Berlin or later, and of this day in UTC.
    assert!(page.contains("next tomorrow 0") && page.contains(" CET, in "), "{page}");
    let good = Receiver::start();
    let delivered = world.hub.add_webhook_with(good.url(), &json!({"events": ["order.sent"]}));
    world.hub.publish("order.sent", json!({}));
    world.hub.deliver_until_idle();
    let page = visitor.page(&format!("/webhooks/{delivered}/metrics"));
    assert!(page.contains("Hours are Europe/Berlin"), "{page}");
    assert!(page.get(".chart").contains("11:00 CET"), "{page}");
    let page = visitor.page("/webhooks/new");
    assert!(page.contains("Times are in Europe/Berlin"), "{page}");
    let page = visitor.page(&format!("/webhooks/{}/edit", world.webhook));
    assert!(page.contains("11:02 CET"), "the dated schedule: {page}");
    for path in ["/deliveries", "/events", "/events?since=2026-01-15T09:00:00Z"] {
        assert_all_end(&visitor.page(path), "CET");
        assert!(visitor.page(path).contains("(Europe/Berlin)"), "{path}");
    }
    let lost = json!({"events": ["order.lost"], "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    world.hub.add_webhook_with("http://127.0.0.1:9/", &lost);
    world.hub.publish("order.lost", json!({}));
    world.hub.deliver_until_idle();
    let incidents = world.hub.get("/v1/incidents").expect(200).json();
    let incident = format!("/incidents/{}", incidents["data"][0]["id"].as_str().unwrap());
    assert!(visitor.page(&incident).contains("Failing since 2026-01-15 11:02:00 CET"));
    // The browser's zone, as its script stored it.
    visitor.set_cookie(&world.cookie(), "America/New_York");
    for path in ["/deliveries", "/events", "/account", "/incidents", &incident] {
        assert_all_end(&visitor.page(path), "EST");
    }
    assert!(visitor.page("/").contains("Times are in America/New_York (UTC-5)."));
    // The API has UTC, and exports.
    let delivery = world.hub.delivery(&world.delivery);
    assert_eq!(delivery["created_at"], "2026-01-15T10:00:00.000Z");
    for odd in ["Mars/Phobos", "../../etc/passwd", "Europe/Berlin%0d%0aX: y", &"a/".repeat(600), "\"><script>"] {
        visitor.set_cookie(&world.cookie(), odd);
        assert_all_end(&visitor.page("/deliveries"), "CET");
    }
}

#[test]
fn a_form_shows_all_times_in_utc_until_the_visitor_changes_it_back() {
    let world = World::new();
    let check = |visitor: &Visitor<'_>| {
        let path = format!("/deliveries?status=retrying&webhook={}", world.webhook);
        let page = visitor.page(&path);
        assert_all_end(&page, "CET");
        let form = page.form("/account/display").or(page.form("/portal/account/display")).expect("a form");
        let back = form.field("back").unwrap();
        let page = visitor.submit_and_follow("/account/display", &[("times", "utc"), ("back", &back)]);
        assert_all_end(&page, "UTC");
        assert!(page.has_button("Show Europe/Berlin") && page.contains("Times are in UTC."), "{page}");
        assert_eq!(page.field("webhook").as_deref(), Some(world.webhook.as_str()), "the filter stays");
        assert_all_end(&visitor.page("/deliveries"), "UTC");
        let page = visitor.submit_and_follow("/account/display", &[("times", "own"), ("back", &back)]);
        assert_all_end(&page, "CET");
        // Nobody is sent away to another site.
        let answer = visitor.submit("/account/display", &[("times", "own"), ("back", "//evil.example/")]);
        assert!(!answer.header("location").unwrap().contains("evil"), "{:?}", answer.headers);
    };
    check(&world.hub.viewer());
    check(&world.hub.portal("default"));
}

#[test]
fn a_filter_is_read_in_the_zone_of_the_page_and_its_url_means_the_same_to_everybody() {
    let world = World::new();
    let visitor = world.hub.administrator();
    for (path, from, to) in
        [("/deliveries", "from", "to"), ("/events", "since", "until"), ("/settings/audit", "since", "until")]
    {
        // The hour from 02:00 comes twice: what is created in either is between.
        let typed = format!("{path}?tenant=&{from}=2026-10-25T02:30&{to}=2026-10-25T02:45:10");
        let answer = visitor.get(&typed);
        let exact = format!("{path}?{from}=2026-10-25T00%3A30%3A00Z&{to}=2026-10-25T01%3A45%3A10Z");
        assert_eq!((answer.status, answer.header("location")), (303, Some(exact.as_str())));
        let page = visitor.page(&exact);
        let shown = [page.field(from), page.field(to)].map(Option::unwrap);
        assert_eq!(shown, ["2026-10-25T02:30:00", "2026-10-25T02:45:10"], "{path}");
    }
    // An hour that clocks skip is the next one.
    let answer = visitor.get("/deliveries?from=2026-03-29T02:30");
    assert_eq!(answer.header("location"), Some("/deliveries?from=2026-03-29T01%3A30%3A00Z"));
    // 11:00:30 in Berlin is after the delivery of 10:00 UTC, 10:59 before.
    for (local, count) in [("2026-01-15T11:00:30", 0), ("2026-01-15T10:59", 1)] {
        let answer = visitor.get(&format!("/deliveries?from={local}"));
        assert_eq!(visitor.follow(&answer).page().rows().len(), count, "{local}");
    }
    let page = visitor.page("/deliveries/retry?from=2026-01-15T10:59&status=failed");
    assert!(page.contains("2026-01-15 10:59:00 CET"), "{page}");
    assert!(visitor.page("/deliveries?from=soon").contains("Enter a time such as 2026-01-15T10:00, in Europe/Berlin."));
    // A replay, and the end of an API key.
    let replay = format!("/webhooks/{}/replay", world.webhook);
    visitor.page(&replay);
    let none = visitor.submit(&replay, &[("since", "2026-01-15T11:00:30")]).expect(422).page();
    assert!(none.contains("No events match."), "{none}");
    let page = visitor.submit(&replay, &[("since", "2026-01-15T10:59:00")]).expect(200).page();
    assert_eq!(page.field("since").as_deref(), Some("2026-01-15T09:59:00Z"));
    visitor.page("/settings/keys");
    let key = [("name", "short"), ("scope", "read"), ("expires_at", "2026-02-01T00:00")];
    visitor.submit("/settings/keys", &key).expect(303);
    assert!(visitor.page("/settings/keys").contains("2026-02-01 00:00:00 CET"));
}

#[test]
fn days_of_the_strip_are_those_of_the_zone() {
    let world = World::new();
    let hub = &world.hub;
    // 22:59 and 23:01 UTC: in Berlin, one day and the next.
    let good = Receiver::start();
    let webhook = hub.add_webhook_with(good.url(), &json!({"events": ["late.*"]}));
    hub.advance(12 * HOUR + 56 * MINUTE);
    hub.publish("late.one", json!({}));
    hub.deliver_until_idle();
    hub.advance(4 * MINUTE);
    hub.publish("late.two", json!({}));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let labels = |visitor: &Visitor<'_>| {
        let page = visitor.page(&format!("/webhooks/{webhook}"));
        let cells =
            page.all(".strip a").iter().map(|cell| cell.attribute("title").unwrap().to_owned()).collect::<Vec<_>>();
        let links =
            page.all(".strip a").iter().map(|cell| cell.attribute("href").unwrap().to_owned()).collect::<Vec<_>>();
        (cells[28..30].to_vec(), links[29].clone())
    };
    let (days, link) = labels(&visitor);
    assert_eq!(days, ["15 Jan 2026: 1 delivered, 0 failed", "16 Jan 2026: 1 delivered, 0 failed"]);
    assert!(link.contains("finished_from=2026-01-15T23%3A00%3A00Z&finished_to=2026-01-16T23%3A00%3A00Z"), "{link}");
    assert_eq!(visitor.page(&link).rows().len(), 1, "the cell opens its delivery");
    visitor.set_cookie(&world.cookie(), "UTC");
    let (days, _) = labels(&visitor);
    assert_eq!(days, ["14 Jan 2026: no deliveries finished", "15 Jan 2026: 2 delivered, 0 failed"]);
    // After ten days, rows have a whole day of UTC: both are in the day that has most of it.
    hub.advance(10 * DAY);
    hub.prune_until_idle();
    visitor.sign_in("anna", PASSWORD).expect(303);
    visitor.set_cookie(&world.cookie(), "Europe/Berlin");
    let page = visitor.page(&format!("/webhooks/{webhook}"));
    assert!(page.contains("Days more than a week ago count whole days of UTC."), "{page}");
}

mod browser {
    use super::World;
    use crate::support::browser::Browser;

    #[test]
    fn the_script_brings_the_browsers_zone_once_and_the_choice_of_utc_stays() {
        let world = World::new();
        world.hub.administrator();
        let Some(browser) = Browser::open(&world.hub) else {
            return;
        };
        browser.move_to("Asia/Kolkata");
        browser.sign_in("anna");
        let page = format!("/deliveries/{}", world.delivery);
        browser.go(&page);
        browser.wait_for_text("2026-01-15 15:30:00 IST");
        assert!(browser.text("footer").contains("(UTC+5:30)"), "{}", browser.text("footer"));
        // A zone that changes meanwhile: the next page is loaded once more, and then stays.
        browser.move_to("America/New_York");
        browser.go("/webhooks");
        browser.wait_for_text("America/New_York (UTC-5)");
        browser.script("window.sameDocument = true");
        browser.go(&page);
        browser.wait_for_text("2026-01-15 05:00:00 EST");
        browser.go("/deliveries");
        let relative = "return document.querySelector('td time').title";
        assert!(browser.script(relative).as_str().unwrap().contains(" EST"), "the full time on hover");
        let relative = "return document.querySelector('td time').textContent";
        assert!(!browser.script(relative).as_str().unwrap().contains("EST"));
        browser.click_text("Show UTC");
        browser.wait_for_text("Times are in UTC.");
        browser.go(&page);
        browser.wait_for_text("2026-01-15 10:00:00 UTC");
        browser.click_text("Show America/New_York");
        browser.wait_for_text("2026-01-15 05:00:00 EST");
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn pages_show_and_filter_by_times_of_the_last_day_of_9999() {
    let hub = Hub::with(|options| options.time_zone = "Pacific/Honolulu".parse().unwrap());
    let last = "9999-12-31T23:59:59.999Z";
    hub.post("/v1/events", &json!({"id": "last", "type": "a.b", "data": {}, "created_at": last})).expect(202);
    let visitor = hub.administrator();
    // Honolulu is ten hours behind UTC.
    let page = visitor.page("/events/last?tenant=default");
    assert!(page.contains("9999-12-31 13:59:59 HST"), "{page}");
    for (path, from, to) in
        [("/deliveries", "from", "to"), ("/events", "since", "until"), ("/settings/audit", "since", "until")]
    {
        let typed = format!("{path}?{from}=9999-12-31T01:00&{to}=9999-12-31T13:30:00");
        let answer = visitor.get(&typed);
        let exact = format!("{path}?{from}=9999-12-31T11%3A00%3A00Z&{to}=9999-12-31T23%3A30%3A00Z");
        assert_eq!((answer.status, answer.header("location")), (303, Some(exact.as_str())), "{path}");
        let page = visitor.page(&exact);
        let shown = [page.field(from), page.field(to)].map(Option::unwrap);
        assert_eq!(shown, ["9999-12-31T01:00:00", "9999-12-31T13:30:00"], "{path}");
        assert!(!page.contains("Enter a time"), "{page}");
    }
    // What the browser's field can hold, and no calendar has in UTC.
    assert!(visitor.page("/deliveries?to=9999-12-31T23:59").contains("Enter a time such as 2026-01-15T10:00"));
    visitor.page("/settings/keys");
    let key = [("name", "for ever"), ("scope", "read"), ("expires_at", "9999-12-31T13:59")];
    visitor.submit("/settings/keys", &key).expect(303);
    assert!(visitor.page("/settings/keys").contains("9999-12-31 13:59:00 HST"));
    let replay = format!("/webhooks/{}/replay", hub.add_webhook("http://127.0.0.1:9/"));
    visitor.page(&replay);
    let fields = [("since", "2026-01-15T00:00"), ("until", "9999-12-31T13:59")];
    let asked = visitor.submit(&replay, &fields).expect(200).page();
    assert_eq!(asked.field("until").as_deref(), Some("9999-12-31T23:59:00Z"), "{asked}");
}
