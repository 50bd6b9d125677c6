//! Test calls: `/v1/webhooks/{id}/test`, and the forms of `/v1/webhooks/test` in the reference documents.

use std::borrow::Cow;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::deliveries::{DeliveryView, example_in_full};
use super::{Administrator, ApiResult, App, Call, JsonBody, Scope, Table, extract, schema};
use crate::actions::lookup::DeliveryInFull;
use crate::actions::test_event::{SubscribersTest, TestEvent};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/webhooks/test").post(by_body, describe_by_body);
    table.at("/v1/webhooks/{id}/test").post(by_id, describe_by_id);
    table.at("/v1/event-types/{name}/test").post(by_type, describe_by_type);
}

fn describe_by_id(call: &mut Call<'_>) {
    call.operation("Tests", "test_webhook", "Send a test")
        .description("Sends a real delivery, marked as a test, immediately and once, whatever the state of the webhook. The response follows when the endpoint responds or times out.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .waits_for_receiver()
        .path_parameter::<schema::WebhookId>("id")
        .request_body::<TestBody>(r#"{"event_type": "content.published", "data": {"id": 7}}"#)
        .response::<DeliveryView>(200, "The delivery with its attempt, successful or not.", &example_in_full())
        .errors(409, &["contact_webhook"])
        .errors(422, &["invalid_event_type"]);
}

fn describe_by_body(call: &mut Call<'_>) {
    call.operation("Tests", "test_by_body", "Send a test to one webhook or to all subscribed ones")
        .description("With `webhook_id`, sends a test to that webhook. With `event`, sends a test to every webhook of the tenant that subscribes to this type, if there are up to 64; the other fields become its data.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .waits_for_receiver()
        .request_body::<TestForms>(r#"{"event": "content.published", "id": 7}"#)
        .response::<Tested>(200, "The deliveries with their attempts, successful or not.", r#"{"data": [],
            "message": "No webhook is subscribed to this event type. Nothing was sent."}"#)
        .errors(404, &["not_found"])
        .errors(409, &["contact_webhook"])
        .errors(422, &["invalid_event_type", "too_many_webhooks"]);
}

fn describe_by_type(call: &mut Call<'_>) {
    call.operation("Tests", "test_event_type", "Send a test to all webhooks that subscribe to an event type")
        .description("Sends a real delivery, marked as a test, to every webhook of the tenant that subscribes to the type, if there are up to 64. Without `data`, the test has the example of the type, else the data of the tenant's newest event of the type, else the example of each webhook's profile.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .waits_for_receiver()
        .path_parameter::<schema::EventTypeName>("name")
        .query_parameters::<TestQuery>()
        .request_body::<TypeTest>(r#"{"data": {"id": 7}}"#)
        .response::<Tested>(200, "The deliveries with their attempts, successful or not.", r#"{"data": [],
            "message": "No webhook is subscribed to this event type. Nothing was sent."}"#)
        .errors(422, &["invalid_event_type", "reserved_event_type", "invalid_tenant", "too_many_webhooks"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestQuery {
    /// Tenant of the webhooks. Default: the key's tenant, or `default`.
    tenant: Option<schema::TenantName>,
}

/// A test of all webhooks that subscribe to an event type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventTypeTest")]
struct TypeTest {
    /// Data of the event.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

async fn by_type(
    app: Data<App>,
    request: HttpRequest,
    Administrator(caller): Administrator,
    name: Path<String>,
    body: JsonBody,
) -> ApiResult {
    let TestQuery { tenant } = extract::query(&request)?;
    let TypeTest { data } = body.parse()?;
    let actions = app.actions.clone();
    let data = data.map(|raw| raw.get().into());
    let work = move |caller: &_| {
        let test = SubscribersTest { tenant: tenant.as_deref(), event_type: &name, field: "name", data };
        actions.test_subscribers(caller, test)
    };
    Ok(tested(app.receiver_calls.run(caller, work).await??))
}

/// Schema of the two forms.
enum TestForms {}

impl JsonSchema for TestForms {
    fn schema_name() -> Cow<'static, str> {
        "TestForms".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let one = schemas.subschema_for::<OneWebhook>();
        let event = schemas.subschema_for::<schema::EventTypeName>();
        json_schema!({"description": "A test of one webhook, or of all that subscribe to an event type.", "anyOf": [one, {
            "type": "object",
            "description": "A test to every subscribed webhook. All fields but `event` become the data.",
            "properties": {"event": event},
            "required": ["event"],
            "additionalProperties": true,
        }]})
    }
}

/// A test of one webhook.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Test")]
struct TestBody {
    /// Type of the event. Default: the first that the webhook subscribes to.
    #[serde(default)]
    event_type: Option<schema::EventTypeName>,
    /// Data of the event. Default: the example of the type, else the data of the tenant's newest event of the type, else the
    /// example of the webhook's profile.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

async fn by_id(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    let TestBody { event_type, data } = body.parse()?;
    let test = test_event(event_type, data);
    let actions = app.actions.clone();
    let full = app.receiver_calls.run(caller, move |caller| actions.test_webhook(caller, &id, test)).await??;
    Ok(HttpResponse::Ok().json(DeliveryView::from(full)))
}

/// A test of one webhook.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TestOfOneWebhook")]
struct OneWebhook {
    webhook_id: schema::WebhookId,
    /// Type of the event. Default: the first that the webhook subscribes to.
    #[serde(default)]
    event_type: Option<schema::EventTypeName>,
    /// Data of the event. Default: the example of the type, else the data of the tenant's newest event of the type, else the
    /// example of the webhook's profile.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// Sent tests with their attempts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tests")]
struct Tested {
    data: Vec<DeliveryView>,
    /// Present if nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    message: Option<&'static str>,
}

async fn by_body(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    let EventForm { event, data } = extract::parse(body.bytes())?;
    let actions = app.actions.clone();
    let sent = match event {
        Some(event) => {
            let work = move |caller: &_| {
                let test = SubscribersTest { tenant: None, event_type: &event, field: "event", data };
                actions.test_subscribers(caller, test)
            };
            app.receiver_calls.run(caller, work).await??
        }
        None => {
            let OneWebhook { webhook_id, event_type, data } = body.parse()?;
            let test = test_event(event_type, data);
            let work = move |caller: &_| actions.test_webhook(caller, &webhook_id, test);
            vec![app.receiver_calls.run(caller, work).await??]
        }
    };
    Ok(tested(sent))
}

fn tested(sent: Vec<DeliveryInFull>) -> HttpResponse {
    HttpResponse::Ok().json(Tested {
        message: sent.is_empty().then_some("No webhook is subscribed to this event type. Nothing was sent."),
        data: sent.into_iter().map(DeliveryView::from).collect(),
    })
}

fn test_event(event_type: Option<schema::EventTypeName>, data: Option<Box<RawValue>>) -> TestEvent {
    TestEvent { event_type: event_type.map(|name| name.to_owned()), data: data.map(|raw| raw.get().into()) }
}

/// Form with `event`: the text of the other fields, if any, becomes the data. `event` is `None` in the form with
/// `webhook_id`.
struct EventForm {
    event: Option<String>,
    data: Option<Box<str>>,
}

impl<'de> Deserialize<'de> for EventForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventForm, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = EventForm;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with \"event\", or with \"webhook_id\"")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EventForm, A::Error> {
                let mut form = EventForm { event: None, data: None };
                let mut data = String::from("{");
                while let Some(name) = map.next_key::<String>()? {
                    if name == "event" && form.event.is_some() {
                        map.next_value::<IgnoredAny>()?;
                        return Err(serde::de::Error::duplicate_field("event"));
                    }
                    if name == "event" {
                        form.event = Some(map.next_value()?);
                        continue;
                    }
                    let value: Box<RawValue> = map.next_value()?;
                    if data.len() > 1 {
                        data.push(',');
                    }
                    let name = serde_json::to_string(&name).map_err(serde::de::Error::custom)?;
                    data.push_str(&name);
                    data.push(':');
                    data.push_str(value.get());
                }
                data.push('}');
                form.data = (data.len() > 2).then(|| data.into());
                Ok(form)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
