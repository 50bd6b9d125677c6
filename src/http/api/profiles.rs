//! `/v1/profiles`.

use actix_web::HttpResponse;
use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::table::Table;
use super::view::headers;
use crate::actions::profiles::preview;
use crate::domain::Invalid;
use crate::domain::event::{Event, EventId, Tenant};
use crate::domain::secret::Secret;
use crate::domain::time::parse_rfc3339;
use crate::http::api::openapi::{Call, Codes, schema};
use crate::profile::{self, Profile, ProfileSpec};
use crate::random;
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/profiles").get(index, describe_index);
    table.at("/v1/profiles/preview").post(show_preview, describe_preview);
    table.at("/v1/profiles/{name}").get(show, describe_show).put(put, describe_put).delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"name": "shop", "title": "Our shop", "envelope": [{"field": "type", "value": "type"},
    {"field": "data", "value": "data"}], "body": "exact", "signatures": [{"header": "X-Shop-Signature", "content": "{body}",
        "encoding": "hex", "template": "sha256={signature}", "join": null, "key": "secret"}],
    "headers": {"X-Shop-Event": "{type}"}, "retry": {"delays_s": [60.0, 300.0], "measured_from": "previous_attempt",
        "exhausted": "disable"}, "gone": "retry", "challenge": null, "built_in": false}"#;

/// Why a profile may be refused.
const REFUSED: Codes = &["invalid_profile", "invalid_retry", "unknown_profile"];

fn describe_index(call: &mut Call<'_>) {
    call.named("list_profiles", "List profiles").of("Profiles").needs(Scope::Read).answers::<ProfileList<'_>>(
        200,
        "All of them, in one page.",
        r#"{"data": [], "next_cursor": null}"#,
    );
}

fn describe_show(call: &mut Call<'_>) {
    call.named("show_profile", "Show a profile")
        .of("Profiles")
        .needs(Scope::Read)
        .path::<schema::ProfileName>("name", "The name of the profile.")
        .answers::<ProfileView<'_>>(200, "The profile.", EXAMPLE);
}

fn describe_put(call: &mut Call<'_>) {
    call.named("put_profile", "Make or change a profile")
        .of("Profiles")
        .says("A whole profile, or the differences to the one that `based_on` names. Deliveries of its webhooks look so from here on. For keys of all tenants.")
        .needs(Scope::Admin)
        .path::<schema::ProfileName>("name", "The name of the profile; no built-in one.")
        .takes::<NewProfile>(r#"{"based_on": "generic", "title": "Our shop"}"#)
        .answers::<ProfileView<'_>>(200, "It was there before.", EXAMPLE)
        .answers::<ProfileView<'_>>(201, "It was not.", EXAMPLE)
        .fails(409, &["profile_built_in"])
        .fails(422, &["name_differs"])
        .fails(422, REFUSED);
}

fn describe_delete(call: &mut Call<'_>) {
    call.named("delete_profile", "Delete a profile")
        .of("Profiles")
        .says("One that nothing uses. For keys of all tenants.")
        .needs(Scope::Admin)
        .path::<schema::ProfileName>("name", "The name of the profile; no built-in one.")
        .answers_nothing("It was deleted.")
        .fails(409, &["profile_built_in", "profile_in_use"]);
}

fn describe_preview(call: &mut Call<'_>) {
    call.named("preview_profile", "Preview a profile")
        .of("Profiles")
        .says("The request that it makes of an example event, signed now. Nothing is sent or stored.")
        .needs(Scope::Admin)
        .takes::<PreviewBody>(r#"{"profile": "github", "event": {"type": "content.published", "data": {"id": 7}}}"#)
        .answers::<PreviewView>(
            200,
            "The request, and what it was signed with.",
            r#"{"headers": {"X-GitHub-Event": "content.published"},
            "body": "{\"id\": 7}", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "standard_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#,
        )
        .fails(422, REFUSED)
        .fails(422, &["invalid_secret", "invalid_event_type", "invalid_event_id", "invalid_time", "invalid_json"]);
}

/// A profile as it is sent, as its schema names it: what `based_on` stands for may be left out.
enum NewProfile {}

impl JsonSchema for NewProfile {
    fn schema_name() -> Cow<'static, str> {
        "NewProfile".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let mut schema = ProfileSpec::json_schema(schemas);
        let base = schemas.subschema_for::<schema::ProfileName>();
        let mut all_needed = Value::Null;
        if let Some(fields) = schema.as_object_mut() {
            all_needed = fields.shift_remove("required").unwrap_or_default();
            if let Some(needed) = all_needed.as_array_mut() {
                needed.retain(|name| name != "name");
            }
            fields.insert("description".to_owned(), "A profile, whole or as differences to another one.".into());
        }
        if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            fields.insert("based_on".to_owned(), base.to_value());
            let ignored = json_schema!({"description": "As answers hold it; nothing goes by it."});
            fields.insert("built_in".to_owned(), ignored.to_value());
        }
        let needs: [Value; 2] = [all_needed, Value::from(vec!["based_on"])];
        let either: Vec<Value> =
            needs.into_iter().map(|names| Value::Object(Map::from_iter([("required".to_owned(), names)]))).collect();
        schema.insert("anyOf".to_owned(), either.into());
        schema
    }
}

/// A profile as it is written, and whether it is built in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
struct ProfileView<'a> {
    #[serde(flatten)]
    spec: &'a ProfileSpec,
    /// Whether it is one of those that cannot be changed.
    built_in: bool,
}

/// All of them; there are few, so that no page follows.
#[derive(Serialize, JsonSchema)]
struct ProfileList<'a> {
    data: Vec<ProfileView<'a>>,
    next_cursor: Option<String>,
}

fn view(profile: &Profile) -> ProfileView<'_> {
    ProfileView { spec: profile.spec(), built_in: profile::find(profile.name()).is_some() }
}

/// `GET /v1/profiles`: all of them.
async fn index(app: Data<App>, Reader(_): Reader) -> Result<HttpResponse, ApiError> {
    let all = app.actions.store.profiles().all();
    Ok(HttpResponse::Ok()
        .json(ProfileList { data: all.iter().map(|profile| view(profile)).collect(), next_cursor: None }))
}

/// `GET /v1/profiles/{name}`.
async fn show(app: Data<App>, Reader(_): Reader, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let profile = app.actions.profile(&name)?;
    Ok(HttpResponse::Ok().json(view(&profile)))
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
                format!("The name in the body is {inner:?}, and in the path {:?}.", *name),
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
    Ok(if existed { HttpResponse::Ok().json(view(&profile)) } else { HttpResponse::Created().json(view(&profile)) })
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
    app.actions.delete_profile(&caller, &name)?.committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PreviewRequest")]
struct PreviewBody {
    /// A name, or a whole profile.
    #[schemars(with = "NameOrProfile")]
    profile: Value,
    event: PreviewEvent,
    /// What it is signed with; generated where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::SecretText>")]
    secret: Option<String>,
}

/// What a profile is previewed with, as its schema names it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is there for its schema")]
enum NameOrProfile {
    Name(#[schemars(with = "schema::ProfileName")] String),
    Profile(#[schemars(with = "NewProfile")] Value),
}

/// An example event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PreviewEvent {
    #[serde(rename = "type")]
    #[schemars(with = "schema::EventTypeName")]
    event_type: String,
    /// `{}` where left out.
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    previous_data: Option<Box<RawValue>>,
    #[serde(default)]
    #[schemars(with = "Option<schema::EventId>")]
    id: Option<String>,
    /// Now where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::Time>")]
    created_at: Option<String>,
    #[serde(default)]
    test: bool,
}

/// The request that a profile makes, and what it was signed with.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Preview")]
struct PreviewView {
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    body: String,
    secret: String,
    standard_secret: String,
}

/// `POST /v1/profiles/preview`: the request that a profile makes of an example event, signed now.
async fn show_preview(
    app: Data<App>,
    Administrator(_): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let PreviewBody { profile, event, secret } = body.parse()?;
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let profile = match profile {
        Value::String(name) => app.actions.store.profiles().find(&name).ok_or_else(|| unknown_profile(&name))?,
        Value::Object(mut given) => {
            given.remove("built_in");
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
    Ok(HttpResponse::Ok().json(PreviewView {
        headers: headers(&preview.headers),
        body: String::from_utf8_lossy(&preview.body).into_owned(),
        secret: secret.as_str().to_owned(),
        standard_secret: secret.standard_form(),
    }))
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
        data: event.data.map_or_else(|| "{}".into(), |raw| raw.get().into()),
        previous_data: event.previous_data.map(|raw| raw.get().into()),
        test: event.test,
    })
}

fn unknown_profile(text: &str) -> ApiError {
    ApiError::invalid("unknown_profile", format!("There is no profile {text:?}.")).in_field("profile")
}
