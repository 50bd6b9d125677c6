//! `/settings/targets`: private targets that webhooks may use.

use crate::actions::ActionError;
use crate::actions::targets::parse_target;
use crate::domain::target::AllowEntry;
use crate::http::web::{Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem};
use crate::store::allowed_target::{self, AllowedTarget};

#[derive(Template)]
#[template(path = "settings/targets.html")]
pub struct TargetsPage {
    frame: Frame,
    /// Entries of `--allow-target`.
    configured: Vec<AllowEntry>,
    allowed: Vec<AllowedTarget>,
    typed: String,
    errors: FormErrors,
}

/// `GET /settings/targets?target=`.
pub fn show(session: &Session) -> Result<TargetsPage, PageError> {
    session.require_operator()?;
    session.read(|db| {
        Ok(TargetsPage {
            frame: session.frame(db, "Targets", Section::Settings)?,
            configured: session.app.actions.guard.configured(),
            allowed: allowed_target::list(db)?,
            typed: session.query.text("target").to_owned(),
            errors: FormErrors::default(),
        })
    })
}

/// `POST /settings/targets`: allows a target.
pub fn allow(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let typed = fields.text("target").trim().to_owned();
    let allowed = parse_target(&typed).map_err(ActionError::from).and_then(|entry| {
        session.app.actions.allow_target(&session.caller(), entry.clone()).wait()?;
        Ok(entry)
    });
    match allowed {
        Ok(entry) => Ok(session.done("/settings/targets", format!("{entry} is allowed for all webhooks."))),
        Err(error) => {
            let errors = problem(error)?.into();
            Ok(Response::again(&TargetsPage { typed, errors, ..show(session)? }))
        }
    }
}

/// `POST /settings/targets/remove`.
pub fn remove(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let entry = parse_target(fields.text("target"))?;
    session.app.actions.remove_target(&session.caller(), entry.clone()).wait()?;
    Ok(session.done("/settings/targets", format!("{entry} was removed. Deliveries to it are blocked from now on.")))
}
