//! Requests that receivers get, by profile: the `webhooks` of the specification.

use serde_json::{Map, Value, json};

use crate::profile::body_format::{self, Envelope};
use crate::profile::spec::Encoding;
use crate::profile::{self, Profile};

const TEMPLATE: &str = "The result of the profile's template for the event.";

/// Describes the deliveries of each built-in profile.
pub(super) fn webhooks() -> Value {
    let all = profile::builtin().values();
    all.map(|profile| (profile.name().to_owned(), json!({"post": delivery(profile)}))).collect::<Map<_, _>>().into()
}

fn delivery(profile: &Profile) -> Value {
    let spec = profile.spec();
    json!({
        "operationId": format!("receive_{}", spec.name.replace('-', "_")),
        "summary": format!("Delivery in the format of the profile {}", spec.name),
        "description": format!("{}. Sent to webhooks with this profile, again after each failure as its retry schedule says.", spec.title),
        "tags": ["Received deliveries"],
        "security": [],
        "parameters": headers(profile),
        "requestBody": body(profile),
        "responses": {
            "2XX": {"description": "Delivered."},
            "410": {"description": "The endpoint is gone. Depending on the profile, the webhook is disabled."},
            "4XX": {"description": "Failed. Retried on the schedule."},
            "5XX": {"description": "Failed. Retried on the schedule; with 429 and 503, not before `Retry-After`."},
        },
    })
}

/// Describes the headers of a profile, and those of Standard Webhooks, which a webhook can turn off.
fn headers(profile: &Profile) -> Vec<Value> {
    let spec = profile.spec();
    let header = |name: &str, description: &str, required: bool| json!({"name": name, "in": "header", "description": description, "required": required, "schema": {"type": "string"}});
    let own = spec.headers.keys().map(|name| header(name, "Header of the profile.", true));
    let signed = spec.signatures.iter().map(|signature| {
        let encoding = match signature.encoding {
            Encoding::Hex => "hexadecimal digits",
            Encoding::Base64 => "base64",
        };
        let description = format!("HMAC-SHA256 of `{}` in {encoding}, as `{}`.", signature.content, signature.template);
        header(&signature.header, &description, true)
    });
    let mut all: Vec<Value> = own.chain(signed).collect();
    let standard = [
        ("webhook-id", "Id of the event, the same over all attempts."),
        ("webhook-timestamp", "Time of the attempt in seconds since 1970."),
        ("webhook-signature", "Signatures by Standard Webhooks 1.0.0, separated by spaces."),
    ];
    for (name, description) in standard {
        if all.iter().all(|header| header["name"] != name) {
            all.push(header(name, description, false));
        }
    }
    all
}

/// Describes the body. Data alone is called an object, though it can be any JSON: generators fail on such a schema here.
fn body(profile: &Profile) -> Value {
    let spec = profile.spec();
    let (description, media) = match &spec.envelope {
        Some(Envelope::Fields(fields)) => {
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name.clone(), value(&field.value))).collect();
            let is_always = |field: &&body_format::Field| !matches!(field.value, body_format::Value::Test);
            let required: Vec<&str> = fields.iter().filter(is_always).map(|field| field.name.as_str()).collect();
            let schema = json!({"type": "object", "properties": properties, "required": required});
            ("The event.", json!({"schema": schema}))
        }
        Some(Envelope::DataAlone) => {
            ("The data of the event, as it was published.", json!({"schema": {"type": "object"}}))
        }
        None if spec.content_type.starts_with("text/") => (TEMPLATE, json!({"schema": {"type": "string"}})),
        None => (TEMPLATE, json!({"schema": {"type": "object"}})),
    };
    json!({"description": description, "required": true, "content": {spec.content_type.as_str(): media}})
}

fn value(value: &body_format::Value) -> Value {
    use body_format::Value as Field;
    match value {
        Field::Id => json!({"type": "string", "description": "Id of the event."}),
        Field::Type => json!({"type": "string", "description": "Event type."}),
        Field::CreatedRfc3339 => json!({"type": "string", "format": "date-time", "description": "Time of the event."}),
        Field::CreatedUnix => json!({"type": "integer", "description": "Time of the event in seconds since 1970."}),
        Field::Data => json!({"description": "Data of the event."}),
        Field::PreviousData => json!({"description": "Earlier data; `null` if the event has none."}),
        Field::Test => json!({"type": "boolean", "const": true, "description": "Only on test events."}),
        Field::Text(text) => json!({"type": "string", "const": text}),
    }
}
