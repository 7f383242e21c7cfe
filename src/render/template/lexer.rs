//! Cuts a source into text and tags, and a tag into tokens.

use super::TemplateFault;
use serde_json::Number;

/// What begins at a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// `{{`
    Output,
    /// `{%`
    Block,
    /// `{#`
    Comment,
}

/// The first tag at or after `from`: its place and kind.
pub(super) fn find_tag(source: &str, from: usize) -> Option<(usize, Tag)> {
    let bytes = source.as_bytes();
    let mut at = from;
    loop {
        at += source.get(at..)?.find('{')?;
        match bytes.get(at + 1) {
            Some(b'{') => return Some((at, Tag::Output)),
            Some(b'%') => return Some((at, Tag::Block)),
            // `{#logo{` is CSS, `{# logo` is a comment.
            Some(b'#') if bytes.get(at + 2).is_some_and(|b| b.is_ascii_whitespace() || *b == b'-') => {
                return Some((at, Tag::Comment));
            }
            _ => at += 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'s> {
    Name(&'s str),
    Text(String),
    Number(Number),
    /// `. , ( ) [ ] | == != < <= > >=`
    Symbol(&'static str),
    /// The tag's end; whether it trims the text that follows.
    End(Tag, bool),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind<'s>,
    pub(super) at: usize,
}

impl Kind<'_> {
    /// For messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Text(_) => "a text".to_owned(),
            Self::Number(number) => format!("`{number}`"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End(Tag::Block, _) => "`%}`".to_owned(),
            Self::End(..) => "`}}`".to_owned(),
        }
    }
}

/// Looking a name up costs one step, so it has to be short.
const NAME_BYTES_MAX: usize = 256;
const SYMBOLS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", ".", ",", "(", ")", "[", "]", "|"];

/// Reads the token at or after `*at`, which moves past it.
pub(super) fn next_token<'s>(source: &'s str, at: &mut usize) -> Result<Token<'s>, TemplateFault> {
    let rest = source.get(*at..).unwrap_or_default();
    let rest = rest.trim_start();
    let start = source.len() - rest.len();
    let (kind, length) = read(source, rest, start)?;
    *at = start + length;
    Ok(Token { kind, at: start })
}

fn read<'s>(source: &str, rest: &'s str, start: usize) -> Result<(Kind<'s>, usize), TemplateFault> {
    let fault = |message: &str| Err(TemplateFault::new(source, start, message));
    let Some(first) = rest.chars().next() else {
        return fault("the tag is not closed");
    };
    for (end, tag) in [("}}", Tag::Output), ("%}", Tag::Block)] {
        if rest.starts_with(end) {
            return Ok((Kind::End(tag, false), 2));
        }
        if first == '-' && rest[1..].starts_with(end) {
            return Ok((Kind::End(tag, true), 3));
        }
    }
    if first == '_' || first.is_alphabetic() {
        let length = name_length(rest);
        if length > NAME_BYTES_MAX {
            return fault("the name is too long");
        }
        return Ok((Kind::Name(&rest[..length]), length));
    }
    if first.is_ascii_digit() || (first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return read_number(source, rest, start);
    }
    if first == '"' || first == '\'' {
        return read_text(source, rest, start, first);
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        return Ok((Kind::Symbol(symbol), symbol.len()));
    }
    match first {
        '+' | '-' | '*' | '/' | '%' | '~' => {
            fault("templates do not calculate; pass the result as a variable")
        }
        '=' => fault("`=` is not used here; `==` compares"),
        _ => fault(&format!("unexpected `{}`", first.escape_debug())),
    }
}

/// Letters, digits, `_`, and `-` between them.
fn name_length(rest: &str) -> usize {
    let is_part = |c: char| c == '_' || c.is_alphanumeric();
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let joins = c == '-' && characters.peek().is_some_and(|&(_, next)| is_part(next));
        if !is_part(c) && !joins {
            return at;
        }
    }
    rest.len()
}

fn read_number<'s>(source: &str, rest: &'s str, start: usize) -> Result<(Kind<'s>, usize), TemplateFault> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(rest.starts_with('-'));
    let mut length = sign + digits(&rest[sign..]);
    let fraction = rest[length..].strip_prefix('.').map_or(0, digits);
    if fraction > 0 {
        length += 1 + fraction;
    }
    match rest[..length].parse() {
        Ok(number) => Ok((Kind::Number(number), length)),
        Err(_) => Err(TemplateFault::new(source, start, "this is not a number")),
    }
}

fn read_text<'s>(
    source: &str,
    rest: &str,
    start: usize,
    quote: char,
) -> Result<(Kind<'s>, usize), TemplateFault> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Ok((Kind::Text(text), at + 1)),
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, c @ ('"' | '\'' | '\\'))) => text.push(c),
                _ => {
                    let message = "after a backslash only n, t, a quote or a backslash can stand";
                    return Err(TemplateFault::new(source, start + at, message));
                }
            },
            c => text.push(c),
        }
    }
    Err(TemplateFault::new(source, start, "the quote is not closed"))
}
