//! The test calls: `/v1/webhooks/{id}/test`, and the forms of `/v1/webhooks/test` that the reference documents show.

use actix_web::HttpResponse;
use std::borrow::Cow;

use actix_web::web::{Data, Path};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{blocking, view};
use crate::actions::test_event::TestEvent;
use crate::http::App;
use crate::http::api::deliveries::IN_FULL;
use crate::http::api::openapi::{Call, Codes, schema};
use crate::http::api::table::Table;
use crate::http::error::ApiError;
use crate::http::extract;
use crate::http::extract::{Administrator, JsonBody};
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table, base: &str) {
    table.at(format!("{base}/webhooks/test")).post(by_body, describe_by_body);
    table.at(format!("{base}/webhooks/{{id}}/test")).post(by_id, describe_by_id);
}

const REFUSED: Codes = &["invalid_event_type"];

fn describe_by_id(call: &mut Call<'_>) {
    call.named("test_webhook", "Send a test")
        .of("Tests")
        .says("A real delivery, marked as a test: sent at once, whatever the state of the webhook, and attempted once. Answered when its receiver answered, or did not in time.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .takes::<TestBody>(r#"{"event_type": "content.published", "data": {"id": 7}}"#)
        .answers::<view::DeliveryView>(200, "The delivery with its attempt, whatever the receiver said.", IN_FULL)
        .fails(422, REFUSED);
}

fn describe_by_body(call: &mut Call<'_>) {
    call.named("test_by_body", "Send a test to one webhook, or to all that subscribed")
        .of("Tests")
        .says("Either to the webhook that `webhook_id` names; or an event to every webhook of the tenant that subscribed to its type, where the other fields become its data.")
        .needs(Scope::Admin)
        .takes::<TestForms>(r#"{"event": "content.published", "id": 7}"#)
        .answers::<Tested>(200, "The deliveries, each with its attempt, whatever the receivers said.", r#"{"data": [],
            "message": "No webhook subscribed to this event type, so nothing was sent."}"#)
        .fails(404, &["not_found"])
        .fails(422, REFUSED);
}

/// The two forms, as their schema names them.
enum TestForms {}

impl JsonSchema for TestForms {
    fn schema_name() -> Cow<'static, str> {
        "TestForms".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let one = schemas.subschema_for::<OneWebhook>();
        let event = schemas.subschema_for::<schema::EventTypeName>();
        json_schema!({"anyOf": [one, {
            "type": "object",
            "description": "To every webhook that subscribed. Fields beside `event` become the data.",
            "properties": {"event": event},
            "required": ["event"],
            "additionalProperties": true,
        }]})
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Test")]
struct TestBody {
    /// The type of the event; the first that the webhook names where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::EventTypeName>")]
    event_type: Option<String>,
    /// The data; the type's example, or else `{}`, where left out.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// `POST /v1/webhooks/{id}/test`: sends at once and waits for the answer.
async fn by_id(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let TestBody { event_type, data } = body.parse()?;
    let test = TestEvent { event_type, data: data.map(|raw| raw.get().into()) };
    let _permit = app.test_permit().await?;
    let actions = app.actions.clone();
    let full = blocking(move || actions.test_webhook(&caller, &id, test)).await??;
    Ok(HttpResponse::Ok().json(view::delivery_in_full(&full)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TestOfOneWebhook")]
struct OneWebhook {
    #[schemars(with = "schema::WebhookId")]
    webhook_id: String,
    /// The type of the event; the first that the webhook names where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::EventTypeName>")]
    event_type: Option<String>,
    /// The data; the type's example, or else `{}`, where left out.
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// The tests that were sent, each with its attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tests")]
struct Tested {
    data: Vec<view::DeliveryView>,
    /// Says so where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    message: Option<&'static str>,
}

/// `POST /v1/webhooks/test`: to one webhook by its id, or an event to every webhook that subscribed to it.
async fn by_body(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let EventForm { event, data } = extract::parse(body.bytes())?;
    let actions = app.actions.clone();
    let _permit = app.test_permit().await?;
    let sent = match event {
        Some(event) => blocking(move || actions.test_subscribers(&caller, &event, data)).await??,
        None => {
            let OneWebhook { webhook_id, event_type, data } = body.parse()?;
            let test = TestEvent { event_type, data: data.map(|raw| raw.get().into()) };
            vec![blocking(move || actions.test_webhook(&caller, &webhook_id, test)).await??]
        }
    };
    Ok(HttpResponse::Ok().json(Tested {
        data: sent.iter().map(view::delivery_in_full).collect(),
        message: sent.is_empty().then_some("No webhook subscribed to this event type, so nothing was sent."),
    }))
}

/// `{"event": …, anything else}`: the other fields, where there are any, become the data, spelled as they came.
/// Without `event` it is the other form.
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
