//! Portal links: each opens the pages of one tenant once. A link, and the session that it opened, ends at its time, with
//! the API key that made it, or when somebody ends it.

use std::ops::RangeInclusive;

use super::session::{self, NewOwner};
use super::token;
use super::users::{Opened, UserError};
use crate::actions::audit::AuditEntry;
use crate::actions::reserved::require_unreserved;
use crate::actions::tenants::require_staying;
use crate::actions::unchanged::Unchanged;
use crate::actions::{ActionError, Caller, Pending};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::id::PortalLinkId;
use crate::domain::time::{HOUR, Millis, SECOND};
use crate::random;
use crate::store::portal_link::{self, ListedLink, PortalLink};
use crate::store::{Connection, Store, StoreError};

/// Range of the validity of a link, and of its session, in seconds.
pub const LASTS_S: RangeInclusive<i64> = 60..=86_400;
/// Default validity of a link in seconds.
const DEFAULT_LINK_S: i64 = 600;
/// Characters of a subject at most.
pub const SUBJECT_CHARS: usize = 128;

#[derive(Debug, Clone)]
pub struct LinkRequest {
    pub tenant: Tenant,
    /// Person of the tenant, as the application names them.
    pub subject: Option<String>,
    /// Seconds until the unused link expires.
    pub expires_s: Option<i64>,
    /// Longest duration of the session in seconds. `None`: the longest that is allowed.
    pub session_s: Option<i64>,
}

impl LinkRequest {
    fn check(&self) -> Result<(), Invalid> {
        require_unreserved(&self.tenant, "tenant")?;
        for (field, value) in [("expires_s", self.expires_s), ("session_s", self.session_s)] {
            if value.is_some_and(|seconds| !LASTS_S.contains(&seconds)) {
                let message = format!("{field} must be from 60 to 86400: a minute to a day.");
                return Err(Invalid::new("out_of_range", message).in_field(field));
            }
        }
        let is_odd = |text: &String| {
            text.trim().is_empty() || text.chars().count() > SUBJECT_CHARS || text.contains(char::is_control)
        };
        if self.subject.as_ref().is_some_and(is_odd) {
            let message = format!("The subject must have 1 to {SUBJECT_CHARS} characters and no control characters.");
            return Err(Invalid::new("invalid_subject", message).in_field("subject"));
        }
        Ok(())
    }
}

/// Creates a link. Returns its token, which is never stored, and the stored record.
pub fn create(store: &Store, caller: &Caller, request: LinkRequest) -> Pending<(String, PortalLink), ActionError> {
    let caller = caller.clone();
    store.write(move |tx| {
        request.check()?;
        let LinkRequest { tenant, subject, expires_s, session_s } = request;
        require_staying(tx, &tenant)?;
        let no_key = || ActionError::Forbidden("Portal links are made with an API key.".to_owned());
        let api_key_seq = caller.api_key_seq.ok_or_else(no_key)?;
        let (connection, now) = (tx.connection(), tx.now_ms());
        portal_link::delete_expired(connection, now)?;
        let link = PortalLink {
            seq: 0,
            id: PortalLinkId::generate(now, random::bits()),
            tenant,
            subject,
            api_key_seq,
            session_ms: session_s.unwrap_or(*LASTS_S.end()) * SECOND,
            created_ms: now,
            opened_ms: None,
            ends_ms: now + expires_s.unwrap_or(DEFAULT_LINK_S) * SECOND,
        };
        let token = token::generate();
        portal_link::insert(connection, &token::hash(&token), &link)?;
        let entry = AuditEntry::new(AuditAction::PortalLinkMade, &link.tenant).in_tenant(&link.tenant);
        caller.audit(tx, entry.with_detail(link.subject.as_deref().unwrap_or_default()))?;
        Ok((token, link))
    })
}

/// Whether a link can be opened.
pub fn is_link(connection: &Connection, token: &str, now: Millis) -> Result<bool, StoreError> {
    Ok(portal_link::by_hash(connection, &token::hash(token), now)?.is_some())
}

/// Starts the session of a link, which cannot be used again.
pub fn enter(connection: &Connection, token: &str, now: Millis) -> Result<Opened, UserError> {
    let link = portal_link::by_hash(connection, &token::hash(token), now)?.ok_or(UserError::LinkEnded)?;
    let lasts_ms = link.session_ms;
    portal_link::opened(connection, link.seq, now, now + lasts_ms)?;
    let owner = NewOwner::Portal { tenant: link.tenant, link_seq: link.seq };
    Ok(Opened { cookie: session::begin(connection, &owner, now, lasts_ms)?, lasts_ms })
}

/// Opens the portal as a tenant for a user, for an hour. The user's own session goes on beside it.
pub fn open_as(store: &Store, caller: &Caller, user_seq: i64, tenant: Tenant) -> Pending<Opened, ActionError> {
    let caller = caller.clone();
    store.write(move |tx| {
        require_staying(tx, &tenant)?;
        caller.audit(tx, AuditEntry::new(AuditAction::PortalOpened, &tenant).in_tenant(&tenant))?;
        let owner = NewOwner::Operator { tenant, user_seq };
        Ok(Opened { cookie: session::begin(tx.connection(), &owner, tx.now_ms(), HOUR)?, lasts_ms: HOUR })
    })
}

/// Ends a link and its session.
pub fn end(store: &Store, caller: &Caller, id: &str, unchanged: Unchanged<PortalLink>) -> Pending<(), ActionError> {
    let (caller, id) = (caller.clone(), id.parse::<PortalLinkId>());
    store.write(move |tx| {
        let unknown = ActionError::NotFound("portal link");
        let link = portal_link::by_id(tx.connection(), id.map_err(|_| unknown.clone())?)?;
        let link = link.filter(|link| caller.sees(&link.tenant)).ok_or(unknown)?;
        unchanged.require(Some(&link))?;
        portal_link::delete(tx.connection(), link.seq)?;
        let entry = AuditEntry::new(AuditAction::PortalLinkEnded, &link.tenant).in_tenant(&link.tenant);
        Ok(caller.audit(tx, entry.with_detail(link.subject.unwrap_or_default()))?)
    })
}

/// Returns a link that is unused or whose session is open.
pub fn find(connection: &Connection, caller: &Caller, id: &str, now: Millis) -> Result<ListedLink, ActionError> {
    let unknown = ActionError::NotFound("portal link");
    let id = id.parse().map_err(|_| unknown.clone())?;
    let found = portal_link::find(connection, id, now)?;
    found.filter(|listed| caller.sees(&listed.link.tenant)).ok_or(unknown)
}

/// Ends all links of a tenant and their sessions, in steps. Returns the number of links. Blocks.
pub fn end_all(store: &Store, caller: &Caller, tenant: &Tenant) -> Result<u64, ActionError> {
    let mut ended = 0;
    // A tenant has at most `portal_link::MOST` links; those made meanwhile may stay.
    for _ in 0..=portal_link::MOST / 250 {
        let (caller, tenant) = (caller.clone(), tenant.clone());
        let is_first = ended == 0;
        let step = store.write(move |tx| -> Result<usize, ActionError> {
            if is_first {
                let entry = AuditEntry::new(AuditAction::PortalLinkEnded, &tenant).in_tenant(&tenant);
                caller.audit(tx, entry.with_detail("all"))?;
            }
            Ok(portal_link::delete_of_tenant(tx.connection(), &tenant)?)
        });
        match step.wait()? {
            0 => break,
            step => ended += step as u64,
        }
    }
    Ok(ended)
}
