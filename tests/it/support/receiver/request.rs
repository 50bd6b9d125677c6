//! Reads requests: HTTP/1.1 with a Content-Length or no body. Anything else is rejected, which fails the test of a
//! sender that frames its requests incorrectly.

use std::io::{self, BufRead, Read};
use std::time::Instant;

/// Maximum length of a line in the head, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// A recorded request.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// Request target: path and query.
    pub path: String,
    /// In order of arrival, with their original case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Time at which the last byte was read.
    pub arrived: Instant,
    /// 1 for the first connection of the receiver.
    pub connection: usize,
    /// 1 for the first request on its connection.
    pub turn: usize,
}

impl Received {
    /// First value of a header. Names are case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text. Panics if it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn summary(&self) -> String {
        format!("{} {} on {}", self.method, self.path, self.connection)
    }

    pub(super) fn asks_to_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Reads the head. The body stays empty.
    pub(super) fn read_head(wire: &mut impl BufRead, connection: usize, turn: usize) -> io::Result<Self> {
        // A ClientHello contains no line end, and its sender waits for a response.
        if !wire.fill_buf()?.first().is_some_and(u8::is_ascii_uppercase) {
            return Err(malformed());
        }
        let (method, path) = parse_request_line(&read_line(wire)?)?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(wire)?;
            if line.is_empty() {
                break;
            }
            headers.push(parse_header(&line)?);
        }
        Ok(Self { method, path, headers, body: Vec::new(), arrived: Instant::now(), connection, turn })
    }

    /// Reads the body that Content-Length announces.
    pub(super) fn read_body(&mut self, wire: &mut impl BufRead) -> io::Result<()> {
        let promised = self.promised_bytes()?;
        let read = wire.take(promised).read_to_end(&mut self.body)?;
        if read as u64 != promised {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.arrived = Instant::now();
        Ok(())
    }

    fn promised_bytes(&self) -> io::Result<u64> {
        let lengths = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).count();
        if self.header("transfer-encoding").is_some() || lengths > 1 {
            return Err(malformed());
        }
        let length = self.header("content-length").unwrap_or("0");
        length.parse().map_err(|_| malformed())
    }
}

fn parse_request_line(line: &str) -> io::Result<(String, String)> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [method, path, "HTTP/1.1"] => Ok((method.to_owned(), path.to_owned())),
        _ => Err(malformed()),
    }
}

fn parse_header(line: &str) -> io::Result<(String, String)> {
    let (name, value) = line.split_once(':').ok_or_else(malformed)?;
    if name.is_empty() || name.contains([' ', '\t']) {
        return Err(malformed());
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Reads one line and strips its CRLF.
fn read_line(wire: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    wire.take(MAX_LINE).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\r\n").ok_or_else(malformed)?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a request that this receiver reads")
}
