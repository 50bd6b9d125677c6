use strum::VariantArray;

use super::*;
use crate::domain::time::{DAY, HOUR};

/// Thursday, 2026-01-15 10:00 UTC.
const NOW: Millis = 1_768_471_200_000;

fn failed(cause: FailureCause) -> Failed<'static> {
    Failed { cause, retry_after: None, ended_ms: NOW - HOUR + 5_004, url: "https://api.acme.io:8443/hooks?a=b" }
}

#[test]
fn every_error_code_has_a_sentence_and_short_words_of_its_own() {
    let expected = [
        ("target_blocked", "Hookpost may not call api.acme.io: the target is not allowed.", "blocked"),
        ("dns_failed", "The name api.acme.io has no address.", "DNS failed"),
        ("connect_refused", "api.acme.io refused the connection (nothing listens on port 8443).", "refused"),
        ("connect_failed", "Hookpost could not connect to api.acme.io.", "no connection"),
        (
            "connect_timeout",
            "api.acme.io did not accept a connection on port 8443 within 5 s.",
            "no connection after 5 s",
        ),
        ("tls_expired", "The TLS certificate of api.acme.io has expired.", "TLS expired"),
        (
            "tls_untrusted",
            "The issuer of the TLS certificate of api.acme.io isn't trusted: it is self-signed, from a private authority, or sent without its intermediate certificate.",
            "TLS untrusted",
        ),
        ("tls_wrong_host", "The TLS certificate of api.acme.io was issued for another host.", "TLS wrong host"),
        ("tls_client_certificate", "api.acme.io got no client certificate that it accepts.", "client certificate"),
        ("tls_failed", "TLS with api.acme.io failed.", "TLS failed"),
        ("connection_reset", "api.acme.io closed the connection before it responded.", "connection broke"),
        ("timeout", "api.acme.io did not respond within 5 s.", "timeout after 5 s"),
        ("protocol_error", "api.acme.io did not return valid HTTP.", "not HTTP"),
        ("status", "api.acme.io answered 503 Service Unavailable.", "503"),
        ("token_failed", "The token endpoint gave no access token.", "no access token"),
        (
            "event_damaged",
            "The stored event or delivery is damaged (it cannot be read, or its checksum does not match), so nothing was sent.",
            "event damaged",
        ),
        ("compose_failed", "The request body could not be composed.", "not composed"),
        ("template_failed", "The template failed with this event, so nothing was sent.", "template failed"),
        ("worker_panic", "A fault in Hookpost interrupted the attempt.", "fault in Hookpost"),
    ];
    assert_eq!(ErrorCode::VARIANTS.len(), expected.len());
    for (&error_code, (name, sentence, short)) in ErrorCode::VARIANTS.iter().zip(expected) {
        assert_eq!(error_code.into_str(), name);
        let failed = failed(FailureCause::of_code(error_code, Some(503), 5_004));
        assert_eq!(failed.cause.code(), error_code);
        assert_eq!(failed.sentence(NOW), sentence);
        assert_eq!(failed.short(), short);
        assert!(failed.advice().ends_with('.'), "{name}");
    }
}

#[test]
fn a_rejected_client_certificate_is_told_with_its_end_and_the_reason() {
    let rejected = |alert: &str, end: Millis| {
        let cause = FailureCause::ClientCertificateRejected { alert: Some(alert.to_owned()), not_after_ms: Some(end) };
        failed(cause).sentence(NOW)
    };
    assert_eq!(
        rejected("BadCertificate", NOW - 2 * DAY),
        "api.acme.io rejected the webhook's client certificate (expired 2 days ago): TLS alert BadCertificate."
    );
    let words = rejected("UnknownCA", NOW + DAY);
    assert!(words.contains("(valid until 2026-") && words.ends_with(": its issuer is not trusted."), "{words}");
    let none = failed(FailureCause::ClientCertificateRequired);
    assert!(none.sentence(NOW).ends_with("and the webhook has none.") && none.advice().starts_with("Add a client"));
}

#[test]
fn advice_fits_the_status() {
    for (code, words) in [
        (301, "Set the URL of the webhook to the new one"),
        (302, "Set the URL to the one that responds itself"),
        (307, "Set the URL to the one that responds itself"),
        (308, "Set the URL of the webhook to the new one"),
        (400, "did not understand the body"),
        (401, "Check the secret on both sides"),
        (403, "forbids the request"),
        (404, "Nothing is served at this path"),
        (405, "does not accept POST"),
        (408, "timed out waiting"),
        (410, "asks for no more deliveries"),
        (413, "too large"),
        (415, "application/json"),
        (418, "refused the request"),
        (422, "rejected its content"),
        (429, "Set a rate limit"),
        (500, "exception in its log"),
        (502, "Check that the application runs"),
        (503, "maintenance or overloaded"),
        (504, "timed out waiting"),
        (522, "Cloudflare"),
        (599, "The receiver failed"),
        (999, "not an HTTP status"),
    ] {
        let advice = failed(FailureCause::Status { code }).advice();
        assert!(advice.contains(words), "{code}: {advice}");
    }
}

#[test]
fn a_wait_that_the_receiver_asked_for_is_said() {
    for (code, value, words) in [
        (429, Some("120"), "asked for 2 min without requests"),
        (503, Some("Thu, 15 Jan 2026 10:00:05 GMT"), "asked for 1 h without requests"),
        (429, Some("soon"), "Set a rate limit"),
        (429, Some("0"), "Set a rate limit"),
        (503, None, "overloaded. Check"),
    ] {
        let mut failed = failed(FailureCause::Status { code });
        failed.retry_after = value;
        let advice = failed.advice();
        assert!(advice.contains(words), "{code} {value:?}: {advice}");
    }
}

#[test]
fn a_certificate_says_since_when_it_has_expired() {
    let expired = failed(FailureCause::CertificateExpired { not_after_ms: Some(NOW - 3 * DAY) });
    assert_eq!(expired.sentence(NOW), "The TLS certificate of api.acme.io expired 3 days ago.");
    // The age of an old attempt's certificate is relative to now.
    assert_eq!(expired.sentence(NOW + DAY), "The TLS certificate of api.acme.io expired 4 days ago.");
    let early = failed(FailureCause::CertificateNotYetValid);
    assert_eq!(early.sentence(NOW), "The TLS certificate of api.acme.io is not valid yet.");
    assert_eq!(early.short(), "TLS not valid yet");
}

#[test]
fn a_timeout_says_in_which_phase_the_time_ran_out() {
    for (phase, sentence) in [
        (Phase::Wait, "api.acme.io did not respond within 5 s."),
        (Phase::Handshake, "api.acme.io did not finish the TLS handshake within 5 s."),
        (Phase::Send, "api.acme.io did not read the request within 5 s."),
        (Phase::Head, "api.acme.io started to respond but did not finish the headers within 5 s."),
        (Phase::Body, "api.acme.io started to respond but did not finish the body within 5 s."),
    ] {
        assert_eq!(failed(FailureCause::Timeout { phase, limit_ms: 5_000 }).sentence(NOW), sentence);
    }
}

#[test]
fn what_the_log_knows_better_is_taken_from_it() {
    let cause = FailureCause::Unreachable { addresses: 1, error: "network is down".to_owned() };
    let url = "https://api.acme.io:8443/hooks?a=b";
    assert_eq!(describe(cause.clone(), url).message, "There is no route to api.acme.io: network is down.");
    assert_eq!(failed(cause).sentence(NOW), "There is no route to api.acme.io: network is down.");
}

#[test]
fn a_stored_cause_reads_back() {
    for &code in ErrorCode::VARIANTS {
        let cause = FailureCause::of_code(code, Some(404), 5_000);
        let json = serde_json::to_string(&cause).unwrap();
        assert_eq!(serde_json::from_str::<FailureCause>(&json).unwrap(), cause, "{json}");
    }
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
