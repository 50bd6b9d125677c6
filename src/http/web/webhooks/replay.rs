//! `/webhooks/{id}/replay`: delivers the events of a time span again, after showing their number.

use actix_web::web::Path;

use super::header::{self, Head, Tab};
use crate::actions::ActionError;
use crate::actions::replay::Replay;
use crate::domain::Invalid;
use crate::domain::time::{DAY, HOUR, Millis, rfc3339, rfc3339_seconds};
use crate::domain::webhook::parse_events;
use crate::domain::zone::{Twice, Zone};
use crate::http::web::date_field;
use crate::http::web::{
    Confirm, Fields, FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template,
    problem,
};
use crate::store::bulk::Span;
use crate::text::humanize;

/// Typed values of the form.
#[derive(Debug, Clone, Default)]
struct ReplayForm {
    since: String,
    until: String,
    types: String,
    only_failed: bool,
}

#[derive(Template)]
#[template(path = "webhooks/replay.html")]
pub struct ReplayPage {
    frame: Frame,
    head: Head,
    form: ReplayForm,
    errors: FormErrors,
}

impl ReplayPage {
    /// Common spans: label and start.
    fn spans(&self) -> [(&'static str, String); 3] {
        let ago = |span: Millis| rfc3339_seconds(self.frame.now_ms - span);
        [("Last hour", ago(HOUR)), ("Last 24 hours", ago(DAY)), ("Last 7 days", ago(7 * DAY))]
    }
}

fn replay_page(session: &Session, id: &str, form: ReplayForm, errors: FormErrors) -> Result<ReplayPage, PageError> {
    session.require_change()?;
    session.read(|db| {
        let webhook = header::find(session, db, id)?;
        let frame = session.frame(
            db,
            header::title(&webhook.name(), &webhook.id.to_string(), "Replay events"),
            Section::Webhooks,
        )?;
        Ok(ReplayPage {
            frame: frame.with_api_body(
                "POST",
                &format!("/v1/webhooks/{}/replay", webhook.id),
                &format!(r#"{{"since": "{}", "dry_run": true}}"#, rfc3339_seconds(session.now() - DAY)),
            ),
            head: Head::of(session, &webhook, Tab::None),
            form,
            errors,
        })
    })
}

impl ReplayForm {
    fn of(fields: &Fields) -> ReplayForm {
        let text = |name: &str| fields.text(name).trim().to_owned();
        ReplayForm {
            since: text("since"),
            until: text("until"),
            types: text("types"),
            only_failed: fields.has("only_failed"),
        }
    }

    fn parse(&self, zone: &Zone) -> Result<Replay, Invalid> {
        let since = date_field::parse(&self.since, zone, Twice::First).map_err(|invalid| invalid.in_field("since"))?;
        let until = match self.until.as_str() {
            "" => Millis::MAX,
            text => date_field::parse(text, zone, Twice::Second).map_err(|invalid| invalid.in_field("until"))?,
        };
        if until <= since {
            return Err(Invalid::new("invalid_span", "The end must be after the start.").in_field("until"));
        }
        let lines = self.types.split(['\n', ',']).map(str::trim);
        let types: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let event_types = match types.as_slice() {
            [] => Vec::new(),
            types => parse_events(types).map_err(|invalid| invalid.in_field("types"))?,
        };
        Ok(Replay { span: Span { since, until }, event_types, only_failed: self.only_failed })
    }

    /// Hidden fields of the confirmation. An open end becomes now: later events are not part of the shown number.
    fn hidden(&self, now: Millis, zone: &Zone) -> Vec<(String, String)> {
        let since = date_field::exact(&self.since, zone, Twice::First);
        let until = match self.until.as_str() {
            "" => rfc3339(now + 1),
            text => date_field::exact(text, zone, Twice::Second),
        };
        let mut hidden = vec![("since", since), ("until", until), ("types", self.types.clone())];
        if self.only_failed {
            hidden.push(("only_failed", "yes".to_owned()));
        }
        hidden.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// `GET /webhooks/{id}/replay?since=`.
pub fn show(session: &Session, id: &str) -> Result<ReplayPage, PageError> {
    let mut form = ReplayForm::of(&session.query);
    if form.since.is_empty() {
        form.since = rfc3339_seconds(session.now() - DAY);
    }
    replay_page(session, id, form, FormErrors::default())
}

/// `POST /webhooks/{id}/replay`: shows the number of events; with `confirmed`, delivers them.
pub async fn replay(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run_job(move |session, fields| {
            let form = ReplayForm::of(fields);
            let is_confirmed = fields.has("confirmed");
            match count(session, &id, &form, !is_confirmed) {
                Ok(count) if is_confirmed => {
                    let message = format!("Replaying {}. Their deliveries are listed below.", events(count));
                    Ok(session.done(&format!("/webhooks/{id}"), message))
                }
                Ok(count) => confirm(session, &id, &form, count),
                Err(error) => Ok(Response::again(&replay_page(session, &id, form, problem(error)?.into())?)),
            }
        })
        .await
}

/// Replays the events, or with `dry_run` counts them; an error if there are none.
fn count(session: &Session, id: &str, form: &ReplayForm, dry_run: bool) -> Result<u64, ActionError> {
    let go_on = || !session.app.is_stopping();
    let count =
        session.app.actions.replay_webhook(&session.caller(), id, &form.parse(session.zone())?, dry_run, &go_on)?;
    if count == 0 && dry_run {
        return Err(Invalid::new("no_events", "No events match. Choose a longer time span or fewer conditions.").into());
    }
    Ok(count)
}

fn confirm(session: &Session, id: &str, form: &ReplayForm, count: u64) -> Result<Response, PageError> {
    let webhook = session.read(|db| header::find(session, db, id))?;
    let path = format!("/webhooks/{id}/replay");
    Confirm {
        heading: format!("Replay {} to {}?", events(count), webhook.name()),
        effect: "Each event becomes a new delivery with the same event ID, oldest first. A receiver that ignores the ID processes the event twice.".to_owned(),
        action: Some(path.clone()),
        back: path,
        fields: form.hidden(session.now(), session.zone()),
        button: "Replay".to_owned(),
        ..Confirm::default()
    }
    .show(session, Section::Webhooks)
}

fn events(count: u64) -> String {
    humanize::counted(count, "event")
}
