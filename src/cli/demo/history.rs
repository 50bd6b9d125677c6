//! Builds a database with a history, for the demo and for the example database.
//!
//! The real engine runs with a manual clock and a stub transport, so states, retries, dead letters and signatures are
//! real.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::scenario::{DemoWebhook, EVENT_TYPES, Target, WEBHOOKS, event};
use super::stub_transport::StubTransport;
use crate::actions::event_types::TypeDescription;
use crate::actions::test_event::TestEvent;
use crate::actions::unchanged::Unchanged;
use crate::actions::{Actions, Caller};
use crate::cli::CliError;
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::target::{AllowEntry, OwnInbox};
use crate::domain::time::{MINUTE, Millis};
use crate::domain::webhook::WebhookSettings;
use crate::server::{Prepared, ServerOptions};

/// Time that each step advances the clock.
const STEP: Millis = 3 * MINUTE;
/// Longest time the engine may take for the deliveries of one step.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::cli) struct HistoryOptions<'a> {
    pub ends_ms: Millis,
    pub lasts_ms: Millis,
    /// Time without new events before the end, in which retries finish.
    pub quiet_ms: Millis,
    pub events_per_step: f64,
    /// Base URL of the server, for the inbox.
    pub base_url: &'a str,
    pub allow_targets: Vec<AllowEntry>,
    /// Returns the URL of a webhook.
    pub url: &'a dyn Fn(&DemoWebhook) -> String,
}

/// Creates the database and fills it. Takes a few seconds; sends no requests.
pub(in crate::cli) fn build(database: &Path, history: &HistoryOptions<'_>) -> Result<(), CliError> {
    let transport = Arc::new(StubTransport::default());
    let prepared = Prepared::new(ServerOptions {
        clock: Clock::manual(history.ends_ms - history.lasts_ms),
        allow_targets: history.allow_targets.clone(),
        workers: 4,
        transport: Some(transport.clone()),
        lookup: Arc::new(|host| Err(io::Error::other(format!("{host} is not resolved")))),
        ..ServerOptions::new(database.to_owned())
    })?;
    let actions = prepared.actions();
    let inbox = OwnInbox::below(history.base_url).map_err(|error| CliError::Other(format!("the inbox: {error}")))?;
    actions.guard.open_inbox(inbox);
    actions.engine.start()?;
    let result = fill(&actions, &transport, history);
    // The transport holds actions and the actions hold the transport.
    transport.clear();
    drop(actions);
    let is_idle = prepared.close(PATIENCE);
    result?;
    if is_idle { Ok(()) } else { Err(CliError::Other("the demo's deliveries did not finish in time".to_owned())) }
}

fn fill(actions: &Actions, transport: &StubTransport, history: &HistoryOptions<'_>) -> Result<(), CliError> {
    describe_event_types(actions)?;
    let mut paused = None;
    for webhook in WEBHOOKS {
        let id = create_webhook(actions, transport, history, webhook)?;
        if webhook.is_paused {
            paused = Some(id);
        }
    }
    let steps = history.lasts_ms / STEP;
    let busy_steps = (history.lasts_ms - history.quiet_ms) / STEP;
    let mut published = 0;
    for step in 0..steps {
        actions.clock.advance(STEP);
        actions.engine.nudge();
        if step == busy_steps / 2
            && let Some(id) = &paused
        {
            let change = WebhookSettings { active: Some(false), ..WebhookSettings::default() };
            actions.change_webhook(&Caller::default(), id, change, Unchanged::default())?;
        }
        while step < busy_steps && (published as f64) < (step + 1) as f64 * history.events_per_step {
            actions.publish(event(published)?).wait()?;
            published += 1;
        }
        if !actions.engine.wait_until_idle(PATIENCE) {
            return Err(CliError::Other("the demo's deliveries did not finish in time".to_owned()));
        }
    }
    Ok(())
}

/// Creates a webhook with its target. Returns its id.
fn create_webhook(
    actions: &Actions,
    transport: &StubTransport,
    history: &HistoryOptions<'_>,
    webhook: &DemoWebhook,
) -> Result<String, CliError> {
    let caller = Caller::default();
    let url = match webhook.target {
        Target::Receiver(behavior) => {
            let url = (history.url)(webhook);
            transport.add_receiver(&url, behavior);
            url
        }
        Target::Inbox => {
            let inbox = actions.open_inbox(&caller, Some(webhook.tenant)).wait()?;
            let url = format!("{}/in/{}", history.base_url, inbox.token);
            transport.set_inbox(&url, inbox, actions);
            url
        }
    };
    let settings = WebhookSettings {
        url: Some(url),
        events: Some(webhook.events.iter().map(|text| (*text).to_owned()).collect()),
        tenant: Some(webhook.tenant.to_owned()),
        description: Some(webhook.description.to_owned()),
        profile: Some(webhook.profile.to_owned()),
        ..WebhookSettings::default()
    };
    let id = actions.create_webhook(&caller, settings)?.id.to_string();
    if matches!(webhook.target, Target::Inbox) {
        actions.test_webhook(&caller, &id, TestEvent::default())?;
    }
    Ok(id)
}

fn describe_event_types(actions: &Actions) -> Result<(), CliError> {
    for (name, description, example) in EVENT_TYPES {
        let described = TypeDescription {
            name: name.parse().map_err(|invalid: Invalid| CliError::from(invalid))?,
            description: (*description).to_owned(),
            example: Some((*example).into()),
            schema: None,
        };
        actions.put_event_type(&Caller::default(), described, Unchanged::default())?.wait()?;
    }
    Ok(())
}
