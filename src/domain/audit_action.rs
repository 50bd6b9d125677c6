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
    #[strum(serialize = "event.erased")]
    EventErased,
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
    #[strum(serialize = "deliveries.paused")]
    DeliveriesPaused,
    #[strum(serialize = "deliveries.resumed")]
    DeliveriesResumed,
    #[strum(serialize = "incident.noted")]
    IncidentNoted,
    #[strum(serialize = "incident.muted")]
    IncidentMuted,
    #[strum(serialize = "incident.unmuted")]
    IncidentUnmuted,
    #[strum(serialize = "contact.created")]
    ContactCreated,
    #[strum(serialize = "contact.changed")]
    ContactChanged,
    #[strum(serialize = "contact.deleted")]
    ContactDeleted,
    #[strum(serialize = "contact.tested")]
    ContactTested,
    #[strum(serialize = "contact.confirmation_sent")]
    ContactConfirmationSent,
    #[strum(serialize = "contact.confirmed")]
    ContactConfirmed,
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
    #[strum(serialize = "api_key.rotated")]
    KeyRotated,
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
    #[strum(serialize = "user.totp_enabled")]
    TotpEnabled,
    #[strum(serialize = "user.totp_disabled")]
    TotpDisabled,
    #[strum(serialize = "user.totp_reset")]
    TotpReset,
    #[strum(serialize = "user.recovery_code_used")]
    RecoveryCodeUsed,
    #[strum(serialize = "user.recovery_codes_renewed")]
    RecoveryCodesRenewed,
    #[strum(serialize = "user.session_ended")]
    SessionEnded,
    #[strum(serialize = "user.other_sessions_ended")]
    OtherSessionsEnded,
    #[strum(serialize = "user.sign_in_failed")]
    SignInFailed,
    #[strum(serialize = "inbox.url_changed")]
    InboxUrlChanged,
    #[strum(serialize = "inbox.closed")]
    InboxClosed,
    #[strum(serialize = "portal_link.made")]
    PortalLinkMade,
    #[strum(serialize = "portal_link.ended")]
    PortalLinkEnded,
    #[strum(serialize = "portal.opened")]
    PortalOpened,
    #[strum(serialize = "tenant.deletion_begun")]
    TenantDeletionBegun,
    #[strum(serialize = "tenant.deleted")]
    TenantDeleted,
    #[strum(serialize = "target.allowed")]
    TargetAllowed,
    #[strum(serialize = "target.removed")]
    TargetRemoved,
    #[strum(serialize = "backup.downloaded")]
    BackupDownloaded,
}
