//! `/profiles/{name}/delete`.

use actix_web::web::Path;

use super::super::confirm::Confirm;
use crate::http::web::form::{Submission, problem};
use crate::http::web::layout::Section;
use crate::http::web::session::PageResult;

/// `POST /profiles/{name}/delete`.
pub async fn delete(form: Submission, name: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        let actions = &session.app.actions;
        let profile = actions.profile(&name)?;
        let name = profile.name();
        if fields.text("confirmed") != "yes" {
            return Confirm {
                heading: format!("Delete the profile {name}?"),
                effect: "There is no way back.".to_owned(),
                action: Some(format!("/profiles/{name}/delete")),
                back: format!("/profiles/{name}"),
                button: "Delete profile".to_owned(),
                is_danger: true,
                ..Confirm::default()
            }
            .show(session, Section::Profiles);
        }
        let deleted = actions.delete_profile(&session.caller(), name);
        match deleted.and_then(crate::store::Pending::wait) {
            Ok(()) => Ok(session.done("/profiles", format!("The profile {name} was deleted."))),
            Err(error) => {
                let message = problem(error)?.message;
                Ok(session.refused(&format!("/profiles/{name}"), message))
            }
        }
    })
    .await
}
