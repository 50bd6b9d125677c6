//! From the text of a template to its statements, by MiniJinja's parser.
//!
//! Refuses, with the place, everything that cannot be rendered: other templates, macros, functions, filters that do not exist,
//! and names that nothing defines. So is nesting beyond [`MAX_DEPTH`], which bounds the recursion of everything after.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr as Ast, Stmt, UnaryOpKind};
use minijinja::machinery::{self, Span, Token};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;

use super::condition::Test;
use super::filter::Filter;
use super::number::{self, Operation};
use super::program::{Comparison, Expr, For, Kind, Place, Statement};
use super::{Fault, Use};

/// Maximum nesting of statements and expressions.
const MAX_DEPTH: usize = 32;
/// Maximum tokens between two braces.
const MAX_TAG_TOKENS: usize = 1_000;
/// Stack of the parser, which recurses without a bound of its own in a few places. The text has at most 32,768
/// characters.
const STACK_BYTES: usize = 16 << 20;

/// Names that a template can use, with their fields where these are known.
const GLOBALS: [(&str, Option<&[&str]>); 6] = [
    ("event", Some(&["id", "type", "tenant", "created_at", "created_unix", "test"])),
    ("data", None),
    ("previous_data", None),
    ("webhook", Some(&["id", "description"])),
    ("delivery", Some(&["id"])),
    ("attempt", Some(&["timestamp"])),
];
/// Those that only headers can use.
const OF_ATTEMPTS: [&str; 2] = ["delivery", "attempt"];

/// Parses a template. Returns its statements, and whether it uses the webhook.
pub(super) fn parse(source: &str, usage: Use) -> Result<(Vec<Statement>, bool), Fault> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("template".to_owned()).stack_size(STACK_BYTES);
        let parser = thread.spawn_scoped(scope, || parse_here(source, usage));
        let result = parser.map_err(|_| Fault::new("The server has no thread to read the template. Try again."))?;
        result.join().unwrap_or_else(|_| Err(Fault::new("The template cannot be read.")))
    })
}

fn parse_here(source: &str, usage: Use) -> Result<(Vec<Statement>, bool), Fault> {
    check_tokens(source)?;
    let parsed = machinery::parse(source, "template", SyntaxConfig::default()).map_err(syntax_fault)?;
    let mut converter = Converter { source, usage, variables: Vec::new(), uses_webhook: false };
    let Stmt::Template(template) = parsed else {
        return Err(Fault::new("The template cannot be read."));
    };
    let body = converter.block(&template.children, 0)?;
    Ok((body, converter.uses_webhook))
}

fn syntax_fault(error: minijinja::Error) -> Fault {
    let message = error.detail().unwrap_or("syntax error");
    let mut message = message.to_owned();
    if let Some(first) = message.get(..1) {
        let first = first.to_ascii_uppercase();
        message.replace_range(..1, &first);
    }
    let place = error.range().map(|range| Place { start: range.start, end: range.end });
    Fault { at: place, message: message + "." }
}

/// A chain of operators is as deep as it is long, so its length is bounded before it is parsed.
fn check_tokens(source: &str) -> Result<(), Fault> {
    let mut count = 0;
    for token in machinery::tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(syntax_fault)?;
        match token {
            Token::VariableStart | Token::BlockStart => count = 0,
            _ => count += 1,
        }
        if count > MAX_TAG_TOKENS {
            let message = format!("Between two braces are at most {MAX_TAG_TOKENS} names, texts and operators.");
            return Err(Fault::new(message).at(span.into()));
        }
    }
    Ok(())
}

struct Converter<'a> {
    source: &'a str,
    usage: Use,
    /// Names that the template itself defines, up to here.
    variables: Vec<String>,
    uses_webhook: bool,
}

impl Converter<'_> {
    fn block(&mut self, statements: &[Stmt<'_>], depth: usize) -> Result<Vec<Statement>, Fault> {
        statements.iter().map(|statement| self.statement(statement, depth + 1)).collect()
    }

    /// Converts statements whose variables end with them.
    fn scope(&mut self, names: &[Box<str>], statements: &[Stmt<'_>], depth: usize) -> Result<Vec<Statement>, Fault> {
        let before = self.variables.len();
        self.variables.extend(names.iter().map(|name| name.to_string()));
        let block = self.block(statements, depth);
        self.variables.truncate(before);
        block
    }

    fn statement(&mut self, statement: &Stmt<'_>, depth: usize) -> Result<Statement, Fault> {
        Ok(match statement {
            Stmt::EmitRaw(raw) => Statement::Text(raw.raw.into()),
            Stmt::EmitExpr(print) => Statement::Print(self.expr(&print.expr, depth)?),
            Stmt::IfCond(condition) => {
                check_depth(depth, condition.span())?;
                let mut branches = Vec::new();
                let mut next = &**condition;
                loop {
                    branches.push((self.expr(&next.expr, depth)?, self.block(&next.true_body, depth)?));
                    // An `elif` is a condition alone in the other branch.
                    match next.false_body.as_slice() {
                        [Stmt::IfCond(elif)] => next = elif,
                        otherwise => {
                            return Ok(Statement::If { branches, otherwise: self.block(otherwise, depth)? });
                        }
                    }
                }
            }
            Stmt::ForLoop(each) => {
                check_depth(depth, each.span())?;
                if each.recursive {
                    return Err(Fault::new("A loop cannot be recursive.").at(each.span().into()));
                }
                let targets = self.targets(&each.target)?;
                let items = self.expr(&each.iter, depth)?;
                let before = self.variables.len();
                self.variables.extend(targets.iter().map(|name| name.to_string()));
                let condition = each.filter_expr.as_ref().map(|condition| self.expr(condition, depth)).transpose();
                self.variables.truncate(before);
                let mut names = targets.clone();
                names.push("loop".into());
                let body = self.scope(&names, &each.body, depth)?;
                let otherwise = self.scope(&[], &each.else_body, depth)?;
                Statement::For(Box::new(For { targets, items, condition: condition?, body, otherwise }))
            }
            Stmt::Set(set) => {
                let value = self.expr(&set.expr, depth)?;
                let Ast::Var(name) = &set.target else {
                    return Err(Fault::new("`set` gives a value to one name.").at(set.target.span().into()));
                };
                let name = self.target(name)?;
                self.variables.push(name.to_string());
                Statement::Set(name, value)
            }
            Stmt::WithBlock(with) => {
                check_depth(depth, with.span())?;
                let mut variables = Vec::new();
                for (target, value) in &with.assignments {
                    let Ast::Var(name) = target else {
                        return Err(Fault::new("`with` gives a value to one name.").at(target.span().into()));
                    };
                    variables.push((self.target(name)?, self.expr(value, depth)?));
                }
                let names: Vec<Box<str>> = variables.iter().map(|(name, _)| name.clone()).collect();
                let body = self.scope(&names, &with.body, depth)?;
                Statement::With { variables, body }
            }
            Stmt::SetBlock(other) => return unavailable("`set` with a block", other.span()),
            Stmt::AutoEscape(other) => return unavailable("`autoescape`", other.span()),
            Stmt::FilterBlock(other) => return unavailable("`filter` with a block", other.span()),
            Stmt::Do(other) => return unavailable("`do`", other.span()),
            Stmt::Template(other) => return unavailable("A template in a template", other.span()),
        })
    }

    fn targets(&self, target: &Ast<'_>) -> Result<Vec<Box<str>>, Fault> {
        let several = match target {
            Ast::Var(name) => return Ok(vec![self.target(name)?]),
            Ast::List(list) => &list.items,
            Ast::Tuple(tuple) => &tuple.items,
            _ => return Err(Fault::new("A loop needs names.").at(target.span().into())),
        };
        let name = |target: &Ast<'_>| match target {
            Ast::Var(name) => self.target(name),
            _ => Err(Fault::new("A loop needs names.").at(target.span().into())),
        };
        several.iter().map(name).collect()
    }

    fn target(&self, name: &ast::Spanned<ast::Var<'_>>) -> Result<Box<str>, Fault> {
        if GLOBALS.iter().any(|(global, _)| *global == name.id) {
            return Err(Fault::new(format!("`{}` cannot be changed.", name.id)).at(name.span().into()));
        }
        Ok(name.id.into())
    }

    fn expr(&mut self, expr: &Ast<'_>, depth: usize) -> Result<Expr, Fault> {
        check_depth(depth, expr.span())?;
        let depth = depth + 1;
        let kind = match expr {
            Ast::Var(name) => self.name(name)?,
            Ast::Const(constant) => self.constant(constant),
            Ast::Slice(slice) => {
                if let Some(step) = &slice.step {
                    return unavailable("A slice with a step", step.span());
                }
                Kind::Slice {
                    of: self.boxed(&slice.expr, depth)?,
                    start: slice.start.as_ref().map(|start| self.boxed(start, depth)).transpose()?,
                    end: slice.stop.as_ref().map(|end| self.boxed(end, depth)).transpose()?,
                }
            }
            Ast::UnaryOp(unary) => match unary.op {
                UnaryOpKind::Not => Kind::Not(self.boxed(&unary.expr, depth)?),
                UnaryOpKind::Neg => Kind::Negate(self.boxed(&unary.expr, depth)?),
            },
            Ast::BinOp(binary) => self.binary(binary, depth)?,
            Ast::Compare(chain) => {
                let first = self.boxed(&chain.expr, depth)?;
                let further = chain.ops.iter().map(|op| Ok((comparison(op.op), self.expr(&op.expr, depth)?)));
                Kind::Compare(first, further.collect::<Result<_, Fault>>()?)
            }
            Ast::IfExpr(choice) => Kind::IfElse {
                condition: self.boxed(&choice.test_expr, depth)?,
                then: self.boxed(&choice.true_expr, depth)?,
                otherwise: choice.false_expr.as_ref().map(|otherwise| self.boxed(otherwise, depth)).transpose()?,
            },
            Ast::Filter(filter) => self.filter(filter, depth)?,
            Ast::Test(test) => {
                let (arguments, named) = self.arguments(&test.args, test.span(), depth)?;
                let kind = test.name.parse().map_err(|_: strum::ParseError| {
                    Fault::new(format!("There is no test `{}`. {}", test.name, Test::list())).at(test.span().into())
                })?;
                if !named.is_empty() {
                    return Err(Fault::new("A test takes no named values.").at(test.span().into()));
                }
                Kind::Test { test: kind, of: self.boxed(&test.expr, depth)?, arguments }
            }
            Ast::GetAttr(attribute) => {
                self.check_field(&attribute.expr, attribute.name, attribute.span())?;
                Kind::Attribute(self.boxed(&attribute.expr, depth)?, attribute.name.into())
            }
            Ast::GetItem(item) => Kind::Item(self.boxed(&item.expr, depth)?, self.boxed(&item.subscript_expr, depth)?),
            Ast::Call(call) => {
                let message = "A template has no functions. Use a filter, such as `data.name|upper`.";
                return Err(Fault::new(message).at(call.span().into()));
            }
            Ast::List(list) => Kind::List(self.all(&list.items, depth)?),
            Ast::Tuple(tuple) => Kind::List(self.all(&tuple.items, depth)?),
            Ast::Map(map) => {
                let pairs = map.keys.iter().zip(&map.values);
                let pairs = pairs.map(|(key, value)| Ok((self.expr(key, depth)?, self.expr(value, depth)?)));
                Kind::Object(pairs.collect::<Result<_, Fault>>()?)
            }
        };
        let mut at = Place::from(expr.span());
        // The parser's place of `a.b` begins at the point.
        if let Some(first) = kind.first() {
            at.start = at.start.min(first.at.start);
        }
        Ok(Expr { kind, at })
    }

    fn boxed(&mut self, expr: &Ast<'_>, depth: usize) -> Result<Box<Expr>, Fault> {
        self.expr(expr, depth).map(Box::new)
    }

    fn all(&mut self, exprs: &[Ast<'_>], depth: usize) -> Result<Vec<Expr>, Fault> {
        exprs.iter().map(|expr| self.expr(expr, depth)).collect()
    }

    fn name(&mut self, name: &ast::Spanned<ast::Var<'_>>) -> Result<Kind, Fault> {
        let id = name.id;
        if self.variables.iter().any(|variable| variable == id) {
            return Ok(Kind::Name(id.into()));
        }
        let is_usable = |global: &str| self.usage == Use::Header || !OF_ATTEMPTS.contains(&global);
        if !GLOBALS.iter().any(|(global, _)| *global == id && is_usable(global)) {
            let globals = GLOBALS.iter().map(|(global, _)| *global).filter(|global| is_usable(global));
            let globals: Vec<&str> = globals.collect();
            let message = format!("`{id}` is not defined. A template can use {}.", globals.join(", "));
            return Err(Fault::new(message).at(name.span().into()));
        }
        self.uses_webhook |= id == "webhook";
        Ok(Kind::Name(id.into()))
    }

    fn check_field(&self, of: &Ast<'_>, field: &str, span: Span) -> Result<(), Fault> {
        let Ast::Var(name) = of else {
            return Ok(());
        };
        match GLOBALS.iter().find(|(global, _)| *global == name.id) {
            Some((global, Some(fields))) if !fields.contains(&field) => {
                let message = format!("`{global}` has no field `{field}`. It has {}.", fields.join(", "));
                Err(Fault::new(message).at(span.into()))
            }
            _ => Ok(()),
        }
    }

    fn constant(&self, constant: &ast::Spanned<ast::Const>) -> Kind {
        let value = &constant.value;
        if let Some(text) = value.as_str() {
            return Kind::Text(text.into());
        }
        match value.kind() {
            ValueKind::Bool => Kind::Bool(value.is_true()),
            ValueKind::Number => {
                let place = Place::from(constant.span());
                let written = self.source.get(place.start..place.end).filter(|text| number::is_number(text));
                Kind::Number(written.map_or_else(|| value.to_string().into(), Into::into))
            }
            _ => Kind::Null,
        }
    }

    fn binary(&mut self, binary: &ast::Spanned<ast::BinOp<'_>>, depth: usize) -> Result<Kind, Fault> {
        let compared = match binary.op {
            BinOpKind::Concat => {
                // `a ~ b ~ c` is `(a ~ b) ~ c`.
                let mut parts = vec![self.expr(&binary.right, depth)?];
                let mut left = &binary.left;
                while let Ast::BinOp(inner) = left
                    && matches!(inner.op, BinOpKind::Concat)
                {
                    parts.push(self.expr(&inner.right, depth)?);
                    left = &inner.left;
                }
                parts.push(self.expr(left, depth)?);
                parts.reverse();
                return Ok(Kind::Concat(parts));
            }
            BinOpKind::Eq => Comparison::Equal,
            BinOpKind::Ne => Comparison::Unequal,
            BinOpKind::Lt => Comparison::Less,
            BinOpKind::Lte => Comparison::LessOrEqual,
            BinOpKind::Gt => Comparison::Greater,
            BinOpKind::Gte => Comparison::GreaterOrEqual,
            BinOpKind::In => Comparison::In,
            other => {
                if matches!(other, BinOpKind::Pow) {
                    return unavailable("`**`", binary.span());
                }
                let (left, right) = (self.boxed(&binary.left, depth)?, self.boxed(&binary.right, depth)?);
                return Ok(match other {
                    BinOpKind::ScAnd => Kind::And(left, right),
                    BinOpKind::ScOr => Kind::Or(left, right),
                    BinOpKind::Add => Kind::Arithmetic(Operation::Add, left, right),
                    BinOpKind::Sub => Kind::Arithmetic(Operation::Subtract, left, right),
                    BinOpKind::Mul => Kind::Arithmetic(Operation::Multiply, left, right),
                    BinOpKind::Div => Kind::Arithmetic(Operation::Divide, left, right),
                    BinOpKind::FloorDiv => Kind::Arithmetic(Operation::FloorDivide, left, right),
                    _ => Kind::Arithmetic(Operation::Remainder, left, right),
                });
            }
        };
        let left = self.boxed(&binary.left, depth)?;
        Ok(Kind::Compare(left, vec![(compared, self.expr(&binary.right, depth)?)]))
    }

    fn filter(&mut self, filter: &ast::Spanned<ast::Filter<'_>>, depth: usize) -> Result<Kind, Fault> {
        let kind: Filter = filter.name.parse().map_err(|_: strum::ParseError| {
            let message = format!("There is no filter `{}`. {}", filter.name, Filter::list());
            Fault::new(message).at(filter.span().into())
        })?;
        let Some(of) = &filter.expr else {
            return unavailable("A filter without a value", filter.span());
        };
        let of = self.expr(of, depth)?;
        let (mut arguments, named) = self.arguments(&filter.args, filter.span(), depth)?;
        let (most, names) = kind.parameters();
        let unknown = named.iter().find(|(name, _)| !names.contains(&&**name));
        if arguments.len() > most || unknown.is_some() {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("The filter `{}` takes these values: {names}.", filter.name);
            return Err(Fault::new(message).at(filter.span().into()));
        }
        arguments.insert(0, of);
        Ok(Kind::Filter { filter: kind, arguments, named })
    }

    #[expect(clippy::type_complexity, reason = "read by its two callers only")]
    fn arguments(
        &mut self,
        arguments: &[CallArg<'_>],
        span: Span,
        depth: usize,
    ) -> Result<(Vec<Expr>, Vec<(Box<str>, Expr)>), Fault> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for argument in arguments {
            match argument {
                CallArg::Pos(value) => positional.push(self.expr(value, depth)?),
                CallArg::Kwarg(name, value) => named.push(((*name).into(), self.expr(value, depth)?)),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return unavailable("Unpacking with `*`", span),
            }
        }
        Ok((positional, named))
    }
}

fn comparison(op: CompareOpKind) -> Comparison {
    match op {
        CompareOpKind::Eq => Comparison::Equal,
        CompareOpKind::Ne => Comparison::Unequal,
        CompareOpKind::Lt => Comparison::Less,
        CompareOpKind::Lte => Comparison::LessOrEqual,
        CompareOpKind::Gt => Comparison::Greater,
        CompareOpKind::Gte => Comparison::GreaterOrEqual,
        CompareOpKind::In => Comparison::In,
        CompareOpKind::NotIn => Comparison::NotIn,
    }
}

fn check_depth(depth: usize, span: Span) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("A template is nested at most {MAX_DEPTH} levels deep.")).at(span.into()));
    }
    Ok(())
}

fn unavailable<T>(what: &str, span: Span) -> Result<T, Fault> {
    Err(Fault::new(format!("{what} is not available in templates here.")).at(span.into()))
}
