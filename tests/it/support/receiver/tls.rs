//! TLS for the receiver: one certificate authority per process, and faulty certificates and handshakes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::behaviour::Pace;
use super::shared::Shared;

/// Certificate or handshake of a receiver at `https://localhost`.
#[derive(Debug, Clone, Copy)]
pub enum TlsKind {
    /// A valid certificate of the test authority for `localhost` and 127.0.0.1.
    Good,
    /// Like [`Self::Good`], but expired at the end of 2020.
    Expired,
    /// Like [`Self::Good`], but valid only from 2090 on.
    NotYetValid,
    /// Like [`Self::Good`], and requires a client certificate of the test authority.
    Mutual,
    /// Like [`Self::Good`], but valid until the beginning of this year only.
    Until(i32),
    /// A self-signed certificate for `localhost`.
    SelfSigned,
    /// A certificate of the test authority for `elsewhere.example`.
    WrongHost,
    /// A valid certificate, with a handshake of several hundred bytes sent one by one.
    HandshakeDrip(Pace),
    /// No TLS: responds to the ClientHello with a plain 400.
    PlainHttp,
}

/// Certificate of the test authority in PEM, as a trust anchor for clients. Each process has its own authority.
pub fn test_ca_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| authority().pem())
}

impl TlsKind {
    pub(super) fn transport(self) -> Transport {
        if let Self::PlainHttp = self {
            return Transport::Plain;
        }
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(&key);
        Transport::Tls {
            config: Arc::new(Mutex::new(server_config(&certificate, &key, matches!(self, Self::Mutual)))),
            pace: match self {
                Self::HandshakeDrip(pace) => Some(pace),
                _ => None,
            },
        }
    }

    /// Certificate and key in PEM, for a server that reads files.
    pub fn pem(self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (self.certificate(&key).pem(), key.serialize_pem())
    }

    /// Configuration of a server that is no HTTP receiver.
    pub fn server_config(self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        server_config(&self.certificate(&key), &key, false)
    }

    fn certificate(self, key: &KeyPair) -> Certificate {
        let names = match self {
            Self::WrongHost => vec!["elsewhere.example".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let (from, to) = match self {
            Self::Expired => (2019, 2021),
            Self::NotYetValid => (2090, 2099),
            Self::Until(year) => (2020, year),
            _ => (2020, 2099),
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        match self {
            Self::SelfSigned => params.self_signed(key).unwrap(),
            _ => params.signed_by(key, authority()).unwrap(),
        }
    }
}

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// A client certificate of the test authority, valid from one year's beginning to another's, and its key; both in PEM.
pub fn client_certificate(name: &str, from: i32, to: i32) -> (String, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority()).unwrap().pem(), key.serialize_pem())
}

fn client_verifier() -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority().der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
}

fn server_config(certificate: &Certificate, key: &KeyPair, is_mutual: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = match is_mutual {
        true => config.with_client_cert_verifier(client_verifier()),
        false => config.with_no_client_auth(),
    };
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

/// Byte stream below HTTP.
pub(super) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Transport of accepted connections.
#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls {
        config: Arc<Mutex<Arc<ServerConfig>>>,
        /// Pace of the handshake; `None` sends it at once.
        pace: Option<Pace>,
    },
}

impl Transport {
    /// Has new connections present another certificate.
    pub fn renew(&self, kind: TlsKind) {
        if let Self::Tls { config, .. } = self {
            *config.lock().unwrap() = kind.server_config();
        }
    }

    /// Opens the stream, including the TLS handshake if there is one.
    pub fn open(&self, socket: &Arc<TcpStream>, shared: &Shared) -> io::Result<Box<dyn Stream>> {
        let mut socket = Socket(Arc::clone(socket));
        let Self::Tls { config, pace } = self else {
            return Ok(Box::new(socket));
        };
        let mut session = ServerConnection::new(Arc::clone(&config.lock().unwrap())).map_err(io::Error::other)?;
        match *pace {
            Some(pace) => session.complete_io(&mut Dripping::new(&socket, shared, pace))?,
            None => session.complete_io(&mut socket)?,
        };
        Ok(Box::new(StreamOwned::new(session, socket)))
    }
}

/// A handle to the socket shared with the list of open connections. It must not be a duplicate of the file descriptor:
/// the kernel sends a reset only when the last duplicate is closed.
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// A socket that sends one byte at a time, at a pace.
struct Dripping<'a> {
    socket: &'a TcpStream,
    shared: &'a Shared,
    pace: Pace,
    began: Instant,
}

impl<'a> Dripping<'a> {
    fn new(socket: &'a Socket, shared: &'a Shared, pace: Pace) -> Self {
        Self { socket: &socket.0, shared, pace, began: Instant::now() }
    }
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Dripping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared.pause(self.pace.gap_at(self.began.elapsed()))?;
        self.socket.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
