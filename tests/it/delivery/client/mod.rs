//! Tests of the HTTP client with real sockets: each test starts its own servers, each with one fault.
//!
//! `answers` tests correct responses and connections, `faults` broken ones, `tls` certificates and handshakes, `identity`
//! client certificates and private authorities. This file has their servers and helpers.

mod answers;
mod faults;
mod identity;
mod properties;
mod tls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hookpost::delivery::http::client::{Client, ClientOptions, ClientResult, Outgoing, Resolve};
use hookpost::domain::attempt::{ErrorCode, FailureCause};
use hookpost::domain::tls::Tls;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(400);
/// Tolerance for the end of an attempt.
const SLACK: Duration = Duration::from_millis(500);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that passes each connection, and its number starting at 0, to a function.
struct Receiver {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, serve) = (connections.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || serve(stream, number));
            }
        });
        Receiver { address, connections }
    }

    /// Reads a request, writes `answer`, and closes the connection.
    fn answering(answer: impl Into<Vec<u8>>) -> Receiver {
        let answer = answer.into();
        Receiver::start(move |mut stream, _| {
            read_request(&mut stream);
            stream.write_all(&answer).ok();
        })
    }

    /// Writes `answer` after every request on a connection.
    fn keeping_alive(answer: impl Into<Vec<u8>>) -> Receiver {
        let answer = answer.into();
        Receiver::start(
            move |mut stream, _| {
                while read_request(&mut stream).is_some() && stream.write_all(&answer).is_ok() {}
            },
        )
    }

    /// Reads a request, writes `first`, then `drop` repeatedly until the client closes the connection.
    fn flooding(first: &'static [u8], drop: &'static [u8], pause: Duration) -> Receiver {
        Receiver::start(move |mut stream, _| {
            read_request(&mut stream);
            stream.write_all(first).ok();
            while stream.write_all(drop).is_ok() {
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
            }
        })
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads one request, head and body. Returns `None` at the end of the stream.
fn read_request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        if request.len() >= head + 4 + length.parse::<usize>().unwrap() {
            return Some(request);
        }
    }
}

/// Keeps a connection open, in silence, until the tests end.
fn hold(stream: TcpStream) {
    static HELD: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());
    HELD.lock().unwrap().push(stream);
}

/// Closes a connection with a reset.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

/// Resolves addresses to themselves, and names to `127.0.0.1`.
struct Trusting;

impl Resolve for Trusting {
    fn resolve(&self, url: &str, _: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let authority = url.split('/').nth(2).unwrap();
        let port = authority.rsplit(':').next().unwrap();
        let address = authority.parse().unwrap_or_else(|_| format!("127.0.0.1:{port}").parse().unwrap());
        Ok(Arc::from([address]))
    }
}

/// Resolves every URL to the same addresses.
struct Always(Result<Vec<SocketAddr>, FailureCause>);

impl Resolve for Always {
    fn resolve(&self, _: &str, _: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        self.0.clone().map(Arc::from)
    }
}

fn client() -> Client {
    client_with(Trusting, Vec::new())
}

fn client_with(resolve: impl Resolve, extra_root_certificates: Vec<Vec<u8>>) -> Client {
    let options = ClientOptions {
        user_agent: "Hookpost".into(),
        extra_root_certificates,
        idle_connections: 8,
        ..ClientOptions::default()
    };
    Client::new(Arc::new(resolve), options).unwrap()
}

fn post(client: &Client, url: &str, body: &[u8], timeout: Duration) -> ClientResult {
    post_with(client, url, body, timeout, None)
}

fn post_with(client: &Client, url: &str, body: &[u8], timeout: Duration, tls: Option<&Arc<Tls>>) -> ClientResult {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    client.post(&Outgoing { url, tenant: "", headers: &headers, body, tls }, timeout)
}

/// Posts with a short time limit, and checks that the client kept to it.
fn post_within_limit(url: &str, body: &[u8]) -> ClientResult {
    let sent = post(&client(), url, body, SHORT);
    assert!(sent.duration < SHORT + SLACK, "{sent:?}");
    sent
}

#[track_caller]
fn assert_fails(sent: &ClientResult, code: ErrorCode, words: &str) {
    let failure = sent.failure.as_ref().unwrap_or_else(|| panic!("no failure in {sent:?}"));
    assert_eq!(failure.code(), code, "{failure:?}");
    assert!(failure.message.contains(words), "{words:?} is not in {:?}", failure.message);
    assert!(failure.message.ends_with('.'), "no sentence: {:?}", failure.message);
}
