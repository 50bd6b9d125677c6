//! Trying a filter on recent events, before it is saved.

use super::{Actions, Result};
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::filter::{Content, EventWork, Filter};
use crate::domain::pattern::EventPattern;
use crate::domain::several::Several;
use crate::domain::time::Millis;
use crate::store::event::{self, EventFilter};
use crate::store::page::PageRequest;
use crate::text::explanation;

/// Maximum events that a filter is tried on.
pub const MOST: usize = 50;
/// Maximum pages of events that are searched, each of at most 50 events and 4 MiB.
const PAGES: usize = 6;

/// A filter's result for recent events.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Newest first.
    pub events: Vec<TriedEvent>,
    pub matched: usize,
}

#[derive(Debug, Clone)]
pub struct TriedEvent {
    pub id: EventId,
    pub tenant: Tenant,
    pub event_type: EventType,
    pub received_ms: Millis,
    /// The condition that is not met, as a sentence; `None` if the filter matches.
    pub mismatch: Option<String>,
}

impl Actions {
    /// Applies a filter to the newest 50 events of a tenant that match one of the patterns, as far as they are among the
    /// newest 300.
    pub fn try_filter(&self, tenant: &Tenant, patterns: &[EventPattern], filter: &Filter) -> Result<Tried> {
        let types = match patterns {
            [exact @ EventPattern::Exact(_)] => exact.clone().into(),
            _ => Several::default(),
        };
        let selection = EventFilter { tenant: Some(tenant.clone()), types, ..EventFilter::default() };
        let mut request = PageRequest { limit: MOST as u32, cursor: None };
        let mut tried = Tried { events: Vec::new(), matched: 0 };
        let mut work = EventWork::default();
        for _ in 0..PAGES {
            let page = self.store.read(|connection| event::list(connection, &selection, &request))?;
            let events = page.rows.into_iter().filter(|stored| !stored.event.test && !stored.damaged);
            for event in events.map(|stored| stored.event) {
                if tried.events.len() == MOST || !patterns.iter().any(|pattern| pattern.matches(&event.event_type)) {
                    continue;
                }
                let content = Content::of(&event);
                let mismatch = content.as_ref().and_then(|content| filter.mismatch(content, &mut work));
                let mismatch = mismatch.map(|mismatch| explanation::filter::sentence(&mismatch));
                tried.matched += usize::from(mismatch.is_none());
                let (id, tenant, event_type) = (event.id.clone(), event.tenant.clone(), event.event_type.clone());
                tried.events.push(TriedEvent { id, tenant, event_type, received_ms: event.received_ms, mismatch });
            }
            request.cursor = page.next;
            if request.cursor.is_none() || tried.events.len() == MOST {
                break;
            }
        }
        Ok(tried)
    }
}
