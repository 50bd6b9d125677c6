//! Columns of a webhook's row.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Row, ToSql};

use crate::domain::filter::Filter;
use crate::domain::pattern::EventPattern;
use crate::domain::signing::KeyPair;
use crate::domain::tls::{Tls, TlsSpec};
use crate::domain::webhook::{Limits, OldSecret, Sweep, Webhook};
use crate::store::sql::read_row;
use crate::store::sql_types::{Json, Patterns};

/// Columns of encrypted values, open.
pub(in crate::store) const OPEN: &str = "unseal(webhook.secret, 'webhook.secret', webhook.id) AS open_secret,
     unseal(webhook.old_secret, 'webhook.old_secret', webhook.id) AS open_old_secret,
     unseal(webhook.ed25519_key, 'webhook.ed25519_key', webhook.id) AS open_ed25519_key,
     unseal(webhook.old_ed25519_key, 'webhook.old_ed25519_key', webhook.id) AS open_old_ed25519_key,
     unseal(webhook.headers, 'webhook.headers', webhook.id) AS open_headers,
     unseal(webhook.auth, 'webhook.auth', webhook.id) AS open_auth,
     unseal(webhook.tls, 'webhook.tls', webhook.id) AS open_tls";

pub(super) fn patterns(row: &Row<'_>) -> rusqlite::Result<Vec<EventPattern>> {
    row.get("events").map(|Patterns(patterns)| patterns)
}

pub(super) fn filter(row: &Row<'_>) -> rusqlite::Result<Option<Arc<Filter>>> {
    row.get::<_, Option<Filter>>("filter").map(|filter| filter.map(Arc::new))
}

/// Names and values of the columns that INSERT and UPDATE write.
pub(super) fn columns(webhook: &Webhook) -> (Vec<&'static str>, Vec<Box<dyn ToSql + '_>>) {
    let events: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
    let headers: Vec<(&str, &str)> = webhook.headers.iter().collect();
    let retry = webhook.retry.as_ref().map(|retry| Json(retry.spec()));
    let old = webhook.old_secret.as_ref();
    let sweep = webhook.sweep;
    let columns: [(&str, Box<dyn ToSql + '_>); 34] = [
        ("id", Box::new(webhook.id)),
        ("tenant", Box::new(&webhook.tenant)),
        ("url", Box::new(&webhook.url)),
        ("description", Box::new(&webhook.description)),
        ("events", Box::new(Json(events))),
        ("filter", Box::new(webhook.filter.as_deref().map(Filter::text))),
        ("profile", Box::new(&webhook.profile)),
        ("secret", Box::new(&webhook.secret)),
        ("old_secret", Box::new(old.map(|old| &old.secret))),
        ("overlap_ends_ms", Box::new(old.map(|old| old.overlap_ends_ms))),
        ("state", Box::new(webhook.state)),
        ("disabled_ms", Box::new(webhook.disabled_ms)),
        ("disabled_reason", Box::new(&webhook.disabled_reason)),
        ("headers", Box::new(Json(headers))),
        ("auth", Box::new(webhook.auth.as_ref().map(|auth| Json(auth.spec())))),
        ("timeout_s", Box::new(webhook.limits.timeout_s)),
        ("max_in_flight", Box::new(webhook.limits.max_in_flight)),
        ("rate_limit_per_s", Box::new(webhook.limits.rate_limit_per_s)),
        ("ordered", Box::new(webhook.ordered)),
        ("retry", Box::new(retry)),
        ("standard_headers", Box::new(webhook.standard_headers)),
        ("template", Box::new(&webhook.template)),
        ("tls", Box::new(webhook.tls.as_ref().map(|tls| Json(tls.spec())))),
        ("tls_ends_ms", Box::new(webhook.tls.as_ref().map(|tls| tls.ends_ms))),
        ("created_ms", Box::new(webhook.created_ms)),
        ("updated_ms", Box::new(webhook.updated_ms)),
        ("verified_url", Box::new(&webhook.verified_url)),
        ("sweep", Box::new(sweep.map(|sweep| sweep.waiting))),
        ("signing", Box::new(webhook.signing)),
        ("ed25519_key", Box::new(webhook.key_pair.as_ref().map(KeyPair::to_stored))),
        ("old_ed25519_key", Box::new(old.and_then(|old| old.key_pair.as_ref()).map(KeyPair::to_stored))),
        ("sweep_up_to_seq", Box::new(sweep.map(|sweep| sweep.up_to_seq))),
        ("contact_seq", Box::new(webhook.contact_seq)),
        ("contact_tenant", Box::new(&webhook.contact_tenant)),
    ];
    columns.into_iter().unzip()
}

/// Returns the expressions that INSERT and UPDATE assign to the columns, whose first one is the id.
pub(super) fn places(names: &[&'static str]) -> Vec<String> {
    let place = |(index, name): (usize, &&str)| match *name {
        "secret" | "old_secret" | "ed25519_key" | "old_ed25519_key" | "headers" | "auth" | "tls" => {
            format!("seal(?{}, 'webhook.{name}', ?1)", index + 1)
        }
        _ => format!("?{}", index + 1),
    };
    names.iter().enumerate().map(place).collect()
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    let old_secret = match (row.get("open_old_secret")?, row.get("overlap_ends_ms")?) {
        (Some(secret), Some(overlap_ends_ms)) => {
            Some(OldSecret { secret, key_pair: row.get("open_old_ed25519_key")?, overlap_ends_ms })
        }
        _ => None,
    };
    let sweep = match (row.get("sweep")?, row.get("sweep_up_to_seq")?) {
        (Some(waiting), Some(up_to_seq)) => Some(Sweep { waiting, up_to_seq }),
        _ => None,
    };
    Ok(read_row!(row, Webhook {
        seq, id, tenant, url, description, profile, state, disabled_ms, disabled_reason, ordered, retry,
        standard_headers, signing, created_ms, updated_ms, verified_url, template, contact_seq, contact_tenant;
        events: patterns(row)?,
        filter: filter(row)?,
        secret: row.get("open_secret")?,
        old_secret,
        key_pair: row.get("open_ed25519_key")?,
        headers: row.get("open_headers")?,
        auth: row.get("open_auth")?,
        tls: tls(row)?.map(Arc::new),
        limits: read_row!(row, Limits { timeout_s, max_in_flight, rate_limit_per_s }),
        sweep,
    }))
}

fn tls(row: &Row<'_>) -> rusqlite::Result<Option<Tls>> {
    let Some(Json(spec)) = row.get::<_, Option<Json<TlsSpec>>>("open_tls")? else { return Ok(None) };
    let corrupt = || rusqlite::Error::InvalidColumnType(0, "open_tls".to_owned(), Type::Text);
    Tls::of_spec(&spec, row.get("tls_ends_ms")?).map(Some).ok_or_else(corrupt)
}
