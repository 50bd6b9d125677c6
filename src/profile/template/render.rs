//! Rendering: statements to text, within a number of steps.

use super::number::{self, Operation};
use super::print::{Context, Printer, escape};
use super::program::{Comparison, Expr, For, Kind, Place, Statement};
use super::value::{Text, Value};
use super::{Fault, MAX_STEPS, Output};

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
