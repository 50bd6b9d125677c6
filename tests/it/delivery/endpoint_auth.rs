//! Authentication to endpoints: Basic, Bearer, and OAuth 2.0 client credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing, judged};
use hookpost::domain::attempt::{FailureCause, ReceiverResponse};
use hookpost::domain::time::{HOUR, MINUTE, SECOND};
use hookpost::text::failure::describe;
use serde_json::{Value, json};

use super::{act, pass, publish_number};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Canary, Received, Receiver, Reply};

/// A receiver that responds with 401 unless the request has this header `Authorization`.
fn requiring(authorization: &'static str) -> Receiver {
    Receiver::with(move |request| {
        Reply::status(if request.header("authorization") == Some(authorization) { 200 } else { 401 })
    })
}

/// A token endpoint that numbers its tokens from 1, and a receiver that accepts those that were not revoked.
struct OAuth2 {
    tokens: Receiver,
    receiver: Receiver,
    revoked: Arc<Mutex<Vec<String>>>,
}

impl OAuth2 {
    fn start(expires_in: i64) -> OAuth2 {
        let count = AtomicUsize::new(0);
        let tokens = Receiver::with(move |request| {
            // base64 of "hookpost:s3cret%2Fclient"
            let is_client = request.header("authorization") == Some("Basic aG9va3Bvc3Q6czNjcmV0JTJGY2xpZW50");
            let body = if is_client {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                json!({"access_token": token(number), "token_type": "Bearer", "expires_in": expires_in})
            } else {
                json!({"error": "invalid_client", "error_description": "Client authentication failed"})
            };
            Reply::status(if is_client { 200 } else { 401 }).body(body.to_string())
        });
        let revoked = Arc::<Mutex<Vec<String>>>::default();
        let known = Arc::clone(&revoked);
        let receiver = Receiver::with(move |request| {
            let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer access-token-"));
            let is_revoked = |number: &str| known.lock().unwrap().iter().any(|revoked| revoked == number);
            Reply::status(match given {
                Some(number) if !is_revoked(number) => 200,
                _ => 401,
            })
        });
        OAuth2 { tokens, receiver, revoked }
    }

    fn auth(&self) -> Value {
        json!({"type": "oauth2", "token_url": self.tokens.url_at("/token"), "client_id": "hookpost",
            "client_secret": "s3cret/client", "scope": "hooks.write", "audience": "https://api.example"})
    }

    fn add_webhook(&self, hub: &Hub, fields: Value) -> String {
        let mut fields = fields;
        fields["auth"] = self.auth();
        hub.add_webhook_with(self.receiver.url(), &fields)
    }

    fn revoke(&self, numbers: impl IntoIterator<Item = usize>) {
        self.revoked.lock().unwrap().extend(numbers.into_iter().map(|number| number.to_string()));
    }

    /// Numbers of the tokens that the receiver got.
    fn sent(&self) -> Vec<usize> {
        let number = |request: &Received| {
            let value =
                request.header("authorization").unwrap().strip_prefix("Bearer access-token-").unwrap().to_owned();
            value.parse().unwrap()
        };
        self.receiver.requests().iter().map(number).collect()
    }
}

fn token(number: usize) -> String {
    format!("access-token-{number}")
}

fn last_attempt(hub: &Hub, delivery: &str) -> Value {
    let shown = hub.delivery(delivery);
    shown["attempts"].as_array().unwrap().first().unwrap_or_else(|| panic!("no attempt: {shown}")).clone()
}

#[test]
fn basic_and_bearer_credentials_are_sent_and_masked_in_the_log() {
    let hub = Hub::start();
    for (auth, header) in [
        (
            json!({"type": "basic", "username": "Aladdin", "password": "open sesame"}),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (json!({"type": "bearer", "token": "mF_9.B5f-4.1JqM"}), "Bearer mF_9.B5f-4.1JqM"),
    ] {
        let receiver = requiring(header);
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"auth": auth}));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&delivery), "delivered");
        let attempt = last_attempt(&hub, &delivery);
        assert_eq!(attempt["request"]["headers"]["Authorization"], "••••••");
        assert_eq!((&attempt["token_renewed"], &attempt["timings"]["token_ms"]), (&json!(false), &Value::Null));
        let test = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200).json();
        assert_eq!(test["status"], "delivered", "{test}");
        hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    }
}

#[test]
fn a_webhook_without_authentication_gets_no_header_of_it() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"auth": {"type": "bearer", "token": "one"}}));
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"auth": null})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("authorization"), None);
}

#[test]
fn an_access_token_is_requested_as_the_rfc_says_and_kept_until_shortly_before_its_end() {
    let mut hub = Hub::start();
    let oauth2 = OAuth2::start(3600);
    oauth2.add_webhook(&hub, json!({}));
    let first = publish_number(&hub, 1);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&first), "delivered");
    let attempt = last_attempt(&hub, &first);
    assert!(attempt["timings"]["token_ms"].as_f64().unwrap() > 0.0, "{attempt}");
    assert!(attempt["timings"]["first_byte_ms"].as_f64() > attempt["timings"]["token_ms"].as_f64(), "{attempt}");
    assert_eq!(attempt["request"]["headers"]["Authorization"], "••••••");
    let request = oauth2.tokens.last();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/token"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("accept"), Some("application/json"));
    let form = "grant_type=client_credentials&scope=hooks.write&audience=https%3A%2F%2Fapi.example";
    assert_eq!(request.text(), form);

    let second = publish_number(&hub, 2);
    pass(&hub, HOUR - MINUTE - SECOND);
    assert_eq!(last_attempt(&hub, &second)["timings"]["token_ms"], Value::Null);
    publish_number(&hub, 3);
    hub.deliver_until_idle();
    assert_eq!((oauth2.tokens.hits(), oauth2.sent()), (1, vec![1, 1, 1]));
    pass(&hub, SECOND);
    publish_number(&hub, 4);
    hub.deliver_until_idle();
    assert_eq!((oauth2.tokens.hits(), oauth2.sent()), (2, vec![1, 1, 1, 2]));
    // Tokens are in memory only.
    hub.restart();
    publish_number(&hub, 5);
    hub.deliver_until_idle();
    assert_eq!((oauth2.tokens.hits(), oauth2.sent()), (3, vec![1, 1, 1, 2, 3]));
}

#[test]
fn an_edit_of_the_authentication_forgets_the_token_and_other_edits_keep_it() {
    let hub = Hub::start();
    let oauth2 = OAuth2::start(3600);
    let webhook = oauth2.add_webhook(&hub, json!({}));
    let mut number = 0;
    let mut deliver = || {
        number += 1;
        publish_number(&hub, number);
        hub.deliver_until_idle();
        oauth2.tokens.hits()
    };
    assert_eq!(deliver(), 1);
    let path = format!("/v1/webhooks/{webhook}");
    hub.patch(&path, &json!({"description": "new", "timeout_s": 9})).expect(200);
    assert_eq!(deliver(), 1);
    let read = hub.webhook(&webhook)["auth"].clone();
    hub.patch(&path, &json!({"auth": read})).expect(200);
    assert_eq!(deliver(), 1, "it is the same");
    let mut changed = read;
    changed["scope"] = json!("hooks.read");
    hub.patch(&path, &json!({"auth": changed})).expect(200);
    assert_eq!(deliver(), 2);
    assert!(oauth2.tokens.last().text().contains("scope=hooks.read"));
    assert_eq!(oauth2.sent(), [1, 1, 1, 2]);
}

#[test]
fn tests_and_challenges_carry_the_access_token_too() {
    let hub = Hub::start();
    let oauth2 = OAuth2::start(3600);
    let echoing = Receiver::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let is_known = request.header("authorization") == Some("Bearer access-token-1");
        Reply::status(if is_known { 200 } else { 401 }).body(json!({"challenge": body["challenge"]}).to_string())
    });
    let fields = json!({"profile": "influship", "auth": oauth2.auth()});
    let webhook = hub.create(echoing.url(), &fields);
    assert_eq!(webhook["state"], "active", "{webhook}");
    let id = webhook["id"].as_str().unwrap();
    let test = hub.post(&format!("/v1/webhooks/{id}/test"), &json!({})).expect(200).json();
    assert_eq!(test["status"], "delivered", "{test}");
    assert_eq!(oauth2.tokens.hits(), 1);
}

#[test]
fn a_401_to_a_kept_token_renews_it_within_the_attempt() {
    let hub = Hub::start();
    let oauth2 = OAuth2::start(3600);
    oauth2.add_webhook(&hub, json!({}));
    publish_number(&hub, 1);
    hub.deliver_until_idle();
    oauth2.revoke([1]);
    let second = publish_number(&hub, 2);
    hub.deliver_until_idle();
    let shown = hub.delivery(&second);
    assert_eq!((shown["status"].as_str(), shown["attempt_count"].as_u64()), (Some("delivered"), Some(1)), "{shown}");
    assert_eq!(shown["attempts"][0]["token_renewed"], true);
    assert_eq!(oauth2.sent(), [1, 1, 2]);
    let page = hub.administrator().page(&format!("/deliveries/{second}"));
    assert!(page.contains("the request was sent again with a new token"), "{}", page.text());
    assert!(page.contains("Access token"));
}

#[test]
fn a_receiver_that_answers_401_to_each_token_gets_one_request_per_attempt() {
    let hub = Hub::start();
    let oauth2 = OAuth2::start(3600);
    let retry = json!({"delays_s": [60, 60], "exhausted": "disable"});
    let webhook = oauth2.add_webhook(&hub, json!({"retry": retry}));
    oauth2.revoke(1..10);
    let delivery = publish_number(&hub, 1);
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.state_of(&webhook), "active", "the schedule goes on");
    pass(&hub, 2 * MINUTE);
    assert_eq!((oauth2.tokens.hits(), oauth2.sent()), (3, vec![1, 2, 3]));
    let attempt = last_attempt(&hub, &delivery);
    assert_eq!((&attempt["error"]["code"], &attempt["response"]["code"]), (&json!("status"), &json!(401)));
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn a_failing_token_endpoint_is_a_failed_attempt_with_words_of_its_own_and_nothing_is_sent() {
    let hub = Hub::start();
    let canary = Canary::start();
    let redirect = Reply::status(302).header("location", &format!("http://127.0.0.1:{}/", canary.port()));
    let json = |status: u16, body: Value| Behaviour::Answer(Reply::status(status).body(body.to_string()));
    let retry = json!({"delays_s": [60], "exhausted": "disable"});
    let receiver = Receiver::start();
    let tokens = Receiver::start();
    let auth = json!({"type": "oauth2", "token_url": tokens.url(), "client_id": "a", "client_secret": "s3cret"});
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"auth": auth, "retry": retry, "timeout_s": 1}));
    for (number, (behaviour, words)) in [
        (
            json(401, json!({"error": "invalid_client", "error_description": "No s3cret here"})),
            "127.0.0.1 answered 401 Unauthorized: \"invalid_client\", \"No •••••• here\".",
        ),
        (Behaviour::Answer(redirect), "127.0.0.1 answered 302 Found; redirects are not followed."),
        (json(410, json!({})), "127.0.0.1 answered 410 Gone."),
        (
            json(200, json!({"access_token": "a", "token_type": "mac"})),
            "has the token_type \"mac\"; it must be Bearer.",
        ),
        (json(200, json!({"token_type": "Bearer"})), "has no access_token of 1 to 4096 printable ASCII characters."),
        (json(204, json!(null)), "The response of 127.0.0.1 is not a JSON object."),
        (Behaviour::Answer(Reply::status(200).body("x".repeat(17 << 10))), "is longer than 16 KiB."),
        (Behaviour::EndlessBody, "is longer than 16 KiB."),
        (Behaviour::Silence, "127.0.0.1 did not respond within 1 s."),
        (Behaviour::CloseWithoutWord, "127.0.0.1 closed the connection before it responded."),
        (Behaviour::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), "did not return valid HTTP/1"),
    ]
    .into_iter()
    .enumerate()
    {
        tokens.behave(behaviour);
        let delivery = publish_number(&hub, number as u64);
        let began = Instant::now();
        hub.deliver_until_idle();
        assert!(began.elapsed() < Duration::from_secs(5), "{words}");
        let attempt = last_attempt(&hub, &delivery);
        let message = attempt["error"]["message"].as_str().unwrap();
        assert_eq!(attempt["error"]["code"], "token_failed");
        assert!(
            message.starts_with("The token endpoint gave no access token. ") && message.contains(words),
            "{message}"
        );
        assert_eq!((&attempt["request"]["body"], &attempt["response"]), (&Value::Null, &Value::Null), "{attempt}");
        assert!(attempt["timings"]["token_ms"].is_number(), "{attempt}");
        assert_eq!((hub.status_of(&delivery), hub.state_of(&webhook)), ("retrying".to_owned(), "active".to_owned()));
        act(&hub, &delivery, "discard").expect(202);
    }
    assert_eq!((receiver.hits(), canary.connections()), (0, 0));
    // Once the endpoint responds, the same schedule goes on.
    tokens.behave(json(200, json!({"access_token": "good", "token_type": "bearer"})));
    let delivery = publish_number(&hub, 99);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    let page = hub.administrator().page(&format!("/webhooks/{webhook}"));
    assert!(page.contains("Delivered 200") && page.contains("no access token"), "{}", page.text());
}

#[test]
fn the_page_of_a_delivery_without_a_token_says_what_to_do() {
    let hub = Hub::start();
    let tokens = Receiver::with(|_| Reply::status(400).body(r#"{"error": "invalid_scope"}"#));
    let auth = json!({"type": "oauth2", "token_url": tokens.url(), "client_id": "a", "client_secret": "s3cret"});
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": auth, "retry": {"delays_s": []}}));
    let delivery = publish_number(&hub, 1);
    hub.deliver_until_idle();
    let anna = hub.administrator();
    let page = anna.page(&format!("/deliveries/{delivery}"));
    for words in [
        "127.0.0.1 answered 400 Bad Request: \"invalid_scope\".",
        "Compare the webhook's client ID, client secret, scope and audience",
        "Nothing was sent.",
        "token_failed",
    ] {
        assert!(page.contains(words), "{words:?} is not in {}", page.text());
    }
    assert!(anna.page("/deliveries").contains("no access token"), "{}", anna.page("/deliveries").text());
    assert!(anna.page("/failed").contains("Token failed"), "{}", anna.page("/failed").text());
    let found = hub.get("/v1/deliveries?error_code=token_failed").expect(200).json();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_token_endpoint_at_a_forbidden_address_is_never_called() {
    let mut hub = Hub::start();
    let canary = Canary::start();
    let auth = json!({"type": "oauth2", "token_url": format!("http://127.0.0.1:{}/", canary.port()), "client_id": "a", "client_secret": "s3cret"});
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url().replace("127.0.0.1", "localhost"), &json!({"auth": auth}));
    hub.restart_with(|options| options.allow_targets = vec!["localhost".parse().unwrap()]);
    let delivery = publish_number(&hub, 1);
    hub.deliver_until_idle();
    let attempt = last_attempt(&hub, &delivery);
    assert_eq!(attempt["error"]["code"], "token_failed");
    let message = attempt["error"]["message"].as_str().unwrap();
    assert!(message.contains("--allow-target 127.0.0.1"), "{message}");
    assert_eq!((canary.connections(), receiver.hits()), (0, 0));
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn sixty_four_deliveries_at_once_make_one_token_request() {
    let hub = Hub::start();
    let oauth2 = OAuth2::start(600);
    oauth2.add_webhook(&hub, json!({"max_in_flight": 64, "timeout_s": 30}));
    // The lane grows with each success.
    for number in 0..80 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    assert_eq!(oauth2.tokens.hits(), 1);
    hub.advance(HOUR);
    oauth2.tokens.hold();
    oauth2.receiver.hold();
    for number in 0..64 {
        publish_number(&hub, number);
    }
    oauth2.tokens.wait_held(1);
    oauth2.tokens.release();
    oauth2.receiver.wait_held(64);
    oauth2.receiver.release();
    hub.deliver_until_idle();
    assert_eq!(oauth2.tokens.hits(), 2);
    assert_eq!(oauth2.sent()[80..], [2; 64]);
}

#[test]
fn webhooks_whose_token_endpoint_hangs_delay_no_others() {
    let hub = Hub::with(|options| options.workers = 16);
    let tokens = Receiver::behaving(Behaviour::Silence);
    let auth = json!({"type": "oauth2", "token_url": tokens.url(), "client_id": "a", "client_secret": "s3cret"});
    let [slow, quick] = [Receiver::start(), Receiver::start()];
    let fields = json!({"auth": auth, "timeout_s": 30, "max_in_flight": 64, "tenant": "other"});
    for _ in 0..20 {
        hub.add_webhook_with(slow.url(), &fields);
    }
    hub.add_webhook_with(quick.url(), &json!({}));
    for _ in 0..5 {
        hub.post("/v1/events", &json!({"type": "slow", "tenant": "other", "data": {}})).expect(202);
    }
    tokens.wait_for(4);
    for number in 1..=20 {
        let began = Instant::now();
        hub.publish("quick", json!({}));
        quick.wait_for(number);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    // The slow lanes of one tenant get a quarter of the workers.
    assert_eq!((tokens.hits(), slow.hits()), (4, 0));
}

/// A token endpoint and a receiver of which some requests meet a lack of threads for look-ups.
#[derive(Default)]
struct FewThreads {
    token_requests: AtomicUsize,
    sent: AtomicUsize,
    /// Numbers of the token requests that find no thread.
    without_thread: Vec<usize>,
}

impl Transport for FewThreads {
    fn post(&self, request: &Outgoing<'_>, _: Duration) -> ClientResult {
        let is_token_request = request.url.ends_with("/token");
        let count = if is_token_request { &self.token_requests } else { &self.sent };
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        if is_token_request && self.without_thread.contains(&number) {
            let cause = FailureCause::LookupUnavailable { reason: "No thread.".to_owned() };
            return ClientResult { failure: Some(describe(cause, request.url)), ..ClientResult::default() };
        }
        let body = json!({"access_token": token(number), "token_type": "Bearer"}).to_string();
        // The second delivery's token has been revoked.
        let code = if is_token_request || number != 2 { 200 } else { 401 };
        let answer = ReceiverResponse { code, headers: Vec::new(), body: body.into_bytes(), body_truncated: false };
        ClientResult { failure: judged(&answer, request.url), answer: Some(answer), ..ClientResult::default() }
    }
}

fn with_few_threads(without_thread: Vec<usize>) -> Hub {
    let stub = FewThreads { without_thread, ..FewThreads::default() };
    let hub = Hub::with(|options| options.transport = Some(Arc::new(stub)));
    let auth =
        json!({"type": "oauth2", "token_url": "http://127.0.0.1:1/token", "client_id": "a", "client_secret": "b"});
    hub.add_webhook_with("http://127.0.0.1:1/hook", &json!({"auth": auth}));
    hub
}

#[test]
fn a_token_endpoint_whose_name_no_thread_was_free_to_look_up_uses_up_no_attempt() {
    let hub = with_few_threads(vec![1]);
    let delivery = publish_number(&hub, 1);
    hub.deliver_until_idle();
    assert_eq!(
        (hub.status_of(&delivery), &hub.delivery(&delivery)["attempt_count"]),
        ("pending".to_owned(), &json!(0))
    );
    pass(&hub, SECOND);
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn a_401_is_a_failed_attempt_even_if_no_thread_was_free_for_the_token_endpoint() {
    let hub = with_few_threads(vec![2]);
    publish_number(&hub, 1);
    hub.deliver_until_idle();
    let second = publish_number(&hub, 2);
    hub.deliver_until_idle();
    let attempt = last_attempt(&hub, &second);
    assert_eq!((&attempt["error"]["code"], &attempt["response"]["code"]), (&json!("token_failed"), &json!(401)));
    assert_eq!(hub.status_of(&second), "retrying");
}
