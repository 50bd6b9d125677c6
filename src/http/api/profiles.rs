//! `/v1/profiles`.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, ServiceConfig};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::{resource, view};
use crate::actions::profiles::preview;
use crate::domain::Invalid;
use crate::domain::event::{Event, EventId, Tenant};
use crate::domain::secret::Secret;
use crate::domain::time::parse_rfc3339;
use crate::profile::{self, Profile, ProfileSpec};
use crate::random;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/profiles").route(web::get().to(index)));
    config.service(resource("/v1/profiles/preview").route(web::post().to(show_preview)));
    config.service(
        resource("/v1/profiles/{name}")
            .route(web::get().to(show))
            .route(web::put().to(put))
            .route(web::delete().to(delete)),
    );
}

/// A profile as it is written, and whether it is built in.
fn profile_view(profile: &Profile) -> Result<Value, ApiError> {
    let mut view =
        serde_json::to_value(profile.spec()).map_err(|error| ApiError::internal(&error))?;
    view["built_in"] = profile::find(profile.name()).is_some().into();
    Ok(view)
}

/// `GET /v1/profiles`: all of them.
async fn index(app: Data<App>, Reader(_): Reader) -> Result<HttpResponse, ApiError> {
    let all = app.actions.store.profiles().all();
    let views: Vec<Value> = all
        .iter()
        .map(|profile| profile_view(profile))
        .collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(json!({"data": views, "next_cursor": null})))
}

/// `GET /v1/profiles/{name}`.
async fn show(
    app: Data<App>,
    Reader(_): Reader,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let profile = app.actions.profile(&name)?;
    Ok(HttpResponse::Ok().json(profile_view(&profile)?))
}

/// `PUT /v1/profiles/{name}`: a whole profile, or the differences to the one that `based_on` names.
async fn put(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let mut given: Map<String, Value> = body.parse()?;
    // In the answers, so that what was read can be written back.
    given.remove("built_in");
    match given.get("name") {
        Some(Value::String(inner)) if *inner != *name => {
            return Err(ApiError::invalid(
                "name_differs",
                format!(
                    "The name in the body is {inner:?}, and in the path {:?}.",
                    *name
                ),
            )
            .in_field("name"));
        }
        Some(_) => {}
        None => {
            given.insert("name".to_owned(), Value::from(name.as_str()));
        }
    }
    let spec = parse_spec(app.actions.complete_spec(given)?)?;
    let existed = app.actions.profile(&name).is_ok();
    let profile = app.actions.put_profile(&caller, spec)?.committed().await?;
    let view = profile_view(&profile)?;
    Ok(match existed {
        true => HttpResponse::Ok().json(view),
        false => HttpResponse::Created().json(view),
    })
}

fn parse_spec(value: Value) -> Result<ProfileSpec, ApiError> {
    extract::parse(value.to_string().as_bytes())
}

/// `DELETE /v1/profiles/{name}`.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    app.actions
        .delete_profile(&caller, &name)?
        .committed()
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    /// A name, or a whole profile.
    profile: Value,
    event: PreviewEvent,
    #[serde(default)]
    secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewEvent {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    previous_data: Option<Box<RawValue>>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    test: bool,
}

/// `POST /v1/profiles/preview`: the request that a profile makes of an example event, signed now.
async fn show_preview(
    app: Data<App>,
    Administrator(_): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let PreviewBody {
        profile,
        event,
        secret,
    } = body.parse()?;
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let profile = match profile {
        Value::String(name) => app
            .actions
            .store
            .profiles()
            .find(&name)
            .ok_or_else(|| unknown_profile(&name))?,
        Value::Object(mut given) => {
            given.entry("name").or_insert_with(|| "preview".into());
            let spec = parse_spec(app.actions.complete_spec(given)?)?;
            Profile::parse(spec)?.into()
        }
        other => return Err(unknown_profile(&other.to_string())),
    };
    let secret = match secret {
        Some(text) => text.parse().map_err(in_field("secret"))?,
        None => Secret::generate(random::bytes()),
    };
    let now = app.actions.clock.now_ms();
    let event = parse_event(event, now)?;
    let preview = preview(&profile, &event, &secret, now)?;
    Ok(HttpResponse::Ok().json(json!({
        "headers": view::headers(&preview.headers),
        "body": String::from_utf8_lossy(&preview.body),
        "secret": secret.as_str(),
        "standard_secret": secret.standard_form(),
    })))
}

fn parse_event(event: PreviewEvent, now: i64) -> Result<Event, ApiError> {
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let created_ms = match &event.created_at {
        Some(text) => parse_rfc3339(text).map_err(in_field("event.created_at"))?,
        None => now,
    };
    Ok(Event {
        id: match event.id {
            Some(text) => text.parse().map_err(in_field("event.id"))?,
            None => EventId::generate(now, random::bits()),
        },
        tenant: Tenant::default_tenant(),
        event_type: event.event_type.parse().map_err(in_field("event.type"))?,
        created_ms,
        received_ms: now,
        data: event
            .data
            .map_or_else(|| "{}".into(), |raw| raw.get().into()),
        previous_data: event.previous_data.map(|raw| raw.get().into()),
        test: event.test,
    })
}

fn unknown_profile(text: &str) -> ApiError {
    ApiError::invalid("unknown_profile", format!("There is no profile {text:?}."))
        .in_field("profile")
}
