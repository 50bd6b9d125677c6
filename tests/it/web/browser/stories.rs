//! The stories of the person on call, from the alarm to the fix.

use std::time::Duration;

use hookpost::domain::time::{DAY, HOUR, SECOND};
use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::browser::Browser;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::smtp::MailServer;
use crate::support::visitor::PASSWORD;

const ENTER: &str = "\u{e007}";

#[test]
fn failing_since_yesterday_goes_from_the_link_of_an_e_mail_to_the_fix_without_another_page() {
    let mail = MailServer::start();
    let hub = Hub::with(|options| options.mail = Some(mail.options("", "?tls=none")));
    hub.add_user("anna", Role::Administrator);
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    hub.post("/v1/contacts", &json!({"name": "On call", "email": "oncall@example.com"})).expect(201);
    let receiver = Receiver::answering(503);
    hub.add_webhook_with(receiver.url(), &json!({"description": "Shop", "retry": {"delays_s": []}}));
    for order in [1001, 1002] {
        hub.publish("order.paid", json!({"order": order}));
        hub.deliver_until_idle();
    }
    hub.tell();
    hub.advance(40 * SECOND);
    assert_eq!(hub.tell(), 1);
    let text = mail.wait_for(1).remove(0).text;
    let link = text.split_whitespace().find(|word| word.starts_with(&hub.at("/"))).unwrap().to_owned();
    hub.advance(DAY - HOUR);
    receiver.behave(Behaviour::Answer(Reply::status(200)));

    browser.go_to(&link);
    browser.wait_for("#password");
    browser.fill("#name", "anna");
    browser.fill("#password", PASSWORD);
    browser.click("main form button");
    browser.wait_for_text("Failing since");
    let path = link.strip_prefix(&hub.at("")).unwrap();
    let stays = || assert!(browser.path().starts_with(path), "{}", browser.path());
    stays();
    browser.wait_for_text("On call told by e-mail");
    browser.click_text("Send test event");
    browser.wait_for("#result");
    assert!(browser.text("#result").contains("Test delivered: 200"), "{}", browser.text("#result"));
    stays();
    browser.click_text("Resume");
    browser.wait_for_text("Resumed.");
    stays();
    hub.deliver_until_idle();
    // The queued event was sent. The first is a dead letter.
    browser.click_text("Retry 1");
    browser.wait_for_text("Queued for retry: 1 delivery.");
    stays();
    hub.deliver_until_idle();
    browser.wait_for_text("Deliveries succeed again.");
    assert_eq!(browser.complaints(), [""; 0]);
    assert_eq!(hub.get("/v1/dead-letters").expect(200).json()["data"], json!([]));
}

/// A failed delivery of order 1001 to an endpoint that is up again, and a browser on the overview.
fn order_1001(options: impl FnOnce(&mut hookpost::server::ServerOptions)) -> Option<(Hub, Receiver, Browser)> {
    let mut hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let receiver = Receiver::answering(500);
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    hub.add_webhook_with(receiver.url(), &json!({"description": "Shop", "retry": retry, "events": ["order.*"]}));
    hub.publish("order.paid", json!({"order_number": "ORD-1001"}));
    for number in 0..1_100 {
        hub.publish("noise.made", json!({"number": number}));
    }
    hub.deliver_until_idle();
    hub.restart_with(options);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let browser = Browser::open(&hub)?;
    browser.sign_in("anna");
    Some((hub, receiver, browser))
}

#[test]
fn order_1001_is_searched_from_any_page_and_sent_again_by_two_clicks() {
    let Some((hub, receiver, browser)) = order_1001(|_| {}) else {
        return;
    };
    browser.press("/");
    browser.press(&format!("ord-1001{ENTER}"));
    browser.wait_for("main mark");
    assert_eq!(browser.text("main mark"), "ORD-1001");
    browser.click_text("Failed Shop");
    browser.wait_for_text("500");
    browser.click_text("Retry");
    browser.wait_for_text("Queued for retry now.");
    hub.deliver_until_idle();
    // The page shows by itself that it arrived.
    browser.wait_for_text("Delivered");
    assert!(receiver.last().text().contains("ORD-1001"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_search_that_ran_out_of_time_goes_on_from_where_it_stopped() {
    let Some((_hub, _receiver, browser)) = order_1001(|options| options.search_time = Duration::ZERO) else {
        return;
    };
    browser.press("/");
    browser.press(&format!("ord-1001{ENTER}"));
    let mut steps = 0;
    browser.wait_for_text("Results for");
    while browser.script("return document.querySelector('main mark') === null") == true {
        steps += 1;
        browser.wait_for_text("Searched back to");
        let before = browser.path();
        browser.click_text("Search older ones");
        let left = format!("return location.pathname + location.search !== {before:?}");
        browser.wait_until(&left);
    }
    assert_eq!((browser.text("main mark").as_str(), steps), ("ORD-1001", 2));
    assert_eq!(browser.script("return document.querySelector('form.find input').value"), "ord-1001");
    assert_eq!(browser.complaints(), [""; 0]);
}
