//! A database in which something has happened: for the demo, and for the example that comes with the source.
//!
//! It is told by the real engine, with a clock that is moved by hand and receivers that are played: states, retries,
//! dead letters and signatures are what they would have been.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::actions::event_types::TypeDescription;
use crate::actions::test_event::TestEvent;
use crate::actions::{Actions, Caller};
use crate::cli::CliError;
pub(in crate::cli) use crate::cli::demo::cast::{DemoWebhook, event};
use crate::cli::demo::cast::{EVENT_TYPES, PLACES};
use crate::cli::demo::stand_in::StandIn;
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::target::{AllowEntry, OwnInbox};
use crate::domain::time::{MINUTE, Millis};
use crate::domain::webhook::WebhookSettings;
use crate::server::{Prepared, ServerOptions};

/// How far the clock is moved at a time.
const STEP: Millis = 3 * MINUTE;
/// How long the engine may take for what is due at a time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a story is told with.
pub(in crate::cli) struct HistoryOptions<'a> {
    /// When it ends, and how long it takes; in milliseconds.
    pub ends_ms: Millis,
    pub lasts_ms: Millis,
    /// How long before the end nothing new happens, so that what is retried comes to its own end.
    pub quiet_ms: Millis,
    /// Events of each step.
    pub per_step: f64,
    /// Where the server is going to be reached, for the inbox.
    pub base_url: &'a str,
    pub allow: Vec<AllowEntry>,
    /// Where a webhook points.
    pub url: &'a dyn Fn(&DemoWebhook) -> String,
}

/// Makes the database and fills it. Takes some seconds; sends nothing.
pub(in crate::cli) fn build(database: &Path, plot: &HistoryOptions<'_>) -> Result<(), CliError> {
    let stand_in = Arc::new(StandIn::default());
    let mut options = ServerOptions::new(database.to_owned());
    options.clock = Clock::manual(plot.ends_ms - plot.lasts_ms);
    options.allow_targets = plot.allow.clone();
    options.workers = 4;
    options.transport = Some(stand_in.clone());
    options.lookup = Arc::new(|host| Err(io::Error::other(format!("{host} is not looked up"))));
    let prepared = Prepared::new(options)?;
    let actions = prepared.actions();
    let inbox = OwnInbox::below(plot.base_url).map_err(|error| CliError::Other(format!("the inbox: {error}")))?;
    actions.guard.open_inbox(inbox);
    stand_in.knows(&actions);
    let told = act(&actions, &stand_in, plot);
    stand_in.forget();
    drop(actions);
    let is_at_rest = prepared.close(PATIENCE);
    told?;
    if is_at_rest { Ok(()) } else { Err(CliError::Other("the story did not come to its end".to_owned())) }
}

fn act(actions: &Actions, stand_in: &StandIn, plot: &HistoryOptions<'_>) -> Result<(), CliError> {
    let caller = Caller::default();
    describe_types(actions)?;
    let mut paused = None;
    for place in PLACES {
        let url = match place.behaviour {
            Some(behaviour) => {
                let url = (plot.url)(place);
                stand_in.plays(&url, behaviour);
                url
            }
            None => {
                let inbox = actions.open_inbox(&caller, Some(place.tenant)).wait()?;
                let url = format!("{}/in/{}", plot.base_url, inbox.token);
                stand_in.is_inbox(&url, inbox);
                url
            }
        };
        let webhook = actions.create_webhook(
            &caller,
            WebhookSettings {
                url: Some(url),
                events: Some(place.events.iter().map(|text| (*text).to_owned()).collect()),
                tenant: Some(place.tenant.to_owned()),
                description: Some(place.description.to_owned()),
                profile: Some(place.profile.to_owned()),
                ..WebhookSettings::default()
            },
        )?;
        if place.is_paused_later {
            paused = Some(webhook.id.to_string());
        }
        if place.behaviour.is_none() {
            let id = webhook.id.to_string();
            actions.test_webhook(&caller, &id, TestEvent::default())?;
        }
    }
    let steps = plot.lasts_ms / STEP;
    let busy_steps = (plot.lasts_ms - plot.quiet_ms) / STEP;
    let mut published = 0;
    for step in 0..steps {
        actions.clock.advance(STEP);
        actions.engine.nudge();
        if step == busy_steps / 2
            && let Some(id) = &paused
        {
            let change = WebhookSettings { active: Some(false), ..WebhookSettings::default() };
            actions.change_webhook(&caller, id, change)?;
        }
        while step < busy_steps && (published as f64) < (step + 1) as f64 * plot.per_step {
            actions.publish(event(published)?).wait()?;
            published += 1;
        }
        if !actions.engine.wait_until_idle(PATIENCE) {
            return Err(CliError::Other("the engine did not come to rest".to_owned()));
        }
    }
    Ok(())
}

fn describe_types(actions: &Actions) -> Result<(), CliError> {
    for (name, description, example) in EVENT_TYPES {
        let described = TypeDescription {
            name: name.parse().map_err(|invalid: Invalid| CliError::from(invalid))?,
            description: (*description).to_owned(),
            example: Some((*example).into()),
            schema: None,
        };
        actions.put_event_type(&Caller::default(), described)?.wait()?;
    }
    Ok(())
}
