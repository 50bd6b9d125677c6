//! Changes of incidents by the passing of time. Reads the writer's memory only, unless something is to do.

use rusqlite::named_params;

use super::open::{Beginning, open};
use super::{Cause, Trouble, certificate, end};
use crate::domain::attempt::FailureCause;
use crate::domain::incident::{OpenReason, is_overdue, is_settled, opens_by_time};
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::store::WriteTx;
use crate::store::error::Result;
use crate::store::sql;
use crate::text::failure::describe;

/// Maximum webhooks of one step.
pub(super) const STEP: usize = 100;

/// Ends the trouble of webhooks that have settled, and opens incidents of those that have failed, or waited for their
/// verification, for too long, or that have a certificate about to end, in one step. A disabled webhook without an incident gets one: it was disabled before there
/// were incidents, or has another host since. Returns whether more remain.
pub fn tend(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let settled = |trouble: &Trouble| {
        trouble.membership.is_some_and(|membership| {
            membership.recovered_ms.is_some_and(|at| is_settled(at, membership.was_reopened, now))
        })
    };
    let settled: Vec<(i64, Trouble)> = tx
        .directory()
        .troubles()
        .filter(|(_, trouble)| settled(trouble))
        .take(STEP)
        .map(|(seq, trouble)| (seq, *trouble))
        .collect();
    for (seq, trouble) in &settled {
        tx.directory_mut().set_trouble(*seq, Trouble { membership: None, ..*trouble });
        if let Some(membership) = trouble.membership {
            end(tx, &membership, *seq)?;
        }
    }
    let has_more = certificate::follow(tx, now)?;
    let overdue: Vec<(i64, OpenReason)> = tx
        .directory()
        .iter()
        .filter_map(|webhook| Some((webhook.seq, overdue(tx, webhook, now)?)))
        .take(STEP)
        .collect();
    for (seq, reason) in &overdue {
        if let Some(webhook) = tx.directory().get(*seq).cloned() {
            join(tx, &webhook, *reason, now)?;
        }
    }
    Ok(settled.len() == STEP || overdue.len() == STEP || has_more)
}

/// Why a webhook should be in an incident, if it is in none.
fn overdue(tx: &WriteTx<'_>, webhook: &Webhook, now: Millis) -> Option<OpenReason> {
    let trouble = tx.directory().trouble(webhook.seq);
    if trouble.membership.is_some() || webhook.tenant.is_hookpost() {
        return None;
    }
    match webhook.state {
        WebhookState::Active => trouble
            .streak
            .and_then(|streak| opens_by_time(&streak, now))
            .or_else(|| certificate::ending(tx.directory(), webhook, None, now).map(|_| OpenReason::CertificateEnding)),
        WebhookState::Paused => None,
        WebhookState::Disabled => Some(OpenReason::Disabled),
        WebhookState::Unverified => {
            let is_waited_for = tx.directory().has_queue(webhook.seq) && is_overdue(webhook.created_ms, now);
            is_waited_for.then_some(OpenReason::Unverified)
        }
    }
}

fn join(tx: &mut WriteTx<'_>, webhook: &Webhook, reason: OpenReason, now: Millis) -> Result<()> {
    if reason == OpenReason::CertificateEnding {
        return certificate::join(tx, webhook, now);
    }
    let trouble = tx.directory().trouble(webhook.seq);
    let (since_ms, cause) = match (webhook.state, trouble.streak) {
        (WebhookState::Active, Some(streak)) => (streak.since_ms, last_cause(tx, webhook)?),
        (state, _) => {
            let since_ms = if state == WebhookState::Disabled { webhook.disabled_ms } else { Some(webhook.created_ms) };
            let text = webhook.disabled_reason.clone();
            let text = text.unwrap_or_else(|| "The endpoint has not passed its challenge.".to_owned());
            (since_ms.unwrap_or(now), Cause { error_code: None, code: None, text })
        }
    };
    let begin = Beginning { reason, since_ms, cause: &cause, dead_letters: 0, certificate_ends_ms: None };
    let membership = open(tx, webhook, &begin)?;
    tx.directory_mut().set_trouble(webhook.seq, Trouble { membership: Some(membership), ..trouble });
    Ok(())
}

/// Returns why the newest retrying delivery of a webhook failed last.
fn last_cause(tx: &WriteTx<'_>, webhook: &Webhook) -> Result<Cause> {
    // The further conditions are those of the partial index.
    let query = "SELECT last_error, last_code, coalesce(last_duration_ms, 0) AS duration_ms
                 FROM delivery INDEXED BY delivery_webhook_status
                 WHERE webhook_seq = :seq AND status = 'retrying' AND status <> 'delivered' AND status <> 'pending'
                 ORDER BY seq DESC LIMIT 1";
    let found = sql::first(tx.connection(), query, named_params! {":seq": webhook.seq}, |row| {
        Ok((row.get("last_error")?, row.get("last_code")?, row.get("duration_ms")?))
    })?;
    let (error_code, code, duration_ms) = found.unwrap_or((None, None, 0));
    let text = match error_code {
        Some(error_code) => {
            describe(FailureCause::of_code(error_code, code, duration_ms), webhook.url.as_str()).message
        }
        None => "Attempts fail.".to_owned(),
    };
    Ok(Cause { error_code, code, text })
}
