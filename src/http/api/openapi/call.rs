//! Builder of the operation of one call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::document::{Codes, error_response, retry_after};
use super::schema::IdempotencyKey;
use super::schemas::Schemas;
use crate::http::api::list::ListResponse;
use crate::store::api_key::Scope;

/// Codes of the errors that any JSON body can cause.
const BODY_422: Codes =
    &["unknown_field", "missing_field", "duplicate_field", "invalid_type", "too_deep", "lone_surrogate"];

/// An operation under construction.
pub struct Call<'a> {
    schemas: &'a mut Schemas,
    operation: Operation,
    errors: BTreeMap<u16, Vec<&'static str>>,
}

/// An OpenAPI operation.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    operation_id: &'static str,
    summary: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    tags: Vec<&'static str>,
    security: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<RequestBody>,
    /// By status. Common responses are references.
    responses: BTreeMap<u16, Value>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: &'static str,
    description: String,
    required: bool,
    schema: Value,
}

#[derive(Serialize)]
struct RequestBody {
    required: bool,
    content: BTreeMap<&'static str, Media>,
}

#[derive(Serialize)]
struct Media {
    schema: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Value>,
}

#[derive(Serialize)]
struct ResponseSpec {
    description: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    content: BTreeMap<&'static str, Media>,
}

/// Returns the schema of a media type other than JSON. OpenAPI 3.1 describes binary content with an empty schema.
fn schema_of_type(media_type: &str) -> Value {
    if media_type.starts_with("text/") { json!({"type": "string"}) } else { json!({}) }
}

fn parse_example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("an example: {error}: {text}"))
}

impl<'a> Call<'a> {
    pub(super) fn new(schemas: &'a mut Schemas) -> Call<'a> {
        Call { schemas, operation: Operation::default(), errors: BTreeMap::new() }
    }

    /// Sets the group, the unique id and the title.
    pub fn operation(&mut self, tag: &'static str, id: &'static str, summary: &'static str) -> &mut Self {
        self.operation.tags = vec![tag];
        self.operation.operation_id = id;
        self.operation.summary = summary;
        self
    }

    pub fn description(&mut self, text: &str) -> &mut Self {
        self.operation.description = text.to_owned();
        self
    }

    /// Requires a key with this scope.
    pub fn scope(&mut self, scope: Scope) -> &mut Self {
        let scheme = |name: &str| Map::from_iter([(name.to_owned(), json!([scope.to_string()]))]);
        self.operation.security = vec![scheme("bearer"), scheme("api_key")];
        self.common_responses(&[
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (429, "TooManyRequests"),
            (500, "Internal"),
            (503, "Unavailable"),
        ])
    }

    /// Describes that the call waits for an endpoint to respond. Comes after the scope.
    pub fn waits_for_receiver(&mut self) -> &mut Self {
        self.limited(&["too_many_calls"])
    }

    /// Describes that the call is a job on many rows. Comes after the scope.
    pub fn is_job(&mut self) -> &mut Self {
        self.limited(&["too_many_jobs"])
    }

    /// Describes that the call queues deliveries. Comes after the scope.
    pub fn queues_deliveries(&mut self) -> &mut Self {
        self.limited(&["queue_full"])
    }

    /// Describes that the call stores something for a tenant.
    pub fn stores_for_tenant(&mut self) -> &mut Self {
        self.errors(409, &["tenant_being_deleted"])
    }

    /// Adds codes of a 429, which every call with a key has.
    fn limited(&mut self, codes: Codes) -> &mut Self {
        self.errors(429, &["rate_limited"]).errors(429, codes)
    }

    fn common_responses(&mut self, responses: &[(u16, &str)]) -> &mut Self {
        for (status, name) in responses {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            self.operation.responses.insert(*status, reference);
        }
        self
    }

    /// Adds a path parameter with the description of its type, and the 404 for an unknown one.
    pub fn path_parameter<T: JsonSchema>(&mut self, name: &str) -> &mut Self {
        let described = self.schemas.request_fields::<T>();
        let description = described.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        let schema = self.schemas.request::<T>();
        self.parameter(name, "path", description, schema).errors(404, &["not_found"])
    }

    /// Adds an optional header.
    pub fn header_parameter<T: JsonSchema>(&mut self, name: &str, description: &str) -> &mut Self {
        let schema = self.schemas.request::<T>();
        self.parameter(name, "header", description.to_owned(), schema)
    }

    /// Describes that the answer to an `Idempotency-Key` is kept and repeated.
    pub(super) fn keeps_answer(&mut self) -> &mut Self {
        self.header_parameter::<IdempotencyKey>(
            "Idempotency-Key",
            "Makes the call safe to repeat for 24 hours: the same call with the same API key gets the same response again, with `Idempotency-Replayed: true`.",
        )
        .errors(409, &["idempotency_key_reused", "idempotency_key_in_use", "answer_not_kept"])
        .errors(422, &["invalid_idempotency_key"])
    }

    /// Adds the fields of a type as optional query parameters.
    pub fn query_parameters<T: JsonSchema>(&mut self) -> &mut Self {
        let schema = self.schemas.request_fields::<T>();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut schema = without_null(schema.clone());
            let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
            let description = description.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
            self.parameter(name, "query", description, schema);
        }
        self.errors(422, &["unknown_parameter"])
    }

    fn parameter(&mut self, name: &str, place: &'static str, description: String, schema: Value) -> &mut Self {
        let name = name.to_owned();
        self.operation.parameters.push(Parameter { name, place, description, required: place == "path", schema });
        self
    }

    /// Makes a query parameter required.
    pub fn requires(&mut self, name: &str) -> &mut Self {
        for parameter in self.operation.parameters.iter_mut().filter(|parameter| parameter.name == name) {
            parameter.required = true;
        }
        self
    }

    /// Removes parameters that a query type has and this call does not.
    pub fn without_parameters(&mut self, names: &[&str]) -> &mut Self {
        self.operation.parameters.retain(|parameter| !names.contains(&parameter.name.as_str()));
        self
    }

    /// Describes a paginated list of `V` with the query parameters of `Q`.
    pub fn list<Q: JsonSchema, V: JsonSchema>(&mut self) -> &mut Self {
        self.query_parameters::<Q>().errors(422, &["invalid_limit", "invalid_cursor"]).response::<ListResponse<V>>(
            200,
            "One page of the list.",
            r#"{"data": [], "next_cursor": null}"#,
        )
    }

    /// Sets the JSON body, with an example. The body is optional if `{}` is valid.
    pub fn request_body<T: JsonSchema>(&mut self, example: &str) -> &mut Self {
        let schema = self.schemas.request::<T>();
        let fields = self.schemas.request_fields::<T>();
        let is_object = fields.get("type").is_some_and(|kind| kind == "object");
        let has_required = fields.get("required").is_some();
        let media = Media { schema, example: Some(parse_example(example)) };
        self.operation.request_body = Some(RequestBody {
            required: !is_object || has_required,
            content: BTreeMap::from([("application/json", media)]),
        });
        self.common_responses(&[(400, "Malformed"), (413, "TooLarge"), (415, "WrongMediaType")]);
        self.errors(422, BODY_422)
    }

    /// Also accepts the elements of the body's array as NDJSON.
    pub fn request_ndjson(&mut self) -> &mut Self {
        if let Some(body) = &mut self.operation.request_body
            && let Some(json) = body.content.get("application/json")
        {
            let lines = Media { schema: json.schema.clone(), example: None };
            body.content.insert("application/x-ndjson", lines);
        }
        self
    }

    /// Adds a JSON response, with an example.
    pub fn response<T: JsonSchema>(&mut self, status: u16, description: &'static str, example: &str) -> &mut Self {
        let media = Media { schema: self.schemas.response::<T>(), example: Some(parse_example(example)) };
        self.insert_response(status, description, Some(("application/json", media)), Map::new())
    }

    /// Adds the header with the version of the resource to a response.
    pub fn etag(&mut self, status: u16) -> &mut Self {
        if let Some(Value::Object(response)) = self.operation.responses.get_mut(&status) {
            let headers = response.entry("headers").or_insert_with(|| json!({}));
            headers["ETag"] =
                json!({"description": "Version of the resource.", "required": true, "schema": {"type": "string"}});
        }
        self
    }

    /// Describes `ETag` and `If-None-Match` of a GET.
    pub fn answers_if_changed(&mut self) -> &mut Self {
        self.header_parameter::<String>("If-None-Match", "ETag of the version that the client has.")
            .etag(200)
            .insert_response(304, "The client has this version.", None, Map::new())
            .etag(304)
    }

    /// Describes `If-Match` of a change.
    pub fn takes_if_match(&mut self) -> &mut Self {
        let description = "ETag of the version to change. If the resource has another one, nothing is changed.";
        self.header_parameter::<String>("If-Match", description).errors(412, &["precondition_failed"])
    }

    /// Links a response to calls whose path parameter `id` it contains, at a JSON pointer.
    pub fn links(&mut self, status: u16, pointer: &str, calls: &[&str]) -> &mut Self {
        if let Some(Value::Object(response)) = self.operation.responses.get_mut(&status) {
            let links = response.entry("links").or_insert_with(|| json!({}));
            for call in calls {
                links[*call] = json!({"operationId": call, "parameters": {"id": format!("$response.body#{pointer}")}});
            }
        }
        self
    }

    /// Adds an NDJSON response with one `T` per line.
    pub fn response_ndjson<T: JsonSchema>(&mut self, description: &'static str) -> &mut Self {
        let media = Media { schema: self.schemas.response::<Vec<T>>(), example: None };
        self.insert_response(200, description, Some(("application/x-ndjson", media)), Map::new())
    }

    /// Adds a response of another media type.
    pub fn response_of_type(&mut self, media_type: &'static str, description: &'static str) -> &mut Self {
        let media = Media { schema: schema_of_type(media_type), example: None };
        self.insert_response(200, description, Some((media_type, media)), Map::new())
    }

    /// Adds further media types of the 200 response.
    pub fn or_of_types(&mut self, media_types: &[&'static str]) -> &mut Self {
        for media_type in media_types {
            let schema = json!({"schema": schema_of_type(media_type)});
            self.operation.responses.entry(200).or_default()["content"][media_type] = schema;
        }
        self
    }

    /// Adds a 204 response.
    pub fn no_content(&mut self, description: &'static str) -> &mut Self {
        self.insert_response(204, description, None, Map::new())
    }

    fn insert_response(
        &mut self,
        status: u16,
        description: &'static str,
        media: Option<(&'static str, Media)>,
        headers: Map<String, Value>,
    ) -> &mut Self {
        let mut headers = headers;
        if status == 201 {
            let schema = json!({"type": "string", "format": "uri-reference"});
            headers.insert(
                "Location".to_owned(),
                json!({"description": "Path of the new resource.", "required": true, "schema": schema}),
            );
        }
        let response = ResponseSpec { description, headers, content: media.into_iter().collect() };
        let response = serde_json::to_value(response).expect("a response is plain data");
        self.operation.responses.insert(status, response);
        self
    }

    /// Adds error codes of a status.
    pub fn errors(&mut self, status: u16, codes: Codes) -> &mut Self {
        let known = self.errors.entry(status).or_default();
        for code in codes {
            if !known.contains(code) {
                known.push(code);
            }
        }
        self
    }

    pub(super) fn finish(mut self) -> Operation {
        for (status, codes) in std::mem::take(&mut self.errors) {
            let description = match status {
                404 => "The resource does not exist or belongs to another tenant.",
                409 => "Conflicts with the current state.",
                412 => "The resource has changed since the version in `If-Match`.",
                422 => "Validation failed.",
                429 => "A rate limit or another limit of the tenant is exceeded; see `Retry-After`.",
                503 => "Temporarily unavailable.",
                _ => "An error.",
            };
            let mut response = error_response(description, &codes);
            if matches!(status, 429 | 503) {
                response["headers"] = retry_after().into();
            }
            self.operation.responses.insert(status, response);
        }
        self.operation
    }
}

/// Removes `null` from a schema.
pub(super) fn without_null(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        if let Some(Value::Array(choices)) = fields.shift_remove("anyOf") {
            let kept = choices.into_iter().find(|choice| choice["type"] != "null");
            if let Some(Value::Object(kept)) = kept {
                fields.extend(kept);
            }
        }
        if let Some(kinds) = fields.get_mut("type")
            && let Value::Array(all) = kinds
        {
            all.retain(|kind| kind != "null");
            if let [one] = all.as_slice() {
                *kinds = one.clone();
            }
        }
    }
    schema
}
