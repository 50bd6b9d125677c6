//! Escaping, links below the server's path, and response times.

use serde_json::json;

use super::{ODD, assert_has};
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::{Hub, Page};

const PAGES: [&str; 9] = ["", "/settings", "/secret", "/metrics", "/edit", "/test", "/replay", "/delete", "/resume"];

#[test]
fn markup_that_people_and_receivers_wrote_is_escaped_everywhere() {
    let hub = Hub::start();
    let body = json!({"description": ODD, "example": {"text": ODD}}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/odd.type", Some(&body));
    let reply = Reply::status(500).header("X-Odd", "<script>alert(2)</script>").body(ODD);
    let receiver = Receiver::behaving(Behaviour::Answer(reply));
    let fields = json!({"description": ODD, "headers": {"X-Odd": "<script>alert(1)</script>"}});
    let webhook = hub.add_webhook_with(receiver.url_at("/%3Cscript%3E?a=<script>"), &fields);
    hub.publish("odd.type", json!({"text": ODD}));
    hub.deliver_until_idle();
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}");
    let mut pages: Vec<Page> = PAGES.iter().map(|tail| anna.page(&format!("{path}{tail}"))).collect();
    pages.push(anna.page("/webhooks"));
    pages.push(anna.page("/webhooks/new"));
    pages.push(anna.page(&format!("/webhooks/new?from={webhook}")));
    pages.push(anna.page("/webhooks?q=%3Cscript%3E&tenant=%3Cscript%3E&event="));
    let data = json!({"text": ODD}).to_string();
    let sent = [("event_type", "odd.type"), ("data", data.as_str())];
    pages.push(anna.submit_and_follow(&format!("{path}/test"), &sent));
    for page in &pages {
        assert!(!page.source().contains("<script>"), "{page}");
        assert!(!page.has("[style]") && !page.has("[onclick]"), "{page}");
    }
    assert_has(&pages[0], ODD);
    let last = pages.last().unwrap();
    assert_has(last, "<script>alert(2)");
    assert_has(last, "{{ 1234567*9 }}");
}

#[test]
fn every_link_stands_below_the_path_of_the_server() {
    let hub = Hub::with(|options| options.base_url = Some("http://127.0.0.1/hooks".parse().unwrap()));
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let anna = hub.administrator();
    for tail in PAGES {
        let page = anna.page(&format!("/webhooks/{webhook}{tail}"));
        let addresses = page.addresses();
        assert!(addresses.len() > 10, "{page}");
        for address in addresses.iter().filter(|address| address.starts_with('/')) {
            assert!(address.starts_with("/hooks/"), "{address}");
        }
    }
}
