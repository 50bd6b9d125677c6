//! Permissions: every route of the pages, by each role, in the portal, and with a password typed long ago.

use std::collections::BTreeSet;

use hookpost::auth::role::{Action, may, needs_password};
use hookpost::domain::time::MINUTE;
use hookpost::store::user::Role;
use serde_json::json;
use strum::VariantArray as _;

use super::portal_isolation::routes;
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;
use crate::support::visitor::{PASSWORD, Visitor};

/// Purpose of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whoever may do this, in the portal too.
    All(Action),
    /// Users who may do this. In the portal, the page does not exist.
    Users(Action),
    /// Everybody, about themselves: the sign-in, links, the own account.
    Oneself,
    /// Nobody: there is no such method.
    Nobody,
}
use For::{All, Nobody, Oneself, Users};

/// Every route with its GET and its POST.
#[rustfmt::skip]
const ROUTES: &[(&str, For, For)] = &[
    ("/", All(Action::Read), Nobody),
    ("/account", Oneself, Nobody),
    ("/account/display", Nobody, All(Action::Read)),
    ("/account/end-other-sessions", Nobody, Oneself),
    ("/account/password", Nobody, Oneself),
    ("/account/sessions/{id}/end", Nobody, Oneself),
    ("/account/two-factor", Oneself, Oneself),
    ("/account/two-factor/codes", Nobody, Oneself),
    ("/account/two-factor/off", Nobody, Oneself),
    ("/confirm-contact", Oneself, Oneself),
    ("/contacts", All(Action::Read), Nobody),
    ("/contacts/new", All(Action::Operate), All(Action::Operate)),
    ("/contacts/{id}", All(Action::Read), All(Action::Operate)),
    ("/contacts/{id}/confirmation", Nobody, All(Action::Operate)),
    ("/contacts/{id}/delete", Nobody, All(Action::Operate)),
    ("/contacts/{id}/test", Nobody, All(Action::Operate)),
    ("/deliveries", All(Action::Read), Nobody),
    ("/deliveries/discard", All(Action::Operate), All(Action::Operate)),
    ("/deliveries/retry", All(Action::Operate), All(Action::Operate)),
    ("/deliveries/{id}", All(Action::Read), Nobody),
    ("/deliveries/{id}/attempts/{number}/{half}", All(Action::Read), Nobody),
    ("/deliveries/{id}/discard", Nobody, All(Action::Operate)),
    ("/deliveries/{id}/retry", Nobody, All(Action::Operate)),
    ("/demo", Oneself, Oneself),
    ("/event-types", All(Action::Read), Nobody),
    ("/event-types/{name}", All(Action::Read), Nobody),
    ("/event-types/{name}/delete", Nobody, Users(Action::Operate)),
    ("/event-types/{name}/edit", Users(Action::Operate), Users(Action::Operate)),
    ("/events", All(Action::Read), Nobody),
    ("/events/new", Users(Action::Operate), Users(Action::Operate)),
    ("/events/{id}", All(Action::Read), Nobody),
    ("/events/{id}/erase", Nobody, All(Action::Operate)),
    ("/events/{id}/replay", Nobody, All(Action::Operate)),
    ("/events/{id}/{part}", All(Action::Read), Nobody),
    ("/failed", All(Action::Read), Nobody),
    ("/failed/export", All(Action::Read), Nobody),
    ("/inbox", All(Action::Read), All(Action::Operate)),
    ("/inbox/close", All(Action::Operate), All(Action::Operate)),
    ("/inbox/empty", All(Action::Operate), All(Action::Operate)),
    ("/inbox/url", All(Action::Operate), All(Action::Operate)),
    ("/inbox/{id}", All(Action::Read), Nobody),
    ("/incidents", All(Action::Read), Nobody),
    ("/incidents/{id}", All(Action::Read), Nobody),
    ("/incidents/{id}/mute", Nobody, All(Action::Operate)),
    ("/incidents/{id}/notes", Nobody, All(Action::Operate)),
    ("/incidents/{id}/test", Nobody, All(Action::Operate)),
    ("/login", Oneself, Oneself),
    ("/login/code", Oneself, Oneself),
    ("/logout", Nobody, Oneself),
    ("/new-event-type", Users(Action::Operate), Users(Action::Operate)),
    ("/portal", Oneself, Oneself),
    ("/portal/logo", Oneself, Nobody),
    ("/portal/look.css", Oneself, Nobody),
    ("/profiles", Users(Action::Read), Nobody),
    ("/profiles/new", Users(Action::Operate), Users(Action::Operate)),
    ("/profiles/{name}", Users(Action::Read), Nobody),
    ("/profiles/{name}/delete", Nobody, Users(Action::Operate)),
    ("/profiles/{name}/edit", Users(Action::Operate), Users(Action::Operate)),
    ("/search", All(Action::Read), Nobody),
    ("/settings", Users(Action::Read), Nobody),
    ("/settings/audit", Users(Action::Read), Nobody),
    ("/settings/data", Users(Action::Read), Nobody),
    ("/settings/data/backup", Nobody, Users(Action::Administer)),
    ("/settings/data/pause", Nobody, Users(Action::Administer)),
    ("/settings/data/resume", Nobody, Users(Action::Administer)),
    ("/settings/keys", Users(Action::Read), Users(Action::Administer)),
    ("/settings/keys/{id}/revoke", Nobody, Users(Action::Administer)),
    ("/settings/keys/{id}/rotate", Nobody, Users(Action::Administer)),
    ("/settings/portal", Users(Action::Read), Users(Action::Administer)),
    ("/settings/portal/open", Nobody, Users(Action::RevealSecret)),
    ("/settings/portal/{id}/end", Nobody, Users(Action::Administer)),
    ("/settings/targets", Users(Action::Read), Users(Action::Administer)),
    ("/settings/targets/remove", Nobody, Users(Action::Administer)),
    ("/settings/tenants", Users(Action::Read), Nobody),
    ("/settings/tenants/{name}/delete", Users(Action::Administer), Users(Action::Administer)),
    ("/settings/users", Users(Action::Read), Users(Action::Administer)),
    ("/settings/users/{seq}", Users(Action::Administer), Nobody),
    ("/settings/users/{seq}/password", Nobody, Users(Action::Administer)),
    ("/settings/users/{seq}/remove", Nobody, Users(Action::Administer)),
    ("/settings/users/{seq}/reset-two-factor", Nobody, Users(Action::Administer)),
    ("/settings/users/{seq}/role", Nobody, Users(Action::Administer)),
    ("/setup", Oneself, Oneself),
    ("/shown-once/{token}", Oneself, Nobody),
    ("/setup/done", Users(Action::Operate), Nobody),
    ("/setup/key", Nobody, Users(Action::Administer)),
    ("/setup/test", Nobody, Users(Action::Operate)),
    ("/setup/webhook", Users(Action::Operate), Users(Action::Operate)),
    ("/webhooks", All(Action::Read), Nobody),
    ("/webhooks/new", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}", All(Action::Read), Nobody),
    ("/webhooks/{id}/delete", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}/edit", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}/metrics", All(Action::Read), Nobody),
    ("/webhooks/{id}/pause", Nobody, All(Action::Operate)),
    ("/webhooks/{id}/replay", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}/resume", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}/secret", All(Action::Read), All(Action::RevealSecret)),
    ("/webhooks/{id}/secret/rotate", Nobody, All(Action::Operate)),
    ("/webhooks/{id}/settings", All(Action::Read), Nobody),
    ("/webhooks/{id}/test", All(Action::Operate), All(Action::Operate)),
    ("/webhooks/{id}/verify", Nobody, All(Action::Operate)),
];

/// A server with one thing of each kind, for the tenant `acme`, and the paths to them.
struct World {
    hub: Hub,
    // The webhook's endpoint.
    _receiver: Receiver,
    ids: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> World {
        let hub = Hub::start();
        let receiver = Receiver::start();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
        let event = json!({"type": "a.b", "data": {}, "tenant": "acme"});
        let receipt = hub.post("/v1/events", &event).expect(202).json();
        hub.deliver_until_idle();
        let lost = json!({"tenant": "acme", "events": ["a.c"], "retry": {"delays_s": [], "exhausted": "dead_letter"}});
        hub.add_webhook_with("http://127.0.0.1:9", &lost);
        hub.post("/v1/events", &json!({"type": "a.c", "data": {}, "tenant": "acme"})).expect(202);
        hub.deliver_until_idle();
        let incidents = hub.get("/v1/incidents").expect(200).json();
        let own = json!({"based_on": "generic"}).to_string();
        hub.call_with(&hub.key, "PUT", "/v1/profiles/own", Some(&own)).expect(201);
        let key = json!({"name": "a key", "scope": "read"});
        let key = hub.post("/v1/api-keys", &key).expect(201).json();
        let link = json!({"tenant": "acme"});
        let link = hub.post("/v1/portal-links", &link).expect(201).json();
        let contact = json!({"name": "On call", "tenant": "acme", "webhook": {"url": receiver.url()}});
        let contact = hub.post("/v1/contacts", &contact).expect(201).json();
        hub.add_user("zoe", Role::Administrator);
        let acme = hub.portal("acme");
        acme.page("/inbox");
        let inbox = acme.submit_and_follow("/inbox", &[]).get("#inbox-url").text();
        hub.send("POST", inbox.strip_prefix(&hub.at("")).unwrap(), &[], b"x").expect(200);
        let ids = vec![
            ("/webhooks/", webhook),
            ("/deliveries/", text(&receipt["deliveries"][0]["id"])),
            ("/events/", text(&receipt["id"])),
            ("/event-types/", "a.b".to_owned()),
            ("/profiles/", "own".to_owned()),
            ("/inbox/", "1".to_owned()),
            ("/settings/keys/", text(&key["id"])),
            ("/settings/users/", "1".to_owned()),
            ("/settings/portal/", text(&link["id"])),
            ("/settings/tenants/", "acme".to_owned()),
            ("/incidents/", text(&incidents["data"][0]["id"])),
            ("/contacts/", text(&contact["id"])),
        ];
        World { hub, _receiver: receiver, ids }
    }

    /// Path of a route, to what there is.
    fn path(&self, route: &str) -> String {
        let id = self.ids.iter().find(|(start, _)| route.starts_with(start)).map_or("x", |(_, id)| id);
        let path = route.replace("{number}", "1").replace("{half}", "request").replace("{part}", "data");
        path.replace("{id}", id).replace("{name}", id).replace("{seq}", id)
    }

    fn get(&self, visitor: &Visitor<'_>, route: &str) -> Answer {
        // A tenant has a limit of requests per second.
        self.hub.clock.advance(100);
        let query = if route == "/setup/done" { format!("?delivery={}", self.ids[1].1) } else { String::new() };
        visitor.get(&format!("{}{query}", self.path(route)))
    }

    /// Sends a form that changes little.
    fn post(&self, visitor: &Visitor<'_>, route: &str) -> Answer {
        self.hub.clock.advance(100);
        // A page with a form, for its token.
        visitor.page("/webhooks");
        if route == "/settings/data/backup" {
            let (status, _, bytes) = visitor.download(route);
            return Answer { status, headers: Vec::new(), text: String::from_utf8_lossy(&bytes).into_owned() };
        }
        let (webhook, delivery) = (self.ids[0].1.as_str(), self.ids[1].1.as_str());
        visitor.submit(&self.path(route), &[("tenant", "acme"), ("webhook", webhook), ("delivery", delivery)])
    }
}

#[test]
fn every_route_does_for_each_role_what_the_table_of_roles_says() {
    let known: BTreeSet<String> = ROUTES.iter().map(|(route, ..)| (*route).to_owned()).collect();
    let mut found = routes();
    // Their paths are in a list.
    found.extend(["/deliveries/retry", "/deliveries/discard"].map(str::to_owned));
    assert_eq!(known, found, "routes that the table of this test lacks or has too many");
    let world = World::new();
    for (role, visitor) in [
        (Role::Viewer, world.hub.viewer()),
        (Role::Operator, world.hub.operator()),
        (Role::Administrator, world.hub.administrator()),
    ] {
        for (route, get, post) in ROUTES.iter().filter(|(route, ..)| *route != "/logout") {
            for (method, needed, answer) in
                [("GET", get, world.get(&visitor, route)), ("POST", post, world.post(&visitor, route))]
            {
                let status = answer.status;
                let is_right = match needed {
                    Nobody => status == 405,
                    Oneself => status != 405,
                    All(action) | Users(action) if may(role, *action) => ![403, 404, 405].contains(&status),
                    All(_) | Users(_) => status == 403,
                };
                assert!(is_right, "{method} {route} by {role}: {status} {}", answer.text);
            }
        }
    }
}

#[test]
fn the_portal_has_the_routes_of_the_table_and_no_other() {
    let world = World::new();
    let visitor = world.hub.portal("acme");
    for (route, get, post) in ROUTES.iter().filter(|(route, ..)| !route.starts_with("/portal") && *route != "/logout") {
        for (method, needed, answer) in
            [("GET", get, world.get(&visitor, route)), ("POST", post, world.post(&visitor, route))]
        {
            let is_there = [get, post].iter().any(|needed| matches!(needed, All(_)));
            let wanted: &[u16] = match needed {
                All(_) => &[200, 303, 409, 422],
                Nobody if is_there => &[405],
                // Below /events/ and /event-types/, the path may be that of an event or a type that does not exist.
                _ => &[404, 405],
            };
            assert!(wanted.contains(&answer.status), "{method} {route}: {} {}", answer.status, answer.text);
        }
    }
}

#[test]
fn what_needs_the_password_asks_for_it_again_after_ten_minutes_and_nothing_else_does() {
    let world = World::new();
    let visitor = world.hub.administrator();
    world.hub.advance(10 * MINUTE);
    let asks = |answer: &Answer| {
        answer.text.contains("name=\"own_password\"") && answer.text.contains("Confirm your password")
    };
    for (route, _, post) in ROUTES.iter().filter(|(route, ..)| *route != "/logout") {
        if let All(action) | Users(action) = post {
            let answer = world.post(&visitor, route);
            assert_eq!(asks(&answer), needs_password(*action), "{route}: {}", answer.text);
        }
    }
    // The people of a tenant have no password.
    let visitor = world.hub.portal("acme");
    world.hub.advance(11 * MINUTE);
    for (route, _, post) in ROUTES.iter().filter(|(route, ..)| *route != "/logout") {
        if let All(_) = post {
            assert!(!asks(&world.post(&visitor, route)), "{route}");
        }
    }
}

#[test]
fn an_operator_reveals_secrets_and_manages_no_keys_users_or_backups() {
    let world = World::new();
    let otto = world.hub.operator();
    let secret = otto.page(&world.path("/webhooks/{id}/secret"));
    assert!(secret.has_button("Reveal secret"), "{secret}");
    otto.submit(&world.path("/webhooks/{id}/secret"), &[]).expect(200);
    for path in ["/settings/keys", "/settings/users", "/settings/data", "/settings/portal"] {
        let page = otto.page(path);
        let changes: Vec<_> =
            page.forms().iter().map(|form| form.action().to_owned()).filter(|path| *path != "/logout").collect();
        assert!(changes.iter().all(|path| path == "/settings/portal"), "{path}: {changes:?}");
    }
    let refused = otto.submit("/settings/users", &[("name", "eve"), ("password", PASSWORD), ("role", "administrator")]);
    assert!(refused.expect(403).page().contains("Your role, operator, does not allow this."));
    assert!(otto.page("/profiles").has("a[href=/profiles/new]"));
    // Roles are as the table says, each with a text.
    assert_eq!(Role::VARIANTS.len(), 3);
    let page = world.hub.administrator().page("/settings/users");
    for role in Role::VARIANTS {
        assert!(page.offers("role", role.into()), "{role} in {page}");
    }
}
