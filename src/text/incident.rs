//! Incidents in words.

use crate::domain::incident::{EntryKind, OpenReason};
use crate::text::humanize::{counted, number};

/// Returns why an incident opened, as a sentence.
pub fn reason(reason: OpenReason) -> &'static str {
    match reason {
        OpenReason::Exhausted => "Opened because a delivery ran out of attempts.",
        OpenReason::ManyFailures => "Opened after ten failed attempts in a row over at least a minute.",
        OpenReason::HourOfFailures => "Opened after an hour of nothing but failures.",
        OpenReason::Disabled => "Opened when Hookpost disabled the webhook.",
        OpenReason::Unverified => "Opened because events have waited for an hour for the webhook's verification.",
        OpenReason::CertificateEnding => "Opened because a certificate expires soon.",
    }
}

/// Returns an entry of the time line in a sentence or two. `count` webhooks, or entries left out; `text` is the cause, or
/// the text of a note.
pub fn entry(kind: EntryKind, count: u64, text: &str) -> String {
    let (one, several) = match kind {
        EntryKind::FirstFailure => ("First failed attempt.", ""),
        EntryKind::Opened => ("Incident opened.", ""),
        EntryKind::Joined => ("Another webhook of the host is failing.", "more webhooks of the host are failing."),
        EntryKind::CauseChanged => ("The cause changed.", "webhooks: the cause changed."),
        EntryKind::Disabled => ("Hookpost disabled the webhook.", "webhooks were disabled by Hookpost."),
        EntryKind::Paused => ("Webhook paused.", ""),
        EntryKind::Resumed => ("Webhook resumed.", ""),
        EntryKind::TestDelivered => ("Test event delivered.", ""),
        EntryKind::TestFailed => ("Test event failed.", ""),
        EntryKind::Recovered => ("Deliveries succeed again.", "webhooks: deliveries succeed again."),
        EntryKind::FailingAgain => ("The webhook is failing again.", "webhooks are failing again."),
        EntryKind::Reopened => ("Incident reopened.", ""),
        EntryKind::CertificateEnding => ("A certificate expires soon.", "webhooks: a certificate expires soon."),
        EntryKind::CertificateRenewed => ("The certificate was replaced.", "webhooks: the certificate was replaced."),
        EntryKind::Deleted => ("Webhook deleted.", ""),
        EntryKind::Moved => ("The webhook's URL was changed to another host.", ""),
        EntryKind::Note => return text.to_owned(),
        EntryKind::Muted => ("Incident muted.", ""),
        EntryKind::Unmuted => ("Incident unmuted.", ""),
        EntryKind::LeftOut if count == 0 => ("Older entries are left out.", ""),
        EntryKind::LeftOut => return format!("{} left out.", counted(count, "older entry")),
    };
    let begin = if count > 1 && !several.is_empty() { format!("{} {several}", number(count)) } else { one.to_owned() };
    if text.is_empty() { begin } else { format!("{begin} {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray as _;

    #[test]
    fn an_entry_is_a_sentence_for_one_webhook_and_for_several() {
        for &kind in EntryKind::VARIANTS {
            for count in [1, 2] {
                let words = entry(kind, count, "It answered 503.");
                assert!(words.ends_with('.') && !words.contains("  "), "{kind}: {words}");
            }
        }
        assert_eq!(entry(EntryKind::Joined, 1, ""), "Another webhook of the host is failing.");
        assert_eq!(
            entry(EntryKind::Joined, 9_999, "It answered 503."),
            "9,999 more webhooks of the host are failing. It answered 503."
        );
        assert_eq!(entry(EntryKind::LeftOut, 1, ""), "1 older entry left out.");
        assert_eq!(entry(EntryKind::LeftOut, 29, ""), "29 older entries left out.");
        assert_eq!(entry(EntryKind::Note, 1, "Called them."), "Called them.");
    }
}
