//! Events for previews of templates: a recent one of the tenant, or the profile's example.

use super::{Connection, PageError, Session};
use crate::domain::event::{Event, EventId, Tenant};
use crate::domain::time::Millis;
use crate::profile::{self, Profile};
use crate::random;
use crate::store::event::{self, EventFilter};
use crate::store::page::PageRequest;
use crate::text::humanize;

/// Recent events to choose from.
const MAX_EVENTS: u32 = 10;
/// Value of the option for the example.
const EXAMPLE: &str = "example";

/// Choice of an event.
pub struct Samples {
    /// Value and label: recent events, newest first, then the example.
    pub options: Vec<(String, String)>,
    pub chosen: String,
}

/// Returns the events to choose from, and the one that `asked` names: the newest if it names none. `tenant` limits them.
pub fn choose(
    session: &Session,
    db: &Connection,
    tenant: Option<&Tenant>,
    profile: Option<&Profile>,
    asked: &str,
) -> Result<(Samples, Event), PageError> {
    let now = session.now();
    let filter = EventFilter { tenant: tenant.cloned(), ..EventFilter::default() };
    let recent = event::previews(db, &filter, &PageRequest { limit: MAX_EVENTS, cursor: None })?.rows;
    let value = |tenant: &Tenant, id: &EventId| format!("{tenant}:{id}");
    let label = |event: &event::EventPreview| {
        let age = humanize::relative(event.received_ms, now);
        match tenant {
            Some(_) => format!("{} {}, {age}", event.event_type, event.id),
            None => format!("{} {} of {}, {age}", event.event_type, event.id, event.tenant),
        }
    };
    let asked = Some(asked).filter(|asked| !asked.is_empty());
    let chosen = recent.iter().find(|event| asked.is_none_or(|asked| value(&event.tenant, &event.id) == asked));
    let chosen = chosen.filter(|_| asked != Some(EXAMPLE));
    let stored = chosen.map(|chosen| event::get(db, &chosen.tenant, &chosen.id)).transpose()?.flatten();
    let whole = stored.as_ref().and_then(|stored| stored.whole()).cloned();
    let chosen = match (&whole, chosen) {
        (Some(_), Some(chosen)) => value(&chosen.tenant, &chosen.id),
        _ => EXAMPLE.to_owned(),
    };
    let mut options: Vec<_> = recent.iter().map(|event| (value(&event.tenant, &event.id), label(event))).collect();
    options.push((EXAMPLE.to_owned(), "Example event".to_owned()));
    Ok((Samples { options, chosen }, whole.unwrap_or_else(|| example(profile, tenant, now))))
}

fn example(profile: Option<&Profile>, tenant: Option<&Tenant>, now: Millis) -> Event {
    let (event_type, data, previous_data) = profile::example_parts(profile);
    Event {
        id: EventId::generate(now, random::bits()),
        tenant: tenant.cloned().unwrap_or_else(Tenant::default_tenant),
        event_type: event_type.parse().expect("a profile's example has a valid event type"),
        created_ms: now,
        received_ms: now,
        data: data.into(),
        previous_data: previous_data.map(Into::into),
        test: false,
    }
}
