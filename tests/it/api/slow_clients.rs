//! Clients that stop reading a response, and clients that leave before it is complete.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use hookpost::store::StoreError;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::store::large::{fill, named, number};
use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

/// Sends a GET request over a connection whose client has little room for the response.
fn get(hub: &Hub, path: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(&hub.running.address.into()).unwrap();
    let mut socket = TcpStream::from(socket);
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", hub.key);
    socket.write_all(head.as_bytes()).unwrap();
    socket
}

/// Whether the server's end of a connection still exists. The kernel tells the client nothing of an end without a reader.
fn is_served(client: &TcpStream) -> bool {
    let port = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let ends = format!(" {} {} 01 ", port(client.peer_addr().unwrap()), port(client.local_addr().unwrap()));
    fs::read_to_string("/proc/net/tcp").unwrap().contains(&ends)
}

/// Number of unfinished or unnamed copies of a database that this process has open or has left in its folder.
fn copies(database: &Path) -> usize {
    let folder = database.parent().unwrap();
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let open = links.filter(|link| link.starts_with(folder) && link.to_string_lossy().contains(".part"));
    open.count() + named(folder, ".part").len()
}

fn downloads(database: &Path) -> i64 {
    number(database, "SELECT count(*) FROM audit WHERE action = 'backup.downloaded'")
}

#[test]
fn a_client_that_reads_nothing_of_a_backup_or_an_export_is_dropped() {
    let hub = Hub::with(|options| options.write_timeout = Duration::from_secs(1));
    fill(&hub.database(), 24);
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    for _ in 0..8 {
        hub.publish("a.b", json!("x".repeat(1_000_000)));
    }
    hub.deliver_until_idle();
    for path in ["/v1/backup", "/v1/dead-letters/export"] {
        let client = get(&hub, path);
        assert!(is_served(&client));
        assert!(wait_until(PATIENCE, || !is_served(&client)), "{path}: the connection is still open");
        assert!(wait_until(PATIENCE, || copies(&hub.database()) == 0), "{path}: the copy is still open");
    }
    assert_eq!(downloads(&hub.database()), 1, "the backup had begun to be sent");
}

#[test]
fn a_backup_ends_with_the_next_step_when_its_client_leaves_during_the_copy() {
    let hub = Hub::start();
    fill(&hub.database(), 24);
    // The writer is busy, so the backup waits for its first step.
    let (go, wait) = channel::<()>();
    let (begun, begins) = channel();
    let busy = hub.running.app.actions.store.write(move |_| -> Result<(), StoreError> {
        begun.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    });
    begins.recv().unwrap();
    let client = get(&hub, "/v1/backup");
    assert!(wait_until(PATIENCE, || copies(&hub.database()) > 0), "no copy was begun");
    drop(client);
    // A later request is served after the server saw the end of that connection.
    hub.get("/healthz").expect(200);
    go.send(()).unwrap();
    busy.wait().unwrap();
    assert!(wait_until(PATIENCE, || copies(&hub.database()) == 0), "the copy is still there");
    assert_eq!(downloads(&hub.database()), 0, "the copy was completed for nobody");
    assert_eq!(hub.download("/v1/backup").0, 200);
}

#[test]
fn the_copy_of_a_backup_is_closed_when_its_client_leaves_during_the_download() {
    let hub = Hub::start();
    fill(&hub.database(), 24);
    let mut client = get(&hub, "/v1/backup");
    client.read_exact(&mut [0; 4_096]).unwrap();
    assert!(copies(&hub.database()) > 0);
    drop(client);
    assert!(wait_until(PATIENCE, || copies(&hub.database()) == 0), "the copy is still open");
}
