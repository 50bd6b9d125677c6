//! Dead letters for counting by age and cause. Reads only the newest of each age, whatever their number.

use rusqlite::Connection;

use super::bounds::Bounds;
use super::delivery::{self, DeliveryFilter};
use super::error::Result;
use super::index_scan::{self, List};
use super::page::PageRequest;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::time::Millis;

/// Maximum dead letters read per age.
pub const MOST: u32 = 1_000;
/// Maximum rows examined. More than [`MOST`] only if the clock was set back, or for tenants with many webhooks.
const BUDGET: usize = 2_000;

/// Columns of a dead letter that are counted.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    pub webhook_seq: i64,
    /// `None` if the log holds no attempt.
    pub error_code: Option<ErrorCode>,
    pub code: Option<u16>,
}

/// Dead letters of one age.
#[derive(Debug, Clone)]
pub struct Age {
    /// The newest, up to [`MOST`].
    pub failed: Vec<Failed>,
    /// Whether there may be more.
    pub more: bool,
}

/// Returns the dead letters that match a filter and were created in a span, without tests. Uses the indexes
/// `delivery_status` and `delivery_webhook_status`.
pub fn of_age(
    connection: &Connection,
    filter: &DeliveryFilter,
    since: Option<Millis>,
    until: Option<Millis>,
) -> Result<Age> {
    let filter =
        DeliveryFilter { statuses: DeliveryStatus::Failed.into(), test: Some(false), since, until, ..filter.clone() };
    let request = PageRequest { limit: MOST, cursor: None };
    let list = List {
        select: "SELECT d.seq, d.webhook_seq, d.last_error, d.last_code
                 FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value",
        conditions: &delivery::conditions(&filter),
        bounds: Bounds::of_page(&request).within(connection, ("delivery", "created_ms"), since, until)?,
        budget: BUDGET,
    };
    let sources = delivery::sources(connection, &filter)?;
    let page = index_scan::page(connection, &sources, &list, &request, |row| {
        Ok(Some(Failed {
            webhook_seq: row.get("webhook_seq")?,
            error_code: row.get("last_error")?,
            code: row.get("last_code")?,
        }))
    })?;
    Ok(Age { failed: page.rows, more: page.next.is_some() })
}
