//! `/v1/webhooks`, which answers under `/api/webhooks` too.

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader};
use super::{blocking, list, resource, view};
use crate::actions::change_webhook::WebhookChange;
use crate::actions::create_webhook::NewWebhook;
use crate::actions::find;
use crate::actions::rotate_secret::{Rotated, Rotation, fingerprint};
use crate::domain::time::rfc3339;
use crate::store::webhook::{self, WebhookFilter};

pub(super) fn routes(config: &mut ServiceConfig, base: &str) {
    config.service(
        resource(&format!("{base}/webhooks"))
            .route(web::post().to(create))
            .route(web::get().to(index)),
    );
    // One of the reference documents creates webhooks here.
    config.service(resource(&format!("{base}/webhooks/settings")).route(web::post().to(create)));
    config.service(
        resource(&format!("{base}/webhooks/{{id}}"))
            .route(web::get().to(show))
            .route(web::patch().to(change))
            .route(web::delete().to(delete)),
    );
    config
        .service(resource(&format!("{base}/webhooks/{{id}}/secret")).route(web::get().to(secret)));
    config.service(
        resource(&format!("{base}/webhooks/{{id}}/secret/rotate")).route(web::post().to(rotate)),
    );
    config
        .service(resource(&format!("{base}/webhooks/{{id}}/verify")).route(web::post().to(verify)));
}

/// `POST /v1/webhooks`.
async fn create(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let new: NewWebhook = body.parse()?;
    let actions = app.actions.clone();
    let webhook = blocking(move || actions.create_webhook(&caller, new)).await?;
    Ok(HttpResponse::Created().json(view::webhook_with_secret(&webhook)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    tenant: Option<String>,
    state: Option<String>,
    event: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/webhooks`.
async fn index(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: WebhookQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = WebhookFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        state: list::parameter("state", query.state.as_deref())?,
        event: list::parameter("event", query.event.as_deref())?,
        text: None,
    };
    let store = app.actions.store.clone();
    let found =
        blocking(move || store.read(|connection| webhook::list(connection, &filter, &page)));
    Ok(list::show(found.await?, |webhook| view::webhook(&webhook)))
}

/// `GET /v1/webhooks/{id}`.
async fn show(
    app: Data<App>,
    Reader(caller): Reader,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| find::webhook(connection, &caller, &id)));
    Ok(HttpResponse::Ok().json(view::webhook(&found.await?)))
}

/// `PATCH /v1/webhooks/{id}`.
async fn change(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let change: WebhookChange = body.parse()?;
    let actions = app.actions.clone();
    let webhook = blocking(move || actions.change_webhook(&caller, &id, change)).await?;
    Ok(HttpResponse::Ok().json(view::webhook(&webhook)))
}

/// `DELETE /v1/webhooks/{id}`.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    app.actions.delete_webhook(&caller, &id).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/webhooks/{id}/verify`: the attempt, whatever came back, and what the webhook is after it.
async fn verify(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let verified = blocking(move || actions.verify_webhook(&caller, &id)).await?;
    let mut answer = view::attempt(&verified.attempt);
    answer["verified"] = verified.refusal.is_none().into();
    answer["reason"] = verified.refusal.into();
    answer["state"] = verified.webhook.state.as_str().into();
    Ok(HttpResponse::Ok().json(answer))
}

/// `GET /v1/webhooks/{id}/secret`: needs `admin`, unlike every other GET.
async fn secret(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let rotated = blocking(move || actions.reveal_secret(&caller, &id)).await?;
    let rotation = rotated.old.as_ref().map(|old| {
        json!({
            "old_fingerprint": fingerprint(&old.secret),
            "overlap_ends_at": rfc3339(old.overlap_ends_ms),
        })
    });
    Ok(HttpResponse::Ok().json(json!({
        "secret": rotated.secret.as_str(),
        "standard_secret": rotated.secret.standard_form(),
        "rotation": rotation,
    })))
}

/// `POST /v1/webhooks/{id}/secret/rotate`.
async fn rotate(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let rotation: Rotation = body.parse()?;
    let rotated = app
        .actions
        .rotate_secret(&caller, &id, rotation)
        .committed()
        .await?;
    Ok(HttpResponse::Ok().json(rotation_view(&rotated)))
}

fn rotation_view(rotated: &Rotated) -> Value {
    let headers: Vec<Value> = rotated
        .headers
        .iter()
        .map(|(name, signs)| json!({"name": name, "signs": signs.as_str()}))
        .collect();
    json!({
        "secret": rotated.secret.as_str(),
        "standard_secret": rotated.secret.standard_form(),
        "overlap_ends_at": rotated.old.as_ref().map(|old| rfc3339(old.overlap_ends_ms)),
        "headers": headers,
    })
}
