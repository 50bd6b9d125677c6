//! `/v1/profiles`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::attempts::headers;
use super::{
    Administrator, ApiError, ApiResult, App, Call, Codes, Etag, Invalid, JsonBody, Preconditions, Reader, Scope, Table,
    created, extract, require_all_tenants, schema,
};
use crate::actions::profiles::preview;
use crate::domain::event::{Event, EventId, Tenant};
use crate::domain::secret::Secret;
use crate::domain::time::parse_rfc3339;
use crate::profile::{self, Profile, ProfileSpec};
use crate::random;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/profiles").get(index, describe_index);
    table.at("/v1/profiles/preview").plain_post(show_preview, describe_preview);
    table.at("/v1/profiles/{name}").get(show, describe_show).put(put, describe_put).delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"name": "shop", "title": "Our shop", "envelope": [{"field": "type", "value": "type"},
    {"field": "data", "value": "data"}], "body": "exact", "template": null,
    "content_type": "application/json", "signatures": [{"header": "X-Shop-Signature", "content": "{body}",
        "encoding": "hex", "template": "sha256={signature}", "join": null, "key": "secret"}],
    "headers": {"X-Shop-Event": "{type}"}, "retry": {"delays_s": [60.0, 300.0], "measured_from": "previous_attempt",
        "exhausted": "disable"}, "gone": "retry", "challenge": null, "endpoint": null, "example": null, "built_in": false}"#;

/// Codes of invalid profiles.
const INVALID_CODES: Codes = &["invalid_profile", "invalid_retry", "invalid_template", "unknown_profile"];

fn describe_index(call: &mut Call<'_>) {
    call.operation("Profiles", "list_profiles", "List profiles").scope(Scope::Read).response::<ProfileList<'_>>(
        200,
        "All profiles in one page.",
        r#"{"data": [], "next_cursor": null}"#,
    );
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Profiles", "show_profile", "Get a profile")
        .scope(Scope::Read)
        .path_parameter::<schema::ProfileName>("name")
        .response::<ProfileView<'_>>(200, "The profile.", EXAMPLE)
        .answers_if_changed();
}

fn describe_put(call: &mut Call<'_>) {
    call.operation("Profiles", "put_profile", "Create or replace a profile")
        .description("Takes a complete profile, or the differences from the one named by `based_on`. New deliveries of its webhooks use the new version. Built-in profiles cannot be replaced. Requires a key for all tenants.")
        .scope(Scope::Admin)
        .path_parameter::<schema::ProfileName>("name")
        .request_body::<NewProfile>(r#"{"based_on": "generic", "title": "Our shop"}"#)
        .response::<ProfileView<'_>>(200, "The profile is replaced.", EXAMPLE)
        .response::<ProfileView<'_>>(201, "The profile is created.", EXAMPLE)
        .etag(200)
        .etag(201)
        .takes_if_match()
        .errors(409, &["profile_built_in"])
        .errors(422, &["name_differs"])
        .errors(422, INVALID_CODES);
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Profiles", "delete_profile", "Delete a profile")
        .description("Only unused profiles that are not built in can be deleted. Requires a key for all tenants.")
        .scope(Scope::Admin)
        .path_parameter::<schema::ProfileName>("name")
        .no_content("The profile is deleted.")
        .takes_if_match()
        .errors(409, &["profile_built_in", "profile_in_use"]);
}

fn describe_preview(call: &mut Call<'_>) {
    call.operation("Profiles", "preview_profile", "Preview a profile")
        .description("Returns the request for an example event, signed now. Nothing is sent or stored.")
        .scope(Scope::Admin)
        .request_body::<PreviewBody>(
            r#"{"profile": "github", "event": {"type": "content.published", "data": {"id": 7}}}"#,
        )
        .response::<PreviewView>(
            200,
            "The request and the secret that signed it.",
            r#"{"headers": {"Content-Type": "application/json", "X-GitHub-Event": "content.published"},
            "body": "{\"id\": 7}", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "standard_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#,
        )
        .errors(422, INVALID_CODES)
        .errors(422, &["invalid_secret", "invalid_event_type", "invalid_event_id", "invalid_time", "invalid_json"])
        .errors(422, &["template_failed"]);
}

/// Schema of a profile in a request: with `based_on`, all other fields are optional.
enum NewProfile {}

impl JsonSchema for NewProfile {
    fn schema_name() -> Cow<'static, str> {
        "NewProfile".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let mut schema = ProfileSpec::json_schema(schemas);
        let base = schemas.subschema_for::<schema::ProfileName>();
        if let Some(fields) = schema.as_object_mut() {
            fields.shift_remove("required");
            let description = "A complete profile, with at least `envelope` or `template`, and `retry`; or the differences from \
                another one, in `based_on`.";
            fields.insert("description".to_owned(), description.into());
        }
        if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            fields.insert("based_on".to_owned(), base.to_value());
            let ignored = json_schema!({"type": "boolean", "description": "Accepted from responses, and ignored."});
            fields.insert("built_in".to_owned(), ignored.to_value());
        }
        schema
    }
}

/// A profile.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
struct ProfileView<'a> {
    #[serde(flatten)]
    spec: &'a ProfileSpec,
    /// Whether the profile is built in and cannot be changed.
    built_in: bool,
}

/// All profiles. There are few, so the list has one page.
#[derive(Serialize, JsonSchema)]
struct ProfileList<'a> {
    data: Vec<ProfileView<'a>>,
    next_cursor: Option<String>,
}

impl<'a> From<&'a Profile> for ProfileView<'a> {
    fn from(profile: &'a Profile) -> ProfileView<'a> {
        ProfileView { spec: profile.spec(), built_in: profile::find(profile.name()).is_some() }
    }
}

async fn index(app: Data<App>, Reader(_): Reader) -> ApiResult {
    let all = app.actions.store.profiles().all();
    let data = all.iter().map(|profile| ProfileView::from(&**profile)).collect();
    Ok(HttpResponse::Ok().json(ProfileList { data, next_cursor: None }))
}

async fn show(app: Data<App>, Reader(_): Reader, name: Path<String>, conditions: Preconditions) -> ApiResult {
    let profile = app.actions.profile(&name)?;
    let tag = Etag::of(&*profile);
    Ok(match conditions.is_known(&tag) {
        true => HttpResponse::NotModified().insert_header(tag.header()).finish(),
        false => HttpResponse::Ok().insert_header(tag.header()).json(ProfileView::from(&*profile)),
    })
}

async fn put(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    require_all_tenants(&caller)?;
    let mut given: Map<String, Value> = body.parse()?;
    // Responses contain it, and can be sent back.
    given.remove("built_in");
    match given.get("name") {
        Some(Value::String(inner)) if *inner != *name => {
            let message = format!("The name {inner:?} in the body must match {:?} in the path.", *name);
            return Err(ApiError::invalid("name_differs", message).in_field("name"));
        }
        Some(_) => {}
        None => {
            given.insert("name".to_owned(), Value::from(name.as_str()));
        }
    }
    let spec = parse_spec(app.actions.complete_spec(given)?)?;
    let existed = app.actions.profile(&name).is_ok();
    let profile = app.actions.put_profile(&caller, spec, conditions.unchanged())?.committed().await?;
    let mut response = if existed { HttpResponse::Ok() } else { created(format_args!("profiles/{name}")) };
    Ok(response.insert_header(Etag::of(&*profile).header()).json(ProfileView::from(&*profile)))
}

fn parse_spec(value: Value) -> Result<ProfileSpec, ApiError> {
    extract::parse(value.to_string().as_bytes())
}

async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    require_all_tenants(&caller)?;
    app.actions.delete_profile(&caller, &name, conditions.unchanged())?.committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A profile, and the event to show in it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PreviewRequest")]
struct PreviewBody {
    /// A name, or a complete profile.
    #[schemars(with = "NameOrProfile")]
    profile: Value,
    /// Default: the profile's example.
    #[serde(default)]
    event: Option<PreviewEvent>,
    /// Secret that signs the request. Default: generated.
    #[serde(default)]
    secret: Option<schema::SecretText>,
}

/// Schema of the profile to preview.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "declared for its schema")]
enum NameOrProfile {
    Name(#[schemars(with = "schema::ProfileName")] String),
    Profile(#[schemars(with = "NewProfile")] Value),
}

/// An example event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PreviewEvent {
    #[serde(rename = "type")]
    event_type: schema::EventTypeName,
    /// Default: `{}`.
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    previous_data: Option<Box<RawValue>>,
    #[serde(default)]
    id: Option<schema::EventId>,
    /// Default: now.
    #[serde(default)]
    created_at: Option<schema::Time>,
    #[serde(default)]
    test: bool,
}

/// A previewed request and the secret that signed it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Preview")]
struct PreviewView {
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    body: String,
    secret: String,
    standard_secret: String,
}

async fn show_preview(app: Data<App>, Administrator(_): Administrator, body: JsonBody) -> ApiResult {
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
    let event = parse_event(event.unwrap_or_else(|| PreviewEvent::example(&profile)), now)?;
    let preview = preview(&profile, &event, &secret, now)?;
    Ok(HttpResponse::Ok().json(PreviewView {
        headers: headers(&[vec![("Content-Type".to_owned(), preview.content_type)], preview.headers].concat()),
        body: String::from_utf8_lossy(&preview.body).into_owned(),
        secret: secret.as_str().to_owned(),
        standard_secret: secret.standard_form(),
    }))
}

impl PreviewEvent {
    fn example(profile: &Profile) -> PreviewEvent {
        let (event_type, data, previous_data) = profile::example_parts(Some(profile));
        PreviewEvent {
            event_type: event_type.into(),
            data: RawValue::from_string(data).ok(),
            previous_data: previous_data.and_then(|text| RawValue::from_string(text).ok()),
            id: None,
            created_at: None,
            test: false,
        }
    }
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
    ApiError::invalid("unknown_profile", format!("No such profile: {text:?}.")).in_field("profile")
}
