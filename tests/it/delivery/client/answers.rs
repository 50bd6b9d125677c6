use super::*;

#[test]
fn a_2xx_answer_is_a_success_with_headers_and_body() {
    let receiver = Receiver::answering("HTTP/1.1 201 Created\r\nX-One: 1\r\ncontent-length: 5\r\n\r\nhello");
    let sent = post(&client(), &receiver.url(), b"{}", LONG);
    assert_eq!(sent.failure, None);
    let answer = sent.answer.unwrap();
    assert_eq!((answer.code, answer.body.as_slice(), answer.body_truncated), (201, &b"hello"[..], false));
    assert_eq!(answer.headers[0], ("x-one".to_owned(), "1".to_owned()));
    assert_eq!(sent.remote_address, Some(receiver.address));
    assert_eq!(sent.connections, 1);
    assert!(sent.timings.resolve_us.is_some() && sent.timings.connect_us.is_some());
    assert!(sent.timings.first_byte_us.is_some() && sent.timings.tls_us.is_none());
}

#[test]
fn the_request_has_the_given_headers_a_length_and_no_accept_encoding() {
    let receiver = Receiver::start(|mut stream, _| {
        let request = read_request(&mut stream).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.len()).unwrap();
        stream.write_all(&request).unwrap();
    });
    let headers = [("user-agent".to_owned(), "Mine/2".to_owned()), ("x-sign".to_owned(), "v1,abc".to_owned())];
    let url = receiver.url();
    let sent =
        client().post(&Outgoing { url: &url, tenant: "", headers: &headers, body: b"{\"a\":1}", tls: None }, LONG);
    let request = String::from_utf8(sent.answer.unwrap().body).unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    assert!(request.contains("content-length: 7\r\n") && request.contains("x-sign: v1,abc\r\n"), "{request}");
    assert!(request.contains("user-agent: Mine/2\r\n") && !request.contains("Hookpost"), "{request}");
    assert!(request.contains(&format!("host: {}\r\n", receiver.address)), "{request}");
    assert!(!request.contains("accept-encoding") && !request.contains("connection"), "{request}");
}

#[test]
fn head_and_body_go_out_as_one_piece() {
    let receiver = Receiver::start(|mut stream, _| {
        let mut buffer = [0; 64 * 1024];
        let count = stream.read(&mut buffer).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-first: {}\r\n\r\n", buffer[..count].ends_with(b"}"))
            .unwrap();
        read_request(&mut stream);
    });
    let sent = post(&client(), &receiver.url(), b"{\"a\":1}", LONG);
    assert!(sent.answer.unwrap().headers.contains(&("x-first".to_owned(), "true".to_owned())));
}

#[test]
fn a_body_of_a_mebibyte_arrives_whole() {
    let receiver = Receiver::start(|mut stream, _| {
        let request = read_request(&mut stream).unwrap();
        let right = request.ends_with(&body()) && request.len() > body().len();
        write!(stream, "HTTP/1.1 {} Judged\r\ncontent-length: 0\r\n\r\n", if right { 200 } else { 400 }).unwrap();
    });
    fn body() -> Vec<u8> {
        (0..1024 * 1024).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }
    assert_eq!(post(&client(), &receiver.url(), &body(), LONG).failure, None);
    assert_eq!(post(&client(), &Receiver::answering(OK).url(), b"", LONG).failure, None);
}

#[test]
fn connections_are_kept_and_used_again() {
    let receiver = Receiver::keeping_alive(OK);
    let client = client();
    for round in 0..5 {
        let sent = post(&client, &receiver.url(), b"{}", LONG);
        assert_eq!((sent.failure, sent.connections), (None, 1));
        assert_eq!(sent.remote_address, Some(receiver.address));
        assert_eq!(sent.timings.connect_us.is_some(), round == 0);
        assert_eq!(sent.timings.resolve_us.is_some(), round == 0);
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn no_more_connections_are_kept_than_allowed() {
    let client = client();
    let receivers: Vec<_> = (0..10).map(|_| Receiver::keeping_alive(OK)).collect();
    for receiver in &receivers {
        assert_eq!(post(&client, &receiver.url(), b"{}", LONG).failure, None);
    }
    // The newest connections are kept. Those of the first two receivers were closed.
    let opens = |receiver: &Receiver| post(&client, &receiver.url(), b"{}", LONG).timings.connect_us.is_some();
    assert!(!receivers[2..].iter().any(opens));
    assert!(receivers[..2].iter().all(opens));
}

#[test]
fn a_kept_connection_that_died_is_replaced_within_the_attempt() {
    // The first connection responds once, and closes after the next request.
    let receiver = Receiver::start(|mut stream, number| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        if read_request(&mut stream).is_some() && number > 0 {
            stream.write_all(OK).unwrap();
        }
    });
    let client = client();
    assert_eq!(post(&client, &receiver.url(), b"{}", LONG).connections, 1);
    let second = post(&client, &receiver.url(), b"{}", LONG);
    assert_eq!((second.failure, second.connections), (None, 2));
    assert!(second.timings.connect_us.is_some());
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn a_fresh_connection_that_breaks_is_not_tried_again() {
    let receiver = Receiver::start(|mut stream, _| {
        read_request(&mut stream);
    });
    let sent = post(&client(), &receiver.url(), b"{}", LONG);
    assert_fails(&sent, ErrorCode::ConnectionReset, "before it responded");
    assert_eq!((sent.connections, receiver.connections()), (1, 1));
}

#[test]
fn a_kept_connection_is_left_when_its_address_is_no_longer_the_target_s() {
    struct Moving(AtomicUsize, Vec<SocketAddr>);
    impl Resolve for Moving {
        fn resolve(&self, _: &str, _: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
            Ok(Arc::from([self.1[self.0.fetch_add(1, Ordering::SeqCst).min(1)]]))
        }
    }
    let (old, new) = (Receiver::keeping_alive(OK), Receiver::keeping_alive(OK));
    let client = client_with(Moving(AtomicUsize::new(0), vec![old.address, new.address]), Vec::new());
    assert_eq!(post(&client, "http://hooks.test/", b"{}", LONG).remote_address, Some(old.address));
    assert_eq!(post(&client, "http://hooks.test/", b"{}", LONG).remote_address, Some(new.address));
}

#[test]
fn every_other_status_is_a_failure_that_names_it() {
    for (line, words) in [
        ("500 Internal Server Error", "127.0.0.1 answered 500 Internal Server Error."),
        ("429 Slow Down", "127.0.0.1 answered 429 Too Many Requests."),
        ("302 Found\r\nlocation: http://127.0.0.1:1/", "answered 302 Found; redirects are not followed"),
        ("308 Permanent Redirect", "redirects are not followed"),
        ("304 Not Modified", "127.0.0.1 answered 304 Not Modified."),
        ("999 Whatever", "127.0.0.1 answered 999."),
    ] {
        let receiver = Receiver::answering(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"));
        let sent = post(&client(), &receiver.url(), b"{}", LONG);
        assert_fails(&sent, ErrorCode::Status, words);
        assert_eq!(sent.answer.unwrap().code.to_string(), line[..3]);
    }
}

#[test]
fn a_204_and_an_http_1_0_answer_are_successes() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    ] {
        let sent = post(&client(), &Receiver::answering(answer).url(), b"{}", LONG);
        assert_eq!(sent.failure, None, "{answer:?}");
    }
}

#[test]
fn sixteen_kib_of_a_body_are_kept_and_the_rest_is_said_to_be_missing() {
    for (length, truncated) in [(16 * 1024, false), (16 * 1024 + 1, true), (1 << 30, true)] {
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        answer.extend(vec![b'x'; length.min(100 * 1024)]);
        let sent = post(&client(), &Receiver::answering(answer).url(), b"{}", LONG);
        assert_eq!(sent.failure, None);
        let answer = sent.answer.unwrap();
        assert_eq!((answer.body.len(), answer.body_truncated), (16 * 1024, truncated));
    }
}

#[test]
fn sixteen_kib_of_headers_are_kept() {
    let many = format!("x-long: {}\r\n", "y".repeat(1000)).repeat(25);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{many}\r\n");
    let sent = post(&client(), &Receiver::answering(answer).url(), b"{}", LONG);
    assert_eq!(sent.failure, None);
    let bytes: usize = sent.answer.unwrap().headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!((15_000..=16 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn an_early_answer_to_a_request_that_is_not_read_is_reported() {
    let body = vec![b'x'; 16 * 1024 * 1024];
    for closes in [false, true] {
        let receiver = Receiver::start(move |mut stream, _| {
            let mut some = [0; 1000];
            stream.read_exact(&mut some).unwrap();
            stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 8\r\n\r\ntoo long").unwrap();
            if !closes {
                hold(stream);
            }
        });
        let sent = post(&client(), &receiver.url(), &body, Duration::from_secs(3));
        assert_fails(&sent, ErrorCode::Status, "413 Content Too Large");
        assert_eq!(sent.answer.unwrap().body, b"too long");
        assert!(sent.duration < Duration::from_secs(2));
    }
}

#[test]
fn an_interim_answer_does_not_stop_a_request_that_is_still_being_sent() {
    let receiver = Receiver::start(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(100));
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
    });
    let sent = post(&client(), &receiver.url(), &vec![b'x'; 8 * 1024 * 1024], LONG);
    assert_eq!(sent.failure, None);
}

#[test]
fn an_answer_longer_than_its_own_length_ends_the_connection() {
    let receiver = Receiver::keeping_alive("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more");
    let client = client();
    for _ in 0..3 {
        let sent = post(&client, &receiver.url(), b"{}", LONG);
        assert_eq!((sent.failure, sent.answer.unwrap().body.as_slice()), (None, &b"ok"[..]));
    }
    assert_eq!(receiver.connections(), 3);
}

#[test]
fn as_many_and_as_long_headers_as_are_allowed_go_out_whole() {
    let receiver = Receiver::start(|mut stream, _| {
        let length = read_request(&mut stream).unwrap().len();
        let status = if length > 32 * 4096 { 200 } else { 400 };
        write!(stream, "HTTP/1.1 {status} Judged\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let headers: Vec<_> = (0..32).map(|number| (format!("x-{number}"), "v".repeat(4096))).collect();
    let url = receiver.url();
    let sent = client().post(&Outgoing { url: &url, tenant: "", headers: &headers, body: b"{}", tls: None }, LONG);
    assert_eq!(sent.failure, None);
}

#[test]
fn a_panic_in_an_attempt_leaves_the_thread_and_the_client_usable() {
    struct Panicking(Trusting, AtomicUsize);
    impl Resolve for Panicking {
        fn resolve(&self, url: &str, tenant: &str, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
            assert!(self.1.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
            self.0.resolve(url, tenant, deadline)
        }
    }
    let client = client_with(Panicking(Trusting, AtomicUsize::new(0)), Vec::new());
    let receiver = Receiver::keeping_alive(OK);
    let attempt = || post(&client, &receiver.url(), b"{}", LONG);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)).is_err());
    assert_eq!(attempt().failure, None);
}
