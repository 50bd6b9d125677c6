use strum::VariantArray;

use super::*;
use crate::domain::time::{DAY, HOUR};

/// Thursday, 2026-01-15 10:00 UTC.
const NOW: Millis = 1_768_471_200_000;

fn failed(error_code: ErrorCode, code: Option<u16>) -> Failed<'static> {
    Failed {
        error_code,
        code,
        message: None,
        retry_after: None,
        duration_ms: 5_004,
        at_ms: NOW - HOUR,
        url: "https://api.acme.io:8443/hooks?a=b",
    }
}

#[test]
fn every_error_code_has_a_sentence_and_short_words_of_its_own() {
    let expected = [
        ("target_blocked", "Hookpost may not call api.acme.io: its operator has not allowed this target.", "blocked"),
        ("dns_failed", "The name api.acme.io has no address.", "DNS failed"),
        ("connect_refused", "api.acme.io refused the connection (nothing listens on port 8443).", "refused"),
        ("connect_failed", "No connection to api.acme.io could be made.", "no connection"),
        (
            "connect_timeout",
            "api.acme.io did not accept a connection on port 8443 within 5 s.",
            "no connection after 5 s",
        ),
        ("tls_expired", "TLS certificate of api.acme.io has expired.", "TLS expired"),
        ("tls_untrusted", "TLS certificate of api.acme.io was issued by nobody that is trusted.", "TLS untrusted"),
        ("tls_wrong_host", "TLS certificate of api.acme.io was issued for another host.", "TLS wrong host"),
        ("tls_failed", "TLS with api.acme.io failed.", "TLS failed"),
        ("connection_reset", "api.acme.io broke off the connection before it had answered.", "connection broke"),
        ("timeout", "api.acme.io did not answer within 5 s.", "timeout after 5 s"),
        ("protocol_error", "What api.acme.io answered is not HTTP.", "not HTTP"),
        ("status", "api.acme.io answered 503 Service Unavailable.", "503"),
        (
            "event_damaged",
            "The stored event is damaged: it does not match its checksum. It was not sent.",
            "event damaged",
        ),
        (
            "compose_failed",
            "The request could not be composed from the event and the webhook's profile.",
            "cannot be composed",
        ),
        ("worker_panic", "A fault in Hookpost interrupted the attempt; it is not the receiver's.", "fault in Hookpost"),
    ];
    for (error_code, (name, sentence, short)) in ErrorCode::VARIANTS.iter().copied().zip(expected) {
        assert_eq!(error_code.into_str(), name);
        let failed = failed(error_code, Some(503));
        assert_eq!(failed.sentence(NOW), sentence);
        assert_eq!(failed.short(), short);
        assert!(failed.advice().ends_with('.'), "{name}");
    }
}

#[test]
fn advice_fits_the_status() {
    for (code, words) in [
        (301, "Set the URL of the webhook to the new one"),
        (302, "Redirects are not followed"),
        (307, "Redirects are not followed"),
        (308, "Set the URL of the webhook to the new one"),
        (400, "did not understand the body"),
        (401, "check the secret on both sides"),
        (403, "forbids the request"),
        (404, "nothing at this path"),
        (405, "takes no POST"),
        (408, "gave up waiting"),
        (410, "asks for no more deliveries"),
        (413, "too large"),
        (415, "application/json"),
        (418, "refused the request"),
        (422, "refused what it says"),
        (429, "set a rate limit"),
        (500, "exception in its log"),
        (502, "check that the application runs"),
        (503, "maintenance or overloaded"),
        (504, "in vain"),
        (522, "Cloudflare"),
        (599, "The receiver failed"),
        (999, "no status of HTTP"),
    ] {
        let advice = failed(ErrorCode::Status, Some(code)).advice();
        assert!(advice.contains(words), "{code}: {advice}");
    }
}

#[test]
fn a_wait_that_the_receiver_asked_for_is_said() {
    for (code, value, words) in [
        (429, Some("120"), "asked for 2 min without requests"),
        (503, Some("Thu, 15 Jan 2026 10:00:05 GMT"), "asked for 1 h without requests"),
        (429, Some("soon"), "set a rate limit"),
        (429, Some("0"), "set a rate limit"),
        (503, None, "overloaded: check"),
    ] {
        let mut failed = failed(ErrorCode::Status, Some(code));
        failed.retry_after = value;
        let advice = failed.advice();
        assert!(advice.contains(words), "{code} {value:?}: {advice}");
    }
}

#[test]
fn a_certificate_says_since_when_it_has_expired() {
    let mut failed = failed(ErrorCode::TlsExpired, None);
    let message = format!(
        "The certificate of api.acme.io expired at {}: it must be renewed there.",
        crate::domain::time::rfc3339_seconds(NOW - 3 * DAY)
    );
    failed.message = Some(&message);
    assert_eq!(failed.sentence(NOW), "TLS certificate of api.acme.io expired 3 days ago.");
    // An old attempt is told as seen from now.
    assert_eq!(failed.sentence(NOW + DAY), "TLS certificate of api.acme.io expired 4 days ago.");
    failed.message = Some("The certificate of api.acme.io is not valid yet: one of the two clocks may be wrong.");
    assert_eq!(failed.sentence(NOW), "TLS certificate of api.acme.io is not valid yet.");
    assert_eq!(failed.short(), "TLS not valid yet");
}

#[test]
fn a_timeout_says_in_which_phase_the_time_ran_out() {
    for (message, sentence) in [
        ("The time limit of 5 s for a passed while waiting for the answer.", "api.acme.io did not answer within 5 s."),
        (
            "The time limit of 5 s for a passed in the TLS handshake.",
            "api.acme.io did not finish the TLS handshake within 5 s.",
        ),
        (
            "The time limit of 5 s for a passed while the request was being sent: the endpoint does not read it.",
            "api.acme.io did not read the request within 5 s.",
        ),
        (
            "The time limit of 5 s for a passed while reading the head of the answer.",
            "api.acme.io began to answer and did not finish the head within 5 s.",
        ),
        (
            "The time limit of 5 s for a passed while reading the body of the answer.",
            "api.acme.io began to answer and did not finish the body within 5 s.",
        ),
    ] {
        let mut failed = failed(ErrorCode::Timeout, None);
        failed.message = Some(message);
        assert_eq!(failed.sentence(NOW), sentence);
    }
}

#[test]
fn what_the_log_knows_better_is_taken_from_it() {
    let mut failed = failed(ErrorCode::ConnectFailed, None);
    failed.message = Some("There is no route to api.acme.io: network is down.");
    assert_eq!(failed.sentence(NOW), "There is no route to api.acme.io: network is down.");
}

#[test]
fn the_port_of_a_url_is_the_one_that_is_dialled() {
    for (url, host, port) in [
        ("https://a.test/x:1", "a.test", "443"),
        ("http://a.test?b=c:d", "a.test", "80"),
        ("https://[::1]/", "[::1]", "443"),
        ("http://[::1]:8080/", "[::1]", "8080"),
        ("http://127.0.0.1:9/x", "127.0.0.1", "9"),
    ] {
        assert_eq!(host_and_port(url), (host, port), "{url}");
    }
}
