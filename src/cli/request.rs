//! HTTP/1.1 as a small server for `listen`: requests with their headers as they were sent, in their order and spelling,
//! which the server library does not keep.
//!
//! Each connection has a thread; their number, the size of a request and the time for one are bounded.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at a time. Further ones are closed.
const MOST_CONNECTIONS: usize = 256;
/// Time in which a client sends something, or reads something.
const PATIENCE: Duration = Duration::from_secs(75);
/// Rest after a connection that could not be accepted.
const AFTER_ERROR: Duration = Duration::from_millis(200);
/// Time in which a refused client sends nothing more before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);
/// Largest head of a request in bytes.
const MOST_HEAD: u64 = 64 << 10;
const MOST_HEADERS: usize = 128;
/// Largest body of a request in bytes.
const MOST_BODY: u64 = 16 << 20;

/// A request as it arrived.
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Response to a request.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

/// Serves every request with `handle`, which may block, until the process ends.
pub(super) fn serve<H>(listener: &TcpListener, handle: H)
where
    H: Fn(&Request) -> Response + Send + Sync + 'static,
{
    let handle = Arc::new(handle);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // There are too many open files, for example.
            std::thread::sleep(AFTER_ERROR);
            continue;
        };
        if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (handle, done) = (Arc::clone(&handle), Closed(Arc::clone(&open)));
        let serve = move || {
            let _done = done;
            // A client that breaks off is no error of the receiver.
            let _ = connection(stream, &*handle);
        };
        // Without a thread the connection is closed.
        let _ = std::thread::Builder::new().name("receiver".to_owned()).spawn(serve);
    }
}

/// Counts the end of a connection, also if its thread panics or does not start.
struct Closed(Arc<AtomicUsize>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers the requests of a connection, one after the other.
fn connection(stream: TcpStream, handle: &dyn Fn(&Request) -> Response) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    loop {
        match read(&mut stream, &mut out) {
            Ok(None) => return Ok(()),
            Ok(Some((request, is_last))) => {
                let response = handle(&request);
                write(&mut out, &request, &response, is_last)?;
                if is_last {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let body = format!("{error}\n");
                let length = body.len();
                write!(out, "HTTP/1.1 400 \r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")?;
                return linger(stream, &out);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Closes a connection after a refusal. Bytes that nobody has read would have the client's system discard the answer.
fn linger(stream: BufReader<TcpStream>, out: &TcpStream) -> io::Result<()> {
    out.shutdown(Shutdown::Write)?;
    out.set_read_timeout(Some(LINGER))?;
    io::copy(&mut stream.take(MOST_BODY), &mut io::sink()).map(drop)
}

/// Reads a request, and whether the connection ends with it. `None` if there is no further one.
fn read(stream: &mut BufReader<TcpStream>, out: &mut TcpStream) -> io::Result<Option<(Request, bool)>> {
    let head = read_head(stream)?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(&head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(bad("the head of the request is incomplete")),
        Err(error) => return Err(bad(&format!("the request is not HTTP/1.1: {error}"))),
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(String, String)> =
        parsed.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    let value = |name: &str| {
        headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_ascii_lowercase())
    };
    if value("expect").is_some_and(|expect| expect == "100-continue") {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = match (value("transfer-encoding"), value("content-length")) {
        (Some(_), _) => read_chunks(stream)?,
        (None, Some(length)) => {
            let length = length.trim().parse().map_err(|_| bad("Content-Length is no number"))?;
            read_exactly(stream, length)?
        }
        (None, None) => Vec::new(),
    };
    let is_last = parsed.version == Some(0) || value("connection").is_some_and(|value| value.contains("close"));
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers,
        body,
    };
    Ok(Some((request, is_last)))
}

/// Reads up to the blank line after the headers. Empty if the client sends nothing more.
fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let room = MOST_HEAD - head.len() as u64;
        let count = stream.by_ref().take(room).read_until(b'\n', &mut head)?;
        if head == b"\r\n" {
            // Blank lines before a request are ignored (RFC 9112, 2.2).
            head.clear();
        } else if count == 0 && head.len() as u64 == MOST_HEAD {
            return Err(bad("the head of the request is longer than 64 KiB"));
        } else if count == 0 || head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n") {
            return Ok(head);
        }
    }
}

fn read_exactly(stream: &mut BufReader<TcpStream>, length: u64) -> io::Result<Vec<u8>> {
    if length > MOST_BODY {
        return Err(bad("the body is longer than 16 MiB"));
    }
    let mut body = Vec::new();
    if stream.take(length).read_to_end(&mut body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

/// Reads a body in chunks and its trailers, which are left out.
fn read_chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        stream.by_ref().take(1 << 10).read_until(b'\n', &mut line)?;
        let size = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, size))) => size,
            _ => return Err(bad("the length of a chunk is not hexadecimal")),
        };
        if size == 0 {
            skip_trailers(stream)?;
            return Ok(body);
        }
        if size > MOST_BODY - body.len() as u64 {
            return Err(bad("the body is longer than 16 MiB"));
        }
        body.append(&mut read_exactly(stream, size)?);
        read_exactly(stream, 2)?;
    }
}

fn skip_trailers(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    for _ in 0..MOST_HEADERS {
        let mut line = Vec::new();
        let count = stream.by_ref().take(MOST_HEAD).read_until(b'\n', &mut line)?;
        if count == 0 || line == b"\r\n" || line == b"\n" {
            return Ok(());
        }
    }
    Err(bad("the body has too many trailers"))
}

fn write(out: &mut TcpStream, request: &Request, response: &Response, is_last: bool) -> io::Result<()> {
    let Response { status, content_type, body } = response;
    let mut head = format!("HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\n");
    // Neither has a body (RFC 9110, 15.3.5 and 15.4.5).
    let has_body = !matches!(status, 204 | 304);
    if has_body {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    if is_last {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    if has_body && request.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    out.write_all(&bytes)
}

fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
