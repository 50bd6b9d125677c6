use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::delivery::http::client::judged;
use crate::domain::attempt::ReceiverResponse;
use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};
use crate::domain::time::HOUR;

const TOKEN_URL: &str = "https://id.example/token";
const TIMEOUT: Duration = Duration::from_secs(5);

fn client(secret: &str) -> Arc<OAuth2Client> {
    let spec = json!({"type": "oauth2", "token_url": TOKEN_URL, "client_id": "a", "client_secret": secret});
    let auth = EndpointAuth::parse(serde_json::from_value::<AuthSpec>(spec).unwrap(), None, false).unwrap();
    Arc::clone(auth.oauth2().unwrap())
}

type Reply = (u16, String);

/// Token endpoint and receiver in one. Numbers the tokens from 1.
struct Stub<T, R> {
    tokens: AtomicUsize,
    sent: Mutex<Vec<String>>,
    /// Returns the response of the token endpoint to its n-th request, and of the receiver to a token.
    on_token: T,
    on_send: R,
}

impl<T: Fn(usize, Duration) -> Reply, R: Fn(&str) -> u16> Stub<T, R> {
    fn new(on_token: T, on_send: R) -> Stub<T, R> {
        Stub { tokens: AtomicUsize::new(0), sent: Mutex::default(), on_token, on_send }
    }

    fn tokens(&self) -> usize {
        self.tokens.load(Ordering::SeqCst)
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

impl<T: Fn(usize, Duration) -> Reply + Sync + Send, R: Fn(&str) -> u16 + Sync + Send> Transport for Stub<T, R> {
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        let (code, body) = if request.url == TOKEN_URL {
            (self.on_token)(self.tokens.fetch_add(1, Ordering::SeqCst) + 1, timeout)
        } else {
            let (name, value) = request.headers.last().unwrap();
            assert_eq!(name, "Authorization");
            let token = value.strip_prefix("Bearer ").unwrap();
            self.sent.lock().unwrap().push(token.to_owned());
            ((self.on_send)(token), String::new())
        };
        let answer = ReceiverResponse { code, headers: Vec::new(), body: body.into_bytes(), body_truncated: false };
        ClientResult { failure: judged(&answer, request.url), answer: Some(answer), ..ClientResult::default() }
    }
}

fn token(number: usize, expires_in: i64) -> Reply {
    (
        200,
        json!({"access_token": format!("tok-{number}"), "token_type": "Bearer", "expires_in": expires_in}).to_string(),
    )
}

struct World {
    tokens: AccessTokens,
    clock: Clock,
    client: Arc<OAuth2Client>,
}

impl World {
    fn new() -> World {
        World { tokens: AccessTokens::default(), clock: Clock::manual(1_768_471_200_000), client: client("s3cret") }
    }

    fn call<'a>(&'a self, transport: &'a dyn Transport) -> Call<'a> {
        let outgoing = Outgoing { url: "https://hooks.example/", tenant: "acme", headers: &[], body: b"{}", tls: None };
        Call { transport, clock: &self.clock, webhook_seq: 7, client: &self.client, outgoing }
    }

    fn post(&self, transport: &dyn Transport) -> Authorized {
        self.tokens.post(&self.call(transport), TIMEOUT)
    }
}

#[test]
fn a_token_is_requested_once_and_used_until_four_fifths_of_a_short_life_or_a_minute_before_the_end_of_a_long_one() {
    for (expires_in, renewed_s) in [(60, 48), (100, 80), (250, 200), (300, 240), (3600, 3540), (400_000, 86_340)] {
        let world = World::new();
        let stub = Stub::new(|number, _| token(number, expires_in), |_| 200);
        let first = world.post(&stub);
        assert!(first.result.failure.is_none() && first.is_sent && !first.token_renewed);
        assert!(first.result.timings.token_us.is_some());
        world.clock.advance(renewed_s * SECOND - 1);
        assert_eq!(world.post(&stub).result.timings.token_us, None);
        assert_eq!(stub.tokens(), 1, "{expires_in}");
        world.clock.advance(1);
        world.post(&stub);
        assert_eq!((stub.tokens(), stub.sent()), (2, ["tok-1", "tok-1", "tok-2"].map(str::to_owned).to_vec()));
    }
}

#[test]
fn sixty_four_workers_make_one_token_request() {
    let world = World::new();
    let waiting = |wanted: usize| {
        let started = Instant::now();
        loop {
            let count = lock(&world.tokens.kept).by_webhook.get(&7).map_or(0, |(_, entry)| Arc::strong_count(entry));
            if count > wanted {
                return;
            }
            assert!(started.elapsed() < TIMEOUT, "{count} of {wanted} wait");
            std::thread::yield_now();
        }
    };
    let stub = Stub::new(
        |number, _| {
            waiting(64);
            token(number, 3600)
        },
        |_| 200,
    );
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert!(world.post(&stub).result.failure.is_none()));
        }
    });
    assert_eq!((stub.tokens(), stub.sent().len()), (1, 64));
}

#[test]
fn those_who_wait_for_a_request_that_fails_fail_with_it() {
    let world = World::new();
    let stub = Stub::new(
        |_, _| {
            let waits =
                || lock(&world.tokens.kept).by_webhook.get(&7).is_some_and(|(_, entry)| Arc::strong_count(entry) > 8);
            while !waits() {
                std::thread::yield_now();
            }
            (500, String::new())
        },
        |_| 200,
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let failed = world.post(&stub);
                let cause = failed.result.failure.unwrap().cause;
                assert!(matches!(cause, FailureCause::TokenRefused { code: 500, .. }), "{cause:?}");
                assert!(!failed.is_sent);
            });
        }
    });
    // A thread that had not begun to wait may have made a request of its own.
    assert!(stub.tokens() <= 8 && stub.sent().is_empty());
}

#[test]
fn whoever_waits_for_a_token_endpoint_that_hangs_waits_no_longer_than_its_own_limit() {
    let world = World::new();
    let (release, hangs) = std::sync::mpsc::channel::<()>();
    let hangs = Mutex::new(hangs);
    let stub = Stub::new(
        |number, _| {
            let _ = hangs.lock().unwrap().recv();
            token(number, 3600)
        },
        |_| 200,
    );
    std::thread::scope(|scope| {
        scope.spawn(|| world.post(&stub));
        while stub.tokens() == 0 {
            std::thread::yield_now();
        }
        let started = Instant::now();
        let failed = world.tokens.post(&world.call(&stub), Duration::from_millis(200));
        assert!(started.elapsed() < TIMEOUT);
        let message = failed.result.failure.unwrap().message;
        assert_eq!(message, "The token endpoint gave no access token. id.example did not respond within 0.2 s.");
        drop(release);
    });
    assert_eq!(stub.tokens(), 1);
}

#[test]
fn a_token_is_sent_until_its_end_if_it_cannot_be_renewed() {
    let world = World::new();
    let stub = Stub::new(
        |number, timeout| {
            // A renewal leaves time for the delivery.
            assert!(if number == 1 { timeout > TIMEOUT / 2 } else { timeout <= TIMEOUT / 2 || number > 3 });
            if number == 1 { token(1, 1_000) } else { (503, String::new()) }
        },
        |_| 200,
    );
    world.post(&stub);
    world.clock.advance(940 * SECOND);
    for _ in 0..3 {
        assert!(world.post(&stub).result.failure.is_none());
    }
    assert_eq!(stub.tokens(), 2, "the next renewal waits for half of the time left");
    world.clock.advance(30 * SECOND);
    assert!(world.post(&stub).result.failure.is_none());
    assert_eq!(stub.tokens(), 3);
    world.clock.advance(30 * SECOND);
    let failed = world.post(&stub);
    assert!(matches!(failed.result.failure.unwrap().cause, FailureCause::TokenRefused { code: 503, .. }));
    assert_eq!(stub.sent().len(), 5);
}

#[test]
fn a_kept_token_that_is_rejected_is_renewed_once_within_the_attempt() {
    let world = World::new();
    let rejected = Mutex::new(Vec::<String>::new());
    let stub = Stub::new(
        |number, _| token(number, 3600),
        |token| if rejected.lock().unwrap().iter().any(|bad| bad == token) { 401 } else { 200 },
    );
    world.post(&stub);
    rejected.lock().unwrap().push("tok-1".to_owned());
    let renewed = world.post(&stub);
    assert!(renewed.result.failure.is_none() && renewed.token_renewed && renewed.is_sent);
    assert!(renewed.result.timings.token_us.is_some());
    assert_eq!(stub.sent(), ["tok-1", "tok-1", "tok-2"]);
    assert!(!world.post(&stub).token_renewed);

    // Each new token is rejected too: one request each, and none is sent twice.
    rejected.lock().unwrap().extend((2..10).map(|number| format!("tok-{number}")));
    let failed = world.post(&stub);
    assert!(failed.token_renewed);
    assert_eq!(failed.result.answer.unwrap().code, 401);
    for number in [4, 5] {
        let failed = world.post(&stub);
        assert!(!failed.token_renewed && failed.result.failure.is_some());
        assert_eq!(stub.tokens(), number);
    }
    assert_eq!(stub.sent()[3..], ["tok-2", "tok-2", "tok-3", "tok-4", "tok-5"]);
}

#[test]
fn a_401_whose_token_cannot_be_renewed_says_why() {
    let world = World::new();
    let stub = Stub::new(
        |number, _| if number == 1 { token(1, 3600) } else { (400, r#"{"error": "invalid_client"}"#.to_owned()) },
        |_| if world.clock.now_ms() > 1_768_471_200_000 { 401 } else { 200 },
    );
    world.post(&stub);
    world.clock.advance(1);
    let failed = world.post(&stub);
    let message = failed.result.failure.unwrap().message;
    assert_eq!(
        message,
        "The token endpoint gave no access token. id.example answered 400 Bad Request: \"invalid_client\"."
    );
    assert!(failed.is_sent && !failed.token_renewed);
    assert_eq!(failed.result.answer.unwrap().code, 401);
}

#[test]
fn an_edit_forgets_the_token_and_so_does_time() {
    let mut world = World::new();
    let stub = Stub::new(|number, _| token(number, 600), |_| 200);
    world.post(&stub);
    world.client = client("s3cret");
    world.post(&stub);
    assert_eq!(stub.tokens(), 1, "the settings are the same");
    world.client = client("other");
    world.post(&stub);
    assert_eq!(stub.sent(), ["tok-1", "tok-1", "tok-2"]);
    let kept = |now| {
        world.tokens.sweep(now);
        lock(&world.tokens.kept).by_webhook.len()
    };
    assert_eq!(kept(world.clock.now_ms() + 599 * SECOND), 1);
    assert_eq!(kept(world.clock.now_ms() + 600 * SECOND), 0);
}

#[test]
fn a_panic_during_a_token_request_holds_up_nobody() {
    let world = World::new();
    let stub = Stub::new(
        |number, _| {
            assert_ne!(number, 1, "a panic");
            token(number, 600)
        },
        |_| 200,
    );
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.post(&stub)));
    assert!(panicked.is_err());
    assert!(world.post(&stub).result.failure.is_none());
}

#[test]
fn a_token_without_a_lifetime_serves_the_attempt_that_requested_it() {
    let world = World::new();
    let stub = Stub::new(|number, _| token(number, 0), |_| 200);
    for number in 1..=3 {
        assert!(world.post(&stub).result.failure.is_none());
        assert_eq!(stub.tokens(), number);
    }
}

#[test]
fn the_number_of_kept_tokens_is_bounded() {
    let world = World::new();
    let stub = Stub::new(|number, _| token(number, HOUR), |_| 200);
    let post = |webhook_seq| world.tokens.post(&Call { webhook_seq, ..world.call(&stub) }, TIMEOUT);
    for seq in 0..MAX_KEPT as i64 {
        post(seq);
    }
    post(0);
    post(-1);
    let kept = lock(&world.tokens.kept);
    assert_eq!(kept.by_webhook.len(), MAX_KEPT);
    assert!(kept.by_webhook.contains_key(&0) && kept.by_webhook.contains_key(&-1) && !kept.by_webhook.contains_key(&1));
}
