//! The client's own transport under the HTTP library: the only module that touches `ureq::unversioned`.
//!
//! That module is outside ureq's promise of stability, so ureq is pinned to one version; what this file relies on,
//! besides the traits, was read in 3.5.1:
//!
//! - a request is written into `Buffers::output` from its beginning and handed over with `transmit_output`; nothing
//!   is read before that. So output can be held back, and head and body go out as one piece;
//! - `is_open` is asked when a whole answer was read and the connection may be used again, and when ureq takes one
//!   from its own pool, which is empty here. So `is_open` is where a connection goes back to [`Pool`];
//! - without timeouts of its own ureq passes none on: the deadline is checked in [`ReceiverConnection`] alone.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::exchange;
use crate::delivery::http::connection::ReceiverConnection;
use crate::delivery::http::exchange::{Fault, micros};
use crate::delivery::http::identity::Identities;
use crate::delivery::http::pool::{Pool, PoolKey};
use crate::delivery::http::transport::buffer::Buffer;
use crate::domain::attempt::Phase;

mod buffer;

/// Maximum size of the input buffer, and so of a response's head.
pub const HEAD_BYTES: usize = 32 * 1024;

/// The output buffer is flushed when it has less room than this. A header line must fit in.
const ROOM_BYTES: usize = 8 * 1024;

/// Returns an agent that connects through this transport only.
pub fn agent(config: Config, identities: Identities, idle: Arc<Pool>) -> Agent {
    Agent::with_parts(config, Dial { identities, idle }, Judged)
}

/// Resolver that satisfies ureq with one address; [`Dial`] takes the allowed ones from the exchange.
#[derive(Debug)]
struct Judged;

impl Resolver for Judged {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        let first = exchange::with(|exchange| exchange.addresses.first().copied());
        addresses.push(first.ok_or(ureq::Error::HostNotFound)?);
        Ok(addresses)
    }
}

/// Opens connections, or reuses idle ones.
#[derive(Debug)]
struct Dial {
    identities: Identities,
    idle: Arc<Pool>,
}

impl Connector<()> for Dial {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        let authority = details.uri.authority().ok_or(ureq::Error::HostNotFound)?.clone();
        let (addresses, fresh, identity) = exchange::with(|exchange| {
            (exchange.addresses.clone(), exchange.fresh, exchange.tls.as_ref().map(|tls| tls.id()))
        });
        let endpoint = PoolKey { tls: details.uri.scheme() == Some(&Scheme::HTTPS), authority, identity };

        let kept = if fresh { None } else { self.idle.take(&endpoint, &addresses) };
        let reused = kept.is_some();
        let link = kept.map_or_else(|| self.open(&endpoint, &addresses), Ok)?;
        exchange::with(|exchange| {
            exchange.reused = reused;
            exchange.peer = Some(link.peer());
            exchange.phase = Phase::Send;
        });
        let (is_tls, idle, buffer) = (link.is_tls(), self.idle.clone(), Buffer::take());
        Ok(Some(Wire { link: Some(link), is_tls, endpoint, idle, buffer, head_ended: false, unsent: false }))
    }
}

impl Dial {
    fn open(&self, endpoint: &PoolKey, addresses: &[SocketAddr]) -> Result<ReceiverConnection, ureq::Error> {
        let before = Instant::now();
        let link = ReceiverConnection::connect(addresses).map_err(|error| {
            let deadline_passed = exchange::left().is_err();
            fail(if deadline_passed { Fault::Deadline } else { Fault::Connect(error) })
        })?;
        exchange::with(|exchange| {
            exchange.peer = Some(link.peer());
            exchange.timings.connect_us = Some(micros(before.elapsed()));
        });
        if !endpoint.tls {
            return Ok(link);
        }

        exchange::with(|exchange| exchange.phase = Phase::Handshake);
        let before = Instant::now();
        let host = endpoint.authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| fail(Fault::Tls(rustls::Error::General("the host is no name for TLS".into()))))?;
        let tls = exchange::with(|exchange| exchange.tls.clone());
        let config = self.identities.config(tls.as_deref()).map_err(|error| fail(Fault::Tls(error)))?;
        let link = link.secure(&config, name).map_err(|error| fail(fault_of(error)))?;
        let certificate = link.certificate();
        exchange::with(|exchange| {
            exchange.timings.tls_us = Some(micros(before.elapsed()));
            exchange.certificate = certificate;
        });
        Ok(link)
    }
}

/// Records a fault, and returns the error that makes ureq stop.
fn fail(fault: Fault) -> ureq::Error {
    note(fault);
    ureq::Error::ConnectionFailed
}

fn fault_of(error: io::Error) -> Fault {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Fault::Tls(inner.clone());
    }
    match error.kind() {
        io::ErrorKind::TimedOut if exchange::left().is_err() => Fault::Deadline,
        io::ErrorKind::UnexpectedEof => Fault::Closed,
        _ => Fault::Broken,
    }
}

/// A connection in use.
struct Wire {
    /// `None` once the connection went back to the pool.
    link: Option<ReceiverConnection>,
    is_tls: bool,
    endpoint: PoolKey,
    idle: Arc<Pool>,
    buffer: Buffer,
    /// Whether ureq has handed over the whole head of the request.
    head_ended: bool,
    /// Whether part of the request was not sent, because the receiver had responded or disconnected.
    unsent: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Wire {
    /// Sends the held-back output. A receiver that responds early, or disconnects, before it has read the whole request may
    /// have left a response to read, so the rest of the request is dropped without an error.
    fn flush(&mut self) -> Result<(), ureq::Error> {
        let Some(link) = &mut self.link else {
            return Err(fail(Fault::Closed));
        };
        let held = std::mem::take(&mut self.buffer.held);
        if self.unsent {
            return Ok(());
        }
        let mut sent = 0;
        loop {
            let mut rest = &self.buffer.output[sent..held];
            let Err(error) = link.send(&mut rest) else {
                return Ok(());
            };
            sent = held - rest.len();
            let fault = match error.kind() {
                io::ErrorKind::WouldBlock => match link.receive(&mut self.buffer.input[self.buffer.end..], false) {
                    Ok(0) => Fault::Closed,
                    Ok(count) => {
                        self.buffer.note_received(count)?;
                        if self.buffer.holds_interim_answer() {
                            continue;
                        }
                        self.unsent = true;
                        return Ok(());
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => fault_of(error),
                },
                io::ErrorKind::TimedOut if exchange::left().is_err() => {
                    return Err(fail(Fault::Deadline));
                }
                _ => Fault::Broken,
            };
            self.unsent = true;
            note(fault);
            return Ok(());
        }
    }
}

/// Records a fault. An earlier fault stays, as the cause of later ones; but a TLS alert explains a broken connection.
fn note(fault: Fault) {
    exchange::with(|exchange| {
        if exchange.fault.is_none() || matches!(fault, Fault::Tls(_)) {
            exchange.fault = Some(fault);
        }
    });
}

/// Restores the case of header names, which the HTTP library keeps in lower case: every receiver must accept that (RFC
/// 9110, 5.1), but not every home-made one does. Returns whether the head ends in these lines.
fn spell(lines: &mut [u8], names: &[String]) -> bool {
    let mut start = 0;
    while let Some(length) = lines[start..].windows(2).position(|pair| pair == b"\r\n") {
        if length == 0 {
            return true;
        }
        let line = &mut lines[start..start + length];
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let name = &mut line[..colon];
            let given = names.iter().map(String::as_bytes);
            if let Some(given) = given.into_iter().find(|given| given.eq_ignore_ascii_case(name)) {
                name.copy_from_slice(given);
            }
        }
        start += length + 2;
    }
    false
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffer
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if !self.head_ended {
            let lines = &mut self.buffer.output()[..amount];
            self.head_ended = exchange::with(|exchange| spell(lines, &exchange.spelling));
        }
        self.buffer.held += amount;
        if self.buffer.output.len() - self.buffer.held < ROOM_BYTES { self.flush() } else { Ok(()) }
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush()?;
        exchange::with(|exchange| {
            if exchange.phase == Phase::Send {
                exchange.phase = Phase::Head;
            }
        });
        if self.buffer.can_use_input() {
            return Ok(true);
        }
        let Some(link) = &mut self.link else {
            return Err(fail(Fault::Closed));
        };
        self.buffer.make_room()?;
        match link.receive(&mut self.buffer.input[self.buffer.end..], true) {
            Ok(0) => {
                note(Fault::Closed);
                Ok(false)
            }
            Ok(count) => {
                self.buffer.note_received(count)?;
                Ok(true)
            }
            Err(error) => Err(fail(fault_of(error))),
        }
    }

    fn is_open(&mut self) -> bool {
        if let Some(link) = self.link.take_if(|_| !self.unsent) {
            self.idle.put(self.endpoint.clone(), link);
        }
        // ureq drops this shell; its connection is in the pool.
        false
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        std::mem::take(&mut self.buffer).give_back();
    }
}
