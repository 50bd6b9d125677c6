//! The portal in a tenant's words: its profiles, its refusals, and a user who opens it as the tenant.

use serde_json::json;

use hookpost::domain::time::{HOUR, MINUTE};

use crate::support::receiver::Receiver;
use crate::support::visitor::{PASSWORD, Visitor};
use crate::support::{Hub, Page};

/// Profiles that the form of a new webhook offers.
fn offered(visitor: &Visitor<'_>) -> Vec<String> {
    offered_at(visitor, "/webhooks/new")
}

fn offered_at(visitor: &Visitor<'_>, path: &str) -> Vec<String> {
    let page = visitor.page(path);
    let options = page.all("select#profile option").into_iter();
    options.map(|option| option.attribute("value").unwrap_or_default().to_owned()).collect()
}

fn put_profile(hub: &Hub, name: &str) {
    let path = format!("/v1/profiles/{name}");
    hub.call_with(&hub.key, "PUT", &path, Some(r#"{"based_on": "generic"}"#)).expect(201);
}

#[test]
fn people_of_a_tenant_choose_the_profiles_that_the_operator_allows_and_those_they_have() {
    let mut hub = Hub::start();
    put_profile(&hub, "for-globex");
    put_profile(&hub, "ours");
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "globex", "profile": "for-globex"}));
    let portal = hub.portal("acme");
    assert_eq!(offered(&portal), ["standard"]);
    assert!(!portal.page("/webhooks/new").holds("globex"));
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "profile": "stripe"}));
    assert_eq!(offered(&portal), ["standard", "stripe"]);
    assert_eq!(portal.page("/webhooks/new").field("profile").as_deref(), Some("standard"));
    let (new, edit) = ("/webhooks/new".to_owned(), format!("/webhooks/{webhook}/edit"));
    for (path, preview) in [(&new, ""), (&edit, ""), (&new, "template"), (&edit, "schedule")] {
        let mut fields = vec![("url", "http://127.0.0.1:9/"), ("event", "*"), ("profile", "for-globex")];
        if !preview.is_empty() {
            fields.push(("preview", preview));
        }
        portal.page(path);
        let page = portal.submit(path, &fields).page();
        assert!(!page.holds("ours") && !page.holds("X-Webhook-Signature"), "{page}");
        let said = page.problem("profile").unwrap_or_default();
        assert!(!preview.is_empty() || said.contains("There is no profile"), "{page}");
    }
    assert_eq!(hub.webhook(&webhook)["profile"], "stripe");
    portal.submit_changed(&edit, &[("profile", "standard")]).expect(303);
    // A webhook that has another one keeps it.
    let generic = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "profile": "generic"}));
    portal.submit_changed(&format!("/webhooks/{generic}/edit"), &[("description", "Shop")]).expect(303);

    // Contacts too have the allowed profiles, and the one that the operator gave them.
    let webhook = json!({"url": "http://127.0.0.1:9/", "profile": "slack"});
    let made = hub.post("/v1/contacts", &json!({"name": "On call", "tenant": "acme", "webhook": webhook})).expect(201);
    let path = format!("/contacts/{}", made.json()["id"].as_str().unwrap());
    assert!(offered_at(&portal, &path).contains(&"slack".to_owned()));
    assert!(!offered_at(&portal, "/contacts/new").contains(&"slack".to_owned()));
    let save = |profile: &str| {
        let fields = [("name", "Shop"), ("url", "http://127.0.0.1:9/"), ("profile", profile), ("topic", "opened")];
        portal.submit(&path, &fields)
    };
    save("slack").expect(303);
    let refused = save("for-globex").expect(422).page();
    assert!(refused.problem("profile").unwrap_or_default().contains("There is no profile"), "{refused}");
    save("standard").expect(303);
    let new = [("name", "B"), ("channel", "webhook"), ("url", "http://127.0.0.1:9/"), ("profile", "for-globex")];
    portal.page("/contacts/new");
    portal.submit("/contacts/new", &new).expect(422);

    hub.restart_with(|options| options.portal_profiles = vec!["ours".to_owned(), "github".to_owned()]);
    assert_eq!(offered(&hub.portal("initech")), ["github", "ours"]);
    assert!(offered(&hub.administrator()).len() > 10);
}

/// Texts that are no tenant's business: settings, pages of the operator, another tenant.
const NOT_THEIRS: [&str; 7] = ["--", "HOOKPOST_", "Settings, ", "operator", "setting", "globex", "Administrators"];

#[track_caller]
fn assert_theirs(page: &Page, what: &str) {
    // Options of curl, in the command that repeats a request.
    let options = ["--request", "--globoff", "--header", "--data-binary", "--data-raw", "--data", "--include"];
    let text = options.iter().fold(page.text().to_owned(), |text, option| text.replace(option, ""));
    let found = NOT_THEIRS.iter().find(|word| text.contains(**word));
    assert!(found.is_none(), "{what}: {found:?} in {text}");
}

#[test]
fn no_refusal_in_the_portal_names_a_setting_or_another_tenant() {
    let mut hub = Hub::with(|options| {
        options.tenant_limits.webhooks = 2;
        options.tenant_limits.queued = 1;
    });
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "globex"}));
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let at = |tail: &str| format!("/webhooks/{webhook}/{tail}");
    let body = json!({"tenant": "acme", "type": "a.b", "data": {}, "id": "first"});
    hub.post("/v1/events", &body).expect(202);
    let portal = hub.portal("acme");
    let new = [("event", "*"), ("profile", "standard")];
    for (what, changes) in [
        ("loopback", vec![("url", "https://10.1.2.3/")]),
        ("documentation", vec![("url", "https://192.0.2.1/")]),
        ("metadata", vec![("url", "https://169.254.169.254/")]),
        ("plain HTTP", vec![("url", "http://8.8.8.8/")]),
        ("scheme", vec![("url", "ftp://example.com/")]),
        ("token URL", vec![("url", "http://127.0.0.1:9/"), ("auth", "oauth2"), ("auth_token_url", "http://10.1.2.3/")]),
        ("profile", vec![("url", "http://127.0.0.1:9/"), ("profile", "none")]),
        ("certificate", vec![("url", "http://127.0.0.1:9/"), ("tls_ca", "x")]),
        ("header", vec![("url", "http://127.0.0.1:9/"), ("headers", "Host: a")]),
    ] {
        portal.page("/webhooks/new");
        let kept = new.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name)).copied();
        let fields: Vec<_> = kept.chain(changes.iter().copied()).collect();
        let answer = portal.submit("/webhooks/new", &fields);
        assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
        assert_theirs(&answer.page(), what);
    }
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "active": false}));
    portal.page("/webhooks/new");
    let fields = [new[0], new[1], ("url", "http://127.0.0.1:9/")];
    let page = portal.submit("/webhooks/new", &fields).expect(422).page();
    assert!(page.contains("2 webhooks"), "{page}");
    assert_theirs(&page, "too many webhooks");
    // The queue has its one delivery.
    portal.page("/events/first");
    let full = portal.submit("/events/first/replay", &[("webhook", &webhook)]).expect(429).page();
    assert!(full.contains("The queue is full"), "{full}");
    assert_theirs(&full, "full queue");
    for path in
        [&at("edit"), &at("settings"), "/deliveries/dlv_00000000000000000000000000", "/settings/keys", "/profiles"]
    {
        let answer = portal.get(path);
        assert_theirs(&answer.page(), path);
    }
    hub.deliver_until_idle();

    // A target that is not allowed any more, wherever it is told.
    hub.restart_with(|options| options.allow_targets = Vec::new());
    let portal = hub.portal("acme");
    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    let delivery = hub.get("/v1/deliveries?tenant=acme&limit=1").json()["data"][0]["id"].as_str().unwrap().to_owned();
    let page = portal.page(&format!("/deliveries/{delivery}"));
    assert!(page.contains("loopback"), "{page}");
    portal.page(&at("test"));
    let tested = portal.submit(&at("test"), &[("event_type", "a.b"), ("data", "{}")]).expect(303);
    assert_theirs(&portal.follow(&tested).page(), "test");
    hub.advance(20 * HOUR);
    hub.deliver_until_idle();
    let portal = hub.portal("acme");
    for path in [
        "/",
        "/webhooks",
        "/deliveries",
        "/failed",
        "/incidents",
        &at("metrics"),
        &format!("/deliveries/{delivery}"),
        &at("secret"),
    ] {
        assert_theirs(&portal.page(path), path);
    }
    let (_, _, dead) = portal.download("/failed/export");
    assert!(!String::from_utf8_lossy(&dead).contains("--allow-target"));
    let incident = portal
        .page("/incidents")
        .links()
        .iter()
        .find(|link| link.contains("/incidents/inc_"))
        .map(|link| (*link).to_owned());
    if let Some(link) = incident {
        assert_theirs(&portal.page(link.trim_start_matches("/portal")), "incident");
    }
    // The operator is told the entry, in the API as well.
    let shown = hub.delivery(&delivery);
    assert!(shown.to_string().contains("--allow-target 127.0.0.1"), "{shown}");
}

#[test]
fn a_user_opens_the_portal_as_a_tenant_beside_the_own_session() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme"}));
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "globex", "description": "Theirs"}));
    let otto = hub.operator();
    let page = otto.page(&format!("/webhooks/{webhook}"));
    assert!(page.has_button("Open portal as acme"), "{page}");
    let fields = [("tenant", "acme"), ("webhook", webhook.as_str())];
    let opened = otto.submit("/settings/portal/open", &fields).expect(303);
    let path = format!("/portal/webhooks/{webhook}");
    assert_eq!(opened.header("location"), Some(path.as_str()));
    let page = otto.page(&path);
    assert!(!page.holds("globex") && !page.holds("/settings/portal"), "{page}");
    assert!(!otto.page("/portal/webhooks").contains("Theirs"));
    otto.get("/portal/settings/keys").expect(404);
    // The own session goes on.
    assert!(otto.page("/webhooks").contains("Theirs"));
    let form = otto.page(&format!("/portal/webhooks/{webhook}/edit")).form(&format!("{path}/edit")).unwrap().fields();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    otto.submit(&format!("{path}/edit"), &form).expect(303);
    let audit = hub.administrator().page("/settings/audit");
    assert!(
        audit.contains("opened the portal as the tenant") && audit.contains("portal of acme, opened by otto"),
        "{audit}"
    );
    // The filter of a tenant offers it too.
    assert!(otto.page("/settings/portal?tenant=acme").has_button("Open portal as acme"));
    // Viewers cannot, and the password is asked for again.
    let vera = hub.viewer();
    assert!(!vera.page(&format!("/webhooks/{webhook}")).has_button("Open portal"));
    vera.submit("/settings/portal/open", &fields).expect(403);
    hub.advance(HOUR + MINUTE);
    assert_eq!(otto.get(&path).status, 303, "the portal session has ended");
    otto.page(&format!("/webhooks/{webhook}"));
    assert!(otto.submit("/settings/portal/open", &fields).expect(200).page().contains("Confirm your password"));
    let confirmed = [fields[0], fields[1], ("own_password", PASSWORD)];
    otto.submit("/settings/portal/open", &confirmed).expect(303);
    assert_eq!(otto.get(&path).status, 200);
    // Who may change nothing any more, may not in the portal either.
    let anna = hub.visitor();
    anna.sign_in("anna", PASSWORD).expect(303);
    let users = anna.page("/settings/users");
    let user = users.links().into_iter().find(|link| users.link("otto") == Some(link)).unwrap().to_owned();
    anna.submit(&format!("{user}/role"), &[("role", "viewer")]).expect(303);
    assert_eq!(otto.get(&path).status, 303);
}
