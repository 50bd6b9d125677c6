//! HTTPS of the server itself, with files that change.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::process::{PATIENCE, Process, Site, refused, run, stderr, stdout, wait_until};
use crate::support::receiver::tls::test_ca_pem;
use crate::support::receiver::{Receiver, TlsKind};

/// Files of a server's certificate.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(site: &Site) -> Files {
        let files = Files { certificate: site.folder().join("cert.pem"), key: site.folder().join("key.pem") };
        files.write(TlsKind::Good);
        files
    }

    /// Writes a new pair. Returns the certificate.
    fn write(&self, kind: TlsKind) -> Vec<u8> {
        let (certificate, key) = kind.pem();
        fs::write(&self.certificate, &certificate).unwrap();
        fs::write(&self.key, key).unwrap();
        CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap().to_vec()
    }

    fn give(&self, command: &mut Command) {
        command.arg("--tls-cert").arg(&self.certificate).arg("--tls-key").arg(&self.key);
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Configuration of a client that trusts the test authority. No session is resumed.
fn client(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(test_ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config
}

fn connect_with(config: ClientConfig, address: &str) -> std::io::Result<Stream> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn connect(address: &str) -> Stream {
    connect_with(client(rustls::ALL_VERSIONS), address).unwrap()
}

/// The certificate that a new connection presents.
fn presented(address: &str) -> Vec<u8> {
    connect(address).conn.peer_certificates().unwrap()[0].to_vec()
}

/// Sends a request over a connection that stays open. Returns the head and the body of the response.
fn exchange(stream: &mut Stream, request: &str) -> std::io::Result<(String, String)> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse::<usize>().unwrap() {
                return Ok((head, body.to_owned()));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn https_is_served_to_clients_browsers_and_commands() {
    let (site, key) = Site::with_key();
    let files = Files::of(&site);
    let mut command = site.serve_command();
    files.give(&mut command);
    let process = Process::start(command);
    let address = process.address.clone();
    assert!(process.greeting.contains(&format!("listens on https://{address} ")), "{}", process.greeting);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = client(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = connect_with(config, &address).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            let (head, body) = exchange(&mut stream, HEALTH).unwrap();
            assert!(head.starts_with("http/1.1 200") && head.contains("strict-transport-security: max-age="), "{head}");
            assert_eq!(body, "{\"status\":\"ok\"}");
        }
    }
    let mut only_http2 = client(rustls::ALL_VERSIONS);
    only_http2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect_with(only_http2, &address).is_err());

    let (head, _) = exchange(&mut connect(&address), "GET /login HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let cookie = head.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.contains("__host-") && cookie.contains("; secure"), "{cookie}");
    // A parser-level refusal passes the same connection type.
    let (head, body) = exchange(&mut connect(&address), "NONSENSE\r\n\r\n").unwrap();
    assert!(head.starts_with("http/1.1 400") && body.contains("malformed_request"), "{head} {body}");

    let authority = site.folder().join("authority.pem");
    fs::write(&authority, test_ca_pem()).unwrap();
    let port = address.rsplit(':').next().unwrap();
    let list = |trusted: bool| {
        let mut command = crate::support::process::hookpost(&["webhooks", "list"]);
        command.args(["--url", &format!("https://localhost:{port}"), "--key", &key]);
        if trusted {
            command.env("HOOKPOST_CA_FILE", &authority);
        }
        run(command)
    };
    assert!(list(true).status.success(), "{}", stderr(&list(true)));
    assert!(stderr(&list(false)).contains("isn't trusted"), "{}", stderr(&list(false)));

    let mut check = site.command(&["healthcheck", "--listen", &address]);
    files.give(&mut check);
    assert_eq!(stdout(&run(check)), "ready\n");
    let probe = Receiver::start();
    let mut doctor = site.command(&["doctor", "--json", "--probe", &probe.url(), "--listen", &address]);
    files.give(&mut doctor);
    let found: Value = serde_json::from_str(&stdout(&run(doctor))).unwrap();
    let of = |check: &str| {
        let all = found["checks"].as_array().unwrap();
        all.iter().find(|finding| finding["check"] == check).unwrap().clone()
    };
    assert_eq!(of("listen")["message"], json!(format!("The server runs on {address}.")));
    assert_eq!(of("certificate")["result"], json!("ok"), "{found}");
}

#[test]
fn a_request_without_tls_is_told_to_use_https() {
    let site = Site::new();
    let files = Files::of(&site);
    let mut command = site.serve_command();
    files.give(&mut command);
    let process = Process::start(command);
    let mut plain = TcpStream::connect(&process.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(HEALTH.as_bytes()).unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"https_required\""), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_reason() {
    let site = Site::new();
    let files = Files::of(&site);
    let serve = |arguments: &[&str]| {
        let mut command = site.serve_command();
        command.args(arguments);
        refused(command)
    };
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    assert!(serve(&["--tls-cert", certificate]).contains("--tls-key"));
    assert!(serve(&["--tls-key", key]).contains("--tls-cert"));
    let said = serve(&["--tls-cert", certificate, "--tls-key", key, "--base-url", "http://hooks.example.com"]);
    assert!(said.contains("https://"), "{said}");
    let other = site.folder().join("other.pem");
    let other_path = other.to_str().unwrap();
    assert!(serve(&["--tls-cert", "/none/cert.pem", "--tls-key", key]).contains("/none/cert.pem cannot be read"));
    let encrypted = include_str!("../../vectors/tls/encrypted_pkcs8.pem");
    let whole = fs::read_to_string(&files.certificate).unwrap();
    for (text, reason) in [
        (KeyPair::generate().unwrap().serialize_pem().as_str(), "does not belong to the first certificate"),
        (encrypted, "is encrypted"),
        ("no key", "has no private key"),
        ("-----BEGIN PRIVATE KEY-----\nMIG", "is not complete PEM"),
    ] {
        fs::write(&other, text).unwrap();
        let said = serve(&["--tls-cert", certificate, "--tls-key", other_path]);
        assert!(said.contains(reason) && said.contains(other_path), "{said}");
    }
    for (text, reason) in [
        ("no certificate", "has no certificate"),
        (&whole[..whole.len() / 2], "is not complete PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate number 1 is not valid X.509"),
        (&"x".repeat(2 << 20), "is longer than 1 MiB"),
    ] {
        fs::write(&other, text).unwrap();
        let said = serve(&["--tls-cert", other_path, "--tls-key", key]);
        assert!(said.contains(reason) && said.contains(other_path), "{said}");
    }
    assert!(!site.database().exists());
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let site = Site::new();
    let files = Files::of(&site);
    files.write(TlsKind::Expired);
    let mut command = site.serve_command();
    files.give(&mut command);
    let process = Process::start(command);
    let handshake = connect_with(client(rustls::ALL_VERSIONS), &process.address);
    assert!(handshake.err().unwrap().to_string().contains("expired"));
    process.signal("TERM");
    let (_, said) = process.ended(PATIENCE);
    assert!(said.contains("certificate expired at 2021-01-01T00:00:00Z"), "{said}");
}

#[test]
fn a_renewed_certificate_is_presented_without_a_failed_request_and_a_broken_one_never() {
    let (site, key) = Site::with_key();
    let files = Files::of(&site);
    let first = files.write(TlsKind::Until(2090));
    let mut command = site.serve_command();
    files.give(&mut command);
    let process = Process::start(command);
    let address = &process.address;
    assert_eq!(presented(address), first);
    let metric = || {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n");
        let (_, body) = exchange(&mut connect(address), &request).unwrap();
        let series = "hookpost_certificate_expiry_timestamp_seconds ";
        body.lines().find_map(|line| line.strip_prefix(series)).unwrap().to_owned()
    };
    assert_eq!(metric(), "3786912000");
    let (is_over, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let mut stream = connect(address);
                    for _ in 0..5 {
                        let (head, _) = exchange(&mut stream, HEALTH).unwrap();
                        assert!(head.starts_with("http/1.1 200"), "{head}");
                        requests.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        // Open before the change, and after it.
        let mut kept = connect(address);
        let second = files.write(TlsKind::Until(2095));
        assert!(wait_until(PATIENCE, || presented(address) == second), "it is not read again");
        assert_eq!(metric(), "3944678400");
        exchange(&mut kept, HEALTH).unwrap();
        // The certificate of one pair and the key of another.
        fs::write(&files.certificate, TlsKind::Good.pem().0).unwrap();
        let looked = Instant::now();
        wait_until(Duration::from_secs(7), || presented(address) != second);
        assert!(looked.elapsed() >= Duration::from_secs(7), "a certificate without its key is presented");
        let third = files.write(TlsKind::Good);
        assert!(wait_until(PATIENCE, || presented(address) == third), "it is not read again");
        let before = requests.load(Ordering::SeqCst);
        assert!(wait_until(PATIENCE, || requests.load(Ordering::SeqCst) > before + 20));
        is_over.store(true, Ordering::SeqCst);
    });
    process.signal("TERM");
    let (status, said) = process.ended(PATIENCE);
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("the certificate stays as it was").count(), 1, "{said}");
    assert_eq!(said.matches("the certificate was replaced").count(), 2, "{said}");
}

#[test]
fn silent_handshakes_hold_connections_for_as_long_as_silent_clients_and_nobody_waits_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = TlsKind::Good.pem();
    let files = Files { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    let limit = Duration::from_secs(4);
    let hub = Hub::with(|options| {
        options.tls = Some(hookpost::server::tls::TlsFiles { certificate: files.certificate, key: files.key });
        options.head_timeout = limit;
    });
    let address = hub.running.address.to_string();
    let begun = Instant::now();
    // More than the handshakes that a thread of other servers allows.
    let mut silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for (number, stream) in silent.iter_mut().enumerate() {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if number % 2 == 0 {
            // The begin of a handshake of 512 bytes, and no more.
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
        }
    }
    let (head, _) = exchange(&mut connect(&address), HEALTH).unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(begun.elapsed() < limit, "it waited for {:?}", begun.elapsed());
    for stream in &mut silent {
        match stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < limit + Duration::from_secs(6), "{:?}", begun.elapsed());
}
