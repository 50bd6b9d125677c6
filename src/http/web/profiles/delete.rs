//! `/profiles/{name}/delete`.

use actix_web::http::StatusCode;
use actix_web::web::Path;

use super::super::confirm::ConfirmPage;
use super::super::error::problem;
use crate::http::web::layout::Section;
use crate::http::web::session::{Answer, Done, Submission};

/// `POST /profiles/{name}/delete`.
pub async fn delete(form: Submission, name: Path<String>) -> Answer {
    form.run(move |visit, fields| {
        visit.require_administrator()?;
        let actions = &visit.app.actions;
        let profile = actions.profile(&name)?;
        let name = profile.name();
        if fields.text("confirmed") != "yes" {
            let frame = visit.frame(format!("Profile {name}"), Section::Profiles)?;
            return Ok(Done::page(
                StatusCode::OK,
                &ConfirmPage {
                    frame,
                    heading: format!("Delete the profile {name}?"),
                    effect: "There is no way back.".to_owned(),
                    action: Some(format!("/profiles/{name}/delete")),
                    back: format!("/profiles/{name}"),
                    button: "Delete profile".to_owned(),
                    is_danger: true,
                    facts: Vec::new(),
                    fields: Vec::new(),
                },
            ));
        }
        let deleted = actions.delete_profile(&visit.caller(), name);
        match deleted.and_then(crate::store::Pending::wait) {
            Ok(()) => Ok(visit.done("/profiles", format!("The profile {name} was deleted."))),
            Err(error) => {
                let message = problem(error)?.message;
                Ok(visit.refused(&format!("/profiles/{name}"), message))
            }
        }
    })
    .await
}
