//! A mail server on loopback that keeps what it is sent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookpost::delivery::mail::MailOptions;
use rustls::{ServerConnection, StreamOwned};

use super::receiver::TlsKind;
use super::receiver::tls::test_ca_pem;

/// Time limit for a mail to come, after which a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answer of the server to e-mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    All,
    /// Responds to the recipient with this code.
    None(u16),
    /// Closes each connection at once.
    NoConnection,
    /// Accepts connections, and says nothing.
    Silence,
}

/// Mail as received.
#[derive(Debug, Clone)]
pub struct ReceivedMail {
    pub from: String,
    pub to: String,
    /// Headers, unfolded, and the decoded text.
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub was_encrypted: bool,
    pub user: Option<String>,
}

impl ReceivedMail {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub fn subject(&self) -> &str {
        self.header("Subject")
    }
}

struct State {
    mails: Vec<ReceivedMail>,
    connections: usize,
    takes: Takes,
    is_over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    offers_tls: bool,
    password: Option<String>,
}

/// Running mail server, closed on drop.
pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl MailServer {
    /// Starts a server without encryption and sign-in.
    pub fn start() -> MailServer {
        MailServer::with(false, None)
    }

    /// Starts a server that may offer STARTTLS, and require this password of any user.
    pub fn with(offers_tls: bool, password: Option<&str>) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mails: Vec::new(), connections: 0, takes: Takes::All, is_over: false };
        let password = password.map(str::to_owned);
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), offers_tls, password });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                if served.state.lock().unwrap().is_over {
                    return;
                }
                let shared = Arc::clone(&served);
                std::thread::spawn(move || shared.serve(socket));
            }
        });
        MailServer { address, shared }
    }

    /// Settings of a server that sends by this one, with these parameters of the URL.
    pub fn options(&self, user: &str, parameters: &str) -> MailOptions {
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let host = if self.shared.offers_tls { "localhost" } else { "127.0.0.1" };
        let url = format!("smtp://{user}{host}:{}{parameters}", self.address.port());
        MailOptions {
            url: url.parse().unwrap(),
            password: None,
            from: "Hookpost <alerts@example.com>".parse().unwrap(),
            extra_certificates: vec![test_ca_pem().as_bytes().to_vec()],
        }
    }

    /// URL for the program, without encryption.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    pub fn take(&self, takes: Takes) {
        self.shared.state.lock().unwrap().takes = takes;
        self.shared.changed.notify_all();
    }

    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.state.lock().unwrap().mails.clone()
    }

    /// Waits until this many mails have come, and returns all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<ReceivedMail> {
        self.wait(|state| state.mails.len() >= count);
        self.mails()
    }

    /// Waits until this many connections were made.
    #[track_caller]
    pub fn wait_for_connections(&self, count: usize) {
        self.wait(|state| state.connections >= count);
    }

    #[track_caller]
    fn wait(&self, is_done: impl Fn(&State) -> bool) {
        let state = self.shared.state.lock().unwrap();
        let (state, timeout) =
            self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !is_done(state)).unwrap();
        assert!(!timeout.timed_out(), "{} connections, {:#?}", state.connections, state.mails);
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_over = true;
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

/// Connection before and after STARTTLS.
enum Wire {
    Plain(BufReader<TcpStream>),
    Tls(Box<BufReader<StreamOwned<ServerConnection, TcpStream>>>),
}

impl Wire {
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = match self {
            Wire::Plain(wire) => wire.read_line(&mut line),
            Wire::Tls(wire) => wire.read_line(&mut line),
        };
        (read.ok()? > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn say(&mut self, text: &str) -> Option<()> {
        let bytes = format!("{text}\r\n");
        match self {
            Wire::Plain(wire) => wire.get_mut().write_all(bytes.as_bytes()).ok(),
            Wire::Tls(wire) => wire.get_mut().write_all(bytes.as_bytes()).and_then(|()| wire.get_mut().flush()).ok(),
        }
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        state.connections += 1;
        let takes = state.takes;
        drop(state);
        self.changed.notify_all();
        if takes == Takes::NoConnection {
            return None;
        }
        if takes == Takes::Silence {
            let state = self.state.lock().unwrap();
            drop(self.changed.wait_while(state, |state| state.takes == Takes::Silence && !state.is_over));
            return None;
        }
        let mut wire = Wire::Plain(BufReader::new(socket));
        let (mut from, mut to, mut user) = (String::new(), String::new(), None);
        wire.say("220 mail.test ESMTP")?;
        loop {
            let line = wire.line()?;
            let is_encrypted = matches!(wire, Wire::Tls(_));
            match line.split(' ').next()?.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    wire.say("250-mail.test")?;
                    if self.offers_tls && !is_encrypted {
                        wire.say("250-STARTTLS")?;
                    }
                    if self.password.is_some() {
                        wire.say("250-AUTH PLAIN LOGIN")?;
                    }
                    wire.say("250 8BITMIME")?;
                }
                "STARTTLS" => {
                    wire.say("220 go on")?;
                    let Wire::Plain(plain) = wire else { return None };
                    let session = ServerConnection::new(TlsKind::Good.server_config()).unwrap();
                    wire = Wire::Tls(Box::new(BufReader::new(StreamOwned::new(session, plain.into_inner()))));
                }
                "AUTH" => {
                    let given = line.rsplit(' ').next().and_then(|text| STANDARD.decode(text).ok());
                    let given = String::from_utf8(given.unwrap_or_default()).unwrap_or_default();
                    let parts: Vec<&str> = given.split('\0').collect();
                    if parts.last().copied() == self.password.as_deref() {
                        user = parts.get(1).map(|&user| user.to_owned());
                        wire.say("235 welcome")?;
                    } else {
                        wire.say("535 5.7.8 wrong password")?;
                    }
                }
                "MAIL" if self.password.is_some() && user.is_none() => wire.say("530 5.7.0 sign in first")?,
                "MAIL" => {
                    from = address(&line);
                    wire.say("250 ok")?;
                }
                "RCPT" => match self.state.lock().unwrap().takes {
                    Takes::None(code) => wire.say(&format!("{code} 5.1.1 no such mailbox"))?,
                    _ => {
                        to = address(&line);
                        wire.say("250 ok")?;
                    }
                },
                "DATA" => {
                    wire.say("354 go on")?;
                    let mut lines = Vec::new();
                    loop {
                        match wire.line()?.as_str() {
                            "." => break,
                            line => lines.push(line.strip_prefix('.').unwrap_or(line).to_owned()),
                        }
                    }
                    let (headers, text) = read(&lines);
                    let (from, to, user) = (from.clone(), to.clone(), user.clone());
                    let mail = ReceivedMail { from, to, headers, text, was_encrypted: is_encrypted, user };
                    self.state.lock().unwrap().mails.push(mail);
                    self.changed.notify_all();
                    wire.say("250 taken over")?;
                }
                "NOOP" => wire.say("250 ok")?,
                "QUIT" => {
                    wire.say("221 bye")?;
                    return None;
                }
                _ => wire.say("502 what")?,
            }
        }
    }
}

fn address(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split('>').next().unwrap().to_owned()
}

/// Unfolds and decodes headers, and decodes the text.
fn read(lines: &[String]) -> (Vec<(String, String)>, String) {
    let end = lines.iter().position(String::is_empty).unwrap();
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in &lines[..end] {
        match (line.starts_with(' '), headers.last_mut()) {
            (true, Some((_, value))) => value.push_str(line),
            _ => {
                let (name, value) = line.split_once(": ").unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    for (_, value) in &mut headers {
        *value = decoded_words(value);
    }
    let encoding = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Transfer-Encoding"));
    let body = &lines[end + 1..];
    let bytes = match encoding.map(|(_, value)| value.as_str()) {
        Some("base64") => STANDARD.decode(body.concat()).unwrap(),
        Some("quoted-printable") => quoted_printable(&body.join("\r\n")),
        _ => body.join("\r\n").into_bytes(),
    };
    (headers, String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

/// Decodes `=?utf-8?b?…?=` (RFC 2047), the one form that the mailer writes.
fn decoded_words(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("=?utf-8?b?") {
        let (word, after) = after.split_once("?=").unwrap();
        let is_between_words = !text.is_empty() && before.trim().is_empty();
        if !is_between_words {
            text.push_str(before);
        }
        text.push_str(&String::from_utf8(STANDARD.decode(word).unwrap()).unwrap());
        rest = after;
    }
    text + rest
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut input = text.as_bytes();
    while let Some((&first, rest)) = input.split_first() {
        if first == b'=' && rest.starts_with(b"\r\n") {
            input = &rest[2..];
        } else if first == b'=' {
            bytes.extend(hex::decode(&rest[..2]).unwrap());
            input = &rest[2..];
        } else {
            bytes.push(first);
            input = rest;
        }
    }
    bytes
}
