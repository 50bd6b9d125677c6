//! Creating a webhook, or updating the one that the application created before: by its own id, or by the URL.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::view::{EXAMPLE, WebhookView};
use super::{describe_creation, respond_created};
use crate::actions::ActionError;
use crate::actions::webhook::put::KnownBy;
use crate::domain::webhook::{ExternalId, WebhookSettings};
use crate::http::api::{Administrator, ApiError, ApiResult, App, Call, Caller, Etag, JsonBody, Preconditions, schema};

pub(super) fn describe_settings(call: &mut Call<'_>) {
    let summary = "Create or update a webhook at the path of a compatible system";
    let call = call.operation("Webhooks", "create_webhook_by_settings", summary);
    describe_creation(call);
    describe_update(
        call,
        "Creates a webhook, or updates the one that was created here for this URL. Omitted fields of an existing webhook are unchanged. Only the response to a creation contains the secret.",
    );
}

pub(super) fn describe_put(call: &mut Call<'_>) {
    let call = call.operation("Webhooks", "put_webhook", "Create or update a webhook by your own ID");
    describe_creation(call);
    describe_update(
        call,
        "Creates a webhook with this `external_id`, or updates the webhook of the tenant that has it. Repeating the call changes nothing. Omitted fields of an existing webhook are unchanged. Only the response to a creation contains the secret.",
    );
    call.path_parameter::<schema::ExternalId>("external_id").errors(422, &["name_differs"]);
}

fn describe_update(call: &mut Call<'_>, description: &'static str) {
    call.description(description)
        .response::<WebhookView>(200, "The updated webhook.", &format!("{EXAMPLE}}}"))
        .etag(200)
        .takes_if_match()
        .errors(409, &["challenge_failed", "webhook_changed"]);
}

pub(super) async fn by_external_id(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    let settings: WebhookSettings = body.parse()?;
    let id: ExternalId = id.parse()?;
    if settings.external_id.as_ref().is_some_and(|given| given.as_deref() != Some(id.as_str())) {
        let message = "The external_id in the body must match the path.";
        return Err(ApiError::invalid("name_differs", message).in_field("external_id"));
    }
    put_known(app, caller, KnownBy::ExternalId(id), conditions, settings).await
}

pub(super) async fn by_url(
    app: Data<App>,
    Administrator(caller): Administrator,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    put_known(app, caller, KnownBy::Url, conditions, body.parse()?).await
}

async fn put_known(
    app: Data<App>,
    caller: Caller,
    known_by: KnownBy,
    conditions: Preconditions,
    settings: WebhookSettings,
) -> ApiResult {
    let actions = app.actions.clone();
    let work = move |caller: &_| -> Result<_, ActionError> {
        let (webhook, is_new) = actions.put_webhook(caller, &known_by, settings, || conditions.clone().unchanged())?;
        let similar = if is_new { Some(actions.similar_webhooks(&webhook)?) } else { None };
        let view = actions.store.read(|connection| WebhookView::read(connection, &webhook))?;
        Ok((webhook, similar, view))
    };
    let (webhook, similar, view) = app.receiver_calls.run(caller, work).await??;
    Ok(match similar {
        Some(similar) => respond_created(&webhook, similar),
        None => HttpResponse::Ok().insert_header(Etag::of(&*webhook).header()).json(view),
    })
}
