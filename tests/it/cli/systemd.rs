//! The program under systemd: messages about its state, the watchdog, sockets that are handed over.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookpost::auth::api_key::{KeyRequest, issue};
use hookpost::store::Connection;
use hookpost::store::api_key::Scope;
use serde_json::json;

use crate::store::large::{number, of_first_schema};
use crate::support::disk::Disk;
use crate::support::process::{Client, PATIENCE, Process, Site, refused, run, stderr, stdout, wait_until};
use crate::support::receiver::Receiver;

/// Socket of systemd that takes the messages.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn of(site: &Site) -> Manager {
        let path = site.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, path }
    }

    /// Has a command send its messages here.
    fn watch(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path);
    }

    /// Returns the next message; `None` if none comes in time.
    fn next(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
    }

    /// Returns the messages up to one that contains a text.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(message) = self.next() {
            let is_last = message.contains(text);
            found.push(message);
            if is_last {
                return found;
            }
        }
        panic!("there is no {text}: {found:?}");
    }

    /// Whether the watchdog is told something within this time. Forgets what came before.
    fn is_told_within(&self, patience: Duration) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        while self.next().is_some() {}
        let told = wait_until(patience, || self.next().is_some_and(|message| message.contains("WATCHDOG=1")));
        self.socket.set_nonblocking(false).unwrap();
        told
    }
}

/// Returns a command that runs another with a listening socket, as systemd does: as descriptor 3, named by its pid.
fn handed(command: &Command, sockets: u32, socket: impl Into<OwnedFd>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$@\"", "sh"]).arg(command.get_program());
    shell.args(command.get_args()).env_clear().env("LISTEN_FDS", sockets.to_string());
    shell.stdin(Stdio::from(socket.into()));
    shell
}

#[test]
fn systemd_is_told_of_the_start_of_readiness_and_of_the_stop() {
    let (site, _) = Site::with_key();
    let manager = Manager::of(&site);
    let mut command = site.serve_command();
    manager.watch(&mut command);
    let process = Process::start(command);
    let start = manager.until("READY=1");
    assert!(start[0].contains("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Opening the database"), "{start:?}");
    let ready = start.last().unwrap();
    assert!(ready.contains(&format!("STATUS=Serving on {}", process.address)), "{ready}");
    process.client("none").call("GET", "/readyz", None).expect(200);
    process.signal("TERM");
    let rest = manager.until("STOPPING=1");
    assert!(!rest.iter().any(|message| message.contains("WATCHDOG")), "nobody asked: {rest:?}");
    let (status, said) = process.ended(PATIENCE);
    assert!(status.success(), "{said}");
}

#[test]
fn a_writer_that_hangs_ends_the_messages_to_the_watchdog() {
    let Some(disk) = Disk::new() else { return };
    let (site, key) = Site::with_key();
    let manager = Manager::of(&site);
    let mut command = site.serve_command();
    manager.watch(&mut command);
    let hanging = disk.hang(&mut command);
    command.env("WATCHDOG_USEC", "90000");
    let process = Process::start(command);
    manager.until("READY=1");
    assert!(manager.is_told_within(PATIENCE));
    fs::write(&hanging, "").unwrap();
    let client = process.client(&key);
    let publishing = std::thread::spawn(move || client.publish("held").unwrap().expect(202));
    let fell_silent = wait_until(PATIENCE, || !manager.is_told_within(Duration::from_millis(500)));
    assert!(fell_silent, "the watchdog is told that all is well");
    fs::remove_file(&hanging).unwrap();
    assert!(manager.is_told_within(PATIENCE));
    publishing.join().unwrap();
}

#[test]
fn a_pause_of_all_deliveries_does_not_have_the_server_restarted() {
    let (site, _) = Site::with_key();
    let manager = Manager::of(&site);
    let mut command = site.serve_command();
    command.arg("--paused").env("WATCHDOG_USEC", "90000");
    manager.watch(&mut command);
    let _process = Process::start(command);
    manager.until("READY=1");
    assert!(manager.is_told_within(PATIENCE));
}

#[test]
fn a_watchdog_of_another_process_is_not_answered() {
    let (site, _) = Site::with_key();
    let manager = Manager::of(&site);
    let mut command = site.serve_command();
    manager.watch(&mut command);
    command.env("WATCHDOG_USEC", "30000").env("WATCHDOG_PID", "1");
    let process = Process::start(command);
    manager.until("READY=1");
    assert!(!manager.is_told_within(Duration::from_millis(300)));
    drop(process);
}

#[test]
fn a_database_held_by_another_program_does_not_have_the_server_restarted() {
    let (site, _) = Site::with_key();
    let manager = Manager::of(&site);
    let mut command = site.serve_command();
    manager.watch(&mut command);
    command.env("WATCHDOG_USEC", "90000");
    let _process = Process::start(command);
    manager.until("READY=1");
    let other = Connection::open(site.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // The writer waits five seconds, and says so.
    let told = wait_until(PATIENCE, || manager.is_told_within(Duration::from_secs(6)));
    assert!(told && !other.is_autocommit());
    other.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_socket_that_is_handed_over_is_used_in_place_of_the_address() {
    let (site, key) = Site::with_key();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = site.command(&["serve", "--listen", "192.0.2.1:1"]);
    command.env_clear();
    let process = Process::start(handed(&command, 1, listener.try_clone().unwrap()));
    assert_eq!(process.address, address);
    process.client(&key).publish("handed").unwrap().expect(202);
    process.signal("TERM");
    let (status, said) = process.ended(PATIENCE);
    assert!(status.success(), "{said}");
    assert!(said.contains(&format!("listening on {address}, the socket that systemd handed over")), "{said}");
}

#[test]
fn sockets_that_cannot_be_served_are_refused_with_what_to_change() {
    let site = Site::new();
    let serve = site.serve_command();
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refused(handed(&serve, 2, listener()));
    assert!(said.contains("2 sockets") && said.contains("ListenStream="), "{said}");
    let file = fs::File::create(site.folder().join("file")).unwrap();
    let said = refused(handed(&serve, 1, file));
    assert!(said.contains("not a socket"), "{said}");
    let said = refused(handed(&serve, 1, UdpSocket::bind("127.0.0.1:0").unwrap()));
    assert!(said.contains("TCP socket"), "{said}");
    let unix = std::os::unix::net::UnixListener::bind(site.folder().join("unix")).unwrap();
    let said = refused(handed(&serve, 1, unix));
    assert!(said.contains("TCP socket"), "{said}");
    let listener = listener();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let said = refused(handed(&serve, 1, connected));
    assert!(said.contains("does not listen") && said.contains("Accept=no"), "{said}");
    assert!(!site.database().exists());
}

/// Publishes one event after the other until told to end. Returns the ids, each of which got its 202.
fn publish_until(is_over: &AtomicBool, client: &Client, name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let id = format!("{name}-{}", ids.len());
        match client.publish(&id) {
            Ok(answer) => assert_eq!(answer.status, 202, "{id}: {}", answer.text),
            Err(error) => panic!("{id} was refused: {error}"),
        }
        ids.push(id);
    }
    ids
}

#[test]
fn events_that_come_in_during_upgrades_wait_and_none_is_refused() {
    let site = of_first_schema(20);
    let request = KeyRequest {
        name: "test".to_owned(),
        scope: Scope::Admin,
        tenant: None,
        profile: None,
        rate_limit_per_s: None,
        ends_ms: None,
    };
    let (key, stored) = issue(request, 1).unwrap();
    let old = Connection::open(site.database()).unwrap();
    let insert =
        "INSERT INTO api_key (id, name, scope, prefix, hash, created_ms) VALUES (?1, 'test', 'admin', ?2, ?3, 1)";
    old.execute(insert, (stored.id.to_bytes(), &stored.prefix, &stored.hash[..])).unwrap();
    drop(old);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = || handed(&site.serve_command(), 1, listener.try_clone().unwrap());
    let receiver = Receiver::start();
    let is_over = AtomicBool::new(false);
    let (ids, slowest) = std::thread::scope(|scope| {
        // They come before the server does, which migrates the file first.
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let client = Client::of(&address, &key);
                let is_over = &is_over;
                scope.spawn(move || publish_until(is_over, &client, &format!("client-{number}")))
            })
            .collect();
        let mut process = Process::start(serve());
        let mut slowest = Duration::ZERO;
        assert!(number(&site.database(), "PRAGMA user_version") > 1);
        process.client(&key).add_webhook(&receiver.url(), &json!({}));
        let published = || number(&site.database(), "SELECT count(*) FROM event");
        for _ in 0..4 {
            let before = published();
            assert!(wait_until(PATIENCE, || published() > before + 200), "nothing is published");
            process.signal("TERM");
            let begun = Instant::now();
            let (status, said) = process.ended(PATIENCE);
            assert!(status.success(), "{said}");
            process = Process::start(serve());
            slowest = slowest.max(begun.elapsed());
        }
        let before = published();
        assert!(wait_until(PATIENCE, || published() > before + 200), "nothing is published");
        is_over.store(true, Ordering::SeqCst);
        let ids: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        process.client(&key).wait_finished(PATIENCE);
        (ids, slowest)
    });
    println!("{} events, {slowest:?} from a stop to the next start", ids.len());
    assert_eq!(number(&site.database(), "SELECT count(*) FROM event"), ids.len() as i64);
}

#[test]
fn a_connection_is_told_to_end_and_an_idle_one_is_closed_when_the_server_stops() {
    use std::io::{Read as _, Write as _};
    let (site, key) = Site::with_key();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let process = Process::start(handed(&site.serve_command(), 1, listener.try_clone().unwrap()));
    let connect = || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let (mut idle, mut last) = (connect(), connect());
    let read = |stream: &mut std::net::TcpStream| {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).to_ascii_lowercase()
    };
    for stream in [&mut idle, &mut last] {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(!read(stream).contains("connection: close"));
    }
    process.signal("TERM");
    let body = "{\"type\":\"a.b\",\"data\":1}";
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let refuses = wait_until(PATIENCE, || {
        last.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let answer = read(&mut last);
        if answer.contains(" 503 ") {
            assert!(answer.contains("connection: close"), "{answer}");
            return true;
        }
        false
    });
    assert!(refuses, "it is ready");
    // A connection that waits in the socket's queue: for the next process.
    let mut waiting = connect();
    waiting.write_all(request.as_bytes()).unwrap();
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0, "it is closed without an answer");
    let (status, said) = process.ended(PATIENCE);
    assert!(status.success(), "{said}");
    let _next = Process::start(handed(&site.serve_command(), 1, listener));
    assert!(read(&mut waiting).contains(" 202 "));
}

#[test]
fn healthcheck_asks_the_server_of_the_settings() {
    let (site, _) = Site::with_key();
    let process = site.serve();
    let ask = |address: &str| run(site.command(&["healthcheck", "--listen", address]));
    let ready = ask(&process.address);
    assert_eq!((ready.status.code(), stdout(&ready).as_str()), (Some(0), "ready\n"));
    // As in a container, where the server listens on all addresses.
    let port = process.address.rsplit(':').next().unwrap().to_owned();
    assert_eq!(ask(&format!("0.0.0.0:{port}")).status.code(), Some(0));
    drop(process);
    let gone = ask(&format!("127.0.0.1:{port}"));
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("no server answers"), "{}", stderr(&gone));
    let other = Receiver::answering(503);
    let unready = ask(&format!("127.0.0.1:{}", other.port()));
    assert_eq!(unready.status.code(), Some(1));
    assert!(stderr(&unready).contains("is not ready: it answered 503"), "{}", stderr(&unready));
}
