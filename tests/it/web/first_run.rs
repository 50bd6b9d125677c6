//! From the printed setup link to a verified delivery.

use std::process::Command;
use std::time::Duration;

use hookpost::store::user::Role;

use crate::support::Hub;
use crate::support::receiver::{Behaviour, Canary, Receiver, Reply};
use crate::support::visitor::{PASSWORD, Visitor};

/// Starts a server whose webhooks may target the public internet only.
fn strict() -> Hub {
    Hub::with(|options| options.allow_targets = Vec::new())
}

/// Follows the printed link to the page of the first webhook.
fn set_up<'a>(hub: &'a Hub) -> Visitor<'a> {
    let link = hub.running.setup_link().unwrap().unwrap();
    let path = link.strip_prefix(&hub.at("")).unwrap().to_owned();
    let visitor = hub.visitor();
    visitor.page(&path);
    let token = path.split('=').nth(1).unwrap();
    let fields = [("token", token), ("name", "anna"), ("password", PASSWORD)];
    let page = visitor.submit_and_follow("/setup", &fields);
    assert!(page.contains("Your first webhook"), "{page}");
    visitor
}

#[test]
fn from_the_printed_link_to_a_verified_delivery() {
    let hub = strict();
    let canary = Canary::start();
    let visitor = set_up(&hub);
    let page = visitor.page("/setup/webhook");
    assert_eq!(page.field("target").as_deref(), Some("inbox"), "{page}");
    // All fields as preset by the page.
    let fields = [("target", "inbox"), ("url", ""), ("events", "*"), ("profile", "generic")];
    let page = visitor.submit_and_follow("/setup/webhook", &fields);
    assert!(page.contains("Delivered. The signature is valid."), "{page}");
    assert!(page.contains("X-Webhook-Signature and webhook-signature match"));
    assert!(!page.has("#first-delivery[data-live]"));
    assert!(page.contains("Waiting for your first event"), "{page}");
    // Next step: a key, shown once, that can publish as the page describes.
    let delivery = page.field("delivery").unwrap();
    let page = visitor.submit_and_follow("/setup/key", &[("delivery", &delivery)]);
    let key = &page.get("#key").text();
    assert!(page.contains(&format!("{}/v1/events", hub.at(""))));
    assert_eq!(
        page.all("details figure pre[id]").iter().filter(|code| code.contains("/v1/events")).count(),
        7,
        "{page}"
    );
    let body = r#"{"type": "content.published", "data": {"id": 1}}"#;
    hub.call_with(key, "POST", "/v1/events", Some(body)).expect(202);
    // The code of the languages that are installed here. The second run sends the same event again.
    for (program, interpreter, flag, id) in
        [("curl", "sh", "-c", "curl"), ("node", "node", "-e", "node"), ("python3", "python3", "-c", "python")]
    {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: {program} is not installed");
            continue;
        }
        let code = page.get(&format!("#publish-{id}")).text().replace("content-1", id);
        for is_duplicate in [false, true] {
            let ran = Command::new(interpreter).args([flag, &code]).env("HOOKPOST_KEY", key).output().unwrap();
            let output = String::from_utf8_lossy(&ran.stdout).to_lowercase();
            let says =
                output.split("duplicate").nth(1).is_some_and(|rest| rest[..8].contains(&is_duplicate.to_string()[..4]));
            assert!(ran.status.success() && says, "{program}: {ran:?}");
        }
    }
    hub.call_with(key, "GET", "/v1/webhooks", None).expect(403);
    hub.deliver_until_idle();
    let inbox = visitor.page("/inbox");
    assert!(inbox.statuses().len() >= 2 && inbox.statuses().iter().all(|status| *status == "verified"), "{inbox}");
    let again = visitor.page(&format!("/setup/done?delivery={delivery}"));
    assert!(!again.holds(key));
    assert!(
        again.contains("Your event arrived: content.published") && !again.has("#first-event[data-live]"),
        "{again}"
    );
    assert_eq!(canary.connections(), 0);
}

#[test]
fn the_tick_is_the_inboxs_own_and_not_assumed() {
    let hub = strict();
    let visitor = set_up(&hub);
    let fields = [("target", "inbox"), ("events", "*"), ("profile", "standard")];
    let sent = visitor.submit("/setup/webhook", &fields).expect(303);
    let path = sent.header("location").unwrap().to_owned();
    assert!(visitor.page(&path).contains("The signature is valid"));
    // Without the request in the inbox, the page does not claim a valid signature.
    visitor.submit("/inbox/empty", &[("confirmed", "yes")]).expect(303);
    let page = visitor.page(&path);
    assert!(!page.holds("signature is valid") && page.contains("Delivered."), "{page}");
}

#[test]
fn an_endpoint_with_a_challenge_is_verified_on_the_way() {
    let hub = strict();
    let visitor = set_up(&hub);
    let fields = [("target", "inbox"), ("events", "a.b, c.*"), ("profile", "influship")];
    let page = visitor.submit_and_follow("/setup/webhook", &fields);
    assert!(page.contains("The signature is valid"), "{page}");
    assert!(!page.holds("The webhook is not active"));
}

#[test]
fn a_url_that_is_typed_while_the_inbox_is_chosen_is_not_ignored() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let visitor = set_up(&hub);
    let url = receiver.url();
    let page = visitor.submit_changed("/setup/webhook", &[("url", &url)]).expect(422).page();
    assert!(page.problem("url").unwrap().contains("My own URL"), "{page}");
    assert_eq!(page.field("url").as_deref(), Some(url.as_str()));
    assert_eq!(hub.get("/v1/webhooks").json()["data"], serde_json::json!([]));
    visitor.submit_changed("/setup/webhook", &[("url", &url), ("target", "own")]).expect(303);
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn what_is_wrong_is_said_in_words_and_can_be_tried_again() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let visitor = set_up(&hub);
    for (url, events, part) in [
        ("", "*", "The URL is empty"),
        ("ftp://x", "*", "must begin with https://"),
        ("http://10.0.0.1/", "*", "--allow-target"),
        ("https://example.com", "", "event"),
        ("https://example.com", "<script>alert(1)</script>", "event"),
    ] {
        let fields = [("target", "own"), ("url", url), ("events", events)];
        let page = visitor.submit("/setup/webhook", &fields).expect(422).page();
        assert!(page.contains(part), "{part} in {page}");
        assert!(!page.source().contains("<script>alert"));
        assert_eq!(page.field("target").as_deref(), Some("own"));
    }
    let url = receiver.url();
    let fields = [("target", "own"), ("url", url.as_str()), ("events", "*")];
    let page = visitor.submit_and_follow("/setup/webhook", &fields);
    assert!(page.contains("Not delivered.") && page.contains("500"), "{page}");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let webhook = page.field("webhook").unwrap();
    let page = visitor.submit_and_follow("/setup/test", &[("webhook", &webhook)]);
    assert!(page.contains("Delivered.") && page.contains("responded with 200"), "{page}");
}

#[test]
fn sixteen_tests_to_the_inbox_at_once_do_not_wait_for_each_other() {
    let hub = strict();
    let visitor = set_up(&hub);
    let fields = [("target", "inbox"), ("events", "*")];
    let page = visitor.submit_and_follow("/setup/webhook", &fields);
    let webhook = page.webhook();
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let path = format!("/v1/webhooks/{webhook}/test");
                let sent = hub.call_with(&hub.key, "POST", &path, None).expect(200);
                assert_eq!(sent.json()["status"], "delivered");
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn the_first_run_is_for_administrators() {
    let hub = strict();
    let viewer = hub.viewer();
    assert_eq!(viewer.get("/setup/webhook").status, 403);
    viewer.get("/webhooks");
    viewer.submit("/setup/webhook", &[("target", "inbox")]).expect(403);
    viewer.submit("/setup/key", &[]).expect(403);
    assert_eq!(hub.visitor().get("/setup/webhook").status, 303);
    hub.add_user("otto", Role::Administrator);
    let other = hub.visitor();
    other.sign_in("otto", PASSWORD).expect(303);
    assert_eq!(other.get("/setup/done?delivery=dlv_x").status, 404);
    other.get("/setup/webhook").expect(200);
    other.submit("/setup/key", &[("delivery", "x")]).expect(404);
    assert_eq!(hub.get("/v1/api-keys").json()["data"].as_array().unwrap().len(), 1);
}
