//! Applying the filters of webhooks to an event.
//!
//! Filters are applied before the writer stores the event, on the thread of the caller. The writer uses the verdicts, and
//! applies only filters that were saved in between.

use std::sync::Arc;

use super::Actions;
use super::publish::NewEvent;
use crate::domain::event::{Event, EventId};
use crate::domain::filter::{Content, EventWork, Filter};
use crate::domain::webhook::Webhook;

/// Bytes of data, times conditions, that a thread which serves requests may look at: a few milliseconds at most.
const BRIEF: usize = 100_000;

/// Decisions of the webhooks' filters about an event.
#[derive(Debug, Clone, Default)]
pub struct Verdicts(Vec<Verdict>);

#[derive(Debug, Clone)]
struct Verdict {
    webhook_seq: i64,
    /// As of the decision.
    filter: Option<Arc<Filter>>,
    accepts: bool,
}

/// Webhooks with a filter that subscribe to an event.
pub(super) struct Filtered(Vec<Arc<Webhook>>);

impl Actions {
    pub(super) fn filtered(&self, new: &NewEvent) -> Filtered {
        Filtered(self.store.filters().subscribed(&new.tenant, &new.event_type))
    }
}

impl Filtered {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the filters are applied to data of this size in a few milliseconds.
    pub(super) fn is_brief(&self, bytes: usize) -> bool {
        let conditions = self.0.iter().filter_map(|webhook| webhook.filter.as_ref()).map(|filter| filter.conditions());
        bytes.saturating_mul(conditions.sum()) <= BRIEF
    }

    /// Applies the filters to an event that will have this id.
    pub(super) fn apply(&self, new: &NewEvent, id: &EventId, work: EventWork) -> Verdicts {
        let NewEvent { event_type, tenant, data, previous_data, .. } = new;
        let parts = (event_type.as_str(), tenant.as_str(), id.as_str());
        let content = Content::read(parts.0, parts.1, parts.2, data, previous_data.as_deref());
        decide(&self.0, content.as_ref(), work)
    }
}

fn decide(webhooks: &[Arc<Webhook>], content: Option<&Content<'_>>, mut work: EventWork) -> Verdicts {
    let filtered = webhooks.iter().filter(|webhook| webhook.filter.is_some());
    let verdicts = filtered.map(|webhook| Verdict {
        webhook_seq: webhook.seq,
        filter: webhook.filter.clone(),
        accepts: accepts(webhook, content, &mut work),
    });
    Verdicts(verdicts.collect())
}

/// Whether a webhook's filter lets an event through. Damaged content passes: its delivery says what is wrong.
fn accepts(webhook: &Webhook, content: Option<&Content<'_>>, work: &mut EventWork) -> bool {
    match (&webhook.filter, content) {
        (Some(filter), Some(content)) => filter.accepts(content, work),
        _ => true,
    }
}

impl Verdicts {
    /// Applies the filters of some webhooks to a stored event.
    pub(super) fn of(webhooks: &[Arc<Webhook>], event: &Event) -> Verdicts {
        if webhooks.iter().all(|webhook| webhook.filter.is_none()) {
            return Verdicts::default();
        }
        decide(webhooks, Content::of(event).as_ref(), EventWork::default())
    }

    /// Leaves out the webhooks whose filters exclude the event. In the writer, so a filter without a verdict, because it
    /// was saved meanwhile, has little work.
    pub(super) fn retain_accepted(&self, webhooks: &mut Vec<Arc<Webhook>>, event: &Event) {
        if webhooks.iter().all(|webhook| webhook.filter.is_none()) {
            return;
        }
        let mut late = None;
        webhooks.retain(|webhook| {
            if webhook.filter.is_none() {
                return true;
            }
            let known = self.0.iter().find(|verdict| verdict.webhook_seq == webhook.seq);
            match known.filter(|verdict| verdict.filter == webhook.filter) {
                Some(verdict) => verdict.accepts,
                None => {
                    let (content, work) = late.get_or_insert_with(|| (Content::of(event), EventWork::in_haste()));
                    accepts(webhook, content.as_ref(), work)
                }
            }
        });
    }
}
