//! What one call does, takes and answers.

use std::collections::BTreeMap;

use actix_web::http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::http::api::openapi::document::{Codes, codes_schema};
use crate::http::api::openapi::schemas::Schemas;
use crate::store::api_key::Scope;

/// Codes of bodies that are no JSON object of the fields that are taken.
const BODY_422: Codes =
    &["unknown_field", "missing_field", "duplicate_field", "invalid_type", "too_deep", "lone_surrogate"];

/// An operation in the making.
pub struct Call<'a> {
    schemas: &'a mut Schemas,
    is_alias: bool,
    pub(super) operation: Operation,
    errors: BTreeMap<u16, Vec<&'static str>>,
}

/// As OpenAPI spells it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    operation_id: String,
    summary: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    pub(super) tags: Vec<&'static str>,
    security: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<RequestBody>,
    /// By status; of one status in full, of the common ones by reference.
    responses: BTreeMap<u16, Value>,
}

#[derive(Serialize)]
pub(super) struct Parameter {
    name: String,
    #[serde(rename = "in")]
    pub(super) place: &'static str,
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

/// A call that may follow, and the parameter of its path that an answer holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    operation_id: String,
    parameters: Map<String, Value>,
}

/// An example as it is written beside the call.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("an example: {error}: {text}"))
}

impl<'a> Call<'a> {
    pub(super) fn new(schemas: &'a mut Schemas, path: &str) -> Call<'a> {
        Call { schemas, is_alias: path.starts_with("/api/"), operation: Operation::default(), errors: BTreeMap::new() }
    }

    /// Its id, and what it does in a few words.
    pub(in super::super) fn named(&mut self, id: &str, summary: &str) -> &mut Self {
        let suffix = if self.is_alias { " (the same as under /v1)" } else { "" };
        self.operation.operation_id = self.id(id);
        self.operation.summary = format!("{summary}{suffix}");
        self
    }

    /// Ids are unique, so those of calls that are there twice differ.
    fn id(&self, id: &str) -> String {
        if self.is_alias { format!("api_{id}") } else { id.to_owned() }
    }

    /// The group that it stands in.
    pub(in super::super) fn of(&mut self, tag: &'static str) -> &mut Self {
        self.operation.tags = vec![tag];
        self
    }

    /// What there is to know beyond its name.
    pub(in super::super) fn says(&mut self, text: &str) -> &mut Self {
        self.operation.description = text.to_owned();
        self
    }

    /// The scope that a key must have.
    pub(in super::super) fn needs(&mut self, scope: Scope) -> &mut Self {
        let by = |scheme: &str| Map::from_iter([(scheme.to_owned(), json!([scope.into_str()]))]);
        self.operation.security = vec![by("bearer"), by("api_key")];
        self.common(&[
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (429, "TooManyRequests"),
            (500, "Internal"),
            (503, "Unavailable"),
        ])
    }

    /// Answers that many calls share.
    fn common(&mut self, answers: &[(u16, &str)]) -> &mut Self {
        for (status, name) in answers {
            let common = json!({"$ref": format!("#/components/responses/{name}")});
            self.operation.responses.insert(*status, common);
        }
        self
    }

    /// The parameter of its path. What it names may not be there.
    pub(in super::super) fn path<T: JsonSchema>(&mut self, name: &str, what: &str) -> &mut Self {
        let schema = self.schemas.taken::<T>();
        self.operation.parameters.push(Parameter {
            name: name.to_owned(),
            place: "path",
            description: what.to_owned(),
            required: true,
            schema,
        });
        self.fails(404, &["not_found"])
    }

    /// Parameters of the query, all of them optional: the fields of a type.
    pub(in super::super) fn query<T: JsonSchema>(&mut self) -> &mut Self {
        let fields = self.schemas.fields_taken::<T>();
        let fields = fields.get("properties").and_then(Value::as_object);
        for (name, schema) in fields.into_iter().flatten() {
            let mut schema = without_null(schema.clone());
            let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
            self.operation.parameters.push(Parameter {
                name: name.clone(),
                place: "query",
                description: description.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default(),
                required: false,
                schema,
            });
        }
        self.fails(422, &["unknown_parameter"])
    }

    /// The same for a list that comes in pages.
    pub(in super::super) fn pages<T: JsonSchema>(&mut self) -> &mut Self {
        self.query::<T>().fails(422, &["invalid_limit", "invalid_cursor"])
    }

    /// Takes parameters back that a type has, and this call does not.
    pub(in super::super) fn without(&mut self, names: &[&str]) -> &mut Self {
        let parameters = &mut self.operation.parameters;
        parameters.retain(|parameter| !names.contains(&parameter.name.as_str()));
        self
    }

    /// An optional header.
    pub(in super::super) fn header<T: JsonSchema>(&mut self, name: &str, what: &str) -> &mut Self {
        let schema = self.schemas.taken::<T>();
        self.operation.parameters.push(Parameter {
            name: name.to_owned(),
            place: "header",
            description: what.to_owned(),
            required: false,
            schema,
        });
        self
    }

    /// A JSON body, with an example. Where it may be `{}`, it may be left out.
    pub(in super::super) fn takes<T: JsonSchema>(&mut self, text: &str) -> &mut Self {
        let schema = self.schemas.taken::<T>();
        let fields = self.schemas.fields_taken::<T>();
        let is_object = fields.get("type").is_some_and(|kind| kind == "object");
        let needs_some = fields.get("required").is_some() || fields.get("anyOf").is_some();
        let required = !is_object || needs_some;
        let media = Media { schema, example: Some(example(text)) };
        self.operation.request_body =
            Some(RequestBody { required, content: BTreeMap::from([("application/json", media)]) });
        self.common(&[(400, "Malformed"), (413, "TooLarge"), (415, "WrongMediaType")]);
        self.fails(422, BODY_422)
    }

    /// The same body with a line for each element of its array.
    pub(in super::super) fn takes_lines_too(&mut self) -> &mut Self {
        if let Some(body) = &mut self.operation.request_body
            && let Some(json) = body.content.get("application/json")
        {
            let lines = Media { schema: json.schema.clone(), example: None };
            body.content.insert("application/x-ndjson", lines);
        }
        self
    }

    /// A JSON answer, with an example.
    pub(in super::super) fn answers<T: JsonSchema>(
        &mut self,
        status: u16,
        what: &'static str,
        text: &str,
    ) -> &mut Self {
        let media = Media { schema: self.schemas.shown::<T>(), example: Some(example(text)) };
        self.answer(status, what, Some(("application/json", media)), Map::new())
    }

    /// Calls that may follow such an answer, on what stands in it (a JSON pointer).
    pub(in super::super) fn leads_to(&mut self, status: u16, pointer: &str, calls: &[&str]) -> &mut Self {
        let links: Map<String, Value> = calls
            .iter()
            .map(|call| {
                let from = Value::from(format!("$response.body#{pointer}"));
                let link = Link { operation_id: self.id(call), parameters: Map::from_iter([("id".to_owned(), from)]) };
                let link = serde_json::to_value(link).expect("a link is plain data");
                ((*call).to_owned(), link)
            })
            .collect();
        if let Some(Value::Object(answer)) = self.operation.responses.get_mut(&status) {
            let known = answer.entry("links").or_insert_with(|| json!({}));
            known.as_object_mut().into_iter().for_each(|known| known.extend(links.clone()));
        }
        self
    }

    /// An answer of lines, each of this type.
    pub(in super::super) fn answers_lines<T: JsonSchema>(&mut self, what: &'static str) -> &mut Self {
        let media = Media { schema: self.schemas.shown::<Vec<T>>(), example: None };
        self.answer(200, what, Some(("application/x-ndjson", media)), Map::new())
    }

    /// An answer that is no JSON.
    pub(in super::super) fn answers_other(&mut self, media_type: &'static str, what: &'static str) -> &mut Self {
        // OpenAPI 3.1 describes bytes with an empty schema.
        let schema = if media_type.starts_with("text/") { json!({"type": "string"}) } else { json!({}) };
        let media = Media { schema, example: None };
        self.answer(200, what, Some((media_type, media)), Map::new())
    }

    /// An answer without a body.
    pub(in super::super) fn answers_nothing(&mut self, what: &'static str) -> &mut Self {
        self.answer(204, what, None, Map::new())
    }

    fn answer(
        &mut self,
        status: u16,
        description: &'static str,
        media: Option<(&'static str, Media)>,
        headers: Map<String, Value>,
    ) -> &mut Self {
        let response = ResponseSpec { description, headers, content: media.into_iter().collect() };
        let response = serde_json::to_value(response).expect("a response is plain data");
        self.operation.responses.insert(status, response);
        self
    }

    /// Codes of errors that it may answer.
    pub(in super::super) fn fails(&mut self, status: u16, codes: Codes) -> &mut Self {
        let known = self.errors.entry(status).or_default();
        for code in codes {
            if !known.contains(code) {
                known.push(code);
            }
        }
        self
    }

    /// The operation, complete.
    pub(super) fn finish(mut self, method: &Method) -> Operation {
        debug_assert!(!self.operation.summary.is_empty(), "{method} has no name");
        for (status, codes) in std::mem::take(&mut self.errors) {
            let what = match status {
                404 => "There is no such thing, or it is another tenant's.",
                409 => "It makes no sense as things stand.",
                422 => "It was understood, and is wrong.",
                503 => "It may work in a moment.",
                _ => "An error.",
            };
            let media = Media { schema: codes_schema(&codes), example: None };
            let headers = match status {
                503 => super::document::retry_after(),
                _ => Map::new(),
            };
            self.answer(status, what, Some(("application/json", media)), headers);
        }
        self.operation
    }
}

/// A parameter is there or is not; it is never null.
fn without_null(mut schema: Value) -> Value {
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
