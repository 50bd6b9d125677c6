//! What people and programs do that changes something, for the audit list.

use crate::domain::delivery::text_enum;

text_enum!(
    /// Something that was done. The texts are stored: they are never changed.
    AuditAction {
        WebhookCreated = "webhook.created",
        WebhookChanged = "webhook.changed",
        WebhookPaused = "webhook.paused",
        WebhookResumed = "webhook.resumed",
        WebhookVerified = "webhook.verified",
        WebhookDeleted = "webhook.deleted",
        SecretRotated = "secret.rotated",
        SecretRevealed = "secret.revealed",
        TestSent = "test.sent",
        EventPublished = "event.published",
        EventReplayed = "event.replayed",
        WebhookReplayed = "webhook.replayed",
        DeliveryRetried = "delivery.retried",
        DeliveryDiscarded = "delivery.discarded",
        DeliveriesRetried = "deliveries.retried",
        DeliveriesDiscarded = "deliveries.discarded",
        EventTypePut = "event_type.put",
        EventTypeDeleted = "event_type.deleted",
        ProfilePut = "profile.put",
        ProfileDeleted = "profile.deleted",
        KeyCreated = "api_key.created",
        KeyRevoked = "api_key.revoked",
        UserAdded = "user.added",
        UserRemoved = "user.removed",
        RoleChanged = "user.role_changed",
        PasswordReset = "user.password_reset",
        PasswordChanged = "user.password_changed",
        SignedIn = "user.signed_in",
        PortalLinkMade = "portal_link.made",
        BackupDownloaded = "backup.downloaded",
    }
);

/// What a deed was done to, for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Webhook,
    Event,
    Delivery,
    EventType,
    Profile,
    Key,
    User,
    /// A tenant's name.
    Tenant,
    /// Many things, or none.
    Other,
}

impl AuditAction {
    /// Said after who did it, and before what it was done to: `anna` *created the webhook* `wh_…`.
    pub fn words(self) -> &'static str {
        match self {
            AuditAction::WebhookCreated => "created the webhook",
            AuditAction::WebhookChanged => "changed the webhook",
            AuditAction::WebhookPaused => "paused the webhook",
            AuditAction::WebhookResumed => "resumed the webhook",
            AuditAction::WebhookVerified => "verified the webhook",
            AuditAction::WebhookDeleted => "deleted the webhook",
            AuditAction::SecretRotated => "rotated the secret of the webhook",
            AuditAction::SecretRevealed => "revealed the secret of the webhook",
            AuditAction::TestSent => "sent a test event to the webhook",
            AuditAction::EventPublished => "published by hand the event",
            AuditAction::EventReplayed => "replayed the event",
            AuditAction::WebhookReplayed => "replayed events to the webhook",
            AuditAction::DeliveryRetried => "retried the delivery",
            AuditAction::DeliveryDiscarded => "discarded the delivery",
            AuditAction::DeliveriesRetried => "retried deliveries",
            AuditAction::DeliveriesDiscarded => "discarded deliveries",
            AuditAction::EventTypePut => "described the event type",
            AuditAction::EventTypeDeleted => "deleted the event type",
            AuditAction::ProfilePut => "saved the profile",
            AuditAction::ProfileDeleted => "deleted the profile",
            AuditAction::KeyCreated => "made the API key",
            AuditAction::KeyRevoked => "revoked the API key",
            AuditAction::UserAdded => "added the user",
            AuditAction::UserRemoved => "removed the user",
            AuditAction::RoleChanged => "changed the role of the user",
            AuditAction::PasswordReset => "reset the password of the user",
            AuditAction::PasswordChanged => "changed their own password, as the user",
            AuditAction::SignedIn => "signed in as the user",
            AuditAction::PortalLinkMade => "made a portal link for the tenant",
            AuditAction::BackupDownloaded => "downloaded a backup of everything",
        }
    }

    pub fn subject(self) -> Subject {
        match self {
            AuditAction::WebhookCreated
            | AuditAction::WebhookChanged
            | AuditAction::WebhookPaused
            | AuditAction::WebhookResumed
            | AuditAction::WebhookVerified
            | AuditAction::WebhookDeleted
            | AuditAction::SecretRotated
            | AuditAction::SecretRevealed
            | AuditAction::TestSent
            | AuditAction::WebhookReplayed => Subject::Webhook,
            AuditAction::EventPublished | AuditAction::EventReplayed => Subject::Event,
            AuditAction::DeliveryRetried | AuditAction::DeliveryDiscarded => Subject::Delivery,
            AuditAction::EventTypePut | AuditAction::EventTypeDeleted => Subject::EventType,
            AuditAction::ProfilePut | AuditAction::ProfileDeleted => Subject::Profile,
            AuditAction::KeyCreated | AuditAction::KeyRevoked => Subject::Key,
            AuditAction::UserAdded
            | AuditAction::UserRemoved
            | AuditAction::RoleChanged
            | AuditAction::PasswordReset
            | AuditAction::PasswordChanged
            | AuditAction::SignedIn => Subject::User,
            AuditAction::PortalLinkMade => Subject::Tenant,
            AuditAction::DeliveriesRetried | AuditAction::DeliveriesDiscarded | AuditAction::BackupDownloaded => {
                Subject::Other
            }
        }
    }

    /// Whether what it was done to is gone after it.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            AuditAction::WebhookDeleted
                | AuditAction::EventTypeDeleted
                | AuditAction::ProfileDeleted
                | AuditAction::KeyRevoked
                | AuditAction::UserRemoved
        )
    }
}
