//! What people and programs do that changes something, for the audit list.

use crate::domain::delivery::text_enum;

text_enum!(
    /// Something that was done. The texts are stored: they are never changed.
    Deed {
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

impl Deed {
    /// Said after who did it, and before what it was done to: `anna` *created the webhook* `wh_…`.
    pub fn words(self) -> &'static str {
        match self {
            Deed::WebhookCreated => "created the webhook",
            Deed::WebhookChanged => "changed the webhook",
            Deed::WebhookPaused => "paused the webhook",
            Deed::WebhookResumed => "resumed the webhook",
            Deed::WebhookVerified => "verified the webhook",
            Deed::WebhookDeleted => "deleted the webhook",
            Deed::SecretRotated => "rotated the secret of the webhook",
            Deed::SecretRevealed => "revealed the secret of the webhook",
            Deed::TestSent => "sent a test event to the webhook",
            Deed::EventPublished => "published by hand the event",
            Deed::EventReplayed => "replayed the event",
            Deed::WebhookReplayed => "replayed events to the webhook",
            Deed::DeliveryRetried => "retried the delivery",
            Deed::DeliveryDiscarded => "discarded the delivery",
            Deed::DeliveriesRetried => "retried deliveries",
            Deed::DeliveriesDiscarded => "discarded deliveries",
            Deed::EventTypePut => "described the event type",
            Deed::EventTypeDeleted => "deleted the event type",
            Deed::ProfilePut => "saved the profile",
            Deed::ProfileDeleted => "deleted the profile",
            Deed::KeyCreated => "made the API key",
            Deed::KeyRevoked => "revoked the API key",
            Deed::UserAdded => "added the user",
            Deed::UserRemoved => "removed the user",
            Deed::RoleChanged => "changed the role of the user",
            Deed::PasswordReset => "reset the password of the user",
            Deed::PasswordChanged => "changed their own password, as the user",
            Deed::SignedIn => "signed in as the user",
            Deed::PortalLinkMade => "made a portal link for the tenant",
            Deed::BackupDownloaded => "downloaded a backup of everything",
        }
    }

    pub fn subject(self) -> Subject {
        match self {
            Deed::WebhookCreated
            | Deed::WebhookChanged
            | Deed::WebhookPaused
            | Deed::WebhookResumed
            | Deed::WebhookVerified
            | Deed::WebhookDeleted
            | Deed::SecretRotated
            | Deed::SecretRevealed
            | Deed::TestSent
            | Deed::WebhookReplayed => Subject::Webhook,
            Deed::EventPublished | Deed::EventReplayed => Subject::Event,
            Deed::DeliveryRetried | Deed::DeliveryDiscarded => Subject::Delivery,
            Deed::EventTypePut | Deed::EventTypeDeleted => Subject::EventType,
            Deed::ProfilePut | Deed::ProfileDeleted => Subject::Profile,
            Deed::KeyCreated | Deed::KeyRevoked => Subject::Key,
            Deed::UserAdded
            | Deed::UserRemoved
            | Deed::RoleChanged
            | Deed::PasswordReset
            | Deed::PasswordChanged
            | Deed::SignedIn => Subject::User,
            Deed::PortalLinkMade => Subject::Tenant,
            Deed::DeliveriesRetried | Deed::DeliveriesDiscarded | Deed::BackupDownloaded => Subject::Other,
        }
    }

    /// Whether what it was done to is gone after it.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Deed::WebhookDeleted | Deed::EventTypeDeleted | Deed::ProfileDeleted | Deed::KeyRevoked | Deed::UserRemoved
        )
    }
}
