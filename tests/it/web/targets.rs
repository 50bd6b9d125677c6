//! Private targets that an administrator allows: in the setup, and on the page of settings.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;

use hookpost::domain::time::{HOUR, MINUTE};

use crate::support::Hub;
use crate::support::receiver::{Canary, Receiver};
use crate::support::visitor::PASSWORD;

/// Starts a server whose webhooks may target the public internet only, and which resolves every name to loopback.
fn strict() -> Hub {
    Hub::with(|options| {
        options.allow_targets = Vec::new();
        options.lookup = Arc::new(|_: &str| -> io::Result<Vec<IpAddr>> { Ok(vec!["127.0.0.1".parse().unwrap()]) });
    })
}

#[test]
fn a_local_target_is_allowed_in_the_form_of_the_setup() {
    let hub = strict();
    let receiver = Receiver::answering(200);
    let other = Canary::start();
    let anna = hub.administrator();
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let entry = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let own = [("target", "own"), ("url", url.as_str())];
    let page = anna.submit_changed("/setup/webhook", &own).expect(422).page();
    assert!(page.problem("url").unwrap().contains("Settings, Targets"), "{page}");
    assert!(page.offers("allow", &entry), "{page}");
    assert_eq!(receiver.hits(), 0);
    // Something else is wrong too: nothing is allowed yet.
    let allow = ("allow", entry.as_str());
    anna.submit("/setup/webhook", &[own[0], own[1], allow, ("events", "a b*"), ("profile", "generic")]).expect(422);
    assert!(!anna.page("/settings/targets").contains(&entry));
    anna.submit("/setup/webhook", &[own[0], own[1], allow, ("events", "*"), ("profile", "generic")]).expect(303);
    assert_eq!(receiver.hits(), 1);
    assert!(anna.page("/settings/targets").contains(&entry));
    let audit = anna.page("/settings/audit");
    assert!(audit.contains("allowed the target") && audit.contains(&entry), "{audit}");
    // This port of this host alone, and no other entry than the one that the form offered.
    let beside = format!("http://localhost:{}/", other.port());
    let forged =
        [("target", "own"), ("url", beside.as_str()), ("allow", "0.0.0.0/0"), ("events", "*"), ("profile", "generic")];
    anna.submit("/setup/webhook", &forged).expect(422);
    assert_eq!(other.connections(), 0);
    assert!(!anna.page("/settings/targets").contains("0.0.0.0/0"));
    // Others who set up webhooks cannot allow anything.
    let otto = hub.operator();
    let page = otto.submit_changed("/setup/webhook", &[("target", "own"), ("url", &beside)]).expect(422).page();
    assert!(!page.has_field("allow"), "{page}");
    let entry = format!("localhost:{}", other.port());
    let forged =
        [("target", "own"), ("url", beside.as_str()), ("allow", &entry), ("events", "*"), ("profile", "generic")];
    otto.submit("/setup/webhook", &forged).expect(403);
}

#[test]
fn what_is_removed_is_blocked_at_the_next_connection_and_what_is_allowed_is_delivered() {
    let mut hub = strict();
    let receiver = Receiver::answering(200);
    let entry = receiver.url().trim_start_matches("http://").split('/').next().unwrap().to_owned();
    {
        let anna = hub.administrator();
        anna.page("/settings/targets");
        let page = anna.submit_and_follow("/settings/targets", &[("target", &receiver.url())]);
        assert!(page.has_flash("is allowed for all webhooks") && page.contains(&entry), "{page}");
        let said = anna.submit("/settings/targets", &[("target", &entry)]).expect(422).page().problem("target");
        assert!(said.unwrap().contains("allowed already"));
    }
    let webhook = hub.add_webhook(receiver.url());
    let first = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!((receiver.hits(), hub.status_of(&first).as_str()), (1, "delivered"));
    // It is kept over a restart.
    hub.restart();
    let second = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!((receiver.hits(), hub.status_of(&second).as_str()), (2, "delivered"));

    let anna = hub.visitor();
    anna.sign_in("anna", PASSWORD).expect(303);
    anna.page("/settings/targets");
    anna.submit("/settings/targets/remove", &[("target", &entry)]).expect(303);
    let third = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    // The connection is kept open, and not used.
    assert_eq!((receiver.hits(), hub.status_of(&third).as_str()), (2, "retrying"));
    assert_eq!(hub.delivery(&third)["last_attempt"]["error_code"], "target_blocked");
    anna.submit("/settings/targets", &[("target", &entry)]).expect(303);
    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    assert_eq!((receiver.hits(), hub.status_of(&third).as_str()), (3, "delivered"));
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn what_is_always_forbidden_cannot_be_allowed_on_a_page() {
    let hub = strict();
    let anna = hub.administrator();
    for (target, words) in [
        ("0.0.0.0", "cannot be allowed"),
        ("169.254.0.0/16", "cannot be allowed"),
        ("169.254.169.254", "metadata"),
        ("http://169.254.169.254/latest", "metadata"),
        ("[fd00:ec2::254]:80", "metadata"),
        ("a b", "not a valid target"),
        ("", "names no host"),
    ] {
        anna.page("/settings/targets");
        let page = anna.submit("/settings/targets", &[("target", target)]).expect(422).page();
        let said = page.problem("target").unwrap_or_else(|| panic!("{target}: {page}"));
        assert!(said.contains(words), "{target}: {said}");
        assert!(!said.contains("--allow-target") || words == "metadata", "{said}");
    }
    // A network that holds them does not open them.
    anna.page("/settings/targets");
    anna.submit("/settings/targets", &[("target", "0.0.0.0/0")]).expect(303);
    for url in ["http://169.254.169.254/", "http://0.0.0.0/"] {
        let body = json!({"url": url, "events": ["*"]});
        assert_eq!(hub.post("/v1/webhooks", &body).expect(422).error_code(), "target_blocked");
    }
}

#[test]
fn only_an_administrator_who_types_the_password_allows_a_target() {
    let hub = strict();
    let anna = hub.administrator();
    let page = hub.viewer().page("/settings/targets");
    assert!(page.form("/settings/targets").is_none(), "{page}");
    hub.advance(HOUR);
    anna.page("/settings/targets");
    let asked = anna.submit("/settings/targets", &[("target", "localhost:3999")]).expect(200).page();
    assert!(asked.contains("Confirm your password"), "{asked}");
    assert!(!anna.page("/settings/targets").contains("localhost:3999"));
    let fields = [("target", "localhost:3999"), ("own_password", PASSWORD)];
    anna.submit("/settings/targets", &fields).expect(303);
    assert!(anna.page("/settings/targets").contains("localhost:3999"));
    // No call of the API allows a target.
    let specification = hub.send("GET", "/openapi.json", &[], b"").expect(200).json();
    let paths = specification["paths"].as_object().unwrap().keys();
    assert!(paths.into_iter().all(|path| !path.contains("target")));
}
