//! The text being made: white space is held back until something follows it.

use super::entity;

/// Deeper lists are not indented further.
const MAX_INDENT: usize = 4;
/// Wider gaps in preformatted text become narrower.
const MAX_SPACES: usize = 80;

#[derive(Default)]
pub(super) struct Output {
    text: String,
    /// Line breaks to write before the next word, at most two.
    breaks: usize,
    /// Spaces to write before the next word; more than one only in preformatted text.
    spaces: usize,
    /// `- ` is to be written before the next word.
    is_item: bool,
    list_depth: usize,
    is_preformatted: bool,
}

impl Output {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { text: String::with_capacity(capacity), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// What was written since the output was `start` long.
    pub(super) fn since(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default()
    }

    /// Adds text with entities.
    pub(super) fn text(&mut self, raw: &str) {
        let decoded = entity::decode(raw);
        let mut rest: &str = &decoded;
        while let Some(character) = rest.chars().next() {
            let word = rest.bytes().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
            if word > 0 {
                self.begin_word();
                self.text.push_str(&rest[..word]);
                rest = &rest[word..];
                continue;
            }
            match character {
                '\n' if self.is_preformatted => self.line_break(),
                '\r' if self.is_preformatted => {}
                // An empty cell or a preview padding of `&nbsp;` is no text.
                _ if character.is_whitespace() => self.space(),
                _ if is_dropped(character) => {}
                _ => self.push(character),
            }
            rest = &rest[character.len_utf8()..];
        }
    }

    /// Adds text as it is.
    pub(super) fn verbatim(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            self.push(character);
        }
    }

    fn push(&mut self, character: char) {
        self.begin_word();
        self.text.push(character);
    }

    /// Writes what was held back.
    fn begin_word(&mut self) {
        if self.breaks == 0 && self.spaces == 0 && !self.is_item {
            return;
        }
        let begins_line = self.text.is_empty() || self.breaks > 0;
        if !self.text.is_empty() {
            for _ in 0..self.breaks {
                self.text.push('\n');
            }
        }
        if !begins_line || self.is_preformatted {
            for _ in 0..self.spaces {
                self.text.push(' ');
            }
        }
        if std::mem::take(&mut self.is_item) {
            let indent = self.list_depth.saturating_sub(1).min(MAX_INDENT);
            self.text.extend(std::iter::repeat_n("  ", indent));
            self.text.push_str("- ");
        }
        self.breaks = 0;
        self.spaces = 0;
    }

    pub(super) fn space(&mut self) {
        let most = if self.is_preformatted { MAX_SPACES } else { 1 };
        self.spaces = (self.spaces + 1).min(most);
    }

    /// The next word begins a line.
    pub(super) fn line(&mut self) {
        self.breaks = self.breaks.max(1);
        self.spaces = 0;
    }

    /// One line break more, two at most.
    pub(super) fn line_break(&mut self) {
        self.breaks = (self.breaks + 1).min(2);
        self.spaces = 0;
    }

    /// An empty line comes before the next word; not between the items of nested lists.
    pub(super) fn paragraph(&mut self) {
        self.breaks = if self.list_depth > 0 { self.breaks.max(1) } else { 2 };
        self.spaces = 0;
    }

    pub(super) fn item(&mut self) {
        self.line();
        self.is_item = true;
    }

    pub(super) fn enter_list(&mut self) {
        self.list_depth = self.list_depth.saturating_add(1);
    }

    pub(super) fn leave_list(&mut self) {
        self.list_depth = self.list_depth.saturating_sub(1);
        self.is_item = false;
        if self.list_depth == 0 {
            self.paragraph();
        }
    }

    pub(super) fn set_preformatted(&mut self, is_preformatted: bool) {
        self.is_preformatted = is_preformatted;
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Control characters, and what is used to pad previews: zero-width space and non-joiner, soft
/// hyphen, grapheme joiner, byte order mark.
fn is_dropped(character: char) -> bool {
    character.is_control() || matches!(character, '\u{ad}' | '\u{34f}' | '\u{200b}' | '\u{200c}' | '\u{feff}')
}
