//! Part of the form of a webhook: its own template, and the preview of a request.

use super::form::WebhookForm;
use crate::actions::ActionError;
use crate::actions::profiles::Sample;
use crate::domain::webhook::Webhook;
use crate::http::web::profiles::show::Preview;
use crate::http::web::sample::{self, Samples};
use crate::http::web::{Connection, FormErrors, PageError, Session, problem};
use crate::profile::template::WebhookFacts;

/// Typed values.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    pub template: String,
    /// Event of the preview that is asked for.
    pub sample: Option<String>,
}

/// Contents of the page beside the typed values.
pub struct TemplatePart {
    pub samples: Samples,
    pub request: Option<Preview>,
    pub is_open: bool,
}

impl TemplatePart {
    /// Composes the request that is asked for. Its errors become those of the field.
    pub fn of(
        session: &Session,
        db: &Connection,
        webhook: Option<&Webhook>,
        form: &WebhookForm,
        errors: &mut FormErrors,
    ) -> Result<TemplatePart, PageError> {
        let typed = &form.body;
        let profile = session.app.actions.store.profiles().find(&form.profile);
        let typed_tenant = form.tenant.parse().ok();
        let tenant = session.tenant().or(webhook.map(|webhook| &webhook.tenant)).or(typed_tenant.as_ref());
        let asked = typed.sample.as_deref();
        let (samples, event) = sample::choose(session, db, tenant, profile.as_deref(), asked.unwrap_or_default())?;
        let mut request = None;
        if let (Some(_), Some(profile)) = (asked, &profile) {
            let facts = webhook.map(|webhook| WebhookFacts {
                id: webhook.id.to_string(),
                description: form.description.trim().to_owned(),
            });
            let template = Some(typed.template.as_str()).filter(|text| !text.trim().is_empty());
            match Preview::compose(session, &Sample { profile, template, webhook: facts }, &event) {
                Ok(preview) => request = Some(preview),
                Err(error) => *errors = in_template(error)?,
            }
        }
        let is_open = !typed.template.is_empty() || asked.is_some() || errors.of("template").is_some();
        Ok(TemplatePart { samples, request, is_open })
    }
}

fn in_template(error: ActionError) -> Result<FormErrors, PageError> {
    let mut problem = problem(error)?;
    problem.field = Some("template".to_owned());
    Ok(problem.into())
}
