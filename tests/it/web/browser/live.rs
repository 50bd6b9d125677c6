//! Lists that refresh themselves, and the reader who is in the middle of one.

use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::browser::Browser;
use crate::support::receiver::Receiver;

/// A browser on a list of forty deliveries.
fn reader(hub: &Hub) -> Option<Browser> {
    hub.add_user("anna", Role::Administrator);
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    for _ in 0..40 {
        hub.publish("order.old", json!({}));
    }
    hub.deliver_until_idle();
    let browser = Browser::open(hub)?;
    browser.resize(1280, 600);
    browser.sign_in("anna");
    browser.go("/deliveries");
    browser.wait_for("#deliveries tbody tr");
    Some(browser)
}

fn arrive(hub: &Hub, count: usize) {
    for _ in 0..count {
        hub.publish("order.new", json!({}));
    }
    hub.deliver_until_idle();
}

fn has_new(browser: &Browser) -> bool {
    browser.text("#deliveries").contains("order.new")
}

#[test]
fn a_list_holds_still_while_somebody_is_in_it_and_says_what_is_new() {
    let hub = Hub::start();
    let Some(browser) = reader(&hub) else {
        return;
    };
    // The pointer is in the list.
    browser.point_at("#deliveries tbody tr:nth-child(3) th");
    arrive(&hub, 3);
    browser.wait_for_text("Show 3 new");
    assert!(!has_new(&browser));
    browser.click("[data-show]");
    browser.wait_for_text("order.new");
    assert_eq!(browser.script("return document.querySelector('[data-show]').hidden"), true);

    // The focus is in the list, and boxes are ticked, which stay so.
    browser.go("/deliveries?type=order.new");
    browser.point_at("h1");
    let ticks = "document.querySelectorAll('#deliveries tbody .tick input').forEach((box) => box.click());";
    browser.script(ticks);
    arrive(&hub, 2);
    browser.wait_for_text("Show 2 new");
    let rows = "return document.querySelectorAll('#deliveries tbody tr').length";
    assert_eq!(browser.script(rows), 3);
    browser.click("[data-show]");
    browser.wait_for("#deliveries tbody tr:nth-child(5)");
    assert_eq!(browser.script("return document.querySelectorAll('#deliveries tbody :checked').length"), 3);
    assert_eq!(browser.text(".bulk [data-count]"), "3");

    // The reader has scrolled into the list.
    browser.go("/deliveries?type=order.old");
    browser.point_at("h1");
    browser.script("scrollTo(0, 700)");
    let first = browser.text("#deliveries tbody tr");
    hub.publish("order.old", json!({}));
    hub.deliver_until_idle();
    browser.wait_for_text("Show 1 new");
    assert_eq!(browser.text("#deliveries tbody tr"), first);
    let in_sight = "const box = document.querySelector('[data-show]').getBoundingClientRect();
                    return box.top >= 0 && box.bottom <= innerHeight";
    assert_eq!(browser.script(in_sight), true, "the button is in sight");

    // Nobody is in the list: it shows what came.
    browser.go("/deliveries");
    browser.point_at("h1");
    hub.publish("order.latest", json!({}));
    hub.deliver_until_idle();
    browser.wait_for_text("order.latest");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn updates_pause_and_a_page_that_is_not_updated_says_so_in_sight() {
    let mut hub = Hub::start();
    let Some(browser) = reader(&hub) else {
        return;
    };
    browser.point_at("h1");
    let in_sight = "const note = document.querySelector('[data-live-note]');
                    const box = note.getBoundingClientRect();
                    return !note.hidden && box.top >= 0 && box.bottom <= innerHeight && box.height > 0";
    browser.script("document.querySelector('[data-pause]').click(); scrollTo(0, 0);");
    browser.wait_for_text("Not updating. Updates are paused.");
    assert_eq!(browser.script(in_sight), true);
    arrive(&hub, 1);
    // Whatever asks for a refresh gets none.
    let asks = "let asked = 0;
                const working = window.fetch;
                window.fetch = (...request) => (asked += 1, working(...request));
                document.dispatchEvent(new Event('visibilitychange'));
                window.fetch = working;
                return asked;";
    assert_eq!(browser.script(asks), 0);
    assert!(!has_new(&browser));
    browser.script("document.querySelector('[data-pause]').click();");
    browser.wait_for_text("order.new");
    assert_eq!(browser.script("return document.querySelector('[data-live-note]').hidden"), true);

    // A server that accepts the request and never responds.
    browser.script(
        "window.working = window.fetch;
         window.fetch = (url, {signal}) => new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)));",
    );
    browser.wait_for_text("Not updating. Retrying every");
    assert_eq!(browser.script(in_sight), true);
    browser.script("window.fetch = window.working; document.dispatchEvent(new Event('visibilitychange'));");
    browser.wait_for("[data-live-note][hidden]");
    // A server that is gone.
    hub.stop();
    browser.wait_for_text("Not updating. Retrying every");
}
