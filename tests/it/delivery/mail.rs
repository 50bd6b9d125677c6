//! E-mails over SMTP.

use hookpost::delivery::mail::{Mail, MailError, MailOptions, Mailer, Password};

use crate::support::smtp::{MailServer, Takes};

fn mail(to: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: "shop.example.com is failing".to_owned(),
        text: "It answered 503 — for an hour.\n\n.\n..dots\nhttp://127.0.0.1/incidents/1\n".to_owned(),
        id: "msg_1".to_owned(),
        at_ms: crate::support::hub::NOON,
    }
}

fn send(options: MailOptions, to: &str) -> Result<(), MailError> {
    Mailer::start(options).unwrap().send(&mail(to))
}

fn with_password(options: MailOptions, password: &str) -> MailOptions {
    MailOptions { password: Some(Password(password.to_owned())), ..options }
}

#[test]
fn a_mail_arrives_as_it_was_written() {
    let server = MailServer::start();
    send(server.options("", "?tls=none"), "ops@example.org").unwrap();
    let mails = server.wait_for(1);
    let received = &mails[0];
    assert_eq!((received.from.as_str(), received.to.as_str()), ("alerts@example.com", "ops@example.org"));
    assert_eq!(received.subject(), "shop.example.com is failing");
    assert_eq!(received.header("Message-ID"), "<msg_1@example.com>");
    assert_eq!(received.text.trim_end(), mail("").text.trim_end());
    assert!(!received.was_encrypted && received.user.is_none());
}

#[test]
fn the_connection_is_encrypted_and_signed_in_before_anything_is_said() {
    let server = MailServer::with(true, Some("pa55 wörd"));
    let options = with_password(server.options("alerts%40example.com", ""), "pa55 wörd");
    send(options.clone(), "ops@example.org").unwrap();
    let received = &server.wait_for(1)[0];
    assert!(received.was_encrypted);
    assert_eq!(received.user.as_deref(), Some("alerts@example.com"));
    let error = send(with_password(options.clone(), "wrong"), "ops@example.org").unwrap_err();
    assert!(error.is_of_server() && error.to_string().contains("refused the user or password: 535"), "{error}");
    assert!(!error.to_string().contains("wrong password: wrong"), "{error}");
    let error = send(MailOptions { extra_certificates: vec![], ..options }, "ops@example.org").unwrap_err();
    assert!(error.is_of_server() && error.to_string().contains("TLS"), "{error}");
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn a_server_without_encryption_gets_nothing_unless_that_is_allowed() {
    let server = MailServer::start();
    let error = send(server.options("", ""), "ops@example.org").unwrap_err();
    assert!(error.to_string().contains("?tls=none"), "{error}");
    assert_eq!(server.mails().len(), 0);
    send(server.options("", "?tls=opportunistic"), "ops@example.org").unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn a_refusal_is_said_in_words_and_tells_whether_it_is_of_the_server_or_of_the_mail() {
    let server = MailServer::start();
    server.take(Takes::None(550));
    let error = send(server.options("", "?tls=none"), "nobody@example.org").unwrap_err();
    assert!(!error.is_of_server(), "{error}");
    assert_eq!(error.to_string(), "The mail server refused the message: 550 5.1.1 no such mailbox.");
    server.take(Takes::NoConnection);
    let error = send(server.options("", "?tls=none"), "ops@example.org").unwrap_err();
    assert!(error.is_of_server(), "{error}");
    let options = server.options("", "?tls=none");
    drop(server);
    // The listener ends with its last connection.
    let refused = crate::support::process::wait_until(crate::support::process::PATIENCE, || {
        let error = send(options.clone(), "ops@example.org").unwrap_err();
        error.to_string().contains("refused")
    });
    assert!(refused);
}
