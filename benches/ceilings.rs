//! Upper bounds of two parts measured alone: the sender without a store, and the store without a sender. Run it with
//! `cargo bench --bench ceilings -- [seconds]`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hookpost::actions::publish::{Checked, NewEvent, publish};
use hookpost::clock::Clock;
use hookpost::delivery::http::client::{Client, ClientOptions, Outgoing, Resolve};
use hookpost::domain::attempt::FailureCause;
use hookpost::domain::tenant_limits::TenantLimits;
use hookpost::metrics::Metrics;
use hookpost::store::{KeySource, Store};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// Bytes of a body, as in the end-to-end figures.
const BODY: usize = 270;

struct Fixed(Arc<[SocketAddr]>);

impl Resolve for Fixed {
    fn resolve(&self, _: &str, _: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        Ok(Arc::clone(&self.0))
    }
}

fn main() {
    let seconds = std::env::args().filter_map(|text| text.parse().ok()).next();
    let span = Duration::from_secs(seconds.unwrap_or(3));
    for threads in [4, 64] {
        println!("sender alone, {threads} threads: {} requests/s", sender(threads, span));
    }
    for waiting in [16, 128, 1024] {
        println!("store alone, {waiting} waiting: {} events/s", store(waiting, span));
    }
}

/// Measures requests per second over kept-alive connections. Nothing is stored.
fn sender(threads: usize, span: Duration) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    let options = ClientOptions { idle_connections: threads, ..ClientOptions::default() };
    let resolve = Arc::new(Fixed(Arc::from([address])));
    let client = Client::new(resolve, options).expect("no further certificates to read");
    let url = format!("http://{address}/hook");
    let headers: Vec<(String, String)> = [
        ("Content-Type", "application/json"),
        ("User-Agent", "Hookpost"),
        ("webhook-id", "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let body = [b'x'; BODY];
    let request = Outgoing { url: &url, tenant: "", headers: &headers, body: &body, tls: None };
    let end = Instant::now() + span;
    let send = || {
        let mut count = 0;
        while Instant::now() < end {
            let sent = client.post(&request, Duration::from_secs(5));
            assert!(sent.failure.is_none(), "{sent:?}");
            count += 1;
        }
        count
    };
    let total: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(send)).collect();
        let counts = workers.into_iter().map(|worker| worker.join());
        counts.map(|count| count.expect("no worker panics")).sum()
    });
    total / span.as_secs().max(1)
}

fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 8192];
    let mut filled = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer[filled..]) {
        filled += count;
        let head = buffer[..filled].windows(4).position(|end| end == b"\r\n\r\n");
        if head.is_some_and(|head| filled >= head + 4 + BODY) {
            filled = 0;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

/// Measures events per second, each stored and synced, with `waiting` events in the writer's queue at a time.
fn store(waiting: usize, span: Duration) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("webhooks.db");
    let (store, _lock) =
        Store::open(Path::new(&path), &KeySource::Beside, &Clock::machine(), &Metrics::new()).expect("a new database");
    let data = format!("{{\"pad\":\"{}\"}}", "x".repeat(BODY - 10));
    let end = Instant::now() + span;
    let mut count = 0;
    while Instant::now() < end {
        let group: Vec<_> = (0..waiting)
            .map(|_| {
                let event = NewEvent {
                    event_type: "lab.event".parse().expect("a valid type"),
                    tenant: "default".parse().expect("a valid tenant"),
                    id: None,
                    created_ms: None,
                    data: data.as_str().into(),
                    previous_data: None,
                    idempotency: None,
                    resent_from_seq: None,
                };
                let event = Checked::unchecked(event);
                store.write(move |tx| publish(tx, event, &TenantLimits::default()))
            })
            .collect();
        for pending in group {
            pending.wait().expect("the event is stored");
            count += 1;
        }
    }
    store.close();
    count / span.as_secs().max(1)
}
