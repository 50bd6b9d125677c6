use hookpost::domain::tls::TlsSettings;
use rcgen::{CertificateParams, DnType, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_cert::der::Decode as _;

use super::tls::{Authority, for_host, https, secure_receiver};
use super::*;

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Authorities of one test: of the receiver's certificate, and of its clients'.
struct World {
    servers: Authority,
    clients: Authority,
}

impl World {
    fn new() -> World {
        World { servers: Authority::named("Servers"), clients: Authority::named("Clients") }
    }

    /// A client that trusts the receiver's authority.
    fn client(&self) -> Client {
        client_with(Trusting, vec![self.servers.pem()])
    }

    /// A receiver at `localhost` that responds with the name of the client, and with the kind of the handshake.
    fn receiver(&self, version: &'static SupportedProtocolVersion, is_required: bool) -> Receiver {
        let mut roots = RootCertStore::empty();
        roots.add(self.clients.certificate()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = if is_required { verifier } else { verifier.allow_unauthenticated() }.build().unwrap();
        let (certificate, key) = self.servers.sign(for_host("localhost"));
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.session_storage = rustls::server::ServerSessionMemoryCache::new(64);
        secure_receiver(config, |stream, _| {
            while let Some(request) = read_request(stream) {
                let certificate = stream.conn.peer_certificates().and_then(|chain| chain.first());
                let name = certificate.map_or_else(|| "nobody".to_owned(), |bytes| name_of(bytes));
                let kind = format!("{:?}", stream.conn.handshake_kind().unwrap());
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-client: {name}\r\nx-kind: {kind}\r\n");
                let closes = request.windows(4).any(|word| word == b"quit");
                let end = if closes { "connection: close\r\n\r\n" } else { "\r\n" };
                if write!(stream, "{head}{end}").is_err() || closes {
                    return;
                }
            }
        })
    }

    fn identity(&self, name: &str) -> Arc<Tls> {
        issued_by(&self.clients, named(name))
    }
}

fn name_of(certificate: &[u8]) -> String {
    x509_cert::Certificate::from_der(certificate).unwrap().tbs_certificate().subject().to_string()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn issued_by(authority: &Authority, params: CertificateParams) -> Arc<Tls> {
    let (certificate, key) = authority.sign(params);
    tls(TlsSettings {
        client_certificate: Some(Some(certificate.pem())),
        client_key: Some(Some(key.serialize_pem())),
        ca: None,
    })
}

fn trusting(authority: &Authority) -> Arc<Tls> {
    tls(TlsSettings { ca: Some(Some(String::from_utf8(authority.pem()).unwrap())), ..TlsSettings::default() })
}

fn tls(settings: TlsSettings) -> Arc<Tls> {
    Arc::new(settings.apply(None, false).unwrap().unwrap())
}

fn header(sent: &ClientResult, name: &str) -> String {
    assert_eq!(sent.failure, None);
    let headers = &sent.answer.as_ref().unwrap().headers;
    headers.iter().find(|(known, _)| known == name).unwrap().1.clone()
}

#[test]
fn a_receiver_that_requires_a_certificate_gets_that_of_the_webhook() {
    let world = World::new();
    for version in BOTH {
        let receiver = world.receiver(version, true);
        let anna = world.identity("anna");
        let sent = post_with(&world.client(), &https(&receiver), b"{}", LONG, Some(&anna));
        assert_eq!(header(&sent, "x-client"), "CN=anna");
    }
}

#[test]
fn a_receiver_that_requires_a_certificate_and_gets_none_is_told_apart() {
    let world = World::new();
    for version in BOTH {
        let receiver = world.receiver(version, true);
        let sent = post(&world.client(), &https(&receiver), b"{}", LONG);
        assert_fails(&sent, ErrorCode::TlsClientCertificate, "requires a client certificate, and the webhook has none");
        let only_ca = trusting(&world.servers);
        let sent = post_with(&client(), &https(&receiver), b"{}", LONG, Some(&only_ca));
        assert_fails(&sent, ErrorCode::TlsClientCertificate, "the webhook has none");
    }
}

#[test]
fn a_rejected_certificate_is_reported_with_the_reason_and_its_end() {
    let world = World::new();
    let mut expired = named("late");
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let expired = issued_by(&world.clients, expired);
    let strange = issued_by(&Authority::named("Strangers"), named("eve"));
    for version in BOTH {
        let receiver = world.receiver(version, true);
        let sent = post_with(&world.client(), &https(&receiver), b"{}", LONG, Some(&expired));
        assert_fails(&sent, ErrorCode::TlsClientCertificate, "(valid until 2021-01-01T00:00:00Z): it has expired");
        let sent = post_with(&world.client(), &https(&receiver), b"{}", LONG, Some(&strange));
        assert_fails(&sent, ErrorCode::TlsClientCertificate, "its issuer is not trusted");
        // The alert arrives while the body is on its way.
        let sent = post_with(&world.client(), &https(&receiver), &vec![b'x'; 1 << 20], LONG, Some(&strange));
        assert_fails(&sent, ErrorCode::TlsClientCertificate, "its issuer is not trusted");
    }
}

#[test]
fn a_private_authority_is_trusted_for_the_webhooks_that_name_it_only() {
    let world = World::new();
    let receiver = world.receiver(&TLS13, false);
    let client = client();
    let trusted = trusting(&world.servers);
    assert_eq!(post_with(&client, &https(&receiver), b"{}", LONG, Some(&trusted)).failure, None);
    // The connection of the first request is still open.
    let sent = post(&client, &https(&receiver), b"{}", LONG);
    assert_fails(&sent, ErrorCode::TlsUntrusted, "isn't trusted");
    let other = trusting(&world.clients);
    let sent = post_with(&client, &https(&receiver), b"{}", LONG, Some(&other));
    assert_fails(&sent, ErrorCode::TlsUntrusted, "isn't trusted");
    let again = post_with(&client, &https(&receiver), b"{}", LONG, Some(&trusted));
    assert_eq!((again.failure, again.timings.tls_us), (None, None));
}

#[test]
fn a_self_signed_certificate_is_trusted_where_it_is_given_as_its_own_authority() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = for_host("localhost").self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let receiver =
        secure_receiver(config, |stream, _| while read_request(stream).is_some() && stream.write_all(OK).is_ok() {});
    let pinned = tls(TlsSettings { ca: Some(Some(certificate.pem())), ..TlsSettings::default() });
    assert_eq!(post_with(&client(), &https(&receiver), b"{}", LONG, Some(&pinned)).failure, None);
}

#[test]
fn idle_connections_are_reused_with_the_same_certificate_only() {
    let world = World::new();
    let (receiver, client) = (world.receiver(&TLS13, false), world.client());
    let (anna, ben) = (world.identity("anna"), world.identity("ben"));
    // Read back from the store, it is the same identity.
    let anna_again = Arc::new(Tls::of_spec(&anna.spec(), anna.ends_ms).unwrap());
    for round in 0..3 {
        for (identity, name) in
            [(Some(&anna), "CN=anna"), (None, "nobody"), (Some(&ben), "CN=ben"), (Some(&anna_again), "CN=anna")]
        {
            let sent = post_with(&client, &https(&receiver), b"{}", LONG, identity);
            assert_eq!(header(&sent, "x-client"), name, "round {round}");
        }
    }
    assert_eq!(receiver.connections(), 3, "one for each certificate, and one without");
}

#[test]
fn a_session_is_resumed_with_the_same_certificate_only() {
    let world = World::new();
    for version in BOTH {
        let (receiver, client) = (world.receiver(version, false), world.client());
        let (anna, ben) = (world.identity("anna"), world.identity("ben"));
        let kind_and_name = |identity: Option<&Arc<Tls>>| {
            let sent = post_with(&client, &https(&receiver), b"quit", LONG, identity);
            (header(&sent, "x-kind"), header(&sent, "x-client"))
        };
        let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
        assert_eq!(kind_and_name(Some(&anna)), pair("Full", "CN=anna"));
        assert_eq!(kind_and_name(Some(&ben)), pair("Full", "CN=ben"));
        assert_eq!(kind_and_name(None), pair("Full", "nobody"));
        assert_eq!(kind_and_name(Some(&anna)), pair("Resumed", "CN=anna"));
        assert_eq!(kind_and_name(None), pair("Resumed", "nobody"));
    }
}
