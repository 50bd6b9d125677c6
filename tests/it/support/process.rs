//! The real program in its own process, for tests of kills, signals and exit codes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::hub::Answer;

/// Time limit for a process to start, or for a condition to hold.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a database for the program.
pub struct Site {
    folder: TempDir,
}

/// A running `hookpost serve`, killed on drop.
pub struct Process {
    pub address: String,
    /// The line on standard output with the address.
    pub greeting: String,
    child: Child,
    said: Option<JoinHandle<()>>,
    log: Arc<Mutex<Vec<u8>>>,
    agent: ureq::Agent,
}

/// Command of the program with these arguments and an empty environment.
pub fn hookpost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookpost"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs a command until it exits.
pub fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Polls a condition until it holds. Returns false after `patience`. Used for conditions that have no notification,
/// such as the end of a process or a file. This is the only place in the tests that sleeps.
pub fn wait_until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if is_so() {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_millis(5)));
    }
}

impl Site {
    pub fn new() -> Site {
        Site { folder: tempfile::tempdir().unwrap() }
    }

    /// Creates a folder with a database and a key of scope `admin`.
    pub fn with_key() -> (Site, String) {
        let site = Site::new();
        let key = site.make_key("admin");
        (site, key)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("webhooks.db")
    }

    /// Command of the program with `--db` of this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = hookpost(arguments);
        command.arg("--db").arg(self.database());
        command
    }

    /// Runs a command of the program until it exits.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command(arguments))
    }

    /// Creates a key with the program.
    #[track_caller]
    pub fn make_key(&self, scope: &str) -> String {
        let made = self.run(&["keys", "create", "--name", "test", "--scope", scope]);
        assert!(made.status.success(), "{}", stderr(&made));
        stdout(&made).trim_end().to_owned()
    }

    /// Command `serve` on a free port, with 127.0.0.1 as an allowed target.
    pub fn serve_command(&self) -> Command {
        self.command(&["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.1"])
    }

    #[track_caller]
    pub fn serve(&self) -> Process {
        Process::start(self.serve_command())
    }

    /// Runs a `serve` that must refuse to start. Returns its line on standard error.
    #[track_caller]
    pub fn serve_refused(&self) -> String {
        refused(self.serve_command())
    }

    /// Bytes of the database file.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.database()).unwrap()
    }
}

/// Runs a `serve` that must refuse to start, with exit code 1 and one line on standard error, which is returned.
#[track_caller]
pub fn refused(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if !wait_until(PATIENCE, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
        panic!("it serves: {}", stdout(&child.wait_with_output().unwrap()));
    }
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(stdout(&output), "", "it says nothing of listening");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(said.starts_with("hookpost: "), "{said}");
    said
}

/// Runs the command as a user without root's rights, also if the tests run as root.
pub fn as_nobody(mut command: Command) -> Command {
    if fs::metadata("/proc/self").unwrap().uid_is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

trait Owner {
    fn uid_is_root(&self) -> bool;
}

impl Owner for fs::Metadata {
    fn uid_is_root(&self) -> bool {
        std::os::unix::fs::MetadataExt::uid(self) == 0
    }
}

impl Process {
    /// Starts a `serve` and waits until it listens.
    #[track_caller]
    pub fn start(command: Command) -> Process {
        Process::spawn(command).listening()
    }

    /// Starts a `serve` without waiting.
    pub fn spawn(mut command: Command) -> Starting {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (said_first, first_line) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // A process that ended has closed its side: the line is empty.
            let _ = out.read_line(&mut line);
            let _ = said_first.send(line);
            let _ = out.read_to_string(&mut String::new());
        });
        let mut err = child.stderr.take().unwrap();
        let log: Arc<Mutex<Vec<u8>>> = Arc::default();
        let written = Arc::clone(&log);
        let said = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = err.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let process =
            Process { address: String::new(), greeting: String::new(), child, said: Some(said), log, agent: agent() };
        Starting { process, first_line }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns a client of the process's API.
    pub fn client(&self, key: &str) -> Client {
        Client { origin: format!("http://{}", self.address), key: key.to_owned(), agent: self.agent.clone() }
    }

    /// Sends a signal, named as in `kill -TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Kills the process (SIGKILL) and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of the process. Returns its exit status and standard error.
    #[track_caller]
    pub fn ended(mut self, patience: Duration) -> (ExitStatus, String) {
        let child = &mut self.child;
        let is_over = wait_until(patience, || child.try_wait().unwrap().is_some());
        assert!(is_over, "it still runs after {patience:?}");
        let status = self.child.wait().unwrap();
        self.said.take().unwrap().join().unwrap();
        (status, self.log())
    }

    /// Returns standard error as far as it was written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until standard error has a text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        assert!(wait_until(PATIENCE, || self.log().contains(text)), "{text} in {}", self.log());
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that does not listen yet.
pub struct Starting {
    process: Process,
    first_line: Receiver<String>,
}

impl Starting {
    /// Waits until it listens.
    #[track_caller]
    pub fn listening(self) -> Process {
        self.listening_within(PATIENCE)
    }

    /// Like [`Starting::listening`], with another time limit.
    #[track_caller]
    pub fn listening_within(self, patience: Duration) -> Process {
        let Starting { mut process, first_line } = self;
        let line = first_line.recv_timeout(patience).unwrap_or_default();
        let address = line.split_once("://").and_then(|(_, rest)| rest.split_whitespace().next());
        let Some(address) = address else {
            let (status, said) = process.ended(PATIENCE);
            panic!("it does not listen ({status}): {said}");
        };
        process.address = address.to_owned();
        process.greeting = line;
        process
    }

    /// Sends a signal, named as in `kill -TERM`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Kills the process.
    pub fn kill(self) {
        self.process.kill();
    }
}

/// Client of a process's API.
#[derive(Clone)]
pub struct Client {
    origin: String,
    key: String,
    agent: ureq::Agent,
}

impl Client {
    /// Returns a client with connections of its own.
    pub fn of(address: &str, key: &str) -> Client {
        Client { origin: format!("http://{address}"), key: key.to_owned(), agent: agent() }
    }

    /// Sends a request. Fails if the process does not respond.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut response = self.agent.run(request.body(body)?)?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: Vec::new(),
            text: response.body_mut().read_to_string()?,
        })
    }

    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_call(method, path, body).unwrap()
    }

    /// Returns a response as bytes.
    #[track_caller]
    pub fn download(&self, path: &str) -> Vec<u8> {
        let request = self.agent.get(format!("{}{path}", self.origin));
        let mut response = request.header("authorization", format!("Bearer {}", self.key)).call().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).expect(200).json()
    }

    /// Creates a webhook for every event. Returns its id.
    #[track_caller]
    pub fn add_webhook(&self, url: &str, fields: &Value) -> String {
        let mut body = json!({"url": url, "events": ["*"]});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.call("POST", "/v1/webhooks", Some(&body)).expect(201);
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// Publishes an event with this id. Fails if the process does not respond.
    pub fn publish(&self, id: &str) -> Result<Answer, ureq::Error> {
        let body = json!({"type": "order.paid", "id": id, "data": {"of": id}});
        self.try_call("POST", "/v1/events", Some(&body))
    }

    /// Counts the deliveries in this state on the first page.
    #[track_caller]
    pub fn count(&self, status: &str) -> usize {
        let page = self.get(&format!("/v1/deliveries?status={status}"));
        page["data"].as_array().unwrap().len()
    }

    /// Waits until every delivery is finished.
    #[track_caller]
    pub fn wait_finished(&self, patience: Duration) {
        let finished = wait_until(patience, || self.count("pending") == 0 && self.count("retrying") == 0);
        assert!(finished, "deliveries are stuck: {}", {
            let page = self.get("/v1/deliveries?status=pending&limit=3");
            let more = self.get("/v1/deliveries?status=retrying&limit=3");
            format!("{page} {more}")
        });
    }
}
