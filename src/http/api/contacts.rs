//! `/v1/contacts`.

mod view;

use std::borrow::Cow;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::view::{ContactView, EXAMPLE};
use super::deliveries::DeliveryView;
use super::merge_patch::{Members, MergePatch, Rules, defaults};
use super::schema::{ContactId, Cursor, Limit, TenantName};
use super::webhooks::view::SECRETS;
use super::{
    Administrator, ApiResult, App, Call, Caller, Codes, Etag, JsonBody, Preconditions, Reader, Scope, Table, created,
    extract, list, respond_tagged, schema,
};
use crate::actions::contact::ContactInFull;
use crate::actions::{ActionError, lookup};
use crate::domain::contact::{Contact, ContactSettings, ContactWebhook, Topic};
use crate::store::page::Page;
use crate::store::{Connection, StoreError, contact};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/contacts").get(index, describe_index).post(create, describe_create);
    let contact = table.at("/v1/contacts/{id}");
    contact.get(show, describe_show).patch(change, describe_change).delete(delete, describe_delete);
    table.at("/v1/contacts/{id}/test").post(test, describe_test);
    table.at("/v1/contacts/{id}/confirmation").post(confirm, describe_confirm);
}

/// Codes of invalid contacts.
const INVALID_CODES: Codes = &[
    "invalid_name",
    "invalid_channel",
    "invalid_email",
    "email_not_configured",
    "invalid_tenant",
    "invalid_scope",
    "invalid_pattern",
    "invalid_topics",
    "invalid_quiet_hours",
    "unknown_time_zone",
    "invalid_url",
    "target_blocked",
    "unknown_profile",
    "incomplete_endpoint",
    "invalid_secret",
    "invalid_header",
    "too_many_headers",
    "invalid_auth",
];

fn describe_index(call: &mut Call<'_>) {
    call.operation("Contacts", "list_contacts", "List contacts")
        .description("A contact is told about incidents: by e-mail, or by a webhook in any profile. A key of a tenant sees that tenant's contacts only.")
        .scope(Scope::Read)
        .list::<ContactQuery, ContactView>()
        .errors(422, &["invalid_tenant"]);
}

fn describe_create(call: &mut Call<'_>) {
    call.operation("Contacts", "create_contact", "Create a contact")
        .description("Give either `email` or `webhook`. Only this response contains the secret of a webhook. A contact with a tenant belongs to that tenant. The address of such a contact gets a link to confirm it, and no messages until then.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .waits_for_receiver()
        .request_body::<NewContact>(r#"{"name": "On call", "webhook": {"url": "https://hooks.slack.com/services/T0/B0/x", "profile": "slack"}}"#)
        .response::<ContactView>(201, "The contact.", &example_with_secret())
        .etag(201)
        .links(201, "/id", &["show_contact", "change_contact", "delete_contact", "test_contact", "confirm_contact"])
        .errors(409, &["contact_limit", "profile_deleted"])
        .errors(422, INVALID_CODES)
        .errors(422, &["reserved_tenant"]);
}

fn example_with_secret() -> String {
    let secret = r#""auth": null"#;
    format!("{}}}", EXAMPLE.replace(secret, &format!("{secret}, {SECRETS}")))
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Contacts", "show_contact", "Get a contact")
        .scope(Scope::Read)
        .path_parameter::<ContactId>("id")
        .response::<ContactView>(200, "The contact.", &format!("{EXAMPLE}}}"))
        .description("The ETag changes with the settings. It does not change with messages: `status`, `last_told_at`, `failing_since` and `last_error` have no part in it.")
        .answers_if_changed();
}

fn describe_change(call: &mut Call<'_>) {
    call.operation("Contacts", "change_contact", "Update a contact")
        .description("A JSON Merge Patch (RFC 7396): omitted fields are unchanged, null restores the default, and the members of objects are merged. The object of a GET can be sent back: fields that cannot be changed are ignored if they have the stored value, and refused otherwise. A contact keeps its kind: e-mail or webhook. A tenant's new address has to be confirmed.")
        .scope(Scope::Admin)
        .waits_for_receiver()
        .path_parameter::<ContactId>("id")
        .request_body::<ContactChange>(r#"{"topics": ["opened", "closed"], "quiet_hours": null}"#)
        .response::<ContactView>(200, "The updated contact.", &format!("{EXAMPLE}}}"))
        .etag(200)
        .takes_if_match()
        .errors(409, &["profile_deleted"])
        .errors(422, INVALID_CODES)
        .errors(422, &["read_only", "null_without_default"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Contacts", "delete_contact", "Delete a contact")
        .description("Messages that wait for it are discarded.")
        .scope(Scope::Admin)
        .path_parameter::<ContactId>("id")
        .no_content("The contact is deleted.")
        .takes_if_match();
}

fn describe_test(call: &mut Call<'_>) {
    call.operation("Contacts", "test_contact", "Send a test message to a contact")
        .description("Sends a message immediately and once. The response follows when the endpoint or the mail server responds or times out.")
        .scope(Scope::Admin)
        .waits_for_receiver()
        .path_parameter::<ContactId>("id")
        .response::<TestView>(200, "The result, successful or not.", r#"{"delivered": false,
            "error": "The mail server mail.example.com:587 did not respond in time.", "delivery": null}"#)
        .errors(409, &["address_unconfirmed", "mail_limit"]);
}

fn describe_confirm(call: &mut Call<'_>) {
    call.operation("Contacts", "confirm_contact", "Send the link that confirms an address")
        .description(
            "For a tenant's e-mail contact whose address is not confirmed. A link sent before no longer works.",
        )
        .scope(Scope::Admin)
        .waits_for_receiver()
        .path_parameter::<ContactId>("id")
        .no_content("The link was sent.")
        .errors(409, &["address_confirmed", "mail_limit", "mail_failed"])
        .errors(422, &["email_not_configured"]);
}

/// Body that creates a contact: the settings with a name, and one channel.
struct NewContact;

impl JsonSchema for NewContact {
    fn schema_name() -> Cow<'static, str> {
        "NewContact".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ContactSettings::json_schema(generator);
        schema.insert("required".to_owned(), json!(["name"]));
        schema.insert("oneOf".to_owned(), json!([{"required": ["email"]}, {"required": ["webhook"]}]));
        schema.insert("description".to_owned(), "Settings of a new contact.".into());
        schema
    }
}

/// Body that changes a contact: the settings without `tenant`.
struct ContactChange;

impl JsonSchema for ContactChange {
    fn schema_name() -> Cow<'static, str> {
        "ContactChange".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = schema::without::<ContactSettings>("tenant", generator);
        schema::require_values(&mut schema, &["name", "email", "webhook"]);
        let webhook = generator.subschema_for::<ContactWebhookChange>();
        if let (Some(Value::Object(field)), Some(reference)) =
            (schema.pointer_mut("/properties/webhook"), webhook.get("$ref"))
        {
            field.insert("$ref".to_owned(), reference.clone());
            field.insert("description".to_owned(), "Settings of the endpoint to change.".into());
        }
        schema.insert("description".to_owned(), "Settings to change. Absent ones stay as they are.".into());
        schema
    }
}

/// Endpoint in a body that changes a contact: `null` removes a header, and restores the default of a setting that has one.
struct ContactWebhookChange;

impl JsonSchema for ContactWebhookChange {
    fn schema_name() -> Cow<'static, str> {
        "ContactWebhookChange".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ContactWebhook::json_schema(generator);
        schema::require_values(&mut schema, &["url", "secret"]);
        schema::with_null_members(&mut schema, &["headers"]);
        let text = "Settings of a contact's endpoint to change. Absent ones, and absent members of `headers`, stay as they are.";
        schema.insert("description".to_owned(), text.into());
        schema
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContactQuery {
    /// Only contacts that belong to this tenant.
    tenant: Option<TenantName>,
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: ContactQuery = extract::query(&request)?;
    let tenant = caller.tenant_filter(query.tenant.as_deref())?;
    let part = list::page(&request, query.limit.as_deref(), query.cursor.as_deref())?;
    let now = app.actions.clock.now_ms();
    let read = move |connection: &Connection| -> Result<_, StoreError> {
        let page = contact::page(connection, tenant.as_ref(), &part)?;
        let full = |contact| ContactInFull::read(connection, contact);
        Ok(Page { rows: page.rows.into_iter().map(full).collect::<Result<_, _>>()?, next: page.next })
    };
    list::show(&app, &caller, part, read, move |full| ContactView::of(&full, now)).await
}

async fn create(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    let settings: ContactSettings = body.parse()?;
    let (actions, base_url) = (app.actions.clone(), app.site.url(""));
    let work = move |caller: &_| actions.create_contact(caller, &settings, &base_url);
    let full = app.receiver_calls.run(caller, work).await??;
    let view = ContactView::with_secret(&full, app.actions.clock.now_ms());
    let mut response = created(format_args!("contacts/{}", full.contact.id));
    Ok(response.insert_header(Etag::of(&full).header()).json(view))
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>, conditions: Preconditions) -> ApiResult {
    let (store, now) = (app.actions.store.clone(), app.actions.clock.now_ms());
    let reader = caller.clone();
    let read = move |connection: &Connection| -> Result<_, ActionError> {
        let full = lookup::contact_in_full(connection, &caller, &id)?;
        let view = ContactView::of(&full, now);
        Ok((full, view))
    };
    respond_tagged(&app, &reader, conditions, move || store.snapshot(read)).await
}

async fn change(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    let patch: MergePatch = body.parse()?;
    let (actions, base_url) = (app.actions.clone(), app.site.url(""));
    let (profile, now) = (actions.profile_for(&caller).to_owned(), actions.clock.now_ms());
    let settings_for =
        move |stored: &ContactInFull| patch.settings(&ContactView::of(stored, now), &rules(&stored.contact, &profile));
    let work =
        move |caller: &Caller| actions.change_contact_by(caller, &id, settings_for, conditions.unchanged(), &base_url);
    let changed = app.receiver_calls.run(caller, work).await??;
    let tag = Etag::of(&changed).header();
    Ok(HttpResponse::Ok().insert_header(tag).json(ContactView::of(&changed, app.actions.clock.now_ms())))
}

/// How a patch changes a contact.
fn rules(contact: &Contact, default_profile: &str) -> Rules {
    let webhook = Rules {
        read_only: &["webhook_id", "standard_secret"],
        required: &["url", "secret"],
        merged: &[("headers", Members::Headers), ("auth", Members::OfKind("type"))],
        defaults: defaults(json!({"profile": default_profile, "headers": {}})),
        ..Rules::default()
    };
    Rules {
        read_only: &["id", "tenant", "created_at", "updated_at"],
        by_itself: &["status", "last_told_at", "failing_since", "last_error"],
        required: &["name", "email", "webhook"],
        merged: &[("scope", Members::Named), ("quiet_hours", Members::Named)],
        nested: vec![("webhook", webhook)],
        defaults: defaults(json!({"scope": {}, "topics": Topic::defaults(contact.tenant.as_ref())})),
        ..Rules::default()
    }
}

async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    app.actions.delete_contact(&caller, &id, conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Result of a test message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContactTest")]
struct TestView {
    delivered: bool,
    /// Why the message was not delivered.
    error: Option<String>,
    /// Delivery to the endpoint of a webhook contact, with its attempt.
    delivery: Option<DeliveryView>,
}

async fn test(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let (actions, base_url) = (app.actions.clone(), app.site.url(""));
    let work = move |caller: &Caller| actions.test_contact(caller, &id, &base_url);
    let result = app.receiver_calls.run(caller, work).await??;
    Ok(HttpResponse::Ok().json(TestView {
        delivered: result.error.is_none(),
        error: result.error,
        delivery: result.delivery.map(DeliveryView::from),
    }))
}

async fn confirm(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let (actions, base_url) = (app.actions.clone(), app.site.url(""));
    let work = move |caller: &Caller| actions.send_confirmation(caller, &id, &base_url);
    app.receiver_calls.run(caller, work).await??;
    Ok(HttpResponse::NoContent().finish())
}
