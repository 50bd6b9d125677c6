//! Audited actions in words.

use crate::domain::audit_action::AuditAction;

/// Returns the words between actor and object: `anna` *created the webhook* `wh_…`.
pub fn words(action: AuditAction) -> &'static str {
    match action {
        AuditAction::WebhookCreated => "created the webhook",
        AuditAction::WebhookChanged => "changed the webhook",
        AuditAction::WebhookPaused => "paused the webhook",
        AuditAction::WebhookResumed => "resumed the webhook",
        AuditAction::WebhookVerified => "verified the webhook",
        AuditAction::WebhookDeleted => "deleted the webhook",
        AuditAction::SecretRotated => "rotated the secret of the webhook",
        AuditAction::SecretRevealed => "revealed the secret of the webhook",
        AuditAction::TestSent => "sent a test event to the webhook",
        AuditAction::EventPublished => "manually published the event",
        AuditAction::EventReplayed => "replayed the event",
        AuditAction::WebhookReplayed => "replayed events to the webhook",
        AuditAction::DeliveryRetried => "retried the delivery",
        AuditAction::DeliveryDiscarded => "discarded the delivery",
        AuditAction::DeliveriesRetried => "retried deliveries",
        AuditAction::DeliveriesDiscarded => "discarded deliveries",
        AuditAction::EventTypePut => "saved the event type",
        AuditAction::EventTypeDeleted => "deleted the event type",
        AuditAction::ProfilePut => "saved the profile",
        AuditAction::ProfileDeleted => "deleted the profile",
        AuditAction::KeyCreated => "created the API key",
        AuditAction::KeyRotated => "rotated a key and created the API key",
        AuditAction::KeyRevoked => "revoked the API key",
        AuditAction::UserAdded => "added the user",
        AuditAction::UserRemoved => "removed the user",
        AuditAction::RoleChanged => "changed the role of the user",
        AuditAction::PasswordReset => "reset the password of the user",
        AuditAction::PasswordChanged => "changed their own password as the user",
        AuditAction::SignedIn => "signed in as the user",
        AuditAction::SessionEnded => "ended a session of the user",
        AuditAction::OtherSessionsEnded => "ended the other sessions of the user",
        AuditAction::SignInFailed => "failed to sign in as the user",
        AuditAction::InboxUrlChanged => "changed the URL of the inbox of the tenant",
        AuditAction::InboxClosed => "closed the inbox of the tenant",
        AuditAction::PortalLinkMade => "created a portal link for the tenant",
        AuditAction::PortalLinkEnded => "ended portal links and sessions of the tenant",
        AuditAction::BackupDownloaded => "downloaded a backup of everything",
    }
}
