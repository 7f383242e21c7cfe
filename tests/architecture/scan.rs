//! As much of Rust's lexical structure as the rules need: words, string contents and `::`, with their lines, without
//! comments; then the top-level module each path begins in.

/// One piece of source text.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Token {
    /// An identifier or keyword.
    Word(String),
    /// What stands in a string literal.
    Text(String),
    /// `::`
    PathSeparator,
    /// Any other character that is not white space.
    Mark(char),
}

/// A token and the line it begins on, counted from 1.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Placed {
    pub token: Token,
    pub line: usize,
}

/// Splits source text into tokens. Comments, character literals and lifetimes leave nothing behind.
pub fn tokens(source: &str) -> Vec<Placed> {
    Scanner { chars: source.chars().collect(), at: 0, line: 1, found: Vec::new() }.run()
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Placed>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == '\n' {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn push(&mut self, token: Token, line: usize) {
        self.found.push(Placed { token, line });
    }

    fn run(mut self) -> Vec<Placed> {
        while self.at < self.chars.len() {
            let line = self.line;
            match (self.peek(0), self.peek(1)) {
                ('/', '/') => self.line_comment(),
                ('/', '*') => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                (':', ':') => {
                    self.skip(2);
                    self.push(Token::PathSeparator, line);
                }
                (c, _) if c.is_whitespace() => self.skip(1),
                (c, _) if c == '_' || c.is_alphanumeric() => self.word(),
                (c, _) => {
                    self.skip(1);
                    self.push(Token::Mark(c), line);
                }
            }
        }
        self.found
    }

    fn line_comment(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.skip(2);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.skip(1),
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.skip(1);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                self.skip(1);
            }
            text.push(self.peek(0));
            self.skip(1);
        }
        self.skip(1);
        self.push(Token::Text(text), line);
    }

    /// `r"..."`, `r#"..."#`: called behind the `r`.
    fn raw_string(&mut self) {
        let line = self.line;
        let mut hashes = 0;
        while self.peek(0) == '#' {
            hashes += 1;
            self.skip(1);
        }
        self.skip(1);
        let mut text = String::new();
        while self.at < self.chars.len() {
            if self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#') {
                self.skip(1 + hashes);
                break;
            }
            text.push(self.peek(0));
            self.skip(1);
        }
        self.push(Token::Text(text), line);
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == '\\' {
            self.skip(3);
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.skip(1);
            }
            self.skip(1);
        } else if self.peek(2) == '\'' {
            self.skip(3);
        } else {
            self.skip(1);
            while self.peek(0) == '_' || self.peek(0).is_alphanumeric() {
                self.skip(1);
            }
        }
    }

    fn word(&mut self) {
        let line = self.line;
        let mut word = String::new();
        while self.peek(0) == '_' || self.peek(0).is_alphanumeric() {
            word.push(self.peek(0));
            self.skip(1);
        }
        let raw = word == "r" || word == "br";
        match self.peek(0) {
            '"' if raw => self.raw_string(),
            '"' if word == "b" || word == "c" => self.string(),
            '\'' if word == "b" => self.quote(),
            '#' if raw && matches!(self.peek(1), '"' | '#') => self.raw_string(),
            _ => self.push(Token::Word(word), line),
        }
    }
}

/// A use of a top-level module (`crate::x`, `super::super::x` that reaches the root) or of another crate of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    /// The module, or the crate without its `posthaste_` and with hyphens.
    pub module: String,
    pub line: usize,
    /// Whether it is a crate.
    pub is_crate: bool,
}

/// The names a path continues with behind its `::`: one word, or the first words of a `{group}`.
fn continuations(tokens: &[Placed]) -> Vec<(&str, usize)> {
    match tokens.first().map(|placed| &placed.token) {
        Some(Token::Word(word)) => vec![(word.as_str(), tokens[0].line)],
        Some(Token::Mark('{')) => group(tokens),
        _ => Vec::new(),
    }
}

fn group(tokens: &[Placed]) -> Vec<(&str, usize)> {
    let mut depth = 0;
    let mut first = false;
    let mut found = Vec::new();
    for placed in tokens {
        match &placed.token {
            Token::Mark('{') => {
                depth += 1;
                first = depth == 1;
            }
            Token::Mark('}') => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Token::Mark(',') => first = depth == 1,
            Token::Word(word) if first => {
                found.push((word.as_str(), placed.line));
                first = false;
            }
            _ => {}
        }
    }
    found
}

/// Every use in `tokens` of a file that is the module `path` of its crate (empty: the crate's root).
pub fn uses(tokens: &[Placed], path: &[String]) -> Vec<Use> {
    let mut found = Vec::new();
    let mut braces = 0_usize;
    let mut inline: Vec<usize> = Vec::new(); // depth of braces at which each inline `mod` ends
    let mut at = 0;
    while at < tokens.len() {
        let next = |ahead: usize| tokens.get(at + ahead).map(|placed| &placed.token);
        match &tokens[at].token {
            Token::Mark('{') => braces += 1,
            Token::Mark('}') => {
                braces = braces.saturating_sub(1);
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            Token::Word(word) if word == "mod" && next(2) == Some(&Token::Mark('{')) => inline.push(braces),
            Token::Word(word) if word == "crate" && next(1) == Some(&Token::PathSeparator) => {
                found.extend(continuations(&tokens[at + 2..]).into_iter().map(|(module, line)| Use {
                    module: module.to_owned(),
                    line,
                    is_crate: false,
                }));
            }
            Token::Word(word) if word == "super" => {
                let mut climbed = 1;
                while next(2 * climbed) == Some(&Token::Word("super".to_owned())) {
                    climbed += 1;
                }
                if climbed == path.len() + inline.len()
                    && next(2 * climbed - 1) == Some(&Token::PathSeparator)
                {
                    let behind = &tokens[at + 2 * climbed..];
                    found.extend(continuations(behind).into_iter().map(|(module, line)| Use {
                        module: module.to_owned(),
                        line,
                        is_crate: false,
                    }));
                }
                at += 2 * (climbed - 1);
            }
            Token::Word(word) if word.starts_with("posthaste_") => found.push(Use {
                module: word["posthaste_".len()..].replace('_', "-"),
                line: tokens[at].line,
                is_crate: true,
            }),
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(source: &str, path: &[&str]) -> Vec<String> {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        uses(&tokens(source), &path)
            .into_iter()
            .map(|found| format!("{}:{}", found.line, found.module))
            .collect()
    }

    #[test]
    fn finds_plain_grouped_and_nested_paths() {
        let source = "use crate::store::Store;\nuse crate::{base::{clock, tasks}, queue,\n  live::Live};\n\
                      fn f() { crate::app::run(posthaste_mail::Address::x) }\nuse posthaste_smtp_sink::Sink;";
        assert_eq!(
            modules(source, &["intake"]),
            ["1:store", "2:base", "2:queue", "3:live", "4:app", "4:mail", "5:smtp-sink"]
        );
    }

    #[test]
    fn comments_strings_and_lifetimes_are_not_code() {
        let source = "// crate::a\n/* crate::b /* crate::c */ */\nlet x = \"crate::d \\\" crate::e\";\n\
                      let y = r#\"crate::f\" \"#; let c = '\"'; let d = '\\''; fn f<'a>(x: &'a str) {} crate::g::x();";
        assert_eq!(modules(source, &["m"]), ["4:g"]);
    }

    #[test]
    fn super_counts_only_where_it_reaches_the_root() {
        assert_eq!(modules("use super::queue;", &["dispatch"]), ["1:queue"]);
        assert_eq!(modules("use super::queue;", &["dispatch", "worker"]), Vec::<String>::new());
        assert_eq!(modules("use super::super::{queue, app};", &["dispatch", "worker"]), ["1:queue", "1:app"]);
        let nested = "mod tests {\n use super::*;\n use super::super::app;\n}\nuse super::live;";
        assert_eq!(modules(nested, &["dispatch"]), ["3:app", "5:live"]);
    }

    #[test]
    fn strings_are_kept_as_text() {
        let found = tokens("let a = \"one\\\"two\"; br##\"x\"#y\"##");
        let texts: Vec<_> = found
            .into_iter()
            .filter_map(|placed| if let Token::Text(text) = placed.token { Some(text) } else { None })
            .collect();
        assert_eq!(texts, ["one\"two", "x\"#y"]);
    }
}
