//! Expressions: `a.b[0] | upper == "X" and not c`.

use super::Parser;
use crate::render::template::TemplateFault;
use crate::render::template::filter::Filter;
use crate::render::template::lexer::Kind;
use serde_json::Value as Json;

/// Something that has a value.
#[derive(Debug)]
pub(in crate::render::template) enum Expression {
    /// Text, number, `true`, `false`, `none`.
    Literal(Json),
    /// A variable.
    Path(Path),
    /// A value through one filter after the other.
    Filtered(Box<Expression>, Vec<FilterCall>),
    /// `not x`
    Not(Box<Expression>),
    /// All of them.
    And(Vec<Expression>),
    /// One of them.
    Or(Vec<Expression>),
    /// Two values side by side.
    Compare(Box<Expression>, Comparison, Box<Expression>, usize),
    /// Whether a variable is there.
    IsDefined(Box<Expression>),
    /// Whether a value is `null`.
    IsNone(Box<Expression>),
    /// `a if b else c`, in the order b, a, c.
    Choice(Box<(Expression, Expression, Expression)>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render::template) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// A variable and the way into it.
#[derive(Debug)]
pub(in crate::render::template) struct Path {
    pub(in crate::render::template) name: Box<str>,
    pub(in crate::render::template) steps: Vec<Step>,
}

/// One step into a value.
#[derive(Debug)]
pub(in crate::render::template) enum Step {
    /// `.name`
    Key(Box<str>),
    /// `.0`
    Index(usize),
    /// `[expression]`
    Computed(Expression),
}

/// A filter with its arguments.
#[derive(Debug)]
pub(in crate::render::template) struct FilterCall {
    pub(in crate::render::template) filter: Filter,
    pub(in crate::render::template) arguments: Vec<Expression>,
    /// Where it stands.
    pub(in crate::render::template) at: usize,
}

const NO_FUNCTIONS: &str = "templates have no functions; pass the result as a variable";

/// Words that cannot name a variable.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "and" | "or" | "not" | "in" | "is" | "if" | "else" | "elif" | "for")
        || literal(name).is_some()
}

fn literal(name: &str) -> Option<Json> {
    match name {
        "true" | "True" => Some(Json::Bool(true)),
        "false" | "False" => Some(Json::Bool(false)),
        "none" | "None" | "null" => Some(Json::Null),
        _ => None,
    }
}

/// One expression alone, or all of them together.
fn all(mut parts: Vec<Expression>, together: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    together(parts)
}

impl Parser<'_> {
    /// A whole expression, `a if b else c` included.
    pub(super) fn expression(&mut self) -> Result<Expression, TemplateFault> {
        let at = self.at;
        self.deeper(at, |parser| {
            let value = parser.choice()?;
            if !parser.takes_word("if")? {
                return Ok(value);
            }
            let condition = parser.choice()?;
            if !parser.takes_word("else")? {
                let token = parser.next()?;
                return Err(parser.unexpected(&token, "`else`"));
            }
            Ok(Expression::Choice(Box::new((condition, value, parser.expression()?))))
        })
    }

    /// `a or b or c`
    pub(super) fn choice(&mut self) -> Result<Expression, TemplateFault> {
        let mut parts = vec![self.conjunction()?];
        while self.takes_word("or")? {
            parts.push(self.conjunction()?);
        }
        Ok(all(parts, Expression::Or))
    }

    fn conjunction(&mut self) -> Result<Expression, TemplateFault> {
        let mut parts = vec![self.negation()?];
        while self.takes_word("and")? {
            parts.push(self.negation()?);
        }
        Ok(all(parts, Expression::And))
    }

    fn negation(&mut self) -> Result<Expression, TemplateFault> {
        let at = self.at;
        if self.takes_word("not")? {
            return self.deeper(at, |parser| Ok(Expression::Not(Box::new(parser.negation()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression, TemplateFault> {
        let left = self.filtered()?;
        let at = self.peek()?.at;
        let comparison = match &self.peek()?.kind {
            Kind::Symbol("==") => Comparison::Equal,
            Kind::Symbol("!=") => Comparison::Unequal,
            Kind::Symbol("<") => Comparison::Less,
            Kind::Symbol("<=") => Comparison::LessOrEqual,
            Kind::Symbol(">") => Comparison::Greater,
            Kind::Symbol(">=") => Comparison::GreaterOrEqual,
            Kind::Name("in") => Comparison::In,
            Kind::Name("not") => Comparison::NotIn,
            Kind::Name("is") => {
                self.next()?;
                return self.test(left);
            }
            _ => return Ok(left),
        };
        self.next()?;
        if comparison == Comparison::NotIn && !self.takes_word("in")? {
            let token = self.next()?;
            return Err(self.unexpected(&token, "`in` after `not`"));
        }
        let right = self.filtered()?;
        Ok(Expression::Compare(Box::new(left), comparison, Box::new(right), at))
    }

    /// What stands after `is`.
    fn test(&mut self, value: Expression) -> Result<Expression, TemplateFault> {
        let mut negated = self.takes_word("not")?;
        let (word, at) = self.name("`defined` or `none`")?;
        let test = match word {
            "defined" => Expression::IsDefined(Box::new(value)),
            "undefined" => {
                negated = !negated;
                Expression::IsDefined(Box::new(value))
            }
            "none" | "None" | "null" => Expression::IsNone(Box::new(value)),
            _ => {
                return Err(self.fault(at, format!("`is {word}` is unknown; there are `defined` and `none`")));
            }
        };
        Ok(if negated { Expression::Not(Box::new(test)) } else { test })
    }

    fn filtered(&mut self) -> Result<Expression, TemplateFault> {
        let value = self.primary()?;
        let mut calls = Vec::new();
        while self.takes_symbol("|")? {
            let (name, at) = self.name("the name of a filter")?;
            let filter = Filter::parse(name).ok_or_else(|| self.fault(at, Filter::unknown(name)))?;
            let arguments = if self.takes_symbol("(")? { self.arguments()? } else { Vec::new() };
            if !filter.arguments().contains(&arguments.len()) {
                return Err(self.fault(at, format!("`{name}` takes {}", filter.signature())));
            }
            calls.push(FilterCall { filter, arguments, at });
        }
        Ok(if calls.is_empty() { value } else { Expression::Filtered(Box::new(value), calls) })
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, TemplateFault> {
        let mut arguments = Vec::new();
        if self.takes_symbol(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if self.takes_symbol(")")? {
                return Ok(arguments);
            }
            if !self.takes_symbol(",")? {
                let token = self.next()?;
                return Err(self.unexpected(&token, "`,` or `)`"));
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, TemplateFault> {
        let token = self.next()?;
        match token.kind {
            Kind::Text(text) => Ok(Expression::Literal(Json::String(text))),
            Kind::Number(number) => Ok(Expression::Literal(Json::Number(number))),
            Kind::Symbol("(") => {
                let inner = self.expression()?;
                if !self.takes_symbol(")")? {
                    let token = self.next()?;
                    return Err(self.unexpected(&token, "`)`"));
                }
                Ok(inner)
            }
            Kind::Name(name) => match literal(name) {
                Some(value) => Ok(Expression::Literal(value)),
                None if is_reserved(name) => Err(self.unexpected(&token, "a value")),
                None => Ok(Expression::Path(self.path(name, token.at)?)),
            },
            _ => Err(self.unexpected(&token, "a value")),
        }
    }

    fn path(&mut self, name: &str, at: usize) -> Result<Path, TemplateFault> {
        let mut steps = Vec::new();
        loop {
            if self.takes_symbol(".")? {
                steps.push(self.member()?);
            } else if self.takes_symbol("[")? {
                steps.push(self.subscript()?);
            } else if self.peek()?.kind == Kind::Symbol("(") {
                return Err(self.fault(at, NO_FUNCTIONS));
            } else {
                return Ok(Path { name: name.into(), steps });
            }
        }
    }

    fn member(&mut self) -> Result<Step, TemplateFault> {
        let token = self.next()?;
        match &token.kind {
            Kind::Name(key) => Ok(Step::Key((*key).into())),
            Kind::Number(number) => match number.as_u64() {
                Some(index) => Ok(Step::Index(usize::try_from(index).unwrap_or(usize::MAX))),
                None => Err(self.unexpected(&token, "a name")),
            },
            _ => Err(self.unexpected(&token, "a name")),
        }
    }

    fn subscript(&mut self) -> Result<Step, TemplateFault> {
        let inner = self.expression()?;
        if !self.takes_symbol("]")? {
            let token = self.next()?;
            return Err(self.unexpected(&token, "`]`"));
        }
        Ok(Step::Computed(inner))
    }
}
