//! Reads a source into nodes. Whatever can be chained without end in a source (`and`, `or`, filters, `elif`) is a
//! list, and whatever nests is counted, so that neither reading nor evaluating nor dropping recurses deeper than
//! `DEPTH_MAX` allows.

mod expression;

use super::lexer::{Kind, Tag, Token, find_tag, next_token};
use super::{DEPTH_MAX, TemplateFault};
pub(super) use expression::{Comparison, Expression, FilterCall, Path, Step};
use std::ops::Range;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Source text as it is.
    Text(Range<usize>),
    /// A value.
    Output(Expression, usize),
    /// Conditions with what follows them, and what stands after `else`.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
    /// A loop.
    For(For),
}

/// `{% for item in items %}`
#[derive(Debug)]
pub(super) struct For {
    /// Where it stands.
    pub(super) at: usize,
    /// The name of the item, or of the key when there is a second.
    pub(super) first: Box<str>,
    /// The name of the value of a map.
    pub(super) second: Option<Box<str>>,
    /// What is gone through.
    pub(super) over: Expression,
    /// What is repeated.
    pub(super) body: Vec<Node>,
    /// What is written when there are no items.
    pub(super) otherwise: Vec<Node>,
}

pub(super) fn parse(source: &str) -> Result<Vec<Node>, TemplateFault> {
    let mut parser = Parser { source, at: 0, depth: 0, trims: false, peeked: None };
    let (nodes, _) = parser.nodes(None, &[])?;
    Ok(nodes)
}

/// Where the reading stands.
pub(super) struct Parser<'s> {
    source: &'s str,
    at: usize,
    depth: usize,
    /// Whether the last tag trims the text that follows it.
    trims: bool,
    peeked: Option<Token<'s>>,
}

/// An open block: its word and where it stands.
type Open = (&'static str, usize);

impl<'s> Parser<'s> {
    fn fault(&self, at: usize, message: impl Into<String>) -> TemplateFault {
        TemplateFault::new(self.source, at, message)
    }

    fn unexpected(&self, token: &Token<'_>, wanted: &str) -> TemplateFault {
        self.fault(token.at, format!("expected {wanted}, found {}", token.kind.name()))
    }

    fn peek(&mut self) -> Result<&Token<'s>, TemplateFault> {
        let token = self.next()?;
        Ok(self.peeked.insert(token))
    }

    fn next(&mut self) -> Result<Token<'s>, TemplateFault> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => next_token(self.source, &mut self.at),
        }
    }

    /// Takes the next token if it is this symbol or word.
    fn takes(&mut self, kind: &Kind<'_>) -> Result<bool, TemplateFault> {
        let found = self.peek()?.kind == *kind;
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn takes_word(&mut self, word: &str) -> Result<bool, TemplateFault> {
        self.takes(&Kind::Name(word))
    }

    fn takes_symbol(&mut self, symbol: &'static str) -> Result<bool, TemplateFault> {
        self.takes(&Kind::Symbol(symbol))
    }

    fn name(&mut self, wanted: &str) -> Result<(&'s str, usize), TemplateFault> {
        let token = self.next()?;
        match token.kind {
            Kind::Name(name) => Ok((name, token.at)),
            _ => Err(self.unexpected(&token, wanted)),
        }
    }

    fn end(&mut self, tag: Tag) -> Result<(), TemplateFault> {
        let token = self.next()?;
        match token.kind {
            Kind::End(found, trims) if found == tag => {
                self.trims = trims;
                Ok(())
            }
            _ if tag == Tag::Block => Err(self.unexpected(&token, "`%}`")),
            _ => Err(self.unexpected(&token, "`}}`")),
        }
    }

    /// Runs `read` one level deeper; `at` is what a fault points to.
    fn deeper<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<T, TemplateFault>,
    ) -> Result<T, TemplateFault> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fault(at, format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Nodes until one of the words `ends` (which is taken, and returned), or until the source ends.
    fn nodes(
        &mut self,
        open: Option<Open>,
        ends: &[&'static str],
    ) -> Result<(Vec<Node>, &'static str), TemplateFault> {
        let mut nodes = Vec::new();
        loop {
            let found = find_tag(self.source, self.at);
            self.text(found.map_or(self.source.len(), |(at, _)| at), &mut nodes);
            let Some((at, tag)) = found else {
                return match open {
                    Some((word, at)) => {
                        Err(self.fault(at, format!("`{word}` is not closed by `{{% end{word} %}}`")))
                    }
                    None => Ok((nodes, "")),
                };
            };
            match tag {
                Tag::Comment => self.comment(at)?,
                Tag::Output => nodes.push(self.output(at)?),
                Tag::Block => {
                    let (word, at) = self.name("a word such as `if` or `for`")?;
                    if let Some(end) = ends.iter().find(|end| **end == word) {
                        return Ok((nodes, end));
                    }
                    self.block(word, at, &mut nodes)?;
                }
            }
        }
    }

    /// Adds the text up to `end`, trimmed where the tags beside it ask for it, and steps into the tag.
    fn text(&mut self, end: usize, nodes: &mut Vec<Node>) {
        let (mut from, mut to) = (self.at, end);
        if std::mem::take(&mut self.trims) {
            from = to - self.source[from..to].trim_start().len();
        }
        let has_marker = self.source.as_bytes().get(end + 2) == Some(&b'-');
        if has_marker {
            to = from + self.source[from..to].trim_end().len();
        }
        if from < to {
            nodes.push(Node::Text(from..to));
        }
        self.at = (end + 2 + usize::from(has_marker)).min(self.source.len());
    }

    fn comment(&mut self, at: usize) -> Result<(), TemplateFault> {
        let Some(length) = self.source[self.at..].find("#}") else {
            return Err(self.fault(at, "the comment is not closed by `#}`"));
        };
        self.trims = self.source[self.at..self.at + length].ends_with('-');
        self.at += length + 2;
        Ok(())
    }

    fn output(&mut self, at: usize) -> Result<Node, TemplateFault> {
        let expression = self.expression()?;
        self.end(Tag::Output)?;
        Ok(Node::Output(expression, at))
    }

    fn block(&mut self, word: &str, at: usize, nodes: &mut Vec<Node>) -> Result<(), TemplateFault> {
        match word {
            "if" => nodes.push(self.deeper(at, |p| p.if_block(at))?),
            "for" => nodes.push(self.deeper(at, |p| p.for_block(at))?),
            "raw" => nodes.extend(self.raw_block(at)?),
            "else" | "elif" | "endif" | "endfor" | "endraw" => {
                return Err(self.fault(at, format!("`{word}` has no block that it belongs to")));
            }
            _ => {
                let message = format!("`{word}` is not a block of templates; there are if, for and raw");
                return Err(self.fault(at, message));
            }
        }
        Ok(())
    }

    fn if_block(&mut self, at: usize) -> Result<Node, TemplateFault> {
        let open = Some(("if", at));
        let mut branches = Vec::new();
        loop {
            let condition = self.expression()?;
            self.end(Tag::Block)?;
            let (nodes, end) = self.nodes(open, &["elif", "else", "endif"])?;
            branches.push((condition, nodes));
            if end == "elif" {
                continue;
            }
            self.end(Tag::Block)?;
            let mut otherwise = Vec::new();
            if end == "else" {
                (otherwise, _) = self.nodes(open, &["endif"])?;
                self.end(Tag::Block)?;
            }
            return Ok(Node::If(branches, otherwise));
        }
    }

    fn for_block(&mut self, at: usize) -> Result<Node, TemplateFault> {
        let first = self.loop_name()?;
        let second = if self.takes_symbol(",")? { Some(self.loop_name()?) } else { None };
        if !self.takes_word("in")? {
            let token = self.next()?;
            return Err(self.unexpected(&token, "`in`"));
        }
        let over = self.choice()?;
        self.end(Tag::Block)?;
        let open = Some(("for", at));
        let (body, end) = self.nodes(open, &["else", "endfor"])?;
        self.end(Tag::Block)?;
        let mut otherwise = Vec::new();
        if end == "else" {
            (otherwise, _) = self.nodes(open, &["endfor"])?;
            self.end(Tag::Block)?;
        }
        Ok(Node::For(For { at, first, second, over, body, otherwise }))
    }

    fn loop_name(&mut self) -> Result<Box<str>, TemplateFault> {
        let (name, at) = self.name("a name for the item")?;
        if name == "loop" || expression::is_reserved(name) {
            return Err(self.fault(at, format!("`{name}` cannot be the name of an item")));
        }
        Ok(name.into())
    }

    fn raw_block(&mut self, at: usize) -> Result<Option<Node>, TemplateFault> {
        self.end(Tag::Block)?;
        let mut from = self.at;
        let mut search = self.at;
        while let Some(found) = self.source[search..].find("{%") {
            let tag = search + found;
            let inside = self.source[tag + 2..].trim_start_matches('-').trim_start();
            if let Some(rest) = inside.strip_prefix("endraw")
                && (rest.trim_start().starts_with("%}") || rest.trim_start().starts_with("-%}"))
            {
                if std::mem::take(&mut self.trims) {
                    from = tag - self.source[from..tag].trim_start().len();
                }
                let mut to = tag;
                if self.source.as_bytes().get(tag + 2) == Some(&b'-') {
                    to = from + self.source[from..tag].trim_end().len();
                }
                self.at = self.source.len() - rest.len();
                self.end(Tag::Block)?;
                return Ok((from < to).then_some(Node::Text(from..to)));
            }
            search = tag + 2;
        }
        Err(self.fault(at, "`raw` is not closed by `{% endraw %}`"))
    }
}
