//! One connection: a socket that checks the attempt's deadline before every read and every partial write, and the TLS
//! session over it.
//!
//! Because the check sits below TLS, a receiver that drips bytes of the handshake, the head or the body cannot delay an
//! attempt past its deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::exchange;
use crate::domain::tls::Validity;

/// How long a blocking read may exceed the deadline. Saves setting the socket's timeout before every read.
const SLACK: Duration = Duration::from_millis(50);

/// Longest connection attempt to one of several addresses: long enough for two repetitions of the SYN, which Linux sends
/// after 1 s and 3 s.
const PATIENCE_PER_ADDRESS: Duration = Duration::from_secs(4);

/// A connected socket and its peer.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    peer: SocketAddr,
    /// Current read timeout of the socket.
    timeout: Option<Duration>,
}

impl Socket {
    /// Connects to the first address that accepts. Each except the last gets at most half of the time left.
    fn connect(addresses: &[SocketAddr]) -> io::Result<Socket> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (index, address) in addresses.iter().enumerate() {
            let left = exchange::left()?;
            let is_last = index + 1 == addresses.len();
            let patience = if is_last { left } else { PATIENCE_PER_ADDRESS.min(left / 2) };
            match TcpStream::connect_timeout(address, patience.max(Duration::from_millis(1))) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Socket { stream, peer: *address, timeout: None });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Waits for bytes until the deadline; `TimedOut` after it. 0 is the end of the stream.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = exchange::left()?;
            if self.timeout.is_none_or(|timeout| timeout > left + SLACK) {
                self.set_timeout(left)?;
            }
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The socket's timeout may be shorter than the time left: a former attempt set it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = exchange::left()?;
                    self.set_timeout(left)?;
                }
                other => return other,
            }
        }
    }

    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))?;
        self.timeout = Some(timeout);
        Ok(())
    }

    /// Reads available bytes; `WouldBlock` if there are none.
    fn receive_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(&self.stream, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }

    /// Whether there is nothing to read, not even the end of the stream.
    fn is_silent(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        rustix::net::recv(&self.stream, &mut byte[..], flags) == Err(rustix::io::Errno::AGAIN)
    }

    /// Sends at least one byte of `bytes`, waiting for room until the deadline. Errors: `TimedOut` after the deadline,
    /// `WouldBlock` if there is no room but something to read. Rust's runtime ignores SIGPIPE.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let left = exchange::left()?;
            match rustix::net::send(&self.stream, bytes, SendFlags::DONTWAIT) {
                Ok(count) => return Ok(count),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    let seen = self.poll(PollFlags::IN | PollFlags::OUT, left)?;
                    if seen.contains(PollFlags::IN) && !seen.contains(PollFlags::OUT) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn poll(&self, flags: PollFlags, patience: Duration) -> io::Result<PollFlags> {
        let patience = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut watched = [PollFd::new(&self.stream, flags)];
        match rustix::event::poll(&mut watched, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(watched[0].revents()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Socket as a reader and writer for the TLS layer.
struct Raw<'a> {
    socket: &'a mut Socket,
    wait: bool,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wait { self.socket.receive(buffer) } else { self.socket.receive_now(buffer) }
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the alert by which a receiver explained why it broke a handshake. It may have arrived before the connection
/// broke, while the client was still sending.
fn last_alert(tls: &mut ClientConnection, socket: &mut Socket) -> Option<io::Error> {
    while tls.read_tls(&mut Raw { socket, wait: false }).is_ok_and(|count| count > 0) {
        if let Err(error) = tls.process_new_packets() {
            return Some(io::Error::other(error));
        }
    }
    None
}

/// One connection, plain or with TLS.
#[derive(Debug)]
pub struct ReceiverConnection {
    socket: Socket,
    opened: Instant,
    tls: Option<Box<ClientConnection>>,
}

impl ReceiverConnection {
    /// Connects to the first of `addresses` that accepts, before the deadline of the exchange.
    pub fn connect(addresses: &[SocketAddr]) -> io::Result<ReceiverConnection> {
        Ok(ReceiverConnection { socket: Socket::connect(addresses)?, opened: Instant::now(), tls: None })
    }

    /// Performs the TLS handshake on a new connection. An error may contain a [`rustls::Error`].
    pub fn secure(mut self, config: &Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<ReceiverConnection> {
        let mut tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut raw = Raw { socket: &mut self.socket, wait: true };
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut raw) {
                return Err(last_alert(&mut tls, &mut self.socket).unwrap_or(error));
            }
        }
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    pub fn peer(&self) -> SocketAddr {
        self.socket.peer
    }

    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Returns the validity of the server's certificate. A resumed session has shown none.
    pub fn certificate(&self) -> Option<Validity> {
        let tls = self.tls.as_ref().filter(|tls| tls.handshake_kind() != Some(HandshakeKind::Resumed))?;
        Validity::read(tls.peer_certificates()?.first()?)
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether an idle connection is still open and has received nothing. Never blocks.
    pub fn is_quiet(&mut self) -> bool {
        if self.socket.is_silent() {
            return true;
        }
        // Under TLS 1.3 session tickets may still have been on their way.
        let Some(tls) = &mut self.tls else {
            return false;
        };
        loop {
            match tls.read_tls(&mut Raw { socket: &mut self.socket, wait: false }) {
                Ok(0) => return false,
                Ok(_) => match tls.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                    _ => return false,
                },
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Sends `rest` and shortens it by the bytes sent. `WouldBlock` means that the receiver sends data but accepts no more;
    /// the call may be repeated with the remainder.
    pub fn send(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            while !rest.is_empty() {
                let count = self.socket.send(rest)?;
                *rest = &rest[count..];
            }
            return Ok(());
        };
        let mut raw = Raw { socket: &mut self.socket, wait: true };
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut raw)?;
            }
            if rest.is_empty() {
                return Ok(());
            }
            let count = tls.writer().write(rest)?;
            *rest = &rest[count..];
        }
    }

    /// Reads into `buffer`, blocking until the deadline if `wait`; 0 is the end of the stream. An end without TLS's
    /// close_notify counts: HTTP framing tells whether the response is complete.
    pub fn receive(&mut self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return if wait { self.socket.receive(buffer) } else { self.socket.receive_now(buffer) };
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            tls.read_tls(&mut Raw { socket: &mut self.socket, wait })?;
            // An answer to a key update goes out with the next request.
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}
