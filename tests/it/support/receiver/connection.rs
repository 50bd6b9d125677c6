//! One accepted connection: reads its requests in turn and responds to each.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::behaviour::{Behaviour, Pace, Reply};
use super::request::Received;
use super::shared::{Admitted, Shared};
use super::tls::{Stream, Transport};

/// Start of a response, cut off within a header's value.
const HALF_A_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nx-filler: a";

/// State of the connection after a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    KeepAlive,
    Close,
}

/// An open connection. Its TLS handshake, if any, is complete.
pub(super) struct Connection {
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
    wire: BufReader<Box<dyn Stream>>,
    number: usize,
    /// Number of requests begun.
    turn: usize,
}

impl Connection {
    pub fn open(admitted: &Admitted, transport: &Transport) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::clone(&admitted.shared),
            socket: Arc::clone(&admitted.socket),
            wire: BufReader::new(transport.open(&admitted.socket, &admitted.shared)?),
            number: admitted.number,
            turn: 0,
        })
    }

    /// Serves requests until either side closes the connection.
    pub fn serve(mut self) -> io::Result<()> {
        if self.ignores_input() {
            self.shared.wait_for_the_end();
            return Ok(());
        }
        while self.another_request_begins()? {
            if self.ignores_input() {
                self.shared.wait_for_the_end();
                return Ok(());
            }
            if self.exchange()? == Then::Close {
                return Ok(());
            }
        }
        Ok(())
    }

    fn ignores_input(&self) -> bool {
        self.shared.behaves(|behaviour| matches!(behaviour, Behaviour::NeverReads))
    }

    fn another_request_begins(&mut self) -> io::Result<bool> {
        Ok(!self.wire.fill_buf()?.is_empty())
    }

    /// Receives a request and responds to it.
    fn exchange(&mut self) -> io::Result<Then> {
        self.turn += 1;
        let request = match self.receive() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return self.reply_and_close(&Reply::status(400));
            }
            other => other?,
        };
        self.shared.change(|state| state.requests.push(request.clone()));
        self.shared.pass_the_gate()?;
        let then = self.answer(&request)?;
        Ok(if request.asks_to_close() { Then::Close } else { then })
    }

    fn receive(&mut self) -> io::Result<Received> {
        let mut request = Received::read_head(&mut self.wire, self.number, self.turn)?;
        let early = |behaviour: &Behaviour| matches!(behaviour, Behaviour::EarlyAnswer(_));
        if !self.shared.behaves(early) {
            request.read_body(&mut self.wire)?;
        }
        Ok(request)
    }

    fn answer(&mut self, request: &Received) -> io::Result<Then> {
        let ok = Reply::status(200);
        let (behaviour, step) = self.shared.next_turn();
        match behaviour {
            Behaviour::Answer(reply) => self.reply(&reply),
            Behaviour::Script(replies) => self.reply(&replies[step.min(replies.len() - 1)]),
            Behaviour::Decide(decide) => self.reply(&decide(request)),
            Behaviour::CloseAfterAnswer => self.reply_and_close(&ok),
            Behaviour::CloseOnReuse if self.turn > 1 => Ok(Then::Close),
            Behaviour::CloseOnReuse => self.reply(&ok),
            Behaviour::EarlyAnswer(status) => self.answer_early(status),
            Behaviour::Raw(bytes) => self.send_and_close(&bytes),
            Behaviour::CloseWithoutWord => Ok(Then::Close),
            Behaviour::ResetBeforeHead => self.reset_after(b""),
            Behaviour::ResetInHead => self.reset_after(HALF_A_HEAD),
            Behaviour::ResetInBody => self.reset_after(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789"),
            Behaviour::Silence => self.ignore_until_the_client_leaves(),
            Behaviour::NeverReads => {
                self.shared.wait_for_the_end();
                Ok(Then::Close)
            }
            Behaviour::DripHead(pace) => self.drip(HALF_A_HEAD, pace),
            Behaviour::DripBody(pace) => self.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", pace),
            Behaviour::EndlessHeader => self.flood(HALF_A_HEAD, &[b'a'; 8192]),
            Behaviour::EndlessBody => self.flood(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &[b'a'; 8192]),
            Behaviour::EndlessChunks => {
                self.flood(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk_of_8_kib())
            }
            Behaviour::Flood1xx => self.flood(
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
            ),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(bytes)?;
        wire.flush()
    }

    fn send_and_close(&mut self, bytes: &[u8]) -> io::Result<Then> {
        self.send(bytes)?;
        Ok(Then::Close)
    }

    fn reply(&mut self, reply: &Reply) -> io::Result<Then> {
        if reply.delay() > Duration::ZERO {
            self.shared.pause(reply.delay())?;
        }
        reply.write_to(self.wire.get_mut())?;
        Ok(Then::KeepAlive)
    }

    fn reply_and_close(&mut self, reply: &Reply) -> io::Result<Then> {
        self.reply(reply)?;
        Ok(Then::Close)
    }

    fn answer_early(&mut self, status: u16) -> io::Result<Then> {
        self.reply(&Reply::status(status).header("connection", "close"))?;
        self.socket.shutdown(Shutdown::Write)?;
        self.ignore_until_the_client_leaves()
    }

    fn ignore_until_the_client_leaves(&mut self) -> io::Result<Then> {
        io::copy(&mut self.wire, &mut io::sink())?;
        Ok(Then::Close)
    }

    /// Sends `bytes`, and makes the kernel send RST instead of FIN when the last handle to the socket is dropped.
    fn reset_after(&mut self, bytes: &[u8]) -> io::Result<Then> {
        self.send(bytes)?;
        socket2::SockRef::from(&*self.socket).set_linger(Some(Duration::ZERO))?;
        Ok(Then::Close)
    }

    /// Sends `start` at once, then one byte at a time, until the client disconnects or the receiver stops.
    fn drip(&mut self, start: &[u8], pace: Pace) -> io::Result<Then> {
        let began = Instant::now();
        self.send(start)?;
        loop {
            self.shared.pause(pace.gap_at(began.elapsed()))?;
            self.send(b"a")?;
        }
    }

    /// Sends `start`, then `block` repeatedly, until the client disconnects or the receiver stops.
    fn flood(&mut self, start: &[u8], block: &[u8]) -> io::Result<Then> {
        self.send(start)?;
        loop {
            self.send(block)?;
        }
    }
}

fn chunk_of_8_kib() -> Vec<u8> {
    [b"2000\r\n".as_slice(), &[b'a'; 0x2000], b"\r\n"].concat()
}
