//! `/v1/webhooks/{id}/secret` and its rotation.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use schemars::JsonSchema;
use serde::Serialize;

use super::webhooks::view::SECRETS;
use super::{Administrator, ApiResult, App, Call, JsonBody, Scope, Table, blocking, schema};
use crate::actions::webhook::rotate_secret::{Rotated, Rotation, fingerprint};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/webhooks/{id}/secret").get(secret, describe_secret);
    table.at("/v1/webhooks/{id}/secret/rotate").post(rotate, describe_rotate);
}

fn describe_secret(call: &mut Call<'_>) {
    call.operation("Secrets", "show_secret", "Get the secret of a webhook")
        .description("Deliveries are signed with the secret, or by Ed25519 with a key pair whose public key `GET /v1/webhooks/{id}` has too. The private key is never shown.")
        .scope(Scope::Admin)
        .path_parameter::<schema::WebhookId>("id")
        .response::<SecretView>(200, "The secret.", &format!("{{{SECRETS}, \"public_key\": null, \"rotation\": null}}"));
}

fn describe_rotate(call: &mut Call<'_>) {
    call.operation("Secrets", "rotate_secret", "Rotate the secret of a webhook")
        .description("Both secrets sign until the overlap ends, in every header that can carry two signatures; `headers` lists which secret signs which header. An overlap of 0 switches immediately, or ends a running overlap. A webhook with a key pair gets a new one, and Ed25519 signatures of both are in `webhook-signature` until the overlap ends.")
        .scope(Scope::Admin)
        .path_parameter::<schema::WebhookId>("id")
        .request_body::<Rotation>(r#"{"overlap_s": 86400}"#)
        .response::<RotatedView>(200, "The new secret.", &format!(r#"{{{SECRETS}, "public_key": null, "overlap_ends_at": "2026-01-16T10:00:00.000Z",
            "headers": [{{"name": "X-Webhook-Signature", "signs": "old"}}, {{"name": "webhook-signature", "signs": "both"}}]}}"#))
        .errors(409, &["rotation_running", "contact_webhook"])
        .errors(422, &["invalid_secret", "out_of_range"]);
}

/// The secret of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Secret")]
struct SecretView {
    secret: String,
    /// The secret in the form that Standard Webhooks libraries expect.
    standard_secret: String,
    /// Key that verifies Ed25519 signatures.
    public_key: Option<schema::PublicKey>,
    rotation: Option<RotationView>,
}

/// A rotation whose overlap has not ended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningRotation")]
struct RotationView {
    /// First 16 hexadecimal digits of the SHA-256 of the old secret.
    old_fingerprint: String,
    overlap_ends_at: schema::Time,
}

async fn secret(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let actions = app.actions.clone();
    let rotated = blocking(move || actions.reveal_secret(&caller, &id)).await??;
    let old = rotated.old.as_ref();
    Ok(HttpResponse::Ok().json(SecretView {
        secret: rotated.secret.as_str().to_owned(),
        standard_secret: rotated.secret.standard_form(),
        public_key: rotated.public_key.map(Into::into),
        rotation: old.map(|old| RotationView {
            old_fingerprint: fingerprint(&old.secret),
            overlap_ends_at: schema::Time::at(old.overlap_ends_ms),
        }),
    }))
}

async fn rotate(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    let rotation: Rotation = body.parse()?;
    let rotated = app.actions.rotate_secret(&caller, &id, rotation).committed().await?;
    Ok(HttpResponse::Ok().json(RotatedView::from(rotated)))
}

/// Result of a rotation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rotated")]
struct RotatedView {
    secret: String,
    standard_secret: String,
    /// New key that verifies Ed25519 signatures.
    public_key: Option<schema::PublicKey>,
    overlap_ends_at: Option<schema::Time>,
    headers: Vec<SignedHeader>,
}

/// The secret that signs a header until the overlap ends.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignedHeader")]
struct SignedHeader {
    name: String,
    signs: schema::Signs,
}

impl From<Rotated> for RotatedView {
    fn from(rotated: Rotated) -> RotatedView {
        let headers = rotated.headers.into_iter();
        RotatedView {
            secret: rotated.secret.as_str().to_owned(),
            standard_secret: rotated.secret.standard_form(),
            public_key: rotated.public_key.map(Into::into),
            overlap_ends_at: rotated.old.map(|old| schema::Time::at(old.overlap_ends_ms)),
            headers: headers.map(|(name, signs)| SignedHeader { name, signs: signs.into() }).collect(),
        }
    }
}
