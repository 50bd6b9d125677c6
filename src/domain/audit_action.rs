//! Actions of people and programs that the audit log records.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;

/// Recorded action. The text forms are stored: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<AuditAction>)]
pub enum AuditAction {
    #[strum(serialize = "webhook.created")]
    WebhookCreated,
    #[strum(serialize = "webhook.changed")]
    WebhookChanged,
    #[strum(serialize = "webhook.paused")]
    WebhookPaused,
    #[strum(serialize = "webhook.resumed")]
    WebhookResumed,
    #[strum(serialize = "webhook.verified")]
    WebhookVerified,
    #[strum(serialize = "webhook.deleted")]
    WebhookDeleted,
    #[strum(serialize = "secret.rotated")]
    SecretRotated,
    #[strum(serialize = "secret.revealed")]
    SecretRevealed,
    #[strum(serialize = "test.sent")]
    TestSent,
    #[strum(serialize = "event.published")]
    EventPublished,
    #[strum(serialize = "event.replayed")]
    EventReplayed,
    #[strum(serialize = "webhook.replayed")]
    WebhookReplayed,
    #[strum(serialize = "delivery.retried")]
    DeliveryRetried,
    #[strum(serialize = "delivery.discarded")]
    DeliveryDiscarded,
    #[strum(serialize = "deliveries.retried")]
    DeliveriesRetried,
    #[strum(serialize = "deliveries.discarded")]
    DeliveriesDiscarded,
    #[strum(serialize = "event_type.put")]
    EventTypePut,
    #[strum(serialize = "event_type.deleted")]
    EventTypeDeleted,
    #[strum(serialize = "profile.put")]
    ProfilePut,
    #[strum(serialize = "profile.deleted")]
    ProfileDeleted,
    #[strum(serialize = "api_key.created")]
    KeyCreated,
    #[strum(serialize = "api_key.revoked")]
    KeyRevoked,
    #[strum(serialize = "user.added")]
    UserAdded,
    #[strum(serialize = "user.removed")]
    UserRemoved,
    #[strum(serialize = "user.role_changed")]
    RoleChanged,
    #[strum(serialize = "user.password_reset")]
    PasswordReset,
    #[strum(serialize = "user.password_changed")]
    PasswordChanged,
    #[strum(serialize = "user.signed_in")]
    SignedIn,
    #[strum(serialize = "portal_link.made")]
    PortalLinkMade,
    #[strum(serialize = "backup.downloaded")]
    BackupDownloaded,
}

/// Kind of object that an action changed, for a link.
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
    /// Several objects, or none.
    Other,
}

impl AuditAction {
    /// Returns the kind of object changed, and the words between actor and object: `anna` *created the webhook* `wh_…`.
    pub fn subject_and_words(self) -> (Subject, &'static str) {
        match self {
            AuditAction::WebhookCreated => (Subject::Webhook, "created the webhook"),
            AuditAction::WebhookChanged => (Subject::Webhook, "changed the webhook"),
            AuditAction::WebhookPaused => (Subject::Webhook, "paused the webhook"),
            AuditAction::WebhookResumed => (Subject::Webhook, "resumed the webhook"),
            AuditAction::WebhookVerified => (Subject::Webhook, "verified the webhook"),
            AuditAction::WebhookDeleted => (Subject::Webhook, "deleted the webhook"),
            AuditAction::SecretRotated => (Subject::Webhook, "rotated the secret of the webhook"),
            AuditAction::SecretRevealed => (Subject::Webhook, "revealed the secret of the webhook"),
            AuditAction::TestSent => (Subject::Webhook, "sent a test event to the webhook"),
            AuditAction::EventPublished => (Subject::Event, "manually published the event"),
            AuditAction::EventReplayed => (Subject::Event, "replayed the event"),
            AuditAction::WebhookReplayed => (Subject::Webhook, "replayed events to the webhook"),
            AuditAction::DeliveryRetried => (Subject::Delivery, "retried the delivery"),
            AuditAction::DeliveryDiscarded => (Subject::Delivery, "discarded the delivery"),
            AuditAction::DeliveriesRetried => (Subject::Other, "retried deliveries"),
            AuditAction::DeliveriesDiscarded => (Subject::Other, "discarded deliveries"),
            AuditAction::EventTypePut => (Subject::EventType, "saved the event type"),
            AuditAction::EventTypeDeleted => (Subject::EventType, "deleted the event type"),
            AuditAction::ProfilePut => (Subject::Profile, "saved the profile"),
            AuditAction::ProfileDeleted => (Subject::Profile, "deleted the profile"),
            AuditAction::KeyCreated => (Subject::Key, "created the API key"),
            AuditAction::KeyRevoked => (Subject::Key, "revoked the API key"),
            AuditAction::UserAdded => (Subject::User, "added the user"),
            AuditAction::UserRemoved => (Subject::User, "removed the user"),
            AuditAction::RoleChanged => (Subject::User, "changed the role of the user"),
            AuditAction::PasswordReset => (Subject::User, "reset the password of the user"),
            AuditAction::PasswordChanged => (Subject::User, "changed their own password as the user"),
            AuditAction::SignedIn => (Subject::User, "signed in as the user"),
            AuditAction::PortalLinkMade => (Subject::Tenant, "created a portal link for the tenant"),
            AuditAction::BackupDownloaded => (Subject::Other, "downloaded a backup of everything"),
        }
    }

    /// Whether the action deletes its object.
    pub fn is_deletion(self) -> bool {
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
