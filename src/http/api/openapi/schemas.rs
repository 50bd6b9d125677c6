//! Named schemas of the request and response types.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

const RESPONSE: &str = "#/components/schemas/";
const REQUEST: &str = "#/requests/";

/// Two collections, merged in the end: a type may differ between requests and responses, because a field with a default
/// is optional in a request and always present in a response.
pub(super) struct Schemas {
    request: SchemaGenerator,
    response: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Schemas {
        let settings = |path: &str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.meta_schema = None;
                settings.definitions_path = path.trim_start_matches('#').trim_end_matches('/').to_owned().into();
            })
        };
        Schemas {
            request: settings(REQUEST).for_deserialize().into_generator(),
            response: settings(RESPONSE).for_serialize().into_generator(),
        }
    }

    /// Returns the schema of a request type, as a reference if it has a name.
    pub(super) fn request<T: JsonSchema>(&mut self) -> Value {
        self.request.subschema_for::<T>().to_value()
    }

    /// Like [`Schemas::request`], but never a reference.
    pub(super) fn request_fields<T: JsonSchema>(&mut self) -> Schema {
        T::json_schema(&mut self.request)
    }

    /// Returns the schema of a response type, as a reference if it has a name.
    pub(super) fn response<T: JsonSchema>(&mut self) -> Value {
        self.response.subschema_for::<T>().to_value()
    }

    /// Inserts all named schemas into `components` and resolves the references to them.
    pub(super) fn insert_into(mut self, document: &mut Value) {
        let mut all = self.response.take_definitions(true);
        let requests = self.request.take_definitions(true);
        let is_shared = |name: &str, definition: &Value| {
            let text = definition.to_string().replace(REQUEST, RESPONSE);
            let request: Option<Value> = serde_json::from_str(&text).ok();
            all.get(name).is_none_or(|response| Some(response) == request.as_ref())
        };
        let names: Map<String, Value> = requests
            .iter()
            .map(|(name, definition)| {
                let final_name = if is_shared(name, definition) { name.clone() } else { format!("New{name}") };
                (name.clone(), Value::from(final_name))
            })
            .collect();
        for (name, definition) in requests {
            let name = names[&name].as_str().unwrap_or_default().to_owned();
            all.entry(name).or_insert(definition);
        }
        let mut sorted: Vec<(String, Value)> = all.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        document["components"]["schemas"] = sorted.into_iter().collect::<Map<_, _>>().into();
        tidy(document, &names);
    }
}

/// Renames references, joins the lines of descriptions, and removes defaults of null and Rust's number formats.
fn tidy(value: &mut Value, names: &Map<String, Value>) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| tidy(element, names)),
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(REQUEST)
            {
                *target = format!("{RESPONSE}{}", names[name].as_str().unwrap_or_default());
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            let is_number = |format: &str| format.starts_with("uint") || format == "double";
            if fields.get("format").and_then(Value::as_str).is_some_and(is_number) {
                fields.shift_remove("format");
            }
            let is_described = fields.contains_key("type") || fields.contains_key("anyOf") || fields.len() == 1;
            if is_described && fields.get("default").is_some_and(Value::is_null) {
                fields.shift_remove("default");
            }
            fields.values_mut().for_each(|field| tidy(field, names));
        }
        _ => {}
    }
}
