//! Counting dead letters by age and cause, whatever their number: of each age the newest are looked at.

use rusqlite::Connection;

use super::delivery;
use super::index_scan;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::delivery::DeliveryFilter;
use crate::store::error::StoreError;
use crate::store::index_scan::{Bounds, List};
use crate::store::page::PageRequest;
use crate::store::row::parsed_option;

/// Dead letters of one age that are looked at, at most.
pub const MOST: u32 = 1_000;
/// Rows looked at for them: more only where the clock was set back, or where a tenant has very many webhooks.
const BUDGET: usize = 2_000;

/// A dead letter, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    pub webhook_seq: i64,
    /// `None` where no attempt is in the log.
    pub error_code: Option<ErrorCode>,
    pub code: Option<u16>,
}

/// The dead letters of one age.
#[derive(Debug, Clone)]
pub struct Age {
    /// The newest of them, up to [`MOST`].
    pub failed: Vec<Failed>,
    /// Whether there may be more.
    pub more: bool,
}

/// The dead letters created in a span, of one tenant or of all; tests are left out. Served by the indexes of states
/// (`delivery_status`, `delivery_webhook_status`).
pub fn of_age(
    connection: &Connection,
    tenant: Option<&Tenant>,
    since: Option<Millis>,
    until: Option<Millis>,
) -> Result<Age, StoreError> {
    let filter = DeliveryFilter {
        tenant: tenant.cloned(),
        status: Some(DeliveryStatus::Failed),
        test: Some(false),
        since,
        until,
        ..DeliveryFilter::default()
    };
    let request = PageRequest { limit: MOST, cursor: None };
    let list = List {
        select: SELECT,
        conditions: &delivery::conditions(&filter),
        bounds: Bounds::of_page(&request).within(connection, ("delivery", "created_ms"), since, until)?,
        budget: BUDGET,
    };
    let sources = delivery::sources(connection, &filter)?;
    let page = index_scan::page(connection, &sources, &list, &request, |row| {
        Ok(Some(Failed {
            webhook_seq: row.get("webhook_seq")?,
            error_code: parsed_option(row, "last_error")?,
            code: row.get("last_code")?,
        }))
    })?;
    Ok(Age { failed: page.rows, more: page.next.is_some() })
}

const SELECT: &str = "SELECT d.seq, d.webhook_seq, d.last_error, d.last_code
    FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value";
