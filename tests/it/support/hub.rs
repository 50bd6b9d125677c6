//! A running Hookpost: the real server on port 0, with a temporary database and a manual clock.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use hookpost::auth::api_key::{KeyRequest, issue};
use hookpost::clock::Clock;
use hookpost::domain::time::Millis;
use hookpost::server::{Prepared, Running, ServerOptions};
use hookpost::store::Store;
use hookpost::store::api_key::{self, Scope};
use hookpost::store::incident;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::page::Page;

/// Start time of every test: 2026-01-15T10:00:00Z.
pub const NOON: Millis = 1_768_471_200_000;

/// Time limit for work of the server, after which a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with its folder, its clock, and a key of scope `admin`.
pub struct Hub {
    pub clock: Clock,
    pub key: String,
    pub running: Running,
    options: ServerOptions,
    thread: Option<JoinHandle<()>>,
    agent: ureq::Agent,
    // Last, so that it is removed after everything that uses it has ended.
    _folder: TempDir,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    /// Body as JSON; `null` if it is empty.
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// Body as a page.
    #[track_caller]
    pub fn page(&self) -> Page {
        Page::read(self.text.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Code of an error of the API.
    pub fn error_code(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].is_string(), "no error form: {}", self.text);
        error["code"].as_str().unwrap().to_owned()
    }

    /// Checks the status, and prints the body if it differs.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Hub {
    /// Starts a server that may deliver to 127.0.0.1 and `localhost`.
    pub fn start() -> Hub {
        Hub::with(|_| {})
    }

    /// Like [`Hub::start`], with other options.
    pub fn with(set_up: impl FnOnce(&mut ServerOptions)) -> Hub {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let mut options = ServerOptions::new(folder.path().join("webhooks.db"));
        options.listen = "127.0.0.1:0".parse().unwrap();
        options.http_threads = 1;
        options.clock = clock.clone();
        options.allow_targets = ["127.0.0.1", "localhost"].map(|entry| entry.parse().unwrap()).to_vec();
        set_up(&mut options);
        let clock = options.clock.clone();
        let (running, thread) = run(&options);
        let key = make_key(&options.database, Scope::Admin, None, None);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Hub { clock, key, running, options, thread: Some(thread), agent: config.into(), _folder: folder }
    }

    /// Restarts the server with the same database.
    pub fn restart(&mut self) {
        self.restart_with(|_| {});
    }

    /// Like [`Hub::restart`], with other options.
    pub fn restart_with(&mut self, set_up: impl FnOnce(&mut ServerOptions)) {
        if self.thread.is_some() {
            self.stop();
        }
        set_up(&mut self.options);
        let (running, thread) = run(&self.options);
        self.running = running;
        self.thread = Some(thread);
    }

    /// Stops the server as SIGTERM does.
    pub fn stop(&mut self) {
        block_on(self.running.stop());
        self.join();
    }

    /// Stops the server, and calls the closure once the server accepts no more events.
    pub fn stop_while(&mut self, meanwhile: impl FnOnce()) {
        let running = self.running.clone();
        let stopping = std::thread::spawn(move || block_on(running.stop()));
        while !self.running.app.is_stopping() {
            std::thread::yield_now();
        }
        meanwhile();
        stopping.join().unwrap();
        self.join();
    }

    /// Stops the server without waiting for requests in flight, whose results are never recorded.
    pub fn abandon(&mut self) {
        block_on(self.running.stop_within(Duration::ZERO));
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn database(&self) -> PathBuf {
        self.options.database.clone()
    }

    /// URL of a path of the server.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    /// Creates another key.
    pub fn make_key(&self, scope: Scope, tenant: Option<&str>, profile: Option<&str>) -> String {
        make_key(&self.options.database, scope, tenant, profile)
    }

    /// Sends a request exactly as given.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(self.at(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let headers = response.headers().iter();
        Answer {
            status: response.status().as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
            text: response.body_mut().read_to_string().unwrap(),
        }
    }

    /// Returns the body of a GET response as bytes.
    pub fn download(&self, path: &str) -> (u16, Vec<u8>) {
        let bearer = format!("Bearer {}", self.key);
        let request = self.agent.get(self.at(path)).header("authorization", bearer);
        let mut response = request.call().unwrap();
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec();
        (response.status().as_u16(), bytes.unwrap())
    }

    /// Sends a form with its token only. Returns the status, the media type and the bytes of the response.
    pub fn download_form(&self, path: &str, cookie: &str, token: &str) -> (u16, String, Vec<u8>) {
        let request = self.agent.post(self.at(path)).header("cookie", cookie);
        let mut response = request.send_form([("form_token", token)]).unwrap();
        let kind = response.headers().get("content-type");
        let kind = kind.map_or("", |value| value.to_str().unwrap()).to_owned();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (response.status().as_u16(), kind, bytes)
    }

    /// Sends a request with a key and an optional JSON body.
    pub fn call_with(&self, key: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.send(method, path, &headers, body.unwrap_or_default().as_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call_with(&self.key, "GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call_with(&self.key, "POST", path, Some(&body.to_string()))
    }

    /// Sends a body without re-encoding it.
    pub fn post_text(&self, path: &str, body: &str) -> Answer {
        self.call_with(&self.key, "POST", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call_with(&self.key, "PATCH", path, Some(&body.to_string()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call_with(&self.key, "DELETE", path, None)
    }

    /// Creates a webhook for every event. Returns its id.
    pub fn add_webhook(&self, url: impl AsRef<str>) -> String {
        self.add_webhook_with(url, &json!({}))
    }

    /// Creates a webhook for every event with other fields. Returns its id.
    pub fn add_webhook_with(&self, url: impl AsRef<str>, fields: &Value) -> String {
        let webhook = self.create(url, fields);
        webhook["id"].as_str().unwrap().to_owned()
    }

    /// Creates a webhook for every event with other fields. Returns the response, with the secret.
    pub fn create(&self, url: impl AsRef<str>, fields: &Value) -> Value {
        let mut body = json!({"url": url.as_ref(), "events": ["*"]});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post("/v1/webhooks", &body).expect(201).json()
    }

    /// Publishes an event. Returns its receipt.
    pub fn publish(&self, event_type: &str, data: Value) -> Value {
        let body = json!({"type": event_type, "data": data});
        self.post("/v1/events", &body).expect(202).json()
    }

    /// Publishes an event that one webhook receives. Returns the id of its delivery.
    pub fn publish_one(&self, event_type: &str, data: Value) -> String {
        let receipt = self.publish(event_type, data);
        let deliveries = receipt["deliveries"].as_array().unwrap();
        assert_eq!(deliveries.len(), 1, "{receipt}");
        deliveries[0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a delivery with its attempts.
    pub fn delivery(&self, id: &str) -> Value {
        self.get(&format!("/v1/deliveries/{id}")).expect(200).json()
    }

    /// Returns the status of a delivery.
    pub fn status_of(&self, delivery: &str) -> String {
        self.delivery(delivery)["status"].as_str().unwrap().to_owned()
    }

    pub fn webhook(&self, id: &str) -> Value {
        self.get(&format!("/v1/webhooks/{id}")).expect(200).json()
    }

    /// Returns the state of a webhook.
    pub fn state_of(&self, webhook: &str) -> String {
        self.webhook(webhook)["state"].as_str().unwrap().to_owned()
    }

    /// Sends everything that is due, and waits until the results are stored.
    #[track_caller]
    pub fn deliver_until_idle(&self) {
        let engine = &self.running.app.actions.engine;
        assert!(engine.wait_until_idle(PATIENCE), "the engine did not come to rest");
    }

    /// Deletes old data, as the server does once an hour.
    #[track_caller]
    pub fn prune_until_idle(&self) {
        let retention_job = &self.running.retention_job;
        assert!(retention_job.wait_until_idle(PATIENCE), "the prune did not end");
    }

    /// Opens and closes incidents by the clock, as the server does every ten seconds.
    #[track_caller]
    pub fn tend_until_idle(&self) {
        let now = self.clock.now_ms();
        let store = &self.running.app.actions.store;
        while store.write(move |tx| incident::tend(tx, now)).wait().unwrap() {}
    }

    /// Lets incidents follow the clock, and tells contacts what has happened. Returns how many messages were made since
    /// the last call.
    #[track_caller]
    pub fn tell(&self) -> usize {
        self.tend_until_idle();
        let made = self.running.telling.tell_now().unwrap();
        self.deliver_until_idle();
        made
    }

    /// Moves the clock, and sends what becomes due.
    pub fn advance(&self, by: Millis) {
        self.clock.advance(by);
        self.running.app.actions.engine.nudge();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // A test may leave requests hanging. The stop does not wait for them.
            block_on(self.running.stop_within(Duration::ZERO));
            self.join();
        }
    }
}

fn run(options: &ServerOptions) -> (Running, JoinHandle<()>) {
    let prepared = Prepared::new(options.clone()).unwrap();
    let (started, running) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = prepared.listen().unwrap();
            started.send(server.running()).unwrap();
            server.run().await.unwrap();
        });
    });
    (running.recv().unwrap(), thread)
}

fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

fn make_key(database: &Path, scope: Scope, tenant: Option<&str>, profile: Option<&str>) -> String {
    let request = KeyRequest {
        name: "test".to_owned(),
        scope,
        tenant: tenant.map(|text| text.parse().unwrap()),
        profile: profile.map(str::to_owned),
        rate_limit_per_s: None,
        ends_ms: None,
    };
    let (text, key) = issue(request, NOON).unwrap();
    let connection = Store::open_for_command(database).unwrap();
    api_key::insert(&connection, &key).unwrap();
    text
}
