//! The table of contacts. A contact with a webhook owns one row of the table of webhooks, which comes and goes with it.

use std::sync::Arc;

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row};
use super::sql_types::{Json, Topics, WebhookPatterns};
use super::{WriteTx, sweep, webhook};
use crate::domain::contact::{Channel, Contact, EmailAddress, QuietHours, Scope, Status, WebhookPattern};
use crate::domain::event::Tenant;
use crate::domain::id::ContactId;
use crate::domain::time::{HOUR, Millis};
use crate::domain::webhook::Webhook;

/// Returns the contact with this id.
pub fn get(connection: &Connection, id: ContactId) -> Result<Option<Contact>> {
    sql::first(connection, "SELECT * FROM contact WHERE id = :id", named_params! {":id": id}, from_row)
}

/// Returns the contact with this number.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<Contact>> {
    sql::first(connection, "SELECT * FROM contact WHERE seq = :seq", named_params! {":seq": seq}, from_row)
}

/// Returns a page of the contacts that a tenant owns, or of all, newest first.
pub fn page(connection: &Connection, tenant: Option<&Tenant>, request: &PageRequest) -> Result<Page<Contact>> {
    let mut conditions = Filter::default();
    conditions.and_some("tenant = ?", tenant.cloned());
    Page::read(connection, "SELECT * FROM contact", conditions, request, from_row, |contact| contact.seq)
}

/// Returns all contacts, of which there are a few thousand at most, oldest first.
pub fn all(connection: &Connection) -> Result<Vec<Contact>> {
    sql::all(connection, "SELECT * FROM contact ORDER BY seq", [], from_row)
}

/// Counts the contacts of a tenant, or of the operator (`None`).
pub fn count(connection: &Connection, owner: Option<&Tenant>) -> Result<u64> {
    let query = "SELECT count(*) FROM contact WHERE tenant IS :tenant";
    sql::value(connection, query, named_params! {":tenant": owner})
}

/// Returns up to `limit` contacts of a tenant.
pub(super) fn of_tenant(connection: &Connection, tenant: &Tenant, limit: usize) -> Result<Vec<Contact>> {
    let query = "SELECT * FROM contact WHERE tenant = :tenant ORDER BY seq LIMIT :limit";
    sql::all(connection, query, named_params! {":tenant": tenant, ":limit": limit}, from_row)
}

/// Whether a tenant, or anybody at all, has a contact.
pub fn has_any(connection: &Connection, tenant: Option<&Tenant>) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM contact WHERE :tenant IS NULL OR tenant = :tenant)";
    sql::value(connection, query, named_params! {":tenant": tenant})
}

/// Counts the contacts of all.
pub fn count_all(connection: &Connection) -> Result<u64> {
    sql::value(connection, "SELECT count(*) FROM contact", [])
}

/// Stores a new contact, with its webhook if it has one, and assigns its numbers.
pub fn insert(tx: &mut WriteTx<'_>, mut contact: Contact, webhook: Option<Webhook>) -> Result<Contact> {
    sql::run(
        tx.connection(),
        "INSERT INTO contact (id, tenant, name, email, confirmed_ms, webhook_seq, scope_webhooks, topics, created_ms,
             updated_ms)
         VALUES (:id, :tenant, :name, :email, :confirmed, :webhook, '[]', '[]', :now, :now)",
        named_params! {
            ":id": contact.id, ":tenant": contact.tenant, ":name": contact.name, ":email": email(&contact),
            ":confirmed": confirmed_ms(&contact), ":webhook": webhook.is_some().then_some(0), ":now": contact.created_ms,
        },
    )?;
    contact.seq = tx.connection().last_insert_rowid();
    if let Some(webhook) = webhook {
        let (contact_seq, contact_tenant) = (Some(contact.seq), contact.tenant.clone());
        let stored = webhook::insert(tx, Webhook { contact_seq, contact_tenant, ..webhook })?;
        contact.channel = Channel::Webhook { webhook_seq: stored.seq };
    }
    update(tx.connection(), &contact)?;
    Ok(contact)
}

/// Writes the settings of a contact. Its webhook changes by itself, and its status by [`told`] and [`failed`].
pub fn update(connection: &Connection, contact: &Contact) -> Result<()> {
    let webhooks: Vec<&str> = contact.scope.webhooks.iter().map(WebhookPattern::as_str).collect();
    let topics: Vec<&str> = contact.topics.iter().map(|topic| topic.into_str()).collect();
    let webhook_seq = match contact.channel {
        Channel::Email { .. } => None,
        Channel::Webhook { webhook_seq } => Some(webhook_seq),
    };
    sql::run(
        connection,
        "UPDATE contact SET name = :name, email = :email, confirmed_ms = :confirmed, webhook_seq = :webhook,
             scope_tenant = :scope_tenant, scope_webhooks = :scope_webhooks, topics = :topics,
             quiet_hours = :quiet_hours, updated_ms = :updated_ms
         WHERE seq = :seq",
        named_params! {
            ":seq": contact.seq, ":name": contact.name, ":email": email(contact), ":confirmed": confirmed_ms(contact),
            ":webhook": webhook_seq, ":scope_tenant": contact.scope.tenant, ":scope_webhooks": Json(webhooks),
            ":topics": Json(topics), ":quiet_hours": contact.quiet_hours.as_ref().map(|hours| Json(hours.spec())),
            ":updated_ms": contact.updated_ms,
        },
    )
}

fn email(contact: &Contact) -> Option<&EmailAddress> {
    match &contact.channel {
        Channel::Email { address, .. } => Some(address),
        Channel::Webhook { .. } => None,
    }
}

fn confirmed_ms(contact: &Contact) -> Option<Millis> {
    match contact.channel {
        Channel::Email { confirmed_ms, .. } => confirmed_ms,
        Channel::Webhook { .. } => None,
    }
}

/// Deletes a contact with its webhook.
pub fn delete(tx: &mut WriteTx<'_>, contact: &Contact) -> Result<()> {
    if let Channel::Webhook { webhook_seq } = contact.channel {
        webhook::delete(tx, webhook_seq)?;
        sweep::step(tx, webhook_seq, 0)?;
    }
    sql::run(tx.connection(), "DELETE FROM contact WHERE seq = :seq", named_params! {":seq": contact.seq})
}

/// Returns the webhook of a contact, if it has one.
pub fn webhook_of(connection: &Connection, contact: &Contact) -> Result<Option<Webhook>> {
    match contact.channel {
        Channel::Email { .. } => Ok(None),
        Channel::Webhook { webhook_seq } => webhook::by_seq(connection, webhook_seq),
    }
}

/// Returns the webhook of a contact as of the current job, without a query.
pub fn webhook_in(tx: &WriteTx<'_>, contact: &Contact) -> Option<Arc<Webhook>> {
    match contact.channel {
        Channel::Email { .. } => None,
        Channel::Webhook { webhook_seq } => tx.directory().get(webhook_seq).cloned(),
    }
}

/// Records that a message to a contact was delivered.
pub fn told(connection: &Connection, seq: i64, now: Millis) -> Result<()> {
    let statement = "UPDATE contact SET told_ms = :now, failing_since_ms = NULL, has_lost = 0, error = NULL
                     WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":seq": seq, ":now": now})
}

/// Records that an attempt to tell a contact failed, and whether its message is given up. `error` is a sentence.
pub fn failed(connection: &Connection, seq: i64, error: &str, is_lost: bool, now: Millis) -> Result<()> {
    sql::run(
        connection,
        "UPDATE contact SET failing_since_ms = min(coalesce(failing_since_ms, :now), :now),
             has_lost = max(has_lost, :is_lost), error = :error
         WHERE seq = :seq",
        named_params! {":seq": seq, ":now": now, ":is_lost": is_lost, ":error": error},
    )
}

/// Records that a contact can be reached: a test was delivered, or its address was changed.
pub fn recovered(connection: &Connection, seq: i64) -> Result<()> {
    let statement = "UPDATE contact SET failing_since_ms = NULL, has_lost = 0, error = NULL
                     WHERE seq = :seq AND failing_since_ms IS NOT NULL";
    sql::run(connection, statement, named_params! {":seq": seq})
}

/// Returns up to `limit` contacts of a tenant, or of all, that do not get their messages, longest first.
pub fn failing(connection: &Connection, tenant: Option<&Tenant>, now: Millis, limit: u32) -> Result<Vec<Contact>> {
    let query = "SELECT * FROM contact INDEXED BY contact_failing
                 WHERE failing_since_ms IS NOT NULL AND (has_lost OR failing_since_ms <= :before)
                     AND (:tenant IS NULL OR tenant = :tenant)
                 ORDER BY failing_since_ms, seq LIMIT :limit";
    let params = named_params! {":before": Status::failing_before(now), ":tenant": tenant, ":limit": limit};
    sql::all(connection, query, params, from_row)
}

/// Link that confirms the address of a contact. The token is never stored, only its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    pub hash: [u8; 32],
    pub ends_ms: Millis,
}

/// Sets the link that confirms the address of a contact. One sent before no longer works.
pub fn set_confirmation(connection: &Connection, seq: i64, link: Option<&Confirmation>) -> Result<()> {
    let statement = "UPDATE contact SET confirmation_hash = :hash, confirmation_ends_ms = :ends_ms WHERE seq = :seq";
    let (hash, ends_ms) = (link.map(|link| link.hash), link.map(|link| link.ends_ms));
    sql::run(connection, statement, named_params! {":seq": seq, ":hash": hash, ":ends_ms": ends_ms})
}

/// Returns the contact whose address the link with this hash confirms, unless the link was used or has expired.
pub fn by_confirmation(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<Contact>> {
    let query = "SELECT * FROM contact WHERE confirmation_hash = :hash AND confirmation_ends_ms > :now";
    sql::first(connection, query, named_params! {":hash": hash, ":now": now}, from_row)
}

/// E-mails that tenants had sent at will in the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedMail {
    pub of_tenant: u64,
    pub to_address: u64,
    pub of_all: u64,
}

/// Counts the e-mails of the last hour that tenants asked for.
pub fn asked_mail(connection: &Connection, tenant: &Tenant, to: &EmailAddress, now: Millis) -> Result<AskedMail> {
    let query = "SELECT coalesce(sum(tenant = :tenant), 0) AS of_tenant,
                     coalesce(sum(lower(email) = lower(:email)), 0) AS to_address, count(*) AS of_all
                 FROM contact_mail WHERE sent_ms > :since";
    let params = named_params! {":tenant": tenant, ":email": to, ":since": now - HOUR};
    let found =
        sql::first(connection, query, params, |row| Ok(read_row!(row, AskedMail { of_tenant, to_address, of_all })))?;
    Ok(found.unwrap_or(AskedMail { of_tenant: 0, to_address: 0, of_all: 0 }))
}

/// Counts an e-mail that a tenant asked for, and forgets those of earlier hours.
pub fn count_asked_mail(connection: &Connection, tenant: &Tenant, to: &EmailAddress, now: Millis) -> Result<()> {
    let old = "DELETE FROM contact_mail WHERE sent_ms <= :before OR sent_ms > :now";
    sql::run(connection, old, named_params! {":before": now - HOUR, ":now": now})?;
    sql::run(
        connection,
        "INSERT INTO contact_mail (tenant, email, sent_ms) VALUES (:tenant, :email, :now)",
        named_params! {":tenant": tenant, ":email": to, ":now": now},
    )
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let channel = match (row.get("email")?, row.get::<_, Option<i64>>("webhook_seq")?) {
        (Some(address), _) => Channel::Email { address, confirmed_ms: row.get("confirmed_ms")? },
        (None, webhook_seq) => Channel::Webhook { webhook_seq: webhook_seq.unwrap_or_default() },
    };
    let WebhookPatterns(webhooks) = row.get("scope_webhooks")?;
    let Topics(topics) = row.get("topics")?;
    Ok(read_row!(row, Contact {
        seq, id, tenant, name, created_ms, updated_ms;
        channel,
        scope: Scope { tenant: row.get("scope_tenant")?, webhooks },
        topics,
        quiet_hours: row.get::<_, Option<QuietHours>>("quiet_hours")?,
        status: read_row!(row, Status { told_ms, failing_since_ms, has_lost, error }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{QuietHoursSpec, Topic};
    use crate::domain::time::MINUTE;
    use crate::store::directory::Directory;
    use crate::store::{fixtures, migrate};

    fn contact(number: u128, tenant: Option<&str>, address: Option<&str>) -> Contact {
        let tenant: Option<Tenant> = tenant.map(|text| text.parse().unwrap());
        Contact {
            seq: 0,
            id: ContactId::generate(0, number),
            name: "On call".to_owned(),
            channel: match address {
                Some(text) => Channel::Email { address: text.parse().unwrap(), confirmed_ms: None },
                None => Channel::Webhook { webhook_seq: 0 },
            },
            scope: Scope { tenant: tenant.clone(), webhooks: vec!["*.example.com".parse().unwrap()] },
            topics: Topic::defaults(tenant.as_ref()),
            tenant,
            quiet_hours: None,
            created_ms: 5,
            updated_ms: 5,
            status: Status::default(),
        }
    }

    #[test]
    fn a_contact_reads_back_as_written_and_goes_with_its_webhook() {
        let connection = migrate::in_memory();
        let mut directory = Directory::default();
        let tx = &mut WriteTx::of_test(&connection, &mut directory, 7);
        let webhook = Webhook { events: vec!["hookpost.*".parse().unwrap()], ..fixtures::webhook(1, "hookpost") };
        let email = insert(tx, contact(1, Some("acme"), Some("ops@example.com")), None).unwrap();
        let hook = insert(tx, contact(2, None, None), Some(webhook)).unwrap();
        for stored in [&email, &hook] {
            assert_eq!(get(&connection, stored.id).unwrap().as_ref(), Some(stored));
        }
        let webhook = webhook_of(&connection, &hook).unwrap().unwrap();
        assert_eq!(webhook.contact_seq, Some(hook.seq));
        let quiet = QuietHoursSpec { from: "22:00".into(), to: "07:00".into(), time_zone: "Europe/Berlin".into() };
        let changed = Contact { quiet_hours: Some(QuietHours::parse(&quiet).unwrap()), ..email.clone() };
        update(&connection, &changed).unwrap();
        assert_eq!(by_seq(&connection, email.seq).unwrap(), Some(changed));
        assert_eq!((count(&connection, None).unwrap(), count_all(&connection).unwrap()), (1, 2));
        delete(tx, &hook).unwrap();
        assert_eq!(get(&connection, hook.id).unwrap(), None);
        assert_eq!(webhook::by_seq(&connection, webhook.seq).unwrap(), None);
        let next = insert(tx, contact(3, None, Some("b@example.com")), None).unwrap();
        assert!(next.seq > hook.seq, "a number is used once");
    }

    #[test]
    fn failures_count_from_the_first_one_until_a_message_is_delivered() {
        let connection = migrate::in_memory();
        let mut directory = Directory::default();
        let tx = &mut WriteTx::of_test(&connection, &mut directory, 7);
        let (acme, globex): (Tenant, Tenant) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let stored = insert(tx, contact(1, Some("acme"), Some("ops@example.com")), None).unwrap();
        let failing = |tenant, now| failing(&connection, tenant, now, 10).unwrap().len();
        failed(&connection, stored.seq, "Refused.", false, 1_000).unwrap();
        failed(&connection, stored.seq, "Refused again.", false, 2_000).unwrap();
        let status = by_seq(&connection, stored.seq).unwrap().unwrap().status;
        assert_eq!((status.failing_since_ms, status.error.as_deref()), (Some(1_000), Some("Refused again.")));
        assert_eq!((failing(None, 2_000), failing(None, 1_000 + 5 * MINUTE)), (0, 1));
        failed(&connection, stored.seq, "Given up.", true, 2_000).unwrap();
        assert_eq!((failing(None, 2_000), failing(Some(&acme), 2_000)), (1, 1));
        assert_eq!(failing(Some(&globex), 2_000), 0);
        told(&connection, stored.seq, 3_000).unwrap();
        let status = by_seq(&connection, stored.seq).unwrap().unwrap().status;
        assert_eq!(status, Status { told_ms: Some(3_000), ..Status::default() });
        assert_eq!(failing(None, HOUR), 0);
    }

    #[test]
    fn mail_that_tenants_ask_for_is_counted_for_an_hour() {
        let connection = migrate::in_memory();
        let (acme, globex): (Tenant, Tenant) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let (one, other) = ("One@example.com".parse().unwrap(), "other@example.com".parse().unwrap());
        count_asked_mail(&connection, &acme, &one, 0).unwrap();
        count_asked_mail(&connection, &globex, &one, 1_000).unwrap();
        count_asked_mail(&connection, &globex, &other, 2_000).unwrap();
        let asked = asked_mail(&connection, &globex, &"one@example.com".parse().unwrap(), 2_000).unwrap();
        assert_eq!(asked, AskedMail { of_tenant: 2, to_address: 2, of_all: 3 });
        let asked = asked_mail(&connection, &acme, &other, HOUR + 1_500).unwrap();
        assert_eq!(asked, AskedMail { of_tenant: 0, to_address: 1, of_all: 1 });
    }
}
