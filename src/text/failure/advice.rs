//! Next step for each cause.

use crate::domain::attempt::{ErrorCode, FailureCause};

pub fn advice(cause: &FailureCause) -> &'static str {
    use ErrorCode as Code;
    match cause.code() {
        Code::TargetBlocked => "Use a public https:// URL.",
        Code::DnsFailed => "Check the host in the URL for typos, and its DNS records.",
        Code::ConnectRefused => {
            "Start the receiver, or correct the port in the URL. A firewall can refuse connections too."
        }
        Code::ConnectFailed => "Check that the receiver's machine and network are up, and reachable from the internet.",
        Code::ConnectTimeout => {
            "The machine is off, or a firewall drops the request. Check both, and the port in the URL."
        }
        Code::Timeout => {
            "Respond with 2xx first and do the work afterwards, in a queue. You can raise the webhook's timeout_s to 30."
        }
        Code::TlsExpired if *cause == FailureCause::CertificateNotYetValid => {
            "Compare the clocks of both machines, or install a certificate that is valid now."
        }
        Code::TlsExpired => {
            "Renew the certificate on the receiver. If it is valid, compare the clocks of both machines."
        }
        Code::TlsUntrusted => {
            "Use a certificate from a public authority, and send its intermediate certificates with it. For a private authority, add its certificate to the webhook."
        }
        Code::TlsWrongHost => "Use the host that the certificate names in the URL, or get a certificate for this host.",
        Code::TlsClientCertificate if *cause == FailureCause::ClientCertificateRequired => {
            "Add a client certificate that the receiver trusts to the webhook's settings, or let the receiver do without."
        }
        Code::TlsClientCertificate => {
            "Check in the webhook's settings that the client certificate is valid, and that its issuer is one that the receiver trusts."
        }
        Code::TlsFailed if *cause == FailureCause::NotTls => {
            "Use the receiver's HTTPS port in the URL, or an http:// URL."
        }
        Code::TlsFailed => "Check the receiver's TLS settings: TLS 1.2 or 1.3 on the port of the URL.",
        Code::ConnectionReset => {
            "Check the receiver's log for a crash or a limit at that time. A proxy in front of it may have closed the connection."
        }
        Code::ProtocolError => "Check that the URL points to an HTTP server, with the right port and the right scheme.",
        Code::TokenFailed => token_advice(cause),
        Code::EventDamaged => "Check the disk of the machine that runs Hookpost, then publish the event again.",
        Code::ComposeFailed => "Compare the event's data with the webhook's profile. The receiver got nothing.",
        Code::TemplateFailed => {
            "Correct the template of the webhook or its profile, using this event in the preview, then retry the delivery. It was not retried, because the template would fail again."
        }
        Code::WorkerPanic => "The receiver may have got the request. Please report this fault with Hookpost's log.",
        Code::Status => "Respond with 2xx.",
    }
}

fn token_advice(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::TokenRefused { code: 429 | 500..=599, .. } | FailureCause::TokenUnavailable { .. } => {
            "Check that the token endpoint runs and is reachable from Hookpost, and the token URL of the webhook."
        }
        FailureCause::TokenRefused { code: 404 | 405, .. } | FailureCause::TokenMalformed { .. } => {
            "Check that the webhook's token URL is that of an OAuth 2.0 token endpoint, which responds with JSON."
        }
        _ => {
            "Compare the webhook's client ID, client secret, scope and audience with those that the token endpoint knows."
        }
    }
}

pub fn status_advice(code: u16) -> &'static str {
    match code {
        301 | 308 => "Set the URL of the webhook to the new one, given in the response's Location header.",
        302 | 303 | 307 => {
            "Set the URL to the one that responds itself. A redirect to a login page means that the path requires a login."
        }
        304 => "Hookpost sends no conditional requests: a cache or proxy may be responding in place of the receiver.",
        400 => {
            "The receiver did not understand the body. Compare it with what the handler expects, and check the receiver's log."
        }
        401 => {
            "The receiver rejected the signature or its own credentials. Check the secret on both sides, that the receiver verifies the raw body, and the webhook's authentication or custom headers."
        }
        403 => {
            "The receiver, or a firewall in front of it, forbids the request. Check signature verification, CSRF protection and address rules for this path."
        }
        404 => "Nothing is served at this path. Check the URL, and that the handler is deployed.",
        405 => "The path exists but does not accept POST. Let the handler accept POST, or correct the path.",
        406 => "The receiver cannot produce an acceptable response format. Let the handler respond 204 with no body.",
        408 => "The receiver, or a proxy in front of it, timed out waiting for the request. Check their time limits.",
        409 => {
            "The receiver reported a conflict, often for an event that it already has. Respond with 2xx to duplicates."
        }
        410 => {
            "The receiver asks for no more deliveries. If that is a mistake, correct the receiver before resuming the webhook."
        }
        411 | 412 | 417 | 421 | 426 | 431 => {
            "A proxy in front of the receiver refuses this kind of request. Check its log and its rules."
        }
        413 => "The body is too large for the receiver. Raise its limit, and the limit of any proxy in front of it.",
        414 => "The URL is too long for the receiver. Shorten its query.",
        415 => "The receiver does not accept application/json. Let the handler accept it.",
        422 => "The receiver read the body and rejected its content. Check its log for the rule that failed.",
        425 => "The receiver is not ready for the request yet. Hookpost retries on schedule.",
        429 => {
            "The receiver gets more requests than it accepts. Set a rate limit on the webhook, or let the receiver send Retry-After."
        }
        451 => "The receiver may not respond for legal reasons. Only its operator can say why.",
        500 => "The receiver's own code failed. Look for the exception in its log at that time.",
        501 => "The receiver does not support this method. Let the handler accept POST.",
        502 => "A proxy got no valid response from the receiver behind it. Check that the application runs.",
        503 => "The receiver is down for maintenance or overloaded. Check that the application runs behind its proxy.",
        504 => {
            "A proxy timed out waiting for the receiver behind it. Respond with 2xx first and do the work afterwards."
        }
        507 => "The receiver has run out of disk space. Free some there.",
        520..=527 | 530 => {
            "Cloudflare got no response from the receiver behind it. Check that machine, its certificate and its firewall."
        }
        _ => match code / 100 {
            1 => {
                "The receiver sent an interim response in place of a final one. Check the server and the proxies in front of it."
            }
            3 => "Set the URL of the webhook to the final one.",
            4 => "The receiver refused the request. Check its log for the reason.",
            5 => "The receiver failed. Check its log at that time.",
            _ => "This is not an HTTP status. Check which program listens at this URL.",
        },
    }
}
