//! Statements and expressions of a parsed template.

use minijinja::machinery::Span;

use super::condition::Test;
use super::filter::Filter;
use super::number::Operation;

/// Range of bytes in the template's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub start: usize,
    pub end: usize,
}

impl From<Span> for Place {
    fn from(span: Span) -> Place {
        Place { start: span.start_offset as usize, end: span.end_offset as usize }
    }
}

#[derive(Debug)]
pub(super) enum Statement {
    Text(Box<str>),
    Print(Expr),
    If { branches: Vec<(Expr, Vec<Statement>)>, otherwise: Vec<Statement> },
    For(Box<For>),
    Set(Box<str>, Expr),
    With { variables: Vec<(Box<str>, Expr)>, body: Vec<Statement> },
}

#[derive(Debug)]
pub(super) struct For {
    /// One variable, or several that each item is unpacked into.
    pub targets: Vec<Box<str>>,
    pub items: Expr,
    pub condition: Option<Expr>,
    pub body: Vec<Statement>,
    pub otherwise: Vec<Statement>,
}

#[derive(Debug)]
pub(super) struct Expr {
    pub kind: Kind,
    pub at: Place,
}

#[derive(Debug)]
pub(super) enum Kind {
    Name(Box<str>),
    Null,
    Bool(bool),
    Number(Box<str>),
    Text(Box<str>),
    Attribute(Box<Expr>, Box<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice { of: Box<Expr>, start: Option<Box<Expr>>, end: Option<Box<Expr>> },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Arithmetic(Operation, Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    IfElse { condition: Box<Expr>, then: Box<Expr>, otherwise: Option<Box<Expr>> },
    Filter { filter: Filter, arguments: Vec<Expr>, named: Vec<(Box<str>, Expr)> },
    Test { test: Test, of: Box<Expr>, arguments: Vec<Expr> },
    List(Vec<Expr>),
    Object(Vec<(Expr, Expr)>),
}

impl Kind {
    /// Returns the part that the text of the expression begins with.
    pub fn first(&self) -> Option<&Expr> {
        match self {
            Kind::Attribute(first, _)
            | Kind::Item(first, _)
            | Kind::Slice { of: first, .. }
            | Kind::And(first, _)
            | Kind::Or(first, _)
            | Kind::Arithmetic(_, first, _)
            | Kind::Compare(first, _)
            | Kind::IfElse { then: first, .. }
            | Kind::Test { of: first, .. } => Some(first),
            Kind::Concat(parts) | Kind::Filter { arguments: parts, .. } => parts.first(),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
