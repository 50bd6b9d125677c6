//! The verification code for receivers, run in its own language: it accepts signatures of Hookpost before, during and
//! after a rotation, and rejects everything else.

mod ed25519;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use hookpost::clock::Clock;
use hookpost::domain::id::DeliveryId;
use hookpost::domain::secret::Secret;
use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::domain::webhook::OldSecret;
use hookpost::profile::body_format::compose_challenge;
use hookpost::profile::sign::Signed;
use hookpost::profile::snippet::{Credential, Language, Snippet, snippet};
use hookpost::profile::{self, Profile, Signer};
use serde_json::{Value, json};

use super::{ALL, REQUIRE_NODE, skipped};
use crate::support::process::{PATIENCE, wait_until};

const BODY: &str = r#"{"id":"evt_1","type":"order.paid","data":{"text":"h\u00e9llo 日本 😀","n":1.0}}"#;
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD: &str = "~ p4ss \"phrase\" \\ with, spaces=$HOME";
/// If set, the Rust code is tested too. It is built with crates from cargo's cache.
const WITH_CARGO: &str = "HOOKPOST_TEST_SNIPPETS_WITH_CARGO";

/// Built-in profiles, and custom ones with characters that need quoting.
fn profiles() -> Vec<Arc<Profile>> {
    let mut profiles: Vec<Arc<Profile>> = ALL.iter().map(|name| profile::find(name).unwrap()).collect();
    let signatures = [
        json!([{
            "header": "X-Odd_Signature",
            "content": "v0:{timestamp}:{id}:{body}:it's \"é\" \\ #$x #@y %s /* `\n",
            "encoding": "base64",
            "template": "s=({signature});'t'=/{timestamp}\"`#$",
            "join": "|s2=",
        }]),
        json!([{
            "header": "x-wrapped",
            "content": "{body}",
            "encoding": "hex",
            "template": "<[{signature}]>.*",
            "key": "standard",
        }]),
        json!([]),
    ];
    for (number, signatures) in signatures.into_iter().enumerate() {
        let spec = json!({
            "name": format!("custom-{number}"),
            "envelope": "data",
            "signatures": signatures,
            "retry": {"delays_s": []},
            "challenge": {"event": "webhook.verify", "field": "the \"challenge\""},
        });
        let spec = serde_json::from_value(spec).unwrap();
        profiles.push(Arc::new(Profile::parse(spec).unwrap()));
    }
    profiles
}

fn secret(text: &str) -> Secret {
    text.parse().unwrap()
}

/// Value of the environment variable: the secret, or its form for Standard Webhooks libraries.
fn shown(text: &str, credential: Credential) -> String {
    match credential {
        Credential::StandardSecret => secret(text).standard_form(),
        Credential::Secret | Credential::PublicKey => text.to_owned(),
    }
}

/// Headers of a delivery signed `age` milliseconds ago.
fn signed(profile: &Profile, new: &str, old: Option<&str>, age: i64) -> Vec<(String, String)> {
    signed_body(profile, new, old, age, BODY.as_bytes())
}

fn signed_body(profile: &Profile, new: &str, old: Option<&str>, age: i64, body: &[u8]) -> Vec<(String, String)> {
    let at_ms = Clock::machine().now_ms() - age;
    let old = old.map(|old| OldSecret { secret: secret(old), key_pair: None, overlap_ends_ms: at_ms + HOUR });
    let standard = profile::standard();
    Signer::new(profile, Some(&standard), &secret(new), old.as_ref()).headers(&Signed {
        event_id: &"evt_1".parse().unwrap(),
        event_type: &"order.paid".parse().unwrap(),
        delivery_id: DeliveryId::generate(at_ms, 1),
        at_ms,
        body,
    })
}

/// Listens on a port below those that systems give to outgoing connections (Linux: from 32768), so that the port stays
/// unused until the program listens on it.
fn listener_on_unused_port() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = (0..10_000).map(|_| 20_000 + (std::process::id() + NEXT.fetch_add(1, Ordering::SeqCst)) % 10_000);
    let mut listeners = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port as u16)).ok());
    listeners.next().unwrap()
}

/// A receiver that runs a snippet, killed on drop.
pub struct Pasted {
    child: Child,
    pub port: u16,
    name: String,
}

impl Drop for Pasted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pasted {
    /// Starts the program once with each pair of secrets in its environment, and waits until all listen. Returns `None`
    /// if the program is not installed.
    pub fn start_each<const N: usize>(command: &[String], secrets: [[&str; 2]; N], name: &str) -> Option<[Pasted; N]> {
        let listeners = secrets.map(|_| listener_on_unused_port());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        let started: Option<Vec<Pasted>> =
            ports.iter().zip(secrets).map(|(port, secrets)| Pasted::start(command, *port, secrets, name)).collect();
        let mut started: [Pasted; N] = started?.try_into().ok().unwrap();
        started.iter_mut().for_each(Pasted::wait_until_it_listens);
        Some(started)
    }

    fn start(command: &[String], port: u16, secrets: [&str; 2], name: &str) -> Option<Pasted> {
        let address = format!("127.0.0.1:{port}");
        let arguments = command[1..].iter().map(|argument| argument.replace("ADDRESS", &address));
        let child = Command::new(&command[0])
            .args(arguments)
            .env("PORT", port.to_string())
            .env("WEBHOOK_SECRET", secrets[0])
            .env("WEBHOOK_SECRET_OLD", secrets[1])
            .env("WEBHOOK_PUBLIC_KEY", secrets[0])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            child => child.unwrap(),
        };
        Some(Pasted { child, port, name: name.to_owned() })
    }

    fn wait_until_it_listens(&mut self) {
        let listens = wait_until(PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        assert!(listens, "{} does not listen", self.name);
    }

    /// Sends a request. Returns the status and the body of the response.
    fn post(&self, headers: &[(String, String)], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut request = format!(
            "POST /hook HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(&[request.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{} answered {answer:?}", self.name));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (status, body.to_owned())
    }

    pub fn accepts(&self, headers: &[(String, String)], body: &[u8]) -> bool {
        match self.post(headers, body).0 {
            200 | 204 => true,
            401 => false,
            other => panic!("{} answered {other}", self.name),
        }
    }
}

/// Sends all requests that a receiver must accept or reject. Returns `None` if the program is not installed.
fn judge(profile: &Profile, snippet: &Snippet, command: &[String]) -> Option<()> {
    let name = format!("{} {}", profile.name(), snippet.language);
    let (new, old) = (shown(SECRET, snippet.credential), shown(OLD, snippet.credential));
    let body = BODY.as_bytes();
    let plain = signed(profile, SECRET, None, 0);
    let rotating = signed(profile, SECRET, Some(OLD), 0);
    let secrets = [[new.as_str(), ""], [&new, &old], [&old, ""]];
    let [now, both, before] = Pasted::start_each(command, secrets, &name)?;

    assert!(now.accepts(&plain, body), "{name} refuses the right one");
    assert!(both.accepts(&plain, body), "{name} refuses with two secrets");
    assert!(!before.accepts(&plain, body), "{name}: a wrong secret");
    let first = signed(profile, OLD, None, 0);
    assert!(before.accepts(&first, body) && both.accepts(&first, body), "{name}: old");
    assert!(!now.accepts(&first, body), "{name}: the old secret alone");

    // During a rotation, old receivers continue to work, and so do receivers with both secrets. Receivers with only the
    // new secret need a header with both signatures.
    assert!(both.accepts(&rotating, body), "{name} while rotating");
    assert!(before.accepts(&rotating, body), "{name} before it was told");
    let spec = profile.spec().signatures.iter();
    let standard = profile::standard();
    let joins =
        spec.chain(&standard.spec().signatures).any(|spec| spec.header == snippet.header && spec.join.is_some());
    assert_eq!(now.accepts(&rotating, body), joins, "{name} with the new alone");

    let changed = BODY.replace("paid", "Paid");
    for receiver in [&now, &both] {
        assert!(!receiver.accepts(&plain, changed.as_bytes()), "{name}: changed");
        assert!(!receiver.accepts(&plain, b""), "{name}: no body");
        assert!(!receiver.accepts(&[], body), "{name}: no headers");
        // The length of a signature in characters, but more bytes: a comparison that requires equal lengths would
        // crash.
        let mut odd = plain.clone();
        for (name, value) in &mut odd {
            if *name == snippet.header {
                *value = "é".repeat(value.len() / 2);
            }
        }
        assert!(!receiver.accepts(&odd, body), "{name}: odd characters");
        let forged = forge(&plain, &snippet.header, body);
        assert!(!receiver.accepts(&forged, body), "{name}: an empty key");
    }
    let timed = snippet.code.contains("imestamp");
    assert!(now.accepts(&signed(profile, SECRET, None, 4 * MINUTE), body), "{name}: 4 min");
    for age in [6 * MINUTE, -6 * MINUTE] {
        let stale = signed(profile, SECRET, None, age);
        assert_eq!(now.accepts(&stale, body), !timed, "{name}: {age} ms old");
    }
    if snippet.language != Language::Rust {
        answers_the_challenge(profile, &now);
    }
    Some(())
}

/// Replaces the signature by one with an empty key, the value of an unset variable.
fn forge(headers: &[(String, String)], name: &str, body: &[u8]) -> Vec<(String, String)> {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(b"").unwrap();
    let mac = mac.chain_update(body).finalize().into_bytes();
    let forge = |(header, value): &(String, String)| {
        let value = if header == name { hex::encode(mac) } else { value.clone() };
        (header.clone(), value)
    };
    headers.iter().map(forge).collect()
}

fn answers_the_challenge(profile: &Profile, receiver: &Pasted) {
    answers_the_challenge_with(profile, receiver, |body| signed_body(profile, SECRET, None, 0, body));
}

/// `sign` returns the headers of a request with this body.
fn answers_the_challenge_with(profile: &Profile, receiver: &Pasted, sign: impl FnOnce(&[u8]) -> Vec<(String, String)>) {
    let Some(challenge) = &profile.spec().challenge else {
        return;
    };
    let at_ms = Clock::machine().now_ms();
    let event = hookpost::domain::event::Event {
        id: "evt_c".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        event_type: challenge.event.parse().unwrap(),
        created_ms: at_ms,
        received_ms: at_ms,
        data: "{}".into(),
        previous_data: None,
        test: false,
    };
    let body = compose_challenge(Some(profile.form()), &event, &challenge.field, "random 1");
    let (status, answer) = receiver.post(&sign(&body), &body);
    assert_eq!(status, 200, "{}", receiver.name);
    let start = answer.find('{').unwrap_or_default();
    let end = answer.rfind('}').map_or(answer.len(), |end| end + 1);
    let answer: Value = serde_json::from_str(&answer[start..end]).unwrap();
    assert_eq!(answer[&challenge.field], "random 1", "{}", receiver.name);
}

/// Tests the code of every profile in one language. `command` returns the command that runs a file.
fn judge_all(language: Language, command: impl Fn(&Path, &Path) -> Option<Vec<String>>) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let command_of = |name: &str, snippet: &Snippet| {
        let file = folder.path().join(format!("{name}.{}", extension(language)));
        std::fs::write(&file, &snippet.code).unwrap();
        command(folder.path(), &file)
    };
    for profile in profiles() {
        let snippet = snippet(&profile, true, language).unwrap();
        judge(&profile, &snippet, &command_of(profile.name(), &snippet)?)?;
    }
    ed25519::judge_all(language, &command_of)
}

fn extension(language: Language) -> &'static str {
    match language {
        Language::Node => "js",
        Language::Python => "py",
        Language::Go => "go",
        Language::Php => "php",
        Language::Ruby => "rb",
        Language::Rust => "rs",
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a build. Returns false if the program is not installed.
fn build(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        output => {
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {arguments:?}: {said}");
            true
        }
    }
}

#[test]
fn the_node_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    if judge_all(Language::Node, |_, file| Some(words(&["node", text(file)]))).is_none() {
        skipped(REQUIRE_NODE, "no node to run the verification code with");
    }
}

#[test]
fn the_python_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    if judge_all(Language::Python, |_, file| Some(words(&["python3", text(file)]))).is_none() {
        skipped(REQUIRE_NODE, "no python3 to run the verification code with");
    }
}

#[test]
fn the_php_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    let serve = |_: &Path, file: &Path| Some(words(&["php", "-S", "ADDRESS", text(file)]));
    if judge_all(Language::Php, serve).is_none() {
        skipped(REQUIRE_ALL, "no php to run the verification code with");
    }
}

#[test]
fn the_go_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    let built = judge_all(Language::Go, |folder, file| {
        let program = file.with_extension("bin");
        let arguments = ["build", "-o", text(&program), text(file)];
        build("go", &arguments, folder).then(|| words(&[text(&program)]))
    });
    if built.is_none() {
        skipped(REQUIRE_ALL, "no go to build the verification code with");
    }
}

/// A minimal Rack server.
const RACK: &str = r#"
require "socket"
require "stringio"
def run(app) = $app = app
load ARGV[0]
server = TCPServer.new("127.0.0.1", ENV["PORT"].to_i)
while (client = server.accept)
  next client.close unless client.gets
  env = {}
  while (line = client.gets) && line != "\r\n"
    name, value = line.b.chomp.split(": ", 2)
    env["HTTP_" + name.upcase.tr("-", "_")] = value.b
  end
  env["rack.input"] = StringIO.new(client.read(env["HTTP_CONTENT_LENGTH"].to_i).b)
  status, _, body = $app.call(env)
  client.write("HTTP/1.1 #{status} Said\r\n\r\n", *body)
  client.close
end
"#;

#[test]
fn the_ruby_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    let serve = |_: &Path, file: &Path| Some(words(&["ruby", "-e", RACK, text(file)]));
    if judge_all(Language::Ruby, serve).is_none() {
        skipped(REQUIRE_ALL, "no ruby to run the verification code with");
    }
}

/// If set, a missing `php`, `go` or `ruby` is a failure.
const REQUIRE_ALL: &str = "HOOKPOST_TEST_REQUIRE_SNIPPETS";

/// A server for the Rust code, which does not depend on a framework.
const SERVER: &str = r#"
use std::io::{BufRead, BufReader, Read, Write};
mod pasted;
fn main() {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    for stream in std::net::TcpListener::bind(("127.0.0.1", port)).unwrap().incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap() == 0 || line == "\r\n" { break }
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let Some(length) = find("content-length") else { continue };
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        let status = if pasted::is_signed(find, &body) { 204 } else { 401 };
        let _ = write!(stream.get_mut(), "HTTP/1.1 {status} Said\r\n\r\n");
    }
}
"#;

const MANIFEST: &str = "[package]\nname = \"pasted\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n\
    hmac = \"0.12\"\nsha2 = \"0.10\"\nring = \"0.17\"\nhex = \"0.4\"\nbase64 = \"0.22\"\n\n[workspace]\n";

#[test]
fn the_rust_code_accepts_what_is_signed_for_every_profile_and_nothing_else() {
    if std::env::var_os(WITH_CARGO).is_none() {
        return skipped(
            REQUIRE_ALL,
            "the verification code in Rust is built only where HOOKPOST_TEST_SNIPPETS_WITH_CARGO is set",
        );
    }
    let built = judge_all(Language::Rust, |folder, file| {
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
        std::fs::write(folder.join("src/main.rs"), SERVER).unwrap();
        std::fs::copy(file, folder.join("src/pasted.rs")).unwrap();
        let target = folder.join("target");
        let arguments = ["build", "--offline", "--target-dir", text(&target)];
        let program: PathBuf = target.join("debug/pasted");
        build("cargo", &arguments, folder).then(|| words(&[text(&program)]))
    });
    assert!(built.is_some(), "no cargo to build the verification code with");
}
