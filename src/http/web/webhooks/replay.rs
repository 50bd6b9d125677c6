//! `/webhooks/{id}/replay`: what was published since a time, delivered again; the count first.

use actix_web::web::Path;
use askama::Template;

use super::super::confirm::Confirm;
use super::super::error::PageError;
use super::header;
use super::turn;
use crate::actions::replay::Replay;
use crate::domain::Invalid;
use crate::domain::time::{DAY, HOUR, Millis, rfc3339, rfc3339_seconds};
use crate::domain::webhook::parse_events;
use crate::http::web::date_field;
use crate::http::web::form::{Fields, Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::store::bulk::Span;
use crate::text::humanize;

/// The form as it is typed.
#[derive(Debug, Clone, Default)]
struct ReplayForm {
    since: String,
    until: String,
    types: String,
    only_failed: bool,
}

#[derive(Template)]
#[template(path = "webhooks/replay.html")]
struct ReplayPage {
    frame: Frame,
    head: Head,
    form: ReplayForm,
    problem: Option<Problem>,
}

impl ReplayPage {
    fn of(session: &Session, id: &str, form: ReplayForm, problem: Option<Problem>) -> Result<ReplayPage, PageError> {
        session.require_change()?;
        let webhook = header::find(session, id)?;
        let frame = session.read(|db| session.frame(db, "Replay events", Section::Webhooks))?;
        Ok(ReplayPage {
            frame: frame.with_api_body(
                "POST",
                &format!("/v1/webhooks/{}/replay", webhook.id),
                &format!(r#"{{"since": "{}", "dry_run": true}}"#, rfc3339_seconds(session.now() - DAY)),
            ),
            head: Head::of(session, &webhook, Tab::None),
            form,
            problem,
        })
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        let named = problem.field.as_deref()?;
        named.starts_with(field).then_some(problem.message.as_str())
    }

    fn has_other_problem(&self) -> bool {
        let fields = ["since", "until", "types"];
        self.problem.is_some() && fields.iter().all(|field| self.problem_in(field).is_none())
    }

    /// Spans that are often asked for, and when each begins.
    fn spans(&self) -> [(&'static str, String); 3] {
        let ago = |span: Millis| date_field::format(self.frame.now_ms - span);
        [("the last hour", ago(HOUR)), ("the last 24 hours", ago(DAY)), ("the last 7 days", ago(7 * DAY))]
    }
}

impl ReplayForm {
    fn of(fields: &Fields) -> ReplayForm {
        ReplayForm {
            since: fields.text("since").trim().to_owned(),
            until: fields.text("until").trim().to_owned(),
            types: fields.text("types").trim().to_owned(),
            only_failed: fields.has("only_failed"),
        }
    }

    fn parse(&self) -> Result<Replay, Invalid> {
        let since = date_field::parse(&self.since).map_err(|invalid| invalid.in_field("since"))?;
        let until = match self.until.as_str() {
            "" => None,
            text => Some(date_field::parse(text).map_err(|invalid| invalid.in_field("until"))?),
        };
        if until.is_some_and(|until| until <= since) {
            return Err(Invalid::new("invalid_span", "It ends before it begins.").in_field("until"));
        }
        let lines = self.types.split(['\n', ',']).map(str::trim);
        let types: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let event_types = if types.is_empty() {
            Vec::new()
        } else {
            parse_events(&types).map_err(|invalid| invalid.in_field("types"))?
        };
        Ok(Replay {
            span: Span { since, until: until.unwrap_or(Millis::MAX) },
            event_types,
            only_failed: self.only_failed,
        })
    }

    /// The same, to be sent with a yes.
    fn hidden(&self, now: Millis) -> Vec<(String, String)> {
        // Events that come in while somebody reads the number are not meant.
        let until = if self.until.is_empty() { rfc3339(now + 1) } else { self.until.clone() };
        let mut hidden = vec![
            ("since".to_owned(), self.since.clone()),
            ("until".to_owned(), until),
            ("types".to_owned(), self.types.clone()),
        ];
        if self.only_failed {
            hidden.push(("only_failed".to_owned(), "yes".to_owned()));
        }
        hidden
    }
}

/// `GET /webhooks/{id}/replay?since=`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session
        .show(move |session| {
            let mut form = ReplayForm::of(&session.query);
            if form.since.is_empty() {
                form.since = date_field::format(session.now() - DAY);
            }
            ReplayPage::of(session, &id, form, None)
        })
        .await
}

/// `POST /webhooks/{id}/replay`: how many it would be, and with `confirmed=yes` delivers them.
pub async fn replay(submission: Submission, id: Path<String>) -> PageResult {
    let turn = turn(&submission.app().bulk).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            let form = ReplayForm::of(fields);
            match run(session, fields, &id, &form) {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(wrong)) => {
                    let page = ReplayPage::of(session, &id, form, Some(wrong))?;
                    Ok(Response::again(&page))
                }
                Err(error) => Err(error),
            }
        })
        .await
}

fn run(
    session: &Session,
    fields: &Fields,
    id: &str,
    form: &ReplayForm,
) -> Result<Result<Response, Problem>, PageError> {
    let replay = match form.parse() {
        Ok(replay) => replay,
        Err(invalid) => return Ok(Err(invalid.into())),
    };
    let is_confirmed = fields.text("confirmed") == "yes";
    let app = session.app.clone();
    let go_on = || !app.is_stopping();
    let actions = &session.app.actions;
    let count = actions.replay_webhook(&session.caller(), id, &replay, !is_confirmed, &go_on);
    let count = match count {
        Ok(count) => count,
        Err(error) => return problem(error).map(Err),
    };
    let webhook = header::find(session, id)?;
    let path = format!("/webhooks/{}", webhook.id);
    if is_confirmed {
        let made = humanize::counted(count, "event");
        return Ok(Ok(
            session.done(&path, format!("Queued: {made} to deliver again. What became of them shows below."))
        ));
    }
    if count == 0 {
        return Ok(Err(Problem {
            message:
                "No event matches, so there is nothing to deliver again. Choose a longer time, or fewer conditions."
                    .to_owned(),
            field: None,
        }));
    }
    let events = humanize::counted(count, "event");
    let confirm = Confirm {
        heading: format!("Replay {events} to {}?", webhook.name()),
        effect: "Each event becomes a new delivery with the same event ID, oldest first. A receiver that ignores the ID processes the event twice.".to_owned(),
        action: Some(format!("{path}/replay")),
        back: format!("{path}/replay"),
        fields: form.hidden(session.now()),
        button: "Replay".to_owned(),
        ..Confirm::default()
    };
    confirm.show(session, Section::Webhooks).map(Ok)
}
