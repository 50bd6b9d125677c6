use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// A private authority that issues certificates for the tests' servers.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Authority {
        Authority::named("Test Authority")
    }

    pub(super) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Issues a certificate; returns it with its key.
    pub(super) fn sign(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn issue(&self, params: CertificateParams) -> ServerConfig {
        let (certificate, key) = self.sign(params);
        server_config(certificate.der().clone(), &key)
    }
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

pub(super) fn for_host(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

/// Serves TLS, and passes each connection and its number to a function.
pub(super) fn secure_receiver(
    config: ServerConfig,
    serve: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>, usize) + Send + Sync + 'static,
) -> Receiver {
    let config = Arc::new(config);
    Receiver::start(move |stream, number| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        serve(&mut StreamOwned::new(connection, stream), number);
    })
}

fn answering(config: ServerConfig) -> Receiver {
    secure_receiver(config, |stream, _| while read_request(stream).is_some() && stream.write_all(OK).is_ok() {})
}

pub(super) fn https(receiver: &Receiver) -> String {
    format!("https://localhost:{}/hook", receiver.address.port())
}

#[test]
fn a_certificate_of_an_extra_root_is_trusted_and_the_connection_kept() {
    let authority = Authority::new();
    let receiver = answering(authority.issue(for_host("localhost")));
    for root in [authority.pem(), authority.0.der().to_vec()] {
        let client = client_with(Trusting, vec![root]);
        let before = receiver.connections();
        let first = post(&client, &https(&receiver), b"{}", LONG);
        assert_eq!(first.failure, None);
        assert!(first.timings.tls_us.is_some());
        let second = post(&client, &https(&receiver), b"{}", LONG);
        assert_eq!((second.failure, second.connections, second.timings.tls_us), (None, 1, None));
        assert_eq!(receiver.connections(), before + 1);
    }
}

#[test]
fn an_address_in_the_url_is_matched_with_the_certificate() {
    let authority = Authority::new();
    let receiver = answering(authority.issue(for_host("127.0.0.1")));
    let url = format!("https://{}/", receiver.address);
    assert_eq!(post(&client_with(Trusting, vec![authority.pem()]), &url, b"{}", LONG).failure, None);
}

#[test]
fn a_body_of_a_mebibyte_arrives_whole_through_tls() {
    let authority = Authority::new();
    let receiver = secure_receiver(authority.issue(for_host("localhost")), |stream, _| {
        let length = read_request(stream).unwrap().len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-length: {}\r\n\r\n", length > 1 << 20).unwrap();
    });
    let client = client_with(Trusting, vec![authority.pem()]);
    let sent = post(&client, &https(&receiver), &vec![b'x'; 1 << 20], LONG);
    assert_eq!(sent.failure, None);
    assert!(sent.answer.unwrap().headers.contains(&("x-length".to_owned(), "true".to_owned())));
}

#[test]
fn each_fault_of_a_certificate_has_its_code() {
    let authority = Authority::new();
    let client = client_with(Trusting, vec![authority.pem()]);
    let check = |config: ServerConfig, code: ErrorCode, words: &str| {
        let sent = post(&client, &https(&answering(config)), b"{}", LONG);
        assert_fails(&sent, code, words);
        assert_fails(&sent, code, "localhost");
        assert!(sent.remote_address.is_some() && sent.timings.tls_us.is_none());
    };

    let mut expired = for_host("localhost");
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    check(authority.issue(expired), ErrorCode::TlsExpired, "expired at 2021-01-01T00:00:00Z");

    let mut future = for_host("localhost");
    (future.not_before, future.not_after) = (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1));
    check(authority.issue(future), ErrorCode::TlsExpired, "not valid yet");

    check(authority.issue(for_host("other.test")), ErrorCode::TlsWrongHost, "another host");
    let strange = Authority::named("Another Authority");
    check(strange.issue(for_host("localhost")), ErrorCode::TlsUntrusted, "isn't trusted");
    let namesake = Authority::new();
    check(namesake.issue(for_host("localhost")), ErrorCode::TlsUntrusted, "isn't trusted");

    // Created as most tools do, including `openssl req -x509`.
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = for_host("localhost");
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        check(server_config(certificate.der().clone(), &key), ErrorCode::TlsUntrusted, "self-signed");
    }
}

#[test]
fn a_port_without_tls_is_told_apart() {
    let plain = Receiver::start(|mut stream, _| {
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        thread::sleep(SHORT);
    });
    assert_fails(&post(&client(), &https(&plain), b"{}", LONG), ErrorCode::TlsFailed, "does not speak TLS");

    let closing = Receiver::start(|mut stream, _| {
        let _ = stream.read(&mut [0; 1024]);
    });
    assert_fails(&post(&client(), &https(&closing), b"{}", LONG), ErrorCode::TlsFailed, "during the TLS handshake");
}

#[test]
fn a_plain_request_to_a_tls_port_is_told_apart() {
    let receiver = answering(Authority::new().issue(for_host("localhost")));
    let sent = post(&client(), &receiver.url(), b"{}", LONG);
    assert_fails(&sent, ErrorCode::ProtocolError, "https://");
}

#[test]
fn a_handshake_that_stalls_or_drips_ends_at_the_limit() {
    let silent = Receiver::start(|stream, _| {
        thread::sleep(LONG);
        drop(stream);
    });
    let sent = post_within_limit(&https(&silent), b"{}");
    assert_fails(&sent, ErrorCode::Timeout, "TLS handshake");

    // The head of a handshake record of 16,000 bytes, then single bytes with pauses.
    let dripping = Receiver::start(|mut stream, _| {
        stream.write_all(&[0x16, 3, 3, 0x3e, 0x80, 2]).unwrap();
        while stream.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let sent = post_within_limit(&https(&dripping), b"{}");
    assert_fails(&sent, ErrorCode::Timeout, "TLS handshake");
}

#[test]
fn a_body_that_drips_through_tls_ends_at_the_limit() {
    let authority = Authority::new();
    let receiver = secure_receiver(authority.issue(for_host("localhost")), |stream, _| {
        read_request(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        while stream.write_all(b"y").and_then(|()| stream.flush()).is_ok() {
            thread::sleep(Duration::from_millis(30));
        }
    });
    let sent = post(&client_with(Trusting, vec![authority.pem()]), &https(&receiver), b"{}", SHORT);
    assert_fails(&sent, ErrorCode::Timeout, "did not finish the body");
    assert!(sent.duration < SHORT + SLACK);
}

#[test]
fn an_early_answer_through_tls_is_reported() {
    let authority = Authority::new();
    let receiver = secure_receiver(authority.issue(for_host("localhost")), |stream, _| {
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").unwrap();
        thread::sleep(LONG);
    });
    let client = client_with(Trusting, vec![authority.pem()]);
    let sent = post(&client, &https(&receiver), &vec![b'x'; 16 << 20], Duration::from_secs(3));
    assert_fails(&sent, ErrorCode::Status, "413");
    assert!(sent.duration < Duration::from_secs(2));
}

#[test]
fn a_kept_tls_connection_that_died_is_replaced_within_the_attempt() {
    let authority = Authority::new();
    let receiver = secure_receiver(authority.issue(for_host("localhost")), |stream, number| {
        read_request(stream);
        stream.write_all(OK).unwrap();
        if read_request(stream).is_some() && number > 0 {
            stream.write_all(OK).unwrap();
        }
    });
    let client = client_with(Trusting, vec![authority.pem()]);
    assert_eq!(post(&client, &https(&receiver), b"{}", LONG).connections, 1);
    let second = post(&client, &https(&receiver), b"{}", LONG);
    assert_eq!((second.failure, second.connections), (None, 2));
}

#[test]
fn a_root_certificate_that_is_none_is_refused() {
    for bytes in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nnothing\n"] {
        let options = ClientOptions { extra_root_certificates: vec![bytes.to_vec()], ..ClientOptions::default() };
        let error = Client::new(Arc::new(Trusting), options).unwrap_err();
        assert!(error.to_string().contains("number 1"), "{error}");
    }
}
