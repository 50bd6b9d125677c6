//! The server's own HTTPS: a certificate and its key from two files, which are read again when they change.
//!
//! A pair that cannot be used never replaces one that can. Handshakes have the time that the head of a first request has, and
//! count as connections, so a silent one holds no more than a silent connection without TLS does.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::domain::tls::Validity;
use crate::http::refusals::Refusals;

/// Longest file that is read.
const MOST_BYTES: u64 = 1 << 20;
/// First byte of a TLS connection: the content type of a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// Time and bytes in which a client without TLS may read the refusal.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// Files with a certificate and its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate in PEM, followed by its intermediates.
    pub certificate: PathBuf,
    /// Private key in PEM.
    pub key: PathBuf,
}

/// Certificate and key that belong together.
pub struct Pair {
    key: Arc<CertifiedKey>,
    /// Of the certificate, or of the intermediate that ends first.
    pub validity: Validity,
}

/// Error of the files, with what to do.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("{0} is longer than 1 MiB, so it is not a certificate or a key.")]
    TooLong(PathBuf),
    #[error("{0} is not complete PEM: each part needs its BEGIN line and its END line.")]
    Incomplete(PathBuf),
    #[error("{0} has no certificate, which begins with -----BEGIN CERTIFICATE-----.")]
    NoCertificate(PathBuf),
    #[error("{path}: certificate number {number} is not valid X.509.")]
    NotX509 { path: PathBuf, number: usize },
    #[error("{0} has no private key, which begins with -----BEGIN PRIVATE KEY-----.")]
    NoKey(PathBuf),
    #[error("The private key in {0} is encrypted. \"openssl pkey -in FILE\" prints it without encryption.")]
    Encrypted(PathBuf),
    #[error("The private key in {0} is of a kind that is not supported. Use ECDSA (P-256, P-384), RSA or Ed25519.")]
    Unsupported(PathBuf),
    #[error(
        "The key in {key} does not belong to the first certificate in {certificate}. The server's certificate comes first, then its intermediates."
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

impl TlsFiles {
    /// Reads the files.
    pub fn read(&self) -> Result<Pair, TlsError> {
        let text = read(&self.certificate)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|_| TlsError::Incomplete(self.certificate.clone()))?;
        let mut validities = Vec::new();
        for (index, certificate) in chain.iter().enumerate() {
            let wrong = || TlsError::NotX509 { path: self.certificate.clone(), number: index + 1 };
            ParsedCertificate::try_from(certificate).map_err(|_| wrong())?;
            validities.push(Validity::read(certificate).ok_or_else(wrong)?);
        }
        let first = validities.into_iter().min_by_key(|validity| validity.to_ms);
        let validity = first.ok_or_else(|| TlsError::NoCertificate(self.certificate.clone()))?;
        let text = read(&self.key)?;
        let has = |part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
        if has("BEGIN ENCRYPTED") || has("Proc-Type:") {
            return Err(TlsError::Encrypted(self.key.clone()));
        }
        let mut keys = PrivateKeyDer::pem_slice_iter(&text);
        let key = keys.next().ok_or_else(|| TlsError::NoKey(self.key.clone()))?;
        let key = key.map_err(|_| TlsError::Incomplete(self.key.clone()))?;
        let key = any_supported_type(&key).map_err(|_| TlsError::Unsupported(self.key.clone()))?;
        let key = CertifiedKey::new(chain, key);
        // An error also if the key cannot tell, which those of ring can.
        key.keys_match()
            .map_err(|_| TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() })?;
        Ok(Pair { key: Arc::new(key), validity })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    if std::fs::metadata(path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(TlsError::TooLong(path.to_owned()));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Certificate that handshakes present, which can be replaced. Cheap to clone.
#[derive(Clone)]
pub(super) struct Presented(Arc<Current>);

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Presented {
    pub(super) fn new(pair: &Pair) -> Presented {
        Presented(Arc::new(Current(RwLock::new(Arc::clone(&pair.key)))))
    }

    /// Presents another certificate from now on. Returns whether it is another one.
    pub(super) fn replace(&self, pair: &Pair) -> bool {
        let mut current = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.cert != pair.key.cert;
        *current = Arc::clone(&pair.key);
        is_new
    }

    /// Returns the acceptor of handshakes: TLS 1.2 and 1.3, for HTTP/1.1.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Connection with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Performs the handshake of a new connection within a time limit. A client without TLS gets a refusal.
pub(super) async fn handshake(
    acceptor: TlsAcceptor,
    mut stream: TcpStream,
    limit: Duration,
    refusals: &Refusals,
) -> io::Result<Stream> {
    let accepted = timeout(limit, async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            // Limited as a whole, and the client may be gone.
            let _ = timeout(LINGER, refuse(&mut stream, refusals)).await;
            return Err(io::Error::other("not TLS"));
        }
        acceptor.accept(stream).await
    });
    match accepted.await {
        Ok(accepted) => Ok(Stream::Tls(Box::new(accepted?))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Answers a request without TLS. What it sends is read before the connection is closed, which would drop the answer.
async fn refuse(stream: &mut TcpStream, refusals: &Refusals) -> io::Result<()> {
    stream.writable().await?;
    stream.try_write(&refusals.of_plain_http())?;
    poll_fn(|context| Pin::new(&mut *stream).poll_shutdown(context)).await?;
    let mut bytes = [0; 1024];
    let mut left = LINGER_BYTES;
    while left > 0 {
        stream.readable().await?;
        match stream.try_read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
