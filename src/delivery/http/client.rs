//! HTTP client: one POST to one target within a time limit.
//!
//! The client follows no redirect, uses no proxy, asks for no compression, and reads at most 16 KiB of a response, or as
//! much as its options say. It
//! connects to the addresses from [`Resolve`] only. It stores nothing, and retries in one case only: a reused connection
//! that the receiver had closed while it was idle.
//!
//! A call blocks its thread. The only lock is around the idle connections, held briefly.

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::config::AutoHeaderValue;
use ureq::http;
pub use ureq::http::Method;
use ureq::{Agent, Body};

use super::exchange;
use super::transport;
use crate::delivery::http::classify;
use crate::delivery::http::exchange::{Exchange, micros};
use crate::delivery::http::identity::Identities;
use crate::delivery::http::pool::Pool;
use crate::domain::attempt::{Failure, FailureCause, ReceiverResponse, Timings};
use crate::domain::tls::{Tls, Validity};
use crate::text::failure::describe;

/// Number of bytes kept of a response's headers (names and values), and of its body.
const KEPT_BYTES: usize = 16 * 1024;

/// Longest time limit, to avoid overflow in sums with instants.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Resolves a target to allowed socket addresses.
pub trait Resolve: Send + Sync + 'static {
    /// Returns the addresses to connect to for the `url` given to [`Client::post`], in the order to try them. `tenant` is
    /// the one that a slow lookup is charged to.
    ///
    /// # Errors
    ///
    /// The cause of the attempt's failure. Implementations should return by `deadline`.
    fn resolve(&self, url: &str, tenant: &str, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause>;
}

/// Settings of a client.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// `User-Agent` of requests that set none.
    pub user_agent: String,
    /// Certificates trusted in addition to Mozilla's: each a DER certificate, or PEM with any number of them.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// Maximum number of idle connections over all endpoints; should be at least the number of workers.
    pub idle_connections: usize,
    /// Bytes to keep of the body of a response, if more than 16 KiB.
    pub kept_bytes: usize,
    /// Whether any certificate is accepted: for the server of the same machine only.
    pub trusts_all: bool,
}

/// Error of setting up a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `number` counts from 1, in the order of [`ClientOptions::extra_root_certificates`].
    #[error(
        "extra root certificate number {number} is neither a DER certificate nor a PEM text with certificates: {reason}"
    )]
    RootCertificate { number: usize, reason: String },
    #[error("the TLS library could not be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub url: &'a str,
    /// Owner of the slots for slow lookups: a tenant, or the owner of a contact; empty for nobody.
    pub tenant: &'a str,
    /// All headers except `Host` and `Content-Length`, which the client adds: a wrong `Content-Length` would break the
    /// connection.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
    /// Certificates beside the common ones: those of the webhook. They apply to `https` URLs.
    pub tls: Option<&'a Arc<Tls>>,
}

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientResult {
    /// Response; incomplete if a failure ended its body.
    pub answer: Option<ReceiverResponse>,
    /// `None` for a complete 2xx response. Any other complete response except 101 fails with the code `Status`.
    pub failure: Option<Failure>,
    pub timings: Timings,
    pub duration: Duration,
    /// Peer of the last connection used, which may have been opened by an earlier request.
    pub remote_address: Option<SocketAddr>,
    /// Validity of the endpoint's certificate, if a new connection has shown it.
    pub certificate: Option<Validity>,
    /// 1, or 2 if a reused connection was closed and a new one was opened.
    pub connections: u8,
}

impl Default for ClientResult {
    /// A result without a response, in no time.
    fn default() -> ClientResult {
        ClientResult {
            answer: None,
            failure: None,
            timings: Timings::default(),
            duration: Duration::ZERO,
            remote_address: None,
            certificate: None,
            connections: 1,
        }
    }
}

/// Sends requests. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    resolve: Arc<dyn Resolve>,
    agent: Agent,
    idle: Arc<Pool>,
    /// Bytes to keep of the body of a response.
    kept_bytes: usize,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Unclassified result of one exchange.
#[derive(Default)]
pub(super) struct RawOutcome {
    pub(super) answer: Option<ReceiverResponse>,
    pub(super) error: Option<ureq::Error>,
}

impl Client {
    /// Sets up a client; opens no connection.
    ///
    /// # Errors
    ///
    /// If an extra root certificate cannot be parsed.
    pub fn new(resolve: Arc<dyn Resolve>, options: ClientOptions) -> Result<Client, ClientError> {
        let idle = Arc::new(Pool::new(options.idle_connections));
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding(AutoHeaderValue::None)
            .user_agent(options.user_agent)
            .max_response_header_size(transport::HEAD_BYTES)
            // Idle connections are kept by `Pool`.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .build();
        let identities = Identities::new(roots(&options.extra_root_certificates)?, options.trusts_all)?;
        let agent = transport::agent(config, identities, idle.clone());
        Ok(Client { shared: Arc::new(Shared { resolve, agent, idle, kept_bytes: options.kept_bytes.max(KEPT_BYTES) }) })
    }

    /// Sends one GET without further headers. Otherwise like [`Client::post`].
    pub fn get(&self, url: &str, timeout: Duration) -> ClientResult {
        let request = Outgoing { url, tenant: "", headers: &[], body: &[], tls: None };
        self.request(Method::GET, &request, timeout)
    }

    /// Sends one POST and reads the response within `timeout` (at most a day). Blocks; returns within a few milliseconds after
    /// the time limit. Errors of the receiver or the network are in the result. The client stays usable after a panic of
    /// the HTTP library, which propagates.
    pub fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        self.request(Method::POST, request, timeout)
    }

    /// Like [`Client::post`], with another method. A `GET` or `DELETE` has no body.
    pub fn request(&self, method: Method, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        let started = Instant::now();
        let timeout = timeout.min(LONGEST_TIMEOUT);
        let deadline = started + timeout;
        let mut sent = ClientResult::default();

        let resolved = self.shared.resolve.resolve(request.url, request.tenant, deadline);
        let resolve_us = micros(started.elapsed());
        let cause = match resolved {
            Ok(addresses) if addresses.is_empty() => Some(FailureCause::NoAddress),
            Ok(addresses) => {
                let first = Exchange::new(started, deadline, addresses.clone(), false);
                let (mut outcome, mut exchange) = self.exchange(request, &method, first);
                if exchange.deserves_fresh_connection() {
                    let second = Exchange::new(started, deadline, addresses, true);
                    (outcome, exchange) = self.exchange(request, &method, second);
                    sent.connections = 2;
                }
                let cause = classify::cause(&outcome, &exchange);
                sent.answer = outcome.answer;
                sent.timings = exchange.timings;
                sent.remote_address = exchange.peer;
                sent.certificate = exchange.certificate;
                if !exchange.reused {
                    sent.timings.resolve_us = Some(resolve_us);
                }
                cause
            }
            Err(cause) => {
                sent.timings.resolve_us = Some(resolve_us);
                Some(cause)
            }
        };
        sent.failure = cause.map(|cause| describe(cause, request.url));
        sent.duration = started.elapsed();
        sent
    }

    /// Closes connections that have been idle for a minute. Posting does so too; call this in quiet times.
    pub fn close_idle(&self) {
        self.shared.idle.sweep();
    }

    fn exchange(&self, request: &Outgoing<'_>, method: &Method, mut exchange: Exchange) -> (RawOutcome, Exchange) {
        let kept_bytes = self.shared.kept_bytes;
        exchange.tls = request.tls.cloned();
        exchange.allow_body(kept_bytes);
        exchange.spelling = request.headers.iter().map(|(name, _)| name.clone()).collect();
        let running = exchange::begin(exchange);
        let outcome = match self.head(request, method) {
            Ok(response) => {
                exchange::with(Exchange::begin_body);
                read_answer(response, kept_bytes)
            }
            Err(error) => RawOutcome { answer: None, error: Some(error) },
        };
        (outcome, running.finish())
    }

    fn head(&self, request: &Outgoing<'_>, method: &Method) -> Result<http::Response<Body>, ureq::Error> {
        let mut builder = http::Request::builder().method(method).uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if matches!(*method, Method::GET | Method::DELETE) {
            return self.shared.agent.run(builder.body(())?);
        }
        self.shared.agent.run(builder.body(request.body)?)
    }
}

/// Returns the failure for a complete response; `None` for a 2xx. For stand-ins of the client.
pub fn judged(answer: &ReceiverResponse, url: &str) -> Option<Failure> {
    classify::of_status(answer.code).map(|cause| describe(cause, url))
}

/// Reads the part of the body that is kept, then gives up the rest by closing the connection.
fn read_answer(response: http::Response<Body>, kept_bytes: usize) -> RawOutcome {
    let (head, body) = response.into_parts();
    let mut kept = Vec::new();
    let result = body.into_reader().take(kept_bytes as u64 + 1).read_to_end(&mut kept);
    let body_truncated = kept.len() > kept_bytes;
    kept.truncate(kept_bytes);
    let answer = ReceiverResponse {
        code: head.status.as_u16(),
        headers: kept_headers(&head.headers),
        body: kept,
        body_truncated,
    };
    let error = result.err().filter(|_| !body_truncated).map(ureq::Error::from);
    RawOutcome { answer: Some(answer), error }
}

fn kept_headers(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let mut left = KEPT_BYTES;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let Some(rest) = left.checked_sub(name.as_str().len() + value.len()) else {
            break;
        };
        left = rest;
        kept.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    kept
}

fn roots(extra_root_certificates: &[Vec<u8>]) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for (index, bytes) in extra_root_certificates.iter().enumerate() {
        let refuse = |reason: String| ClientError::RootCertificate { number: index + 1, reason };
        let certificates = if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            CertificateDer::pem_slice_iter(bytes)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| refuse(error.to_string()))?
        } else {
            vec![CertificateDer::from(bytes.clone())]
        };
        if certificates.is_empty() {
            return Err(refuse("it holds none".into()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
        }
    }
    Ok(roots)
}
