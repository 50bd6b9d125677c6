//! The test calls: `/v1/webhooks/{id}/test`, and the forms of `/v1/webhooks/test` that the reference documents show.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, ServiceConfig};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody};
use super::{blocking, resource, view};
use crate::actions::test_event::TestEvent;

pub(super) fn routes(config: &mut ServiceConfig, base: &str) {
    config.service(resource(&format!("{base}/webhooks/test")).route(web::post().to(by_body)));
    config.service(resource(&format!("{base}/webhooks/{{id}}/test")).route(web::post().to(by_id)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    #[serde(default)]
    event_type: Option<String>,
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
    let test = TestEvent {
        event_type,
        data: data.map(|raw| raw.get().into()),
    };
    let _permit = permit(&app).await?;
    let actions = app.actions.clone();
    let full = blocking(move || actions.test_webhook(&caller, &id, test)).await?;
    Ok(HttpResponse::Ok().json(view::delivery_in_full(&full)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneWebhook {
    webhook_id: String,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// The tests that were sent, each with its attempt.
#[derive(Serialize)]
struct Tested {
    data: Vec<view::DeliveryView>,
    /// Where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    let _permit = permit(&app).await?;
    let sent = match event {
        Some(event) => blocking(move || actions.test_subscribers(&caller, &event, data)).await?,
        None => {
            let OneWebhook {
                webhook_id,
                event_type,
                data,
            } = body.parse()?;
            let test = TestEvent {
                event_type,
                data: data.map(|raw| raw.get().into()),
            };
            vec![blocking(move || actions.test_webhook(&caller, &webhook_id, test)).await?]
        }
    };
    Ok(HttpResponse::Ok().json(Tested {
        data: sent.iter().map(view::delivery_in_full).collect(),
        message: sent
            .is_empty()
            .then_some("No webhook subscribed to this event type, so nothing was sent."),
    }))
}

/// Waits for its turn among the tests under way.
async fn permit(app: &App) -> Result<tokio::sync::SemaphorePermit<'_>, ApiError> {
    app.tests
        .acquire()
        .await
        .map_err(|_| ApiError::unavailable("stopping", "Hookpost is stopping."))
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
                let mut form = EventForm {
                    event: None,
                    data: None,
                };
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
