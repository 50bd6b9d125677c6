//! Token endpoints that fail: the attempt fails with words of its own, and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing, judged};
use hookpost::domain::attempt::{FailureCause, ReceiverResponse};
use hookpost::domain::time::SECOND;
use hookpost::text::failure::describe;
use serde_json::{Value, json};

use super::{act, last_attempt, pass, publish_number};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Canary, Receiver, Reply};

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
    assert!(message.contains("127.0.0.1 is a loopback address"), "{message}");
    assert_eq!((canary.connections(), receiver.hits()), (0, 0));
    assert_eq!(hub.state_of(&webhook), "active");
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
        let body = json!({"access_token": format!("access-token-{number}"), "token_type": "Bearer"}).to_string();
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
