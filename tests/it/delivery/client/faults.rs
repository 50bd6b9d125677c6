use hookpost::domain::attempt::Failure;

use super::*;

/// An address whose accept queue is full, so that connections time out.
struct Deaf {
    address: SocketAddr,
    _held: (TcpListener, Vec<TcpStream>),
}

impl Deaf {
    fn new() -> Deaf {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting =
            (0..3).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok()).collect();
        Deaf { address, _held: (listener, waiting) }
    }
}

fn refusing_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_failure_to_resolve_is_reported_as_it_is() {
    let cause = FailureCause::TargetBlocked { reason: Some("not there".to_owned()), entry: None };
    let sent = post(&client_with(Always(Err(cause.clone())), Vec::new()), "http://a.test/", b"{}", LONG);
    assert_eq!(sent.failure, Some(Failure { cause, message: "not there".to_owned() }));
    assert_eq!((sent.answer, sent.remote_address), (None, None));
    assert!(sent.timings.resolve_us.is_some());
    let nowhere = post(&client_with(Always(Ok(Vec::new())), Vec::new()), "http://a.test/", b"{}", LONG);
    assert_fails(&nowhere, ErrorCode::DnsFailed, "a.test");
}

#[test]
fn a_refused_connection_is_told_from_one_that_nobody_answers() {
    let refused = post_within_limit(&format!("http://{}/", refusing_address()), b"{}");
    assert_fails(&refused, ErrorCode::ConnectRefused, "nothing listens");
    let deaf = Deaf::new();
    let silent = post_within_limit(&format!("http://{}/", deaf.address), b"{}");
    assert_fails(&silent, ErrorCode::ConnectTimeout, "within 0.4 s");
}

#[test]
fn the_second_address_is_tried_when_the_first_is_dead() {
    let deaf = Deaf::new();
    for dead in [refusing_address(), deaf.address] {
        let receiver = Receiver::answering(OK);
        let client = client_with(Always(Ok(vec![dead, receiver.address])), Vec::new());
        let sent = post(&client, "http://two.test/", b"{}", Duration::from_millis(800));
        assert_eq!((sent.failure, sent.remote_address), (None, Some(receiver.address)));
    }
    let nobody = client_with(Always(Ok(vec![refusing_address(), refusing_address()])), Vec::new());
    let sent = post(&nobody, "http://two.test/", b"{}", SHORT);
    assert_fails(&sent, ErrorCode::ConnectRefused, "at any of its 2 addresses");
}

#[test]
fn silence_ends_at_the_limit() {
    let receiver = Receiver::start(|mut stream, _| {
        read_request(&mut stream);
        hold(stream);
    });
    let sent = post_within_limit(&receiver.url(), b"{}");
    assert_fails(&sent, ErrorCode::Timeout, "0.4 s");
    assert_fails(&sent, ErrorCode::Timeout, "did not respond");
    assert_eq!(sent.remote_address, Some(receiver.address));
}

#[test]
fn a_receiver_that_never_reads_ends_at_the_limit() {
    let receiver = Receiver::start(|stream, _| hold(stream));
    let sent = post_within_limit(&receiver.url(), &vec![b'x'; 32 * 1024 * 1024]);
    assert_fails(&sent, ErrorCode::Timeout, "did not read the request");
}

#[test]
fn a_head_that_drips_ends_at_the_limit() {
    for pause in [1, 50, 150] {
        let receiver = Receiver::flooding(b"HTTP/1.1 200 OK\r\nx-drip: ", b"y", Duration::from_millis(pause));
        let sent = post_within_limit(&receiver.url(), b"{}");
        assert_fails(&sent, ErrorCode::Timeout, "did not finish the headers");
        assert!(sent.timings.first_byte_us.is_some() && sent.answer.is_none());
    }
}

#[test]
fn a_body_that_drips_is_a_timeout_even_under_a_2xx_and_what_came_is_kept() {
    for head in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfff\r\n",
    ] {
        let receiver = Receiver::flooding(head, b"y", Duration::from_millis(30));
        let sent = post_within_limit(&receiver.url(), b"{}");
        assert_fails(&sent, ErrorCode::Timeout, "did not finish the body");
        let answer = sent.answer.unwrap();
        assert_eq!(answer.code, 200);
        assert!(answer.body.starts_with(b"yyy") && !answer.body_truncated);
    }
}

#[test]
fn a_limit_holds_on_a_kept_connection_that_had_a_longer_one_before() {
    let receiver = Receiver::start(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        read_request(&mut stream);
        hold(stream);
    });
    let client = client();
    assert_eq!(post(&client, &receiver.url(), b"{}", LONG).failure, None);
    let sent = post(&client, &receiver.url(), b"{}", SHORT);
    assert_fails(&sent, ErrorCode::Timeout, "did not respond");
    assert!(sent.duration < SHORT + SLACK && sent.timings.connect_us.is_none());
}

#[test]
fn an_endless_body_is_judged_by_its_status() {
    for (head, piece) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 4096][..]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"8\r\nabcdefgh\r\n"),
    ] {
        let sent = post(&client(), &Receiver::flooding(head, piece, Duration::ZERO).url(), b"{}", LONG);
        assert_eq!(sent.failure, None);
        assert!(sent.answer.unwrap().body_truncated);
    }
}

#[test]
fn floods_before_or_around_a_body_are_cut_off() {
    for (head, piece) in [
        (&b"HTTP/1.1 200 OK\r\n"[..], &b"x-endless: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"[..]),
        (b"HTTP/1.1 200 OK\r\nx-endless: ", &[b'y'; 1000]),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"),
        (b"", b"\r\n\r\n\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", &[b'y'; 1000]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-trailer: y\r\n"),
    ] {
        let receiver = Receiver::flooding(head, piece, Duration::ZERO);
        let sent = post(&client(), &receiver.url(), b"{}", LONG);
        assert_fails(&sent, ErrorCode::ProtocolError, "");
        assert!(sent.duration < Duration::from_secs(2), "{sent:?}");
    }
}

#[test]
fn what_is_not_http_is_said_to_be_so_and_shown() {
    for (answer, words) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "begins with \"SSH-2.0-OpenSSH_9.6"),
        ("<html>HTTP/0.9</html>", "not return valid HTTP/1"),
        ("HTTP/2 200 OK\r\n\r\n", "not return valid HTTP/1"),
        ("HTTP/1.1 2xx OK\r\n\r\n", "did not return valid HTTP: "),
        ("HTTP/1.1 099 OK\r\n\r\n", "did not return valid HTTP: "),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "did not return valid HTTP: "),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk", "conflicting content-length"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", "did not return valid HTTP: "),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok", "did not return valid HTTP: "),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "101 Switching Protocols"),
        ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}(", "https://"),
    ] {
        let sent = post(&client(), &Receiver::answering(answer).url(), b"{}", LONG);
        assert_fails(&sent, ErrorCode::ProtocolError, words);
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    let sent = post(&client(), &Receiver::answering(many).url(), b"{}", LONG);
    assert_fails(&sent, ErrorCode::ProtocolError, "too many headers");
}

#[test]
fn a_banner_that_comes_before_the_request_is_not_http_either() {
    let receiver = Receiver::start(|mut stream, _| {
        stream.write_all(b"220 mail.test ESMTP\r\n").unwrap();
        hold(stream);
    });
    let sent = post(&client(), &receiver.url(), b"{}", LONG);
    assert_fails(&sent, ErrorCode::ProtocolError, "220 mail.test ESMTP");
}

#[test]
fn a_connection_that_breaks_tells_where() {
    for (answer, words) in [
        ("", "before it responded"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "in the middle of the response headers"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "in the middle of the response body"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshor", "in the middle of the response body"),
    ] {
        for resets in [false, true] {
            let receiver = Receiver::start(move |mut stream, _| {
                read_request(&mut stream);
                stream.write_all(answer.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(100));
                if resets {
                    reset(stream);
                }
            });
            let sent = post(&client(), &receiver.url(), b"{}", LONG);
            assert_fails(&sent, ErrorCode::ConnectionReset, words);
            assert_fails(&sent, ErrorCode::ConnectionReset, if resets { " reset the " } else { " closed the " });
            assert_eq!(sent.answer.is_some(), words == "in the middle of the response body");
        }
    }
}

#[test]
fn a_body_without_a_length_that_ends_in_a_reset_is_not_whole() {
    let receiver = Receiver::start(move |mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
        thread::sleep(Duration::from_millis(100));
        reset(stream);
    });
    let sent = post(&client(), &receiver.url(), b"{}", LONG);
    assert_fails(&sent, ErrorCode::ConnectionReset, "in the middle of the response body");
    assert_eq!(sent.answer.unwrap().body, b"half");
}

#[test]
fn a_request_that_cannot_be_written_is_a_failure_and_no_panic() {
    for (name, value) in [("x bad", "v"), ("x-bad", "a\r\nb: c"), ("", "v")] {
        let headers = [(name.to_owned(), value.to_owned())];
        let receiver = Receiver::keeping_alive(OK);
        let sent = client()
            .post(&Outgoing { url: &receiver.url(), tenant: "", headers: &headers, body: b"{}", tls: None }, LONG);
        assert_fails(&sent, ErrorCode::ProtocolError, "could not be made");
        assert_eq!(receiver.connections(), 0);
    }
    let sent = post(&client_with(Always(Ok(vec![refusing_address()])), Vec::new()), "http://[oops/", b"{}", LONG);
    assert_fails(&sent, ErrorCode::ProtocolError, "could not be made");
}

#[test]
fn a_time_limit_without_end_is_cut_to_a_day() {
    let sent = post(&client(), &Receiver::answering(OK).url(), b"{}", Duration::MAX);
    assert_eq!(sent.failure, None);
}
