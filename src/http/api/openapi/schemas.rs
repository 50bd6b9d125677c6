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

/// Renames references, joins the lines of descriptions, and simplifies schemas for generators of clients.
fn tidy(value: &mut Value, names: &Map<String, Value>) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| tidy(element, names)),
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(REQUEST)
            {
                *target = format!("{RESPONSE}{}", names[name].as_str().unwrap_or_default());
            }
            let is_number = |format: &str| format.starts_with("uint") || format == "double";
            if fields.get("format").and_then(Value::as_str).is_some_and(is_number) {
                fields.shift_remove("format");
            }
            join_texts(fields);
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                properties.values_mut().for_each(tidy_property);
            }
            fields.values_mut().for_each(|field| tidy(field, names));
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
        }
        _ => {}
    }
}

/// Moves the default of a field into its description, since some generators require fields with a default, and
/// spells the schema of any value as an object, since some know no other schemas.
fn tidy_property(property: &mut Value) {
    if *property == Value::Bool(true) {
        *property = Value::Object(Map::new());
    }
    let Some(fields) = property.as_object_mut() else { return };
    let default = fields.shift_remove("default");
    let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    if let Some(default) = default.filter(|value| !value.is_null() && !description.contains("efault")) {
        let described = format!("{description} Default: `{default}`.").trim_start().to_owned();
        fields.insert("description".to_owned(), described.into());
    }
}

/// Replaces the texts in a choice, each with a description, by one list of texts.
fn join_texts(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let (texts, others): (Vec<&Value>, Vec<&Value>) = choices.iter().partition(|choice| choice["type"] == "string");
    if texts.len() < 2 {
        return;
    }
    let mut names = Vec::new();
    let mut described = Vec::new();
    for choice in texts {
        let own: Vec<&Value> = choice["enum"].as_array().into_iter().flatten().chain(choice.get("const")).collect();
        if let (Some(text), [Value::String(name)]) = (choice["description"].as_str(), own.as_slice()) {
            described.push(format!("`{name}`: {text}"));
        }
        names.extend(own.into_iter().cloned());
    }
    let mut joined = Map::from_iter([("type".to_owned(), "string".into()), ("enum".to_owned(), names.into())]);
    if others.is_empty() {
        described.splice(0..0, fields.get("description").and_then(Value::as_str).map(str::to_owned));
    }
    if !described.is_empty() {
        joined.insert("description".to_owned(), described.join(" ").into());
    }
    if others.is_empty() {
        fields.shift_remove("oneOf");
        fields.extend(joined);
    } else {
        let choices = [Value::from(joined)].into_iter().chain(others.into_iter().cloned());
        *fields.entry("oneOf").or_insert(Value::Null) = choices.collect::<Vec<_>>().into();
    }
}
