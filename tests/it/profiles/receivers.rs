//! The other side: what the hub delivers is accepted by code that is not ours. The checks are those of the
//! documents' examples, run by real Node and Python over what really arrived, and those of published libraries.

use hookpost::clock::Clock;
use serde_json::{Value, json};
use ureq::http::{HeaderMap, HeaderName};

use super::{ALL, REQUIRE_NODE, REQUIRE_PACKAGES, answering, deliveries, is_challenge, run, skipped};
use crate::support::Hub;
use crate::support::receiver::Received;

/// Secrets as the documents show them, and one as Hookpost makes them.
const SECRETS: [&str; 4] = [
    "your_webhook_secret",
    "whsec_xxxxxxxxxxxxx",
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "~ p4ss \"phrase\" \\ with, spaces=",
];

/// Events whose spelling does not survive a parser that is not told to keep it, with names that objects of JavaScript
/// move, and numbers that it cannot hold.
const DATA: [&str; 6] = [
    r#"{"object":{"id":"res_xyz789","name":"New Resource","status":"active"}}"#,
    r#"{"postId":"post_abc123","platformPostUrl":"https://instagram.com/p/ABC123","n":12345678901234567890123}"#,
    "{ \"b\" : 1.0,\t\"10\":1e400,\"9\":-0,\"a\":[1E2,0.1000],\"b\":\"again\" }",
    r#"{"text":"h\u00e9llo \/ 日本 😀 \ud83d\ude00 \u2028 <&> '\"\\'","__proto__":{"toString":null}}"#,
    "null",
    r#""just text""#,
];

/// One captured delivery with what its webhook's owner knows.
struct Captured {
    profile: &'static str,
    secret: &'static str,
    standard_secret: String,
    request: Received,
}

impl Captured {
    /// For programs that read JSON.
    fn to_json(&self) -> Value {
        json!({
            "profile": self.profile,
            "secret": self.secret,
            "standard_secret": self.standard_secret,
            "headers": self.request.headers,
            "body": self.request.text(),
        })
    }
}

/// Real deliveries of every profile under every secret: events, a test, and the challenges.
fn capture() -> Vec<Captured> {
    // Libraries refuse what is old by the machine's clock.
    let hub = Hub::with(|options| options.clock = Clock::machine());
    let mut webhooks = Vec::new();
    for profile in ALL {
        for secret in SECRETS {
            let receiver = answering(200);
            let fields = json!({"profile": profile, "secret": secret});
            let webhook = hub.create(receiver.url(), &fields);
            webhooks.push((profile, secret, webhook, receiver));
        }
    }
    for data in DATA {
        let body = format!(r#"{{"type":"post.published","data":{data}}}"#);
        hub.post_text("/v1/events", &body).expect(202);
    }
    hub.deliver_until_idle();
    hub.post("/v1/webhooks/test", &json!({"event": "post.published", "a": 1})).expect(200);
    let mut captured = Vec::new();
    for (profile, secret, webhook, receiver) in webhooks {
        assert_eq!(deliveries(&receiver).len(), DATA.len() + 1, "{profile}");
        let standard_secret = webhook["standard_secret"].as_str().unwrap().to_owned();
        captured.extend(receiver.requests().into_iter().map(|request| Captured {
            profile,
            secret,
            standard_secret: standard_secret.clone(),
            request,
        }));
    }
    captured
}

#[test]
fn header_names_arrive_as_the_documents_spell_them() {
    for captured in capture() {
        let names: Vec<&str> = captured.request.headers.iter().map(|(name, _)| name.as_str()).collect();
        let documented: &[&str] = match captured.profile {
            "generic" => &["X-Webhook-Signature"],
            "irisync" => &["X-IriSync-Signature", "X-IriSync-Timestamp"],
            "iverton" => &["X-Iverton-Signature"],
            "socialsyncer" => &["X-SocialSyncerAPI-Signature", "X-SocialAPI-Signature"],
            "influship" => &["X-Influship-Signature", "X-Influship-Event"],
            "github" => &["X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery"],
            "stripe" => &["Stripe-Signature"],
            _ => &[],
        };
        let everywhere = ["webhook-id", "webhook-timestamp", "webhook-signature", "Content-Type", "User-Agent"];
        for name in documented.iter().chain(&everywhere) {
            let times = names.iter().filter(|known| known == &name).count();
            assert_eq!(times, 1, "{}: {name} in {names:?}", captured.profile);
        }
        assert_eq!(captured.request.header("content-type"), Some("application/json"));
        let agent = captured.request.header("user-agent").unwrap();
        assert_eq!(agent, concat!("Hookpost/", env!("CARGO_PKG_VERSION")));
        if captured.profile == "github" {
            let id = captured.request.header("x-github-delivery").unwrap();
            assert!(id.starts_with("dlv_"), "{id}");
        }
    }
}

/// For each line of a document's example: the body as the framework hands it on, what is signed, what is compared.
/// Express parses; `JSON.stringify(req.body)` prints it again.
const NODE: &str = r#"
const crypto = require("crypto");
const hex = (secret, text) => crypto.createHmac("sha256", secret).update(text).digest("hex");
const same = (a, b) => {
    const [x, y] = [Buffer.from(a), Buffer.from(b)];
    return x.length === y.length && crypto.timingSafeEqual(x, y);
};
const checks = {
    generic: (h, raw, s) => same(h["x-webhook-signature"], hex(s, raw.toString())),
    irisync: (h, raw, s) => h["x-irisync-signature"] === hex(s, `${h["x-irisync-timestamp"]}.${raw.toString()}`),
    iverton: (h, raw, s) => same(h["x-iverton-signature"], "sha256=" + hex(s, raw)),
    socialsyncer: (h, raw, s) => same(h["x-socialapi-signature"], hex(s, JSON.stringify(JSON.parse(raw)))),
    influship: (h, raw, s) => same(h["x-influship-signature"], hex(s, JSON.stringify(JSON.parse(raw)))),
    github: (h, raw, s) => same(h["x-hub-signature-256"], "sha256=" + hex(s, raw)),
    stripe: (h, raw, s) => {
        const parts = h["stripe-signature"].split(",").map((part) => part.split("="));
        const t = parts.find(([name]) => name === "t")[1];
        return parts.some(([name, value]) => name === "v1" && same(value, hex(s, `${t}.${raw}`)));
    },
    standard: (h, raw, s, standard) => {
        const key = Buffer.from(standard.slice(6), "base64");
        const mac = crypto.createHmac("sha256", key).update(`${h["webhook-id"]}.${h["webhook-timestamp"]}.${raw}`);
        return h["webhook-signature"].split(" ").includes("v1," + mac.digest("base64"));
    },
};
const all = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdicts = all.map(({ profile, secret, standard_secret, headers, body }) => {
    const lower = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
    const raw = Buffer.from(body);
    return [checks[profile], checks.standard].every((check) => check(lower, raw, secret, standard_secret));
});
process.stdout.write(JSON.stringify(verdicts));
"#;

const PYTHON: &str = r#"
import base64, hashlib, hmac, json, sys

def mac(key, text):
    return hmac.new(key, text, hashlib.sha256)

def verdict(one):
    headers = {name.lower(): value for name, value in one["headers"]}
    payload = one["body"]
    key = one["secret"].encode()
    digest = mac(key, payload.encode("utf-8")).hexdigest()
    profile = one["profile"]
    if profile == "generic":
        good = hmac.compare_digest(headers["x-webhook-signature"], digest)
    elif profile == "irisync":
        signed = headers["x-irisync-timestamp"] + "." + payload
        good = hmac.compare_digest(headers["x-irisync-signature"], mac(key, signed.encode()).hexdigest())
    elif profile == "iverton":
        good = hmac.compare_digest(headers["x-iverton-signature"], "sha256=" + digest)
    elif profile == "socialsyncer":
        good = hmac.compare_digest(headers["x-socialsyncerapi-signature"], digest)
    elif profile == "influship":
        good = hmac.compare_digest(headers["x-influship-signature"], digest)
    elif profile == "github":
        good = hmac.compare_digest(headers["x-hub-signature-256"], "sha256=" + digest)
    elif profile == "stripe":
        t, v1 = (part.split("=", 1)[1] for part in headers["stripe-signature"].split(","))
        good = hmac.compare_digest(v1, mac(key, (t + "." + payload).encode()).hexdigest())
    else:
        good = profile == "standard"
    signed = ".".join([headers["webhook-id"], headers["webhook-timestamp"], payload])
    standard = mac(base64.b64decode(one["standard_secret"][6:]), signed.encode()).digest()
    return good and headers["webhook-signature"] == "v1," + base64.b64encode(standard).decode()

print(json.dumps([verdict(one) for one in json.loads(sys.stdin.buffer.read())]))
"#;

/// Runs a program over captured deliveries, and over the same with one byte changed, which it must refuse.
fn judge(program: &str, arguments: &[&str], captured: &[Captured]) -> Option<()> {
    let all: Vec<Value> = captured.iter().map(Captured::to_json).collect();
    let verdicts = run(program, arguments, &serde_json::to_vec(&all).unwrap())?;
    let verdicts: Vec<bool> = serde_json::from_slice(&verdicts).unwrap();
    assert_eq!(verdicts.len(), captured.len());
    for (captured, good) in captured.iter().zip(verdicts) {
        let (profile, body) = (captured.profile, captured.request.text());
        assert!(good, "{program} refuses a delivery of {profile}: {body}");
    }
    let changed: Vec<Value> = all
        .into_iter()
        .map(|mut one| {
            let body = one["body"].as_str().unwrap();
            one["body"] = match body {
                "null" => "true".into(),
                body => body.replacen("published", "Published", 1).into(),
            };
            one
        })
        .collect();
    let verdicts = run(program, arguments, &serde_json::to_vec(&changed).unwrap())?;
    let verdicts: Vec<bool> = serde_json::from_slice(&verdicts).unwrap();
    for (captured, (changed, good)) in captured.iter().zip(changed.iter().zip(verdicts)) {
        let is_changed = changed["body"] != captured.request.text();
        assert_eq!(good, !is_changed, "{program}: {changed}");
    }
    Some(())
}

#[test]
fn the_documents_checks_in_node_accept_every_delivery_and_no_changed_one() {
    if judge("node", &["-e", NODE], &capture()).is_none() {
        skipped(REQUIRE_NODE, "no node to run the documents' checks with");
    }
}

#[test]
fn the_documents_checks_in_python_accept_every_delivery_and_no_changed_one() {
    if judge("python3", &["-c", PYTHON], &capture()).is_none() {
        skipped(REQUIRE_NODE, "no python3 to run the documents' checks with");
    }
}

#[test]
fn the_published_crate_verifies_every_delivery_of_every_profile() {
    let mut challenges = 0;
    for captured in capture() {
        let library = standardwebhooks::Webhook::new(&captured.standard_secret).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in &captured.request.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let body = &captured.request.body;
        library.verify(body, &headers).unwrap_or_else(|error| panic!("{}: {error}", captured.profile));
        let changed = [body, &b" "[..]].concat();
        assert!(library.verify(&changed, &headers).is_err());
        challenges += usize::from(is_challenge(&captured.request));
    }
    assert_eq!(challenges, SECRETS.len());
}

/// The published packages `stripe` and `standardwebhooks`, as npm has them.
const PACKAGES: &str = r#"
const stripe = require("stripe")("sk_test_nothing");
const { Webhook } = require("standardwebhooks");
const verdicts = JSON.parse(require("fs").readFileSync(0, "utf8")).map((one) => {
    const lower = Object.fromEntries(one.headers.map(([name, value]) => [name.toLowerCase(), value]));
    try {
        new Webhook(one.standard_secret).verify(one.body, lower);
        if (one.profile === "stripe") {
            const event = stripe.webhooks.constructEvent(one.body, lower["stripe-signature"], one.secret);
            return event.object === "event" && typeof event.created === "number";
        }
        return true;
    } catch (error) {
        if (!/signature/i.test(String(error.message))) throw error;
        return false;
    }
});
process.stdout.write(JSON.stringify(verdicts));
"#;

/// Whether Node finds them.
const PROBE: &str = r#"
let found = true;
try { require.resolve("stripe"); require.resolve("standardwebhooks"); } catch { found = false; }
process.stdout.write(String(found));
"#;

#[test]
fn the_published_packages_verify_every_delivery_of_every_profile() {
    if run("node", &["-e", PROBE], b"").as_deref() != Some(b"true") {
        return skipped(REQUIRE_PACKAGES, "node does not find the packages stripe and standardwebhooks (NODE_PATH)");
    }
    judge("node", &["-e", PACKAGES], &capture()).unwrap();
}
