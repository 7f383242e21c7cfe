//! Runs a template. Everything is charged before it is done, so that no template can take long or grow large.

use super::escape::push_escaped;
use super::filter::FilterError;
use super::parser::{Comparison, Expression, FilterCall, For, Node, Path, Step};
use super::value::Value;
use super::{
    Escape, MISSING_MAX, OUTPUT_BYTES_MAX, TEXT_BYTES_PER_STEP, TemplateError, TemplateFault, WORK_MAX,
};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::cmp::Ordering;

mod pointer;

type Result<T> = std::result::Result<T, TemplateError>;

pub(super) fn render(
    source: &str,
    nodes: &[Node],
    variables: &Map<String, Json>,
    escape: Escape,
) -> Result<String> {
    let mut run = Run {
        source,
        variables,
        escape,
        out: String::with_capacity(source.len()),
        steps_left: WORK_MAX,
        bindings: Vec::new(),
        loops: Vec::new(),
        missing: Vec::new(),
    };
    run.nodes(nodes)?;
    if run.missing.is_empty() { Ok(run.out) } else { Err(TemplateError::Missing(run.missing)) }
}

/// One rendering.
struct Run<'a> {
    source: &'a str,
    variables: &'a Map<String, Json>,
    escape: Escape,
    out: String,
    steps_left: u64,
    /// Names that loops have given, the innermost last.
    bindings: Vec<Binding<'a>>,
    /// The loops around, the innermost last.
    loops: Vec<Loop>,
    /// Missing variables so far; the run goes on, so that all are named at once.
    missing: Vec<String>,
}

struct Binding<'a> {
    name: &'a str,
    value: Value<'a>,
    /// For messages: the variable that is gone through, and the place in it.
    origin: Option<(&'a Path, Place<'a>)>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Index(usize),
    Key(&'a str),
}

struct Loop {
    index: usize,
    length: usize,
}

impl<'a> Run<'a> {
    fn charge(&mut self, steps: u64) -> Result<()> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(TemplateError::Limit(format!("the template does more than {WORK_MAX} steps"))),
        }
    }

    fn charge_text(&mut self, bytes: usize) -> Result<()> {
        self.charge((bytes / TEXT_BYTES_PER_STEP) as u64)
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(TemplateError::Failed(TemplateFault::new(self.source, at, message)))
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a Node) -> Result<()> {
        self.charge(1)?;
        match node {
            Node::Text(range) => {
                let text = &self.source[range.clone()];
                self.write(text, Escape::None)
            }
            Node::Output(expression, at) => self.output(expression, *at),
            Node::If(branches, otherwise) => {
                for (condition, nodes) in branches {
                    if self.present(condition)?.is_true() {
                        return self.nodes(nodes);
                    }
                }
                self.nodes(otherwise)
            }
            Node::For(each) => self.each(each),
        }
    }

    fn output(&mut self, expression: &'a Expression, at: usize) -> Result<()> {
        let value = self.present(expression)?;
        let kind = value.kind();
        match value.text() {
            Some(text) => self.write(&text, self.escape),
            None => self.fail(at, format!("this is {kind}, which is not a text; name what to show of it")),
        }
    }

    fn write(&mut self, text: &str, escape: Escape) -> Result<()> {
        self.charge_text(text.len())?;
        match escape {
            Escape::Html => push_escaped(text, &mut self.out),
            Escape::None => self.out.push_str(text),
        }
        if self.out.len() > OUTPUT_BYTES_MAX {
            return Err(TemplateError::Limit(format!(
                "the text becomes longer than {OUTPUT_BYTES_MAX} bytes"
            )));
        }
        Ok(())
    }

    fn each(&mut self, each: &'a For) -> Result<()> {
        let origin = if let Expression::Path(path) = &each.over { Some(path) } else { None };
        match (self.present(&each.over)?, &each.second) {
            (Value::List(items), None) if !items.is_empty() => {
                self.repeat(each, items.len(), items.iter().enumerate(), |run, (index, item)| {
                    let origin = origin.map(|path| (path, Place::Index(index)));
                    run.bind(&each.first, item.into(), origin);
                })
            }
            (Value::Map(map), second) if !map.is_empty() => {
                self.repeat(each, map.len(), map.iter(), |run, (key, value)| {
                    run.bind(&each.first, Value::Text(Cow::Borrowed(key)), None);
                    if let Some(second) = second {
                        run.bind(second, value.into(), origin.map(|path| (path, Place::Key(key))));
                    }
                })
            }
            (Value::List([]) | Value::Map(_) | Value::Null, _) => self.nodes(&each.otherwise),
            (Value::List(_), Some(_)) => self.fail(each.at, "two names need an object, and this is a list"),
            (other, _) => {
                let message = format!("`for` needs a list or an object, and this is {}", other.kind());
                self.fail(each.at, message)
            }
        }
    }

    fn bind(&mut self, name: &'a str, value: Value<'a>, origin: Option<(&'a Path, Place<'a>)>) {
        self.bindings.push(Binding { name, value, origin });
    }

    fn repeat<T>(
        &mut self,
        each: &'a For,
        length: usize,
        items: impl Iterator<Item = T>,
        bind: impl Fn(&mut Self, T),
    ) -> Result<()> {
        let outside = self.bindings.len();
        self.loops.push(Loop { index: 0, length });
        for (index, item) in items.enumerate() {
            self.charge(1)?;
            if let Some(innermost) = self.loops.last_mut() {
                innermost.index = index;
            }
            bind(self, item);
            self.nodes(&each.body)?;
            self.bindings.truncate(outside);
        }
        self.loops.pop();
        Ok(())
    }

    /// The value of an expression that must have one: what is missing is noted, and `null` takes its place.
    fn present(&mut self, expression: &'a Expression) -> Result<Value<'a>> {
        let value = self.value(expression)?;
        Ok(self.noted(value))
    }

    fn noted(&mut self, value: Value<'a>) -> Value<'a> {
        let Value::Missing(pointer) = value else { return value };
        let is_new = !self.missing.iter().any(|known| **known == *pointer);
        if is_new && self.missing.len() < MISSING_MAX {
            self.missing.push(pointer.into());
        }
        Value::Null
    }

    fn value(&mut self, expression: &'a Expression) -> Result<Value<'a>> {
        self.charge(1)?;
        match expression {
            Expression::Literal(literal) => Ok(literal.into()),
            Expression::Path(path) => self.path(path),
            Expression::Filtered(value, calls) => {
                let first = self.value(value)?;
                calls.iter().try_fold(first, |value, call| self.filter(value, call))
            }
            Expression::Not(inner) => Ok(Value::Bool(!self.present(inner)?.is_true())),
            // As in Jinja, the value that decided, so that `{{ nick or name }}` works.
            Expression::And(parts) => self.first_that(parts, |value| !value.is_true()),
            Expression::Or(parts) => self.first_that(parts, Value::is_true),
            Expression::Compare(left, comparison, right, at) => {
                let left = self.present(left)?;
                let right = self.present(right)?;
                self.compare(&left, *comparison, &right, *at).map(Value::Bool)
            }
            Expression::IsDefined(inner) => Ok(Value::Bool(!matches!(self.value(inner)?, Value::Missing(_)))),
            Expression::IsNone(inner) => Ok(Value::Bool(matches!(self.present(inner)?, Value::Null))),
            Expression::Choice(parts) => {
                let (condition, then, otherwise) = &**parts;
                if self.present(condition)?.is_true() { self.value(then) } else { self.value(otherwise) }
            }
        }
    }

    /// The first value that decides, or the last.
    fn first_that(
        &mut self,
        parts: &'a [Expression],
        decides: impl Fn(&Value<'a>) -> bool,
    ) -> Result<Value<'a>> {
        let mut last = Value::Null;
        for part in parts {
            last = self.present(part)?;
            if decides(&last) {
                break;
            }
        }
        Ok(last)
    }

    fn filter(&mut self, value: Value<'a>, call: &'a FilterCall) -> Result<Value<'a>> {
        let value = if call.filter.takes_missing() { value } else { self.noted(value) };
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            let argument = self.present(argument)?;
            self.charge_text(argument.text_bytes())?;
            arguments.push(argument);
        }
        self.charge(1)?;
        self.charge_text(call.filter.reads(&value))?;
        match call.filter.apply(value, arguments) {
            Ok(value) => {
                self.charge_text(value.text_bytes())?;
                Ok(value)
            }
            // A missing value is already a fault; what follows from it is none of its own.
            Err(FilterError::Kind(_)) if !self.missing.is_empty() => Ok(Value::Null),
            Err(FilterError::Kind(message)) => self.fail(call.at, message),
            Err(FilterError::TooLong) => {
                Err(TemplateError::Limit(format!("a text becomes longer than {OUTPUT_BYTES_MAX} bytes")))
            }
        }
    }

    fn compare(
        &mut self,
        left: &Value<'a>,
        comparison: Comparison,
        right: &Value<'a>,
        at: usize,
    ) -> Result<bool> {
        self.charge_text(left.text_bytes() + right.text_bytes())?;
        let ordered = |wanted: fn(Ordering) -> bool| left.order(right).map(wanted);
        let answer = match comparison {
            Comparison::In => return self.contains(right, left, at),
            Comparison::NotIn => return self.contains(right, left, at).map(|found| !found),
            Comparison::Equal | Comparison::Unequal => {
                let compound = |v: &Value<'_>| matches!(v, Value::List(_) | Value::Map(_));
                (!compound(left) && !compound(right))
                    .then(|| left.equals(right) == (comparison == Comparison::Equal))
            }
            Comparison::Less => ordered(Ordering::is_lt),
            Comparison::LessOrEqual => ordered(Ordering::is_le),
            Comparison::Greater => ordered(Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
        };
        match answer {
            Some(answer) => Ok(answer),
            None if !self.missing.is_empty() => Ok(false),
            None => {
                let message = format!("{} and {} cannot be compared so", left.kind(), right.kind());
                self.fail(at, message)
            }
        }
    }

    fn contains(&mut self, whole: &Value<'a>, part: &Value<'a>, at: usize) -> Result<bool> {
        match (whole, part) {
            (Value::List(items), _) => {
                for item in *items {
                    let item = Value::from(item);
                    self.charge(1)?;
                    self.charge_text(item.text_bytes().min(part.text_bytes()))?;
                    if item.equals(part) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Value::Text(whole), Value::Text(part)) => Ok(whole.contains(&**part)),
            (Value::Map(map), Value::Text(key)) => Ok(map.contains_key(&**key)),
            (Value::Null, _) => Ok(false),
            _ => {
                let message = format!("`in` cannot look for {} in {}", part.kind(), whole.kind());
                self.fail(at, message)
            }
        }
    }

    fn path(&mut self, path: &'a Path) -> Result<Value<'a>> {
        self.charge(path.steps.len() as u64)?;
        if &*path.name == "loop"
            && let Some(value) = self.loop_value(path)
        {
            return Ok(value);
        }
        let bound = self.bindings.iter().rev().find(|binding| binding.name == &*path.name);
        let mut value = match bound {
            Some(binding) => binding.value.clone(),
            None => match self.variables.get(&*path.name) {
                Some(json) => json.into(),
                None => return Ok(Value::Missing(self.pointer(path, 0, None).into())),
            },
        };
        for (index, step) in path.steps.iter().enumerate() {
            let computed = match step {
                Step::Computed(expression) => {
                    let key = self.present(expression)?;
                    self.charge_text(key.text_bytes())?;
                    Some(key)
                }
                Step::Key(_) | Step::Index(_) => None,
            };
            match enter(&value, step, computed.as_ref()) {
                Some(inner) => value = inner,
                None => {
                    return Ok(Value::Missing(self.pointer(path, index + 1, computed.as_ref()).into()));
                }
            }
        }
        Ok(value)
    }

    fn loop_value(&self, path: &Path) -> Option<Value<'a>> {
        let innermost = self.loops.last()?;
        let [Step::Key(key)] = &*path.steps else { return None };
        Some(match &**key {
            "index" => Value::Number((innermost.index + 1).into()),
            "index0" => Value::Number(innermost.index.into()),
            "length" => Value::Number(innermost.length.into()),
            "first" => Value::Bool(innermost.index == 0),
            "last" => Value::Bool(innermost.index + 1 == innermost.length),
            _ => return None,
        })
    }
}

fn enter<'a>(value: &Value<'a>, step: &Step, computed: Option<&Value<'a>>) -> Option<Value<'a>> {
    let index = |number: &serde_json::Number| number.as_u64().and_then(|n| usize::try_from(n).ok());
    match (value, step, computed) {
        (Value::Map(map), Step::Key(key), _) => map.get(&**key).map(Value::from),
        (Value::Map(map), _, Some(Value::Text(key))) => map.get(&**key).map(Value::from),
        (Value::List(items), Step::Index(index), _) => items.get(*index).map(Value::from),
        (Value::List(items), _, Some(Value::Number(number))) => {
            index(number).and_then(|index| items.get(index)).map(Value::from)
        }
        _ => None,
    }
}
