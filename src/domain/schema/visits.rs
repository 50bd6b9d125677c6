//! Cost of a check, counted in visits of values.

use std::any::Any;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

use jsonschema::{Keyword, ValidationError};
use serde_json::{Value, json};

/// Stack of a check, for a schema that consists of one chain of references and is followed again at each of the 128 levels
/// that data may have. Memory is taken as it is used: some 100 KiB for usual schemas.
const STACK_BYTES: usize = 64 << 20;

/// Keyword that counts a visit. Accepts every value.
pub(super) const VISIT: &str = "hookpost:visit";

/// Bytes of a string, values of an array or object, and bytes of the stack that count as another visit. A violation names
/// each reference that leads to it, so that its memory grows with the depth.
const BYTES_PER_VISIT: usize = 256;
const VALUES_PER_VISIT: usize = 16;
const STACK_PER_VISIT: usize = 4 << 10;

/// Visits left for the checks of one call: a bound of their time and memory that does not depend on a clock.
#[derive(Debug)]
pub struct CheckBudget {
    /// For deciding whether data is valid: some seconds. 16 MiB of numbers take a few million.
    pub(super) deciding: u64,
    /// For naming violations: a fraction of a second. Each visit may allocate.
    pub(super) naming: u64,
}

impl Default for CheckBudget {
    fn default() -> CheckBudget {
        CheckBudget { deciding: 50_000_000, naming: 100_000 }
    }
}

thread_local! {
    /// Visits left for the check on this thread. A keyword has no other way to know.
    static VISITS: Cell<u64> = const { Cell::new(u64::MAX) };
    /// Address of the stack where the check begins.
    static BEGAN_AT: Cell<usize> = const { Cell::new(0) };
}

#[inline(never)]
fn stack_address() -> usize {
    let here = 0u8;
    std::ptr::from_ref(&here).addr()
}

/// Payload of the unwinding that ends a check.
struct UsedUp;

/// Runs work on a thread with a large stack. The error is that of its panic, or that no thread could be started.
pub(super) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> thread::Result<T> {
    thread::scope(|scope| {
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        started.map_err(|error| -> Box<dyn Any + Send> { Box::new(error) })?.join()
    })
}

/// Runs a check within a budget. Returns `None` if the budget is used up.
pub(super) fn within<T: Send>(budget: &mut u64, check: impl FnOnce() -> T + Send) -> Option<T> {
    let visits = std::mem::take(budget);
    let done = on_deep_stack(|| {
        VISITS.set(visits);
        BEGAN_AT.set(stack_address());
        let done = check();
        (done, VISITS.get())
    });
    match done {
        Ok((done, left)) => {
            *budget = left;
            Some(done)
        }
        Err(end) if end.is::<UsedUp>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

pub(super) struct Visit;

impl Visit {
    fn count(value: &Value) {
        let more = match value {
            Value::String(text) => text.len() / BYTES_PER_VISIT,
            Value::Array(values) => values.len() / VALUES_PER_VISIT,
            Value::Object(fields) => fields.len() / VALUES_PER_VISIT,
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        let depth = BEGAN_AT.get().abs_diff(stack_address()) / STACK_PER_VISIT;
        match VISITS.get().checked_sub(1 + (more + depth) as u64) {
            Some(left) => VISITS.set(left),
            // Unlike a panic, it prints no message.
            None => resume_unwind(Box::new(UsedUp)),
        }
    }
}

impl Keyword for Visit {
    fn validate<'i>(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        Visit::count(value);
        Ok(())
    }

    fn is_valid(&self, value: &Value) -> bool {
        Visit::count(value);
        true
    }
}

/// Adds the keyword to every subschema, at the end of its `allOf`, so that no JSON pointer changes its meaning. There it
/// is evaluated before `anyOf`, `oneOf` and references, also if they fail. A lone reference is wrapped, because drafts up
/// to 7 ignore whatever stands beside it.
pub(super) fn count_visits(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(count_visits),
        Value::Object(keywords) => {
            for (keyword, value) in keywords.iter_mut() {
                match keyword.as_str() {
                    "const" | "enum" | "default" | "examples" | "dependentRequired" | "$vocabulary" => {}
                    "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                    | "dependencies" => {
                        if let Value::Object(by_name) = value {
                            by_name.values_mut().for_each(count_visits);
                        }
                    }
                    _ => count_visits(value),
                }
            }
            let visit = || json!({ VISIT: true });
            if keywords.len() == 1 && keywords.contains_key("$ref") {
                let reference = Value::Object(std::mem::take(keywords));
                keywords.insert("allOf".to_owned(), json!([visit(), reference]));
                return;
            }
            match keywords.get_mut("allOf") {
                None => _ = keywords.insert("allOf".to_owned(), json!([visit()])),
                Some(Value::Array(all)) if !all.is_empty() => all.push(visit()),
                // Refused when the schema is compiled.
                Some(_) => {}
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
