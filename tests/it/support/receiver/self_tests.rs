//! Tests of the receiver itself, with a minimal client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Behaviour, Canary, Pace, Receiver, Reply, TlsKind, tls};

/// Time limit of a read. It is longer than any test waits, so reaching it fails the test.
const HANG: Duration = Duration::from_secs(5);

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(receiver: &Receiver) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        Self(BufReader::new(stream))
    }

    fn posting(receiver: &Receiver, body: &str) -> Self {
        let mut client = Self::of(receiver);
        client.post(body);
        client
    }

    fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    fn post(&mut self, body: &str) {
        let length = body.len();
        self.send(&format!(
            "POST /hook HTTP/1.1\r\nHost: localhost\r\nX-Mixed: Case\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// Reads a head and its body. Content-Length must be the last header.
    fn answer(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let length = head.rsplit("content-length: ").next().unwrap().trim();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn status(&mut self) -> u16 {
        self.answer().0[9..12].parse().unwrap()
    }

    /// Reads until the connection ends. Returns the text, and the error if the end was not orderly.
    fn rest(&mut self) -> (String, Option<io::ErrorKind>) {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes).err().map(|error| error.kind());
        (String::from_utf8(bytes).unwrap(), end)
    }

    fn read(&mut self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.0.read_exact(&mut buffer).unwrap();
        String::from_utf8(buffer).unwrap()
    }
}

#[test]
fn two_requests_on_one_connection_are_recorded_in_order() {
    let receiver = Receiver::start();
    let mut client = Client::of(&receiver);
    for body in ["first", ""] {
        client.post(body);
        assert_eq!(client.status(), 200);
    }
    let requests = receiver.wait_for(2);
    assert_eq!((requests[0].text(), requests[1].text()), ("first", ""));
    assert_eq!((requests[0].connection, requests[0].turn), (1, 1));
    assert_eq!((requests[1].connection, requests[1].turn), (1, 2));
    assert!(requests[0].arrived <= requests[1].arrived);
    assert_eq!(requests[0].headers[1], ("X-Mixed".to_owned(), "Case".to_owned()));
    assert_eq!(requests[0].header("x-mixed"), Some("Case"));
    assert_eq!(receiver.connections(), 1);
    assert_eq!(receiver.url(), format!("http://127.0.0.1:{}/hook", receiver.port()));
}

#[test]
fn a_held_request_is_recorded_at_once_and_answered_after_the_release() {
    let receiver = Receiver::answering(204);
    receiver.hold();
    let mut client = Client::posting(&receiver, "a");
    receiver.wait_held(1);
    assert_eq!(receiver.hits(), 1);
    receiver.behave(Behaviour::Answer(Reply::status(410)));
    receiver.release();
    assert_eq!(client.status(), 410);
    client.post("b");
    assert_eq!(client.status(), 410);
}

#[test]
fn a_script_repeats_its_last_reply_and_begins_anew_when_set_again() {
    let script = Behaviour::Script(vec![Reply::status(503), Reply::status(200)]);
    let receiver = Receiver::behaving(script.clone());
    let mut client = Client::of(&receiver);
    let mut status = || {
        client.post("");
        client.status()
    };
    assert_eq!([status(), status(), status()], [503, 200, 200]);
    receiver.behave(script);
    assert_eq!(status(), 503);
}

#[test]
fn a_closure_decides_by_what_it_received() {
    let receiver = Receiver::with(|request| {
        Reply::status(429).header("Retry-After", "5").body(request.body.clone()).after(Duration::from_millis(20))
    });
    let began = Instant::now();
    let (head, body) = Client::posting(&receiver, "echo").answer();
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert!(head.starts_with("HTTP/1.1 429 \r\nRetry-After: 5\r\n"), "{head}");
    assert_eq!((body.as_str(), receiver.last().text()), ("echo", "echo"));
}

#[test]
fn a_badly_framed_request_is_refused_and_not_recorded() {
    let receiver = Receiver::start();
    for framing in ["Content-Length: 1\r\nContent-Length: 1", "Transfer-Encoding: chunked", "Content-Length : 0"] {
        let mut client = Client::of(&receiver);
        client.send(&format!("POST / HTTP/1.1\r\n{framing}\r\n\r\n"));
        assert_eq!(client.status(), 400, "{framing}");
    }
    assert_eq!(receiver.hits(), 0);
}

#[test]
fn resets_are_real_resets() {
    for (behaviour, sent) in [
        (Behaviour::ResetBeforeHead, ""),
        (Behaviour::ResetInHead, "HTTP/1.1 200 OK\r\nx-filler: a"),
        (Behaviour::ResetInBody, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789"),
    ] {
        let receiver = Receiver::behaving(behaviour);
        let end = Client::posting(&receiver, "body").rest();
        assert_eq!(end, (sent.to_owned(), Some(io::ErrorKind::ConnectionReset)));
    }
}

#[test]
fn orderly_closes_come_where_the_behaviour_says() {
    let receiver = Receiver::behaving(Behaviour::CloseWithoutWord);
    assert_eq!(Client::posting(&receiver, "").rest(), (String::new(), None));

    receiver.behave(Behaviour::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()));
    let banner = "SSH-2.0-OpenSSH_9.9\r\n".to_owned();
    assert_eq!(Client::posting(&receiver, "").rest(), (banner, None));

    receiver.behave(Behaviour::CloseAfterAnswer);
    let mut client = Client::posting(&receiver, "");
    let (head, _) = client.answer();
    assert!(!head.contains("connection"), "{head}");
    assert_eq!(client.rest(), (String::new(), None));

    receiver.behave(Behaviour::CloseOnReuse);
    let mut client = Client::posting(&receiver, "");
    assert_eq!(client.status(), 200);
    client.post("");
    assert_eq!(client.rest(), (String::new(), None));
    assert_eq!(Client::posting(&receiver, "").status(), 200);
    assert_eq!(receiver.hits(), 6);
}

#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    let receiver = Receiver::behaving(Behaviour::EarlyAnswer(413));
    let mut client = Client::of(&receiver);
    client.send("POST /hook HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
    let (answer, end) = client.rest();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(end, None);
    client.send(&"a".repeat(1_000_000));
    assert_eq!(receiver.last().body, b"");
}

#[test]
fn endless_answers_go_on_and_end_with_their_client() {
    let receiver = Receiver::start();
    for (behaviour, start, repeated) in [
        (Behaviour::EndlessHeader, "HTTP/1.1 200 OK\r\nx-filler: ", "aaaa"),
        (Behaviour::EndlessBody, "HTTP/1.1 200 OK\r\n", "aaaa"),
        (Behaviour::EndlessChunks, "HTTP/1.1 200 OK\r\n", "\r\n2000\r\n"),
        (Behaviour::Flood1xx, "HTTP/1.1 100 ", "\r\n\r\nHTTP/1.1 103 "),
    ] {
        receiver.behave(behaviour);
        let text = Client::posting(&receiver, "").read(1_000_000);
        assert!(text.starts_with(start), "{start}");
        assert!(text[900_000..].contains(repeated), "{repeated}");
    }
    let all_ended = receiver.shared.wait_until(HANG, |state| state.live.is_empty());
    assert!(all_ended);
}

#[test]
fn drips_come_byte_by_byte_and_slow_down() {
    let millis = Duration::from_millis;
    let pace = Pace::every(millis(1)).slowing_after(millis(5), millis(30));
    for (behaviour, start) in [
        (Behaviour::DripHead(pace), "HTTP/1.1 200 OK\r\nx-filler: a"),
        (Behaviour::DripBody(pace), "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"),
    ] {
        let receiver = Receiver::behaving(behaviour);
        let mut client = Client::posting(&receiver, "");
        assert_eq!(client.read(start.len()), start);
        let began = Instant::now();
        assert_eq!(client.read(7), "aaaaaaa");
        assert!(began.elapsed() >= millis(30), "{:?}", began.elapsed());
    }
}

#[test]
fn dropping_a_receiver_ends_whatever_it_was_doing() {
    let slow = Pace::every(HANG * 2);
    for behaviour in [
        Behaviour::Silence,
        Behaviour::NeverReads,
        Behaviour::DripHead(slow),
        Behaviour::EndlessBody,
        Behaviour::Answer(Reply::status(200).after(HANG * 2)),
    ] {
        let receiver = Receiver::behaving(behaviour);
        let client = Client::posting(&receiver, "");
        receiver.settle();
        let began = Instant::now();
        drop(receiver);
        assert!(began.elapsed() < Duration::from_secs(1));
        drop(client);
    }
}

#[test]
fn a_receiver_that_never_reads_records_the_connection_alone() {
    let receiver = Receiver::behaving(Behaviour::NeverReads);
    let _client = Client::posting(&receiver, "");
    receiver.settle();
    assert_eq!((receiver.hits(), receiver.connections()), (0, 2));
}

#[test]
fn a_canary_counts_connections_and_not_its_own() {
    let canary = Canary::start();
    assert_eq!(canary.connections(), 0);
    let _visitor = TcpStream::connect(("127.0.0.1", canary.port())).unwrap();
    assert_eq!(canary.connections(), 1);
    assert_eq!(canary.connections(), 1);
}

#[test]
fn a_refused_url_refuses() {
    let url = Receiver::refused_url();
    let authority = url.trim_start_matches("http://").trim_end_matches("/hook");
    let error = TcpStream::connect(authority).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// Posts to `localhost` with the test authority as the only trust anchor. Returns the start of the response.
fn post_over_tls(receiver: &Receiver) -> Result<String, String> {
    let mut trusted = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(tls::test_ca_pem().as_bytes()).unwrap();
    trusted.add(authority).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
    socket.set_read_timeout(Some(HANG)).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let mut start = [0; 12];
    stream
        .write_all(b"POST /hook HTTP/1.1\r\n\r\n")
        .and_then(|()| stream.read_exact(&mut start))
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(start.to_vec()).unwrap())
}

#[test]
fn a_good_certificate_is_trusted_and_a_bad_one_is_not() {
    let good = Receiver::tls(TlsKind::Good);
    assert_eq!(post_over_tls(&good).unwrap(), "HTTP/1.1 200");
    assert_eq!(good.last().path, "/hook");
    assert!(good.url_at("/p").starts_with("https://localhost:"));
    for (kind, complaint) in [
        (TlsKind::Expired, "expired"),
        (TlsKind::NotYetValid, "not valid yet"),
        (TlsKind::SelfSigned, "UnknownIssuer"),
        (TlsKind::WrongHost, "not valid for name"),
        (TlsKind::PlainHttp, "corrupt message"),
    ] {
        let error = post_over_tls(&Receiver::tls(kind)).unwrap_err();
        assert!(error.contains(complaint), "{kind:?}: {error}");
    }
}

#[test]
fn a_dripped_handshake_is_slow_and_valid() {
    let quick = TlsKind::HandshakeDrip(Pace::every(Duration::from_micros(50)));
    assert_eq!(post_over_tls(&Receiver::tls(quick)).unwrap(), "HTTP/1.1 200");
    let receiver = Receiver::tls(TlsKind::HandshakeDrip(Pace::every(HANG)));
    let socket = TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
    receiver.settle();
    drop((receiver, socket));
}

#[test]
#[ignore = "takes the full 10 s of patience"]
#[should_panic(expected = "waited 10 s for 2 requests")]
fn waiting_in_vain_says_what_arrived() {
    let receiver = Receiver::start();
    let _client = Client::posting(&receiver, "");
    receiver.wait_for(2);
}
