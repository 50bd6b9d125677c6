//! Rendering: statements to text, within a number of steps.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use super::number::{self, Operation};
use super::syntax::{Comparison, Expr, For, Kind, Place, Statement};
use super::value::{Object, Text, Value};
use super::{Fault, MAX_OUTPUT_BYTES, MAX_STEPS, Output};

/// Bytes that are read or built in one step.
const STEP_BYTES: usize = 64;

/// Renders statements with these names.
pub(super) fn render<'a>(
    source: &'a str,
    body: &'a [Statement],
    output: Output,
    names: Vec<(&'a str, Value<'a>)>,
) -> Result<String, Fault> {
    let mut renderer = Renderer { source, names, steps: 0, printer: Printer::new(output) };
    renderer.block(body)?;
    Ok(renderer.printer.text)
}

pub(super) struct Renderer<'a> {
    source: &'a str,
    /// Variables, the innermost last.
    names: Vec<(&'a str, Value<'a>)>,
    steps: u32,
    printer: Printer,
}

impl<'a> Renderer<'a> {
    /// Counts a step, and those for a number of bytes.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        let steps = u32::try_from(bytes / STEP_BYTES + 1).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(Fault::new(format!("The template takes more than {MAX_STEPS} steps with this event.")));
        }
        Ok(())
    }

    fn block(&mut self, statements: &'a [Statement]) -> Result<(), Fault> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &'a Statement) -> Result<(), Fault> {
        match statement {
            Statement::Text(text) => {
                self.spend(text.len())?;
                self.printer.literal(text)
            }
            Statement::Print(expr) => {
                let value = self.defined(expr)?;
                self.print(&value).map_err(|fault| fault.at(expr.at))
            }
            Statement::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.is_true(condition)? {
                        return self.block(body);
                    }
                }
                self.block(otherwise)
            }
            Statement::For(each) => self.each(each),
            Statement::Set(name, value) => {
                let value = self.eval(value)?;
                self.names.push((name, value));
                Ok(())
            }
            Statement::With { variables, body } => {
                let before = self.names.len();
                for (name, value) in variables {
                    let value = self.eval(value)?;
                    self.names.push((name, value));
                }
                let result = self.block(body);
                self.names.truncate(before);
                result
            }
        }
    }

    fn each(&mut self, each: &'a For) -> Result<(), Fault> {
        let before = self.names.len();
        let mut items = self.items(&each.items)?;
        if let Some(condition) = &each.condition {
            let mut kept = Vec::new();
            for item in items {
                self.spend(0)?;
                self.unpack(each, item.clone())?;
                if self.is_true(condition)? {
                    kept.push(item);
                }
                self.names.truncate(before);
            }
            items = kept;
        }
        if items.is_empty() {
            self.block(&each.otherwise)?;
        }
        let length = items.len();
        for (index, item) in items.into_iter().enumerate() {
            self.spend(0)?;
            self.unpack(each, item)?;
            let position = Value::object([
                ("index", Value::count(index + 1)),
                ("index0", Value::count(index)),
                ("first", Value::Bool(index == 0)),
                ("last", Value::Bool(index + 1 == length)),
                ("length", Value::count(length)),
            ]);
            self.names.push(("loop", position));
            self.block(&each.body)?;
            self.names.truncate(before);
        }
        self.names.truncate(before);
        Ok(())
    }

    fn unpack(&mut self, each: &'a For, item: Value<'a>) -> Result<(), Fault> {
        if let [name] = each.targets.as_slice() {
            self.names.push((name, item));
            return Ok(());
        }
        match self.open(&item)? {
            Value::List(list) if list.items.len() == each.targets.len() => {
                for (name, value) in each.targets.iter().zip(&list.items) {
                    self.names.push((name, value.clone()));
                }
                Ok(())
            }
            _ => {
                let message = format!("Each item must be a list of {} values.", each.targets.len());
                Err(Fault::new(message).at(each.items.at))
            }
        }
    }

    /// Returns the items of a list, the names of an object, or the characters of a text.
    fn items(&mut self, expr: &'a Expr) -> Result<Vec<Value<'a>>, Fault> {
        let value = self.defined(expr)?;
        self.items_of(&value).map_err(|fault| fault.at(expr.at))
    }

    pub fn items_of(&mut self, value: &Value<'a>) -> Result<Vec<Value<'a>>, Fault> {
        match self.open(value)? {
            Value::List(list) => {
                self.spend(list.items.len() * STEP_BYTES / 4)?;
                Ok(list.items.clone())
            }
            Value::Object(object) => {
                self.spend(object.members.len() * STEP_BYTES / 4)?;
                Ok(object.members.iter().map(|(name, _)| Value::Text(name.clone())).collect())
            }
            other => Err(Fault::new(format!("This must be a list or an object, and is {}.", other.kind()))),
        }
    }

    fn is_true(&mut self, expr: &'a Expr) -> Result<bool, Fault> {
        let value = self.eval(expr)?;
        self.truth(&value).map_err(|fault| fault.at(expr.at))
    }

    pub fn truth(&mut self, value: &Value<'a>) -> Result<bool, Fault> {
        Ok(match self.open(value)? {
            Value::Undefined | Value::Null => false,
            Value::Bool(is_true) => is_true,
            Value::Number(number) => !number::is_zero(&number),
            Value::Text(text) | Value::Printed(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Object(object) => !object.members.is_empty(),
            Value::Json(_) => true,
        })
    }

    /// Reads one level of the payload. Any other value is returned as it is.
    pub fn open(&mut self, value: &Value<'a>) -> Result<Value<'a>, Fault> {
        let Value::Json(node) = value else {
            return Ok(value.clone());
        };
        if let Some(opened) = node.opened() {
            return Ok(opened);
        }
        self.spend(node.raw.len())?;
        node.open()
    }

    /// Evaluates an expression whose value must exist.
    pub fn defined(&mut self, expr: &'a Expr) -> Result<Value<'a>, Fault> {
        let value = self.eval(expr)?;
        if value.is_undefined() {
            return Err(Fault::new(format!("`{}` is undefined.", self.quoted(expr.at))).at(expr.at));
        }
        Ok(value)
    }

    /// Text of the template at a place.
    fn quoted(&self, at: Place) -> String {
        let text = self.source.get(at.start..at.end).unwrap_or_default();
        if text.chars().count() > 80 { text.chars().take(79).chain(['…']).collect() } else { text.to_owned() }
    }

    pub fn eval(&mut self, expr: &'a Expr) -> Result<Value<'a>, Fault> {
        self.spend(0).and_then(|()| self.eval_kind(expr)).map_err(|fault| fault.at(expr.at))
    }

    fn eval_kind(&mut self, expr: &'a Expr) -> Result<Value<'a>, Fault> {
        match &expr.kind {
            Kind::Name(name) => self.lookup(name),
            Kind::Null => Ok(Value::Null),
            Kind::Bool(is_true) => Ok(Value::Bool(*is_true)),
            Kind::Number(number) => Ok(Value::number(number)),
            Kind::Text(text) => Ok(Value::lent(text)),
            Kind::Attribute(of, name) => {
                let of = self.defined(of)?;
                self.member(&of, name)
            }
            Kind::Item(of, at) => {
                let (of, at) = (self.defined(of)?, self.defined(at)?);
                self.item(&of, &at)
            }
            Kind::Slice { of, start, end } => self.slice(of, start.as_deref(), end.as_deref()),
            Kind::Not(of) => Ok(Value::Bool(!self.is_true(of)?)),
            Kind::Negate(of) => self.negate(of),
            Kind::And(left, right) => self.either(left, right, false),
            Kind::Or(left, right) => self.either(left, right, true),
            Kind::Concat(parts) => self.concat(parts),
            Kind::Arithmetic(operation, left, right) => self.arithmetic(*operation, left, right),
            Kind::Compare(first, further) => self.comparisons(first, further).map(Value::Bool),
            Kind::IfElse { condition, then, otherwise } => {
                if self.is_true(condition)? {
                    self.eval(then)
                } else {
                    otherwise.as_ref().map_or(Ok(Value::lent("")), |otherwise| self.eval(otherwise))
                }
            }
            Kind::Filter { filter, arguments, named } => filter.apply(self, arguments, named),
            Kind::Test { test, of, arguments } => {
                let of = self.eval(of)?;
                test.holds(self, &of, arguments).map(Value::Bool)
            }
            Kind::List(items) => {
                let items = items.iter().map(|item| self.defined(item)).collect::<Result<_, Fault>>()?;
                Value::list(items)
            }
            Kind::Object(pairs) => self.object(pairs),
        }
    }

    fn negate(&mut self, of: &'a Expr) -> Result<Value<'a>, Fault> {
        let number = self.defined(of)?;
        let number = self.number(&number)?;
        self.spend(number.len())?;
        Ok(Value::Number(Text::Built(number::negate(&number).into())))
    }

    /// Returns the left value if its truth is `wanted`, else the right one.
    fn either(&mut self, left: &'a Expr, right: &'a Expr, wanted: bool) -> Result<Value<'a>, Fault> {
        let value = self.eval(left)?;
        if self.truth(&value)? == wanted { Ok(value) } else { self.eval(right) }
    }

    fn comparisons(&mut self, first: &'a Expr, further: &'a [(Comparison, Expr)]) -> Result<bool, Fault> {
        let mut left = self.defined(first)?;
        for (comparison, right) in further {
            let right = self.defined(right)?;
            if !self.compare(*comparison, &left, &right)? {
                return Ok(false);
            }
            left = right;
        }
        Ok(true)
    }

    fn object(&mut self, pairs: &'a [(Expr, Expr)]) -> Result<Value<'a>, Fault> {
        let mut members: Vec<(Text<'a>, Value<'a>)> = Vec::new();
        for (name, value) in pairs {
            let name = self.defined(name)?;
            let name = self.text(&name)?;
            let value = self.defined(value)?;
            self.spend(members.len())?;
            match members.iter_mut().find(|(known, _)| **known == *name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
        }
        Value::members(members)
    }

    fn lookup(&mut self, name: &str) -> Result<Value<'a>, Fault> {
        // A `set` in a loop adds a variable at each turn, but those end with the turn.
        self.spend(self.names.len())?;
        let found = self.names.iter().rev().find(|(known, _)| *known == name);
        Ok(found.map_or(Value::Undefined, |(_, value)| value.clone()))
    }

    pub fn member(&mut self, of: &Value<'a>, name: &str) -> Result<Value<'a>, Fault> {
        let Value::Object(object) = self.open(of)? else {
            return Ok(Value::Undefined);
        };
        self.spend(object.members.len() * 8)?;
        let found = object.members.iter().find(|(known, _)| **known == *name);
        Ok(found.map_or(Value::Undefined, |(_, value)| value.clone()))
    }

    fn item(&mut self, of: &Value<'a>, at: &Value<'a>) -> Result<Value<'a>, Fault> {
        let of = self.open(of)?;
        if let Value::Object(_) = of {
            let name = self.text(at)?;
            return self.member(&of, &name);
        }
        let index = self.index(at)?;
        match &of {
            Value::List(list) => {
                let found = from_end(index, list.items.len()).and_then(|index| list.items.get(index));
                Ok(found.cloned().unwrap_or(Value::Undefined))
            }
            Value::Text(text) => {
                self.spend(text.len())?;
                let found = from_end(index, text.chars().count()).and_then(|index| text.chars().nth(index));
                Ok(found.map_or(Value::Undefined, |found| Value::built(found.to_string())))
            }
            _ => Ok(Value::Undefined),
        }
    }

    fn slice(&mut self, of: &'a Expr, start: Option<&'a Expr>, end: Option<&'a Expr>) -> Result<Value<'a>, Fault> {
        let of = self.defined(of)?;
        let of = self.open(&of)?;
        let mut bound = |bound: Option<&'a Expr>| -> Result<Option<i64>, Fault> {
            let Some(expr) = bound else { return Ok(None) };
            let value = self.defined(expr)?;
            self.index(&value).map(Some)
        };
        let (start, end) = (bound(start)?, bound(end)?);
        let range = |length: usize| {
            let place = |index: i64| {
                let index = if index < 0 { index.saturating_add(length as i64) } else { index };
                index.clamp(0, length as i64) as usize
            };
            let (from, to) = (start.map_or(0, place), end.map_or(length, place));
            from..to.max(from)
        };
        match &of {
            Value::List(list) => {
                self.spend(list.items.len() * STEP_BYTES / 4)?;
                Value::list(list.items[range(list.items.len())].to_vec())
            }
            Value::Text(text) => {
                self.spend(text.len())?;
                let range = range(text.chars().count());
                Ok(Value::built(text.chars().skip(range.start).take(range.len()).collect::<String>()))
            }
            other => Err(Fault::new(format!("Only a list or a text has a slice, and this is {}.", other.kind()))),
        }
    }

    fn concat(&mut self, parts: &'a [Expr]) -> Result<Value<'a>, Fault> {
        let mut whole = String::new();
        for part in parts {
            let value = self.defined(part)?;
            let text = self.text(&value)?;
            self.spend(text.len())?;
            whole.push_str(&text);
        }
        Ok(Value::built(whole))
    }

    fn arithmetic(&mut self, operation: Operation, left: &'a Expr, right: &'a Expr) -> Result<Value<'a>, Fault> {
        let (left, right) = (self.defined(left)?, self.defined(right)?);
        let (left, right) = (self.open(&left)?, self.open(&right)?);
        if let (Operation::Add, Value::Text(left), Value::Text(right)) = (operation, &left, &right) {
            self.spend(left.len() + right.len())?;
            return Ok(Value::built([&**left, &**right].concat()));
        }
        let (left, right) = (self.number(&left)?, self.number(&right)?);
        self.spend(left.len() + right.len())?;
        match number::compute(operation, &left, &right) {
            Some(result) => Ok(Value::Number(Text::Built(result.into()))),
            None if number::is_zero(&right) => Err(Fault::new("A number cannot be divided by zero.")),
            None => Err(Fault::new("These numbers have too many digits for arithmetic.")),
        }
    }

    pub fn number(&mut self, value: &Value<'a>) -> Result<Text<'a>, Fault> {
        match self.open(value)? {
            Value::Number(number) => Ok(number),
            other => Err(Fault::new(format!("This must be a number, and is {}.", other.kind()))),
        }
    }

    pub fn index(&mut self, value: &Value<'a>) -> Result<i64, Fault> {
        let number = self.number(value)?;
        self.spend(number.len())?;
        number::to_index(&number).ok_or_else(|| Fault::new("This must be a whole number."))
    }

    fn compare(&mut self, comparison: Comparison, left: &Value<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        let order = |renderer: &mut Self| renderer.order(left, right);
        Ok(match comparison {
            Comparison::Equal => self.equal(left, right)?,
            Comparison::Unequal => !self.equal(left, right)?,
            Comparison::Less => order(self)?.is_lt(),
            Comparison::LessOrEqual => order(self)?.is_le(),
            Comparison::Greater => order(self)?.is_gt(),
            Comparison::GreaterOrEqual => order(self)?.is_ge(),
            Comparison::In => self.contains(right, left)?,
            Comparison::NotIn => !self.contains(right, left)?,
        })
    }

    pub fn equal(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        if let (Value::Json(left), Value::Json(right)) = (left, right)
            && left.raw == right.raw
        {
            self.spend(left.raw.len())?;
            return Ok(true);
        }
        let (left, right) = (self.open(left)?, self.open(right)?);
        Ok(match (&left, &right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Number(left), Value::Number(right)) => {
                self.spend(left.len() + right.len())?;
                number::compare(left, right).is_eq()
            }
            (Value::Text(left) | Value::Printed(left), Value::Text(right) | Value::Printed(right)) => {
                self.spend(left.len().min(right.len()))?;
                **left == **right
            }
            (Value::List(left), Value::List(right)) => self.equal_items(&left.items, &right.items)?,
            (Value::Object(object), Value::Object(other)) => {
                object.members.len() == other.members.len() && self.equal_members(object, &right)?
            }
            _ => false,
        })
    }

    fn equal_items(&mut self, left: &[Value<'a>], right: &[Value<'a>]) -> Result<bool, Fault> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (left, right) in left.iter().zip(right) {
            self.spend(0)?;
            if !self.equal(left, right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equal_members(&mut self, left: &Object<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        for (name, value) in &left.members {
            let counterpart = self.member(right, name)?;
            if counterpart.is_undefined() || !self.equal(value, &counterpart)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Compares two numbers, or two texts.
    pub fn order(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<Ordering, Fault> {
        let (left, right) = (self.open(left)?, self.open(right)?);
        match (&left, &right) {
            (Value::Number(left), Value::Number(right)) => {
                self.spend(left.len() + right.len())?;
                Ok(number::compare(left, right))
            }
            (Value::Text(left), Value::Text(right)) => {
                self.spend(left.len().min(right.len()))?;
                Ok(left.cmp(right))
            }
            _ => Err(Fault::new(format!("{} and {} have no order.", left.kind(), right.kind()))),
        }
    }

    pub fn contains(&mut self, whole: &Value<'a>, part: &Value<'a>) -> Result<bool, Fault> {
        match self.open(whole)? {
            Value::Text(text) => {
                let part = self.text(part)?;
                self.spend(text.len() + part.len())?;
                Ok(text.contains(&*part))
            }
            Value::List(list) => {
                for item in &list.items {
                    self.spend(0)?;
                    if self.equal(item, part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            object @ Value::Object(_) => {
                let name = self.text(part)?;
                Ok(!self.member(&object, &name)?.is_undefined())
            }
            other => Err(Fault::new(format!("{} contains nothing.", other.kind()))),
        }
    }

    /// Returns a text as it is, and any other value as JSON.
    pub fn text(&mut self, value: &Value<'a>) -> Result<Text<'a>, Fault> {
        match self.open_text(value)? {
            Value::Text(text) | Value::Printed(text) | Value::Number(text) => Ok(text),
            other => Ok(Text::Built(self.json(&other)?.into())),
        }
    }

    /// Reads a text of the payload. A list or an object of it is left as it is, since its JSON is there already.
    fn open_text(&mut self, value: &Value<'a>) -> Result<Value<'a>, Fault> {
        match value {
            Value::Json(node) if node.raw.starts_with('"') => self.open(value),
            _ => Ok(value.clone()),
        }
    }

    /// Returns a value as JSON. Parts of the payload are as the application wrote them.
    pub fn json(&mut self, value: &Value<'a>) -> Result<String, Fault> {
        let mut json = String::new();
        self.write_json(value, &mut json)?;
        Ok(json)
    }

    fn write_json(&mut self, value: &Value<'a>, json: &mut String) -> Result<(), Fault> {
        match value {
            Value::Undefined => return Err(Fault::new("A value is undefined.")),
            Value::Null => json.push_str("null"),
            Value::Bool(is_true) => json.push_str(if *is_true { "true" } else { "false" }),
            Value::Number(text) | Value::Printed(text) => {
                self.spend(text.len())?;
                json.push_str(text);
            }
            Value::Json(node) => {
                self.spend(node.raw.len())?;
                json.push_str(node.raw);
            }
            Value::Text(text) => {
                self.spend(text.len())?;
                quote(text, json);
            }
            Value::List(list) => {
                json.push('[');
                for (index, item) in list.items.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    self.spend(0)?;
                    self.write_json(item, json)?;
                }
                json.push(']');
            }
            Value::Object(object) => {
                json.push('{');
                for (index, (name, value)) in object.members.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    self.spend(name.len())?;
                    quote(name, json);
                    json.push(':');
                    self.write_json(value, json)?;
                }
                json.push('}');
            }
        }
        Ok(())
    }

    fn print(&mut self, value: &Value<'a>) -> Result<(), Fault> {
        match self.printer.context() {
            Context::Json => {
                let json = self.json(value)?;
                self.printer.push(&json)
            }
            context => {
                let text = self.text(value)?;
                self.spend(text.len())?;
                if context == Context::Text {
                    return self.printer.push(&text);
                }
                let mut escaped = String::with_capacity(text.len());
                escape(&text, &mut escaped);
                self.printer.push(&escaped)
            }
        }
    }
}

/// Returns the place of an index that may count from the end.
fn from_end(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(index).ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Text,
    /// JSON, outside of strings.
    Json,
    /// Between two quotation marks of the template.
    String,
}

/// The result, as far as it is written.
struct Printer {
    text: String,
    output: Output,
    in_string: bool,
    after_backslash: bool,
}

impl Printer {
    fn new(output: Output) -> Printer {
        Printer { text: String::new(), output, in_string: false, after_backslash: false }
    }

    fn context(&self) -> Context {
        match (self.output, self.in_string) {
            (Output::Text, _) => Context::Text,
            (Output::Json, false) => Context::Json,
            (Output::Json, true) => Context::String,
        }
    }

    /// Writes text of the template itself, and follows its quotation marks.
    fn literal(&mut self, text: &str) -> Result<(), Fault> {
        if self.output == Output::Json {
            for byte in text.bytes() {
                match byte {
                    _ if self.after_backslash => self.after_backslash = false,
                    b'\\' if self.in_string => self.after_backslash = true,
                    b'"' => self.in_string = !self.in_string,
                    _ => {}
                }
            }
        }
        self.push(text)
    }

    fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.text.len() + text.len() > MAX_OUTPUT_BYTES {
            let message = format!("The result is longer than {} MiB.", MAX_OUTPUT_BYTES >> 20);
            return Err(Fault::new(message));
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Appends a text as JSON.
pub(super) fn quote(text: &str, json: &mut String) {
    json.push('"');
    escape(text, json);
    json.push('"');
}

/// Appends the content of a JSON string.
fn escape(text: &str, json: &mut String) {
    for run in text.split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\') {
        let last = run.chars().next_back().filter(|c| *c < ' ' || *c == '"' || *c == '\\');
        json.push_str(&run[..run.len() - last.map_or(0, char::len_utf8)]);
        let escaped: Cow<'_, str> = match last {
            None => "".into(),
            Some('"') => "\\\"".into(),
            Some('\\') => "\\\\".into(),
            Some('\n') => "\\n".into(),
            Some('\r') => "\\r".into(),
            Some('\t') => "\\t".into(),
            Some(control) => format!("\\u{:04x}", u32::from(control)).into(),
        };
        json.push_str(&escaped);
    }
}

/// Returns JSON with line breaks and an indentation. The text is JSON already.
pub(super) fn indent(json: &str, width: usize) -> Result<String, Fault> {
    let mut pretty = String::new();
    let mut depth = 0_usize;
    let mut rest = json.bytes().enumerate();
    let line = |depth: usize, pretty: &mut String| {
        let _ = write!(pretty, "\n{:spaces$}", "", spaces = depth * width);
    };
    while let Some((at, byte)) = rest.next() {
        if pretty.len() > MAX_OUTPUT_BYTES {
            return Err(Fault::new(format!("The indented JSON is longer than {} MiB.", MAX_OUTPUT_BYTES >> 20)));
        }
        match byte {
            b'{' | b'[' => {
                pretty.push(char::from(byte));
                let is_empty = json[at + 1..].trim_ascii_start().starts_with(['}', ']']);
                if !is_empty {
                    depth += 1;
                    line(depth, &mut pretty);
                }
            }
            b'}' | b']' => {
                if !pretty.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(depth, &mut pretty);
                }
                pretty.push(char::from(byte));
            }
            b',' => {
                pretty.push(',');
                line(depth, &mut pretty);
            }
            b':' => pretty.push_str(": "),
            b'"' => {
                let mut end = at + 1;
                while let Some((next, byte)) = rest.next() {
                    end = next + 1;
                    match byte {
                        b'\\' => {
                            rest.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
                pretty.push_str(&json[at..end]);
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            other => pretty.push(char::from(other)),
        }
    }
    Ok(pretty)
}
