//! Schemas of the types that the API takes and of those that it shows, gathered under their names.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

const SHOWN: &str = "#/components/schemas/";
const TAKEN: &str = "#/taken/";

/// A type may be taken and shown in different forms: what has a default need not be sent, and is always shown. So
/// there are two collections, which become one in the end.
pub(super) struct Schemas {
    taken: SchemaGenerator,
    shown: SchemaGenerator,
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
            taken: settings(TAKEN).for_deserialize().into_generator(),
            shown: settings(SHOWN).for_serialize().into_generator(),
        }
    }

    /// The schema of what is taken, by reference where it has a name.
    pub(super) fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// The same with its fields in sight.
    pub(super) fn fields_taken<T: JsonSchema>(&mut self) -> Schema {
        T::json_schema(&mut self.taken)
    }

    /// The schema of what is shown, by reference where it has a name.
    pub(super) fn shown<T: JsonSchema>(&mut self) -> Value {
        self.shown.subschema_for::<T>().to_value()
    }

    /// Puts all that were named below `components`, and points every reference there.
    pub(super) fn settle(mut self, document: &mut Value) {
        let mut all = self.shown.take_definitions(true);
        let taken = self.taken.take_definitions(true);
        let in_place = |name: &str, definition: &Value| {
            let text = definition.to_string().replace(TAKEN, SHOWN);
            let taken: Option<Value> = serde_json::from_str(&text).ok();
            all.get(name).is_none_or(|shown| Some(shown) == taken.as_ref())
        };
        let names: Map<String, Value> = taken
            .iter()
            .map(|(name, definition)| {
                let final_name = if in_place(name, definition) { name.clone() } else { format!("New{name}") };
                (name.clone(), Value::from(final_name))
            })
            .collect();
        for (name, definition) in taken {
            let name = names[&name].as_str().unwrap_or_default().to_owned();
            all.entry(name).or_insert(definition);
        }
        let mut sorted: Vec<(String, Value)> = all.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        document["components"]["schemas"] = sorted.into_iter().collect::<Map<_, _>>().into();
        tidy(document, &names);
    }
}

/// Points references to their final names, and takes out what says nothing: a default of null, and formats that are
/// Rust's words for numbers.
fn tidy(value: &mut Value, names: &Map<String, Value>) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| tidy(element, names)),
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(TAKEN)
            {
                *target = format!("{SHOWN}{}", names[name].as_str().unwrap_or_default());
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            let is_number = |format: &str| format.starts_with("uint") || format == "double";
            if fields.get("format").and_then(Value::as_str).is_some_and(is_number) {
                fields.shift_remove("format");
            }
            if fields.contains_key("type") || fields.contains_key("anyOf") || fields.len() == 1 {
                let is_empty = |default: &Value| default.is_null();
                if fields.get("default").is_some_and(is_empty) {
                    fields.shift_remove("default");
                }
            }
            fields.values_mut().for_each(|field| tidy(field, names));
        }
        _ => {}
    }
}
