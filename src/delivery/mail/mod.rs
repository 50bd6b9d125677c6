//! E-mails over SMTP: one at a time, on a thread of its own, so that a mail server that hangs delays e-mails only.
//!
//! The server is the operator's choice (`--smtp-url`): it may be on a private address, and its certificate is checked like
//! that of an endpoint. Texts are plain, in one part. Retrying and storing are the caller's.

mod smtp_url;

use std::error::Error as _;
use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};

use lettre::Transport as _;
use lettre::address::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error as SmtpError, SmtpTransport};
use thiserror::Error;

use crate::domain::time::Millis;

pub use smtp_url::{SmtpTls, SmtpUrl};

/// Time limit of each step of a conversation with the server.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// Time after which a caller waits no longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Mails that may wait for the thread.
const QUEUE: usize = 8;
/// Longest subject in characters.
const MAX_SUBJECT: usize = 200;
/// Longest part of a response in an error.
const MAX_RESPONSE: usize = 200;

/// Settings of the mail server.
#[derive(Debug, Clone)]
pub struct MailOptions {
    pub url: SmtpUrl,
    /// Password in place of the URL's.
    pub password: Option<Password>,
    pub from: Sender,
    /// Certificates trusted in addition to the public ones; each DER or PEM.
    pub extra_certificates: Vec<Vec<u8>>,
}

/// Password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Sender of the mails: `alerts@example.com` or `Hookpost <alerts@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = String;

    /// Parses a sender. The error completes a sentence that begins with the setting.
    fn from_str(text: &str) -> Result<Sender, String> {
        let form = || "must be an address such as alerts@example.com or Hookpost <alerts@example.com>".to_owned();
        if text.chars().any(char::is_control) {
            return Err(form());
        }
        text.trim().parse().map(Sender).map_err(|_| form())
    }
}

/// E-mail to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Address of the recipient.
    pub to: String,
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Equal in all tries of one message, so that a mailbox can drop duplicates. Letters, digits, `_` and `-`.
    pub id: String,
    pub at_ms: Millis,
}

/// Why an e-mail was not sent, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    #[error("No mail server is configured. Set --smtp-url and --smtp-from.")]
    NotConfigured,
    #[error("{0:?} is not an e-mail address.")]
    BadAddress(String),
    /// The server cannot be used at all, whatever the mail.
    #[error("{0}")]
    Server(String),
    /// The server refused this mail.
    #[error("The mail server refused the message: {0}.")]
    Refused(String),
}

impl MailError {
    /// Whether other mails would fail too.
    pub fn is_of_server(&self) -> bool {
        matches!(self, MailError::NotConfigured | MailError::Server(_))
    }
}

struct Job {
    mail: Mail,
    answer: SyncSender<Result<(), MailError>>,
}

/// Sends e-mails. Cheap to clone; clones share the thread.
#[derive(Clone)]
pub struct Mailer {
    /// `None` without a mail server.
    jobs: Arc<RwLock<Option<SyncSender<Job>>>>,
}

impl Mailer {
    /// Returns a mailer without a server, which sends nothing.
    pub fn none() -> Mailer {
        Mailer { jobs: Arc::default() }
    }

    /// Starts the thread. Connects when there is something to send.
    ///
    /// # Errors
    ///
    /// If the settings cannot be used, as a sentence.
    pub fn start(options: MailOptions) -> Result<Mailer, String> {
        let transport = transport(&options)?;
        let (jobs, queue) = sync_channel(QUEUE);
        let server = options.url.to_string();
        let thread = std::thread::Builder::new().name("mail".to_owned());
        let run = move || serve(&queue, &transport, &options.from, &server);
        thread.spawn(run).map_err(|error| format!("the thread for e-mails cannot start: {error}"))?;
        Ok(Mailer { jobs: Arc::new(RwLock::new(Some(jobs))) })
    }

    pub fn is_configured(&self) -> bool {
        self.jobs().is_some()
    }

    fn jobs(&self) -> Option<SyncSender<Job>> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends by the server of another mailer from now on. What waits for the former one is still sent by it.
    pub fn replace(&self, next: Mailer) {
        let next = next.jobs();
        *self.jobs.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Sends an e-mail. Blocks until the server has taken it over, a minute at most.
    pub fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let jobs = self.jobs().ok_or(MailError::NotConfigured)?;
        let (answer, answered) = sync_channel(1);
        let busy = || MailError::Server("The mail server has not responded within a minute.".to_owned());
        match jobs.try_send(Job { mail: mail.clone(), answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(busy()),
            Err(TrySendError::Disconnected(_)) => return Err(ended()),
        }
        match answered.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(busy()),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

/// Connects to the server and signs in, without sending an e-mail. Blocks for a minute at most.
///
/// # Errors
/// The reason, as a sentence.
pub fn probe(options: &MailOptions) -> Result<(), String> {
    let server = options.url.to_string();
    match transport(options)?.test_connection() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("The mail server {server} did not keep the connection.")),
        Err(error) => Err(explain(&error, &server).to_string()),
    }
}

fn ended() -> MailError {
    MailError::Server("A fault in Hookpost ended the thread for e-mails. Please report it with the log.".to_owned())
}

fn serve(queue: &Receiver<Job>, transport: &SmtpTransport, from: &Sender, server: &str) {
    while let Ok(Job { mail, answer }) = queue.recv() {
        let result = compose(&mail, from)
            .and_then(|message| transport.send(&message).map(drop).map_err(|error| explain(&error, server)));
        // The caller may wait no longer.
        let _ = answer.send(result);
    }
}

fn compose(mail: &Mail, from: &Sender) -> Result<Message, MailError> {
    let bad = || MailError::BadAddress(mail.to.clone());
    let to: Address = mail.to.parse().map_err(|_| bad())?;
    let date = UNIX_EPOCH + Duration::from_millis(mail.at_ms.max(0).unsigned_abs());
    let domain = from.0.email.domain();
    // RFC 3834, 5: keeps replies such as "I am away" from being sent.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(None, to))
        .subject(one_line(&mail.subject, MAX_SUBJECT))
        .date(date)
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        .raw_header(automatic)
        .singlepart(SinglePart::plain(mail.text.replace('\0', "")));
    message.map_err(|_| bad())
}

/// Replaces line breaks and other control characters, which would begin another header, and bounds the length.
fn one_line(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Describes an error as a sentence.
fn explain(error: &SmtpError, server: &str) -> MailError {
    let detail = error.source().map_or_else(|| error.to_string(), innermost);
    let detail = one_line(detail.trim().trim_end_matches('.'), MAX_RESPONSE);
    match error.status() {
        // 421 and 454 are about the service; 530, 534, 535 and 538 about the sign-in (RFC 5321, 4.2.3; RFC 4954, 6).
        Some(code) => match code.to_string().as_str() {
            "421" | "454" => MailError::Server(format!("The mail server {server} is not available: {code} {detail}.")),
            "530" | "534" | "535" | "538" => MailError::Server(format!(
                "The mail server {server} refused the user or password: {code} {detail}. Check --smtp-url and \
                 --smtp-password-file."
            )),
            _ => MailError::Refused(format!("{code} {detail}")),
        },
        None if error.is_timeout() => MailError::Server(format!("The mail server {server} did not respond in time.")),
        None if error.is_tls() || detail.contains("certificate") => {
            MailError::Server(format!("The TLS connection to {server} failed: {detail}."))
        }
        None if detail.contains("STARTTLS is not supported") => MailError::Server(format!(
            "The mail server {server} does not offer STARTTLS. Add ?tls=none to --smtp-url to send without encryption."
        )),
        None => MailError::Server(format!("The connection to the mail server {server} failed: {detail}.")),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn transport(options: &MailOptions) -> Result<SmtpTransport, String> {
    let MailOptions { url, password, from, extra_certificates } = options;
    let tls = || tls_parameters(&url.host, extra_certificates);
    let tls = match url.tls {
        SmtpTls::Implicit => Tls::Wrapper(tls()?),
        SmtpTls::Required => Tls::Required(tls()?),
        SmtpTls::Opportunistic => Tls::Opportunistic(tls()?),
        SmtpTls::Off => Tls::None,
    };
    let mut builder = SmtpTransport::builder_dangerous(&url.host)
        .port(url.port)
        .tls(tls)
        .timeout(Some(STEP_TIMEOUT))
        .hello_name(ClientId::Domain(from.0.email.domain().to_owned()));
    let password = password.as_ref().map(|password| &password.0).or(url.password.as_ref());
    match (&url.user, password) {
        (Some(user), Some(password)) => {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        (Some(_), None) => return Err("--smtp-url has a user, but no password: set --smtp-password-file.".to_owned()),
        (None, Some(_)) => return Err("--smtp-url has no user for the password: smtp://user@host.".to_owned()),
        (None, None) => {}
    }
    Ok(builder.build())
}

fn tls_parameters(host: &str, extra_certificates: &[Vec<u8>]) -> Result<TlsParameters, String> {
    let unusable = |error: SmtpError| format!("--ca-file: {error}");
    let mut builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    for bytes in extra_certificates {
        let is_pem = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
        let certificate = if is_pem { Certificate::from_pem(bytes) } else { Certificate::from_der(bytes.clone()) };
        builder = builder.add_root_certificate(certificate.map_err(unusable)?);
    }
    builder.build().map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &str, subject: &str) -> Mail {
        let (to, subject, id) = (to.to_owned(), subject.to_owned(), "msg_1".to_owned());
        Mail { to, subject, text: "One.\nTwo: ö\n.\n".to_owned(), id, at_ms: 1_768_471_200_000 }
    }

    fn composed(mail: &Mail) -> String {
        let from = "Hookpost <alerts@example.com>".parse().unwrap();
        String::from_utf8(compose(mail, &from).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_its_headers_and_one_plain_part() {
        let text = composed(&mail("ops@example.org", "shop.example.com is failing"));
        for line in [
            "From: Hookpost <alerts@example.com>",
            "To: ops@example.org",
            "Subject: shop.example.com is failing",
            "Date: Thu, 15 Jan 2026 10:00:00 +0000",
            "Message-ID: <msg_1@example.com>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line} in {text}");
        }
    }

    #[test]
    fn no_text_can_begin_another_header() {
        for subject in ["a\r\nBcc: x@example.net", "a\nBcc: x@example.net", "a\rBcc: x@example.net", "ö\r\n\r\nBcc: x"]
        {
            let text = composed(&mail("ops@example.org", subject));
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let names = head.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap());
            assert!(names.clone().all(|name| !name.eq_ignore_ascii_case("bcc")), "{text}");
            assert_eq!(names.count(), 9, "{text}");
        }
        let long = composed(&mail("ops@example.org", &"ö".repeat(100_000)));
        assert!(long.len() < 4_000, "{}", long.len());
        for to in
            ["", "ops", "ops@example.org\r\nBcc: x@example.net", "a@b.example, c@d.example", "<script>@example.org"]
        {
            let from = "alerts@example.com".parse().unwrap();
            assert!(matches!(compose(&mail(to, "a"), &from), Err(MailError::BadAddress(_))), "{to:?}");
        }
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        assert!("alerts@example.com".parse::<Sender>().is_ok());
        assert!("Hookpost <alerts@example.com>".parse::<Sender>().is_ok());
        for bad in ["", "alerts", "a@example.com\r\nBcc: b@example.com", "a@b.example, c@d.example"] {
            assert!(bad.parse::<Sender>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn without_a_server_nothing_is_sent_and_the_error_says_what_to_set() {
        let error = Mailer::none().send(&mail("ops@example.org", "a")).unwrap_err();
        assert!(error.to_string().contains("--smtp-url") && error.is_of_server());
    }
}
