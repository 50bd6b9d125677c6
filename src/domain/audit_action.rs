//! What people and programs do that changes something, for the audit list.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;

/// Something that was done. The texts are stored: they are never changed.
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
