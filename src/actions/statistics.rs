//! Statistics of recent deliveries: per webhook, per tenant, or overall.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::{Actions, Caller, Result, lookup};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, HOUR, Millis};
use crate::store::stats::{self, FINE, Of, Sums, WaitingCounts};
use crate::store::{Connection, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Window>)]
pub enum Window {
    #[strum(serialize = "1h")]
    Hour,
    #[strum(serialize = "24h")]
    Day,
    #[strum(serialize = "7d")]
    Week,
    #[strum(serialize = "30d")]
    Month,
}

impl Window {
    /// Returns the start of the window, rounded down to 5 minutes, an hour or a day (UTC). The window is longer by as much.
    pub fn begins(self, now: Millis) -> Millis {
        let (length, unit) = match self {
            Window::Hour => (HOUR, FINE),
            Window::Day => (DAY, HOUR),
            Window::Week => (7 * DAY, HOUR),
            Window::Month => (30 * DAY, DAY),
        };
        let from = now - length;
        from - from.rem_euclid(unit)
    }
}

/// Statistics of a window, with the current queue.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub window: Window,
    pub since_ms: Millis,
    pub sums: Sums,
    pub waiting: WaitingCounts,
}

impl Statistics {
    /// Reads the statistics of the window that ends at `now`.
    pub fn read(connection: &Connection, of: &Of, window: Window, now: Millis) -> Result<Statistics, StoreError> {
        let since_ms = window.begins(now);
        Ok(Statistics {
            window,
            since_ms,
            sums: stats::since(connection, of, since_ms)?,
            waiting: stats::waiting(connection, of)?,
        })
    }
}

impl Actions {
    pub fn webhook_statistics(&self, caller: &Caller, webhook_id: &str, window: Window) -> Result<Statistics> {
        self.store.read(|connection| {
            let webhook = lookup::webhook(connection, caller, webhook_id)?;
            Ok(Statistics::read(connection, &Of::Webhook(webhook.seq), window, self.clock.now_ms())?)
        })
    }

    /// Statistics of all webhooks, or of one tenant's.
    pub fn overall_statistics(&self, tenant: Option<Tenant>, window: Window) -> Result<Statistics> {
        let of = tenant.map_or(Of::All, Of::Tenant);
        let now = self.clock.now_ms();
        self.store.read(|connection| Ok(Statistics::read(connection, &of, window, now)?))
    }
}
