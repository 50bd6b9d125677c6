//! Every page of the portal, with the ids of another tenant.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;
use crate::support::visitor::Visitor;

/// Every route of the pages, read from the source.
pub fn routes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new("src/http/web").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let marks = ["at(\"", "resource(\""];
            for (at, mark) in marks.into_iter().flat_map(|mark| text.match_indices(mark)) {
                if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let rest = &text[at + mark.len()..];
                found.insert(rest[..rest.find('"').unwrap()].to_owned());
            }
        }
    }
    assert!(found.contains("/webhooks") && found.contains("/inbox/{id}"), "{found:?}");
    found
}

/// Ids of a tenant's data, and texts that occur in it.
struct Things {
    ids: Vec<String>,
    words: Vec<String>,
}

/// Creates a working webhook, a disabled one, deliveries of each status, a secret and an inbox for a tenant, with its
/// name in each.
fn furnish(hub: &Hub, tenant: &str, receiver: &Receiver) -> Things {
    let key = hub.make_key(Scope::Admin, Some(tenant), None);
    let call = |method: &str, path: &str, body: Value| {
        let answer = hub.call_with(&key, method, path, Some(&body.to_string()));
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer.json()
    };
    let word = format!("{tenant}word");
    let mut ids = Vec::new();
    let mut secrets = Vec::new();
    for (path, status) in [("ok", 200), ("gone", 410)] {
        let url = receiver.url_at(&format!("/{word}/{path}/{status}"));
        let made = call(
            "POST",
            "/v1/webhooks",
            json!({"url": url, "events": ["*"], "description": format!("{word} {path}"),
                   "headers": {"X-Word": word.clone()}}),
        );
        ids.push(made["id"].as_str().unwrap().to_owned());
        secrets.push(made["secret"].as_str().unwrap().to_owned());
    }
    for number in 0..3 {
        let made = call(
            "POST",
            "/v1/events",
            json!({"type": format!("{word}.type"), "id": format!("evt_{word}_{number}"), "data": {"word": word.clone()}}),
        );
        ids.push(made["id"].as_str().unwrap().to_owned());
        for delivery in made["deliveries"].as_array().unwrap() {
            ids.push(delivery["id"].as_str().unwrap().to_owned());
        }
        hub.deliver_until_idle();
    }
    hub.administrator_or_again(|visitor| {
        visitor.page(&format!("/inbox?tenant={tenant}"));
        let page = visitor.submit_and_follow("/inbox", &[("tenant", tenant)]);
        let url = page.get("#inbox-url").text();
        let path = url.strip_prefix(&hub.at("")).unwrap();
        hub.send("POST", path, &[], word.as_bytes()).expect(200);
        secrets.push(path.strip_prefix("/in/").unwrap().to_owned());
    });
    let mut words = vec![word, tenant.to_owned()];
    words.extend(secrets);
    Things { ids, words }
}

impl Hub {
    /// Runs a closure as a new administrator, even if there is one already.
    fn administrator_or_again(&self, work: impl FnOnce(&Visitor<'_>)) {
        let name = format!("anna{}", self.clock.now_ms() + self.get("/v1/webhooks").text.len() as i64);
        self.add_user(&name, hookpost::store::user::Role::Administrator);
        let visitor = self.visitor();
        visitor.sign_in(&name, crate::support::visitor::PASSWORD).expect(303);
        work(&visitor);
    }
}

#[test]
fn no_page_shows_or_does_anything_of_another_tenant() {
    let hub = Hub::with(|options| options.tenant_limits.requests_per_s = 100_000);
    let receiver = Receiver::with(|request| {
        let code = request.path.rsplit('/').next().unwrap_or_default();
        crate::support::receiver::Reply::status(code.parse().unwrap_or(200))
    });
    // The first request of the inbox has number 1, so the other tenant has a different one.
    let foreign = furnish(&hub, "globex", &receiver);
    let own = furnish(&hub, "acme", &receiver);
    let before = everything(&hub);
    let routes: Vec<String> = routes().into_iter().collect();
    // Two sessions at once, because each waits for the server half of the time.
    let visit_all = |routes: &[String]| {
        let visitor = hub.portal("acme");
        visitor.get("/inbox");
        let token = visitor.form_token();
        let opened: usize = routes.iter().map(|route| visit(&visitor, &token, route, &own, &foreign)).sum();
        // The token stayed valid, so no form was rejected because of it.
        visitor.get("/inbox");
        assert_eq!(visitor.form_token(), token);
        opened
    };
    let (first, second) = routes.split_at(routes.len() / 2);
    let opened = std::thread::scope(|scope| {
        let other = scope.spawn(|| visit_all(second));
        visit_all(first) + other.join().unwrap()
    });
    hub.deliver_until_idle();
    // The sessions opened pages with data, and their forms did not change the other tenant's.
    assert!(opened > 4, "{opened} pages");
    assert_eq!(everything(&hub), before);
}

/// Opens a route and sends forms to it, with ids of both tenants. Returns how many pages showed data of the session's
/// tenant.
fn visit(visitor: &Visitor<'_>, token: &str, route: &str, own: &Things, foreign: &Things) -> usize {
    let mut opened = 0;
    let send = |path: &str, id: &str| {
        for fields in forms(id) {
            let fields = [&[("form_token", token)], &fields[..]].concat();
            let answer = visitor.submit_as_given(path, &fields, &[]);
            assert!(answer.status < 500, "POST {path}: {}", answer.text);
            require_nothing_of(foreign, &answer, &format!("POST {path}"), id);
        }
    };
    let others = ["1", "2", "generic", "globexword.type", "acmeword.type", "default"];
    let fillings: Vec<&str> = if route.contains('{') {
        own.ids.iter().chain(&foreign.ids).map(String::as_str).chain(others).collect()
    } else {
        vec![""]
    };
    // The first id of each kind is combined with every query, the others with none.
    let mut kinds = BTreeSet::new();
    for filling in fillings {
        let path = filled(route, filling);
        let kind = filling.split_once('_').map_or(filling, |(kind, _)| kind);
        let is_first = kinds.insert((kind, foreign.ids.iter().any(|id| id == filling)));
        let queries = if is_first { queries(foreign) } else { vec![String::new()] };
        for query in queries.iter().filter(|_| route != "/logout") {
            let answer = visitor.get(&format!("{path}{query}"));
            assert!(answer.status < 500, "{path}{query}: {}", answer.text);
            require_nothing_of(foreign, &answer, &format!("{path}{query}"), filling);
            opened += usize::from(answer.status == 200 && answer.text.contains("acmeword"));
            if ["/settings", "/profiles", "/setup"].iter().any(|own| route.starts_with(own)) {
                assert!([303, 404, 405, 410].contains(&answer.status), "{path}: {}", answer.status);
            }
        }
        // Forms must not change the other tenant's data.
        if foreign.ids.iter().any(|id| id == filling) || ["1", "globexword.type"].contains(&filling) {
            send(&path, filling);
        }
    }
    // Forms with ids in their fields.
    if !route.contains('{') && !["/logout", "/login", "/portal"].contains(&route) {
        for id in foreign.ids.iter().map(String::as_str).chain(["1"]) {
            send(route, id);
        }
    }
    opened
}

/// Replaces the placeholders of a route.
fn filled(route: &str, filling: &str) -> String {
    let mut path = String::new();
    let mut rest = route;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(filling);
        rest = after.split_once('}').unwrap().1;
    }
    path + rest
}

/// Queries for the other tenant's data.
fn queries(foreign: &Things) -> Vec<String> {
    let mut queries = vec![
        String::new(),
        "?tenant=globex".to_owned(),
        "?q=globexword".to_owned(),
        "?type=globexword.type".to_owned(),
        "?event_type=globexword.type".to_owned(),
    ];
    for name in ["webhook", "from", "delivery", "event"] {
        let fitting = foreign.ids.iter().find(|id| {
            id.starts_with(match name {
                "webhook" | "from" => "wh_",
                "delivery" => "dlv_",
                _ => "evt_",
            })
        });
        queries.extend(fitting.map(|id| format!("?{name}={id}")));
    }
    queries
}

/// Forms with an id in every field, and with each action.
fn forms(id: &str) -> Vec<Vec<(&'static str, &str)>> {
    ["", "retry", "discard", "pause", "resume", "delete"]
        .iter()
        .map(|act| {
            vec![
                ("id", id),
                ("webhook", id),
                ("delivery", id),
                ("event", id),
                ("tenant", "globex"),
                ("act", act),
                ("action", act),
                ("confirmed", "yes"),
                ("waiting", "discard"),
                ("overlap_s", "0"),
                ("all", "yes"),
            ]
        })
        .collect()
}

#[track_caller]
fn require_nothing_of(foreign: &Things, answer: &Answer, asked: &str, filling: &str) {
    let location = answer.header("location").unwrap_or_default();
    let shown = format!("{}\n{location}", answer.text);
    for word in foreign.words.iter().chain(&foreign.ids) {
        // The response may repeat ids of the request.
        let is_asked = asked.contains(word.as_str()) || filling.contains(word.as_str());
        assert!(is_asked || !shown.contains(word.as_str()), "{asked} shows {word}: {shown}");
    }
}

/// All data of the other tenant, read through the API.
fn everything(hub: &Hub) -> Vec<Value> {
    ["/v1/webhooks", "/v1/deliveries", "/v1/events"]
        .iter()
        .map(|path| {
            let list = hub.get(&format!("{path}?tenant=globex&limit=250")).expect(200).json();
            list["data"].clone()
        })
        .collect()
}
