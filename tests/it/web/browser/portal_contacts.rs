//! The pages of a tenant's contacts.

use serde_json::json;

use super::{axe, inspect};
use crate::support::Hub;
use crate::support::browser::Browser;
use crate::support::receiver::Receiver;
use crate::support::smtp::MailServer;

#[test]
fn the_contacts_of_a_tenant_are_whole_pages_in_every_state() {
    let mail = MailServer::start();
    let hub = Hub::with(|options| options.mail = Some(mail.options("", "?tls=none")));
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    let failing = Receiver::answering(500);
    let create = |contact: serde_json::Value| {
        let made = hub.post("/v1/contacts", &contact).expect(201).json();
        made["id"].as_str().unwrap().to_owned()
    };
    let webhook = json!({"url": failing.url(), "headers": {"X-Team": "on-call"}});
    let quiet = json!({"from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin"});
    let red = create(json!({"name": "Chat of the team", "tenant": "acme", "webhook": webhook, "quiet_hours": quiet}));
    let unconfirmed = create(json!({"name": "Zoe", "tenant": "acme", "email": "zoe@example.com"}));
    hub.post(&format!("/v1/contacts/{red}/test"), &json!({})).expect(200);
    browser.go(&hub.portal_path("acme"));
    browser.click_text("Open");
    browser.wait_for("nav");
    let axe = axe();
    let mut wrong = Vec::new();
    for tail in ["", "/new", &format!("/{red}"), &format!("/{unconfirmed}")] {
        wrong.extend(inspect(&browser, &format!("/portal/contacts{tail}"), axe.as_deref()));
    }
    browser.go("/portal/contacts");
    browser.wait_for_text("is not receiving messages about incidents");
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
}
