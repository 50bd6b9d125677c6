//! A webhook receiver for tests: a real HTTP/1.1 server on 127.0.0.1 that records requests and responds, or misbehaves,
//! as configured.
//!
//! It never sleeps: every wait is a blocking read or a wait on one condition variable, and dropping the receiver ends
//! them all. One mutex guards all mutable state; it is never held during a read, a write or a test's closure.

mod behaviour;
mod canary;
mod connection;
mod request;
#[cfg(test)]
mod self_tests;
mod shared;
pub mod tls;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use behaviour::{Behaviour, Pace, Reply};
pub use canary::Canary;
pub use request::Received;
pub use tls::TlsKind;

use connection::Connection;
use shared::Shared;
use tls::Transport;

/// Time limit for an awaited request, after which a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time limit for the threads of a dropped receiver. They normally end at once; the limit keeps a closure that hangs
/// from hanging the test run.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running receiver. Dropping it closes its port and its connections and ends its threads.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    origin: String,
    transport: Transport,
    acceptor: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts a receiver that responds with 200.
    pub fn start() -> Self {
        Self::answering(200)
    }

    /// Starts a receiver that responds to every request with this status.
    pub fn answering(status: u16) -> Self {
        Self::behaving(Behaviour::Answer(Reply::status(status)))
    }

    /// Starts a receiver with a closure that returns the reply to each request. The closure may be called from several
    /// threads at once.
    pub fn with(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::behaving(Behaviour::deciding(decide))
    }

    /// Starts a receiver with this behaviour.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self::listen(behaviour, Transport::Plain, "http", "127.0.0.1")
    }

    /// Starts a receiver at `https://localhost` that responds with 200. A valid certificate is issued by the authority
    /// of [`tls::test_ca_pem`].
    pub fn tls(kind: TlsKind) -> Self {
        let behaviour = Behaviour::Answer(Reply::status(200));
        Self::listen(behaviour, kind.transport(), "https", "localhost")
    }

    /// A URL whose port refuses connections. The port is reserved for the lifetime of the process.
    pub fn refused_url() -> String {
        static BOUND: OnceLock<(socket2::Socket, u16)> = OnceLock::new();
        let (_, port) = BOUND.get_or_init(bind_without_listening);
        format!("http://127.0.0.1:{port}/hook")
    }

    /// Changes the behaviour, starting with the next response. A script starts at its first reply.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behave(behaviour);
    }

    /// URL for a webhook, with the path `/hook`.
    pub fn url(&self) -> String {
        self.url_at("/hook")
    }

    /// URL with another path, which begins with `/`.
    pub fn url_at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Number of complete requests.
    pub fn hits(&self) -> usize {
        self.shared.look(|state| state.requests.len())
    }

    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.look(|state| state.requests.clone())
    }

    /// The latest request. Panics if there is none.
    pub fn last(&self) -> Received {
        self.shared
            .look(|state| state.requests.last().cloned())
            .expect("no request has arrived yet; use wait_for(1) to wait for one")
    }

    /// Waits for `n` complete requests and returns all so far. They may still be without a response. Panics after 10 s.
    pub fn wait_for(&self, n: usize) -> Vec<Received> {
        if !self.shared.wait_until(PATIENCE, |state| state.requests.len() >= n) {
            self.give_up(&format!("{n} requests"));
        }
        self.requests()
    }

    /// Closes all connections. New ones present another certificate.
    pub fn disconnect(&self, renewed: TlsKind) {
        self.transport.renew(renewed);
        self.shared.change(|state| state.live.values().for_each(|socket| drop(socket.shutdown(Shutdown::Both))));
    }

    /// Number of accepted connections, with or without a request.
    pub fn connections(&self) -> usize {
        self.shared.look(|state| state.peers.len())
    }

    /// Closes the gate: requests are received and recorded, but get no response before [`Self::release`].
    pub fn hold(&self) {
        self.shared.change(|state| state.gate.close());
    }

    /// Opens the gate for held and future requests.
    pub fn release(&self) {
        self.shared.change(|state| state.gate.open());
    }

    /// Waits until at least `n` requests are held at the gate. Panics after 10 s.
    pub fn wait_held(&self, n: usize) {
        if !self.shared.wait_until(PATIENCE, |state| state.gate.waiting >= n) {
            self.give_up(&format!("{n} requests held at once"));
        }
    }

    fn listen(behaviour: Behaviour, transport: Transport, scheme: &str, host: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(behaviour));
        let acceptor = {
            let (shared, transport) = (Arc::clone(&shared), transport.clone());
            thread::spawn(move || accept(&listener, &shared, &transport))
        };
        let origin = format!("{scheme}://{host}:{}", address.port());
        Self { shared, address, origin, transport, acceptor: Some(acceptor) }
    }

    /// Waits until every connection opened before this call is accepted. The accept queue is first in, first out, so
    /// this connects once more and waits for that connection. Returns the number of connections, including this one.
    pub fn settle(&self) -> usize {
        let before = self.connections();
        let probe = TcpStream::connect(self.address).unwrap();
        let ours = probe.local_addr().unwrap();
        let accepted = self.shared.wait_until(PATIENCE, |state| state.peers[before..].contains(&ours));
        assert!(accepted, "{} does not accept connections", self.origin);
        self.connections()
    }

    fn give_up(&self, awaited: &str) -> ! {
        let seen: Vec<String> = self.requests().iter().map(Received::summary).collect();
        panic!(
            "waited {} s for {awaited} at {}; {} arrived over {} connections: {seen:?}",
            PATIENCE.as_secs(),
            self.origin,
            seen.len(),
            self.connections(),
        );
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop();
        // The acceptor blocks in accept(): a connection wakes it.
        let _ = TcpStream::connect_timeout(&self.address, FAREWELL);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.wait_until(FAREWELL, |state| state.live.is_empty());
    }
}

/// Accepts connections until the receiver stops. Each gets its own thread.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, transport: &Transport) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // The client disconnected before it was accepted.
            continue;
        };
        let Some(admitted) = shared::admit(shared, stream) else {
            return;
        };
        let transport = transport.clone();
        thread::spawn(move || {
            // Errors are ignored: the client disconnected, or the receiver is stopping.
            let _ = Connection::open(&admitted, &transport).and_then(Connection::serve);
        });
    }
}

/// Binds a socket without listening: connections are refused, and no other process gets the port.
fn bind_without_listening() -> (socket2::Socket, u16) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).unwrap();
    let bound = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, bound.port())
}
