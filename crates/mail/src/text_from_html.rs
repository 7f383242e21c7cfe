//! Makes the text part of a message that has only HTML.
//!
//! A reader of plain text wants the words, the links and the lists; a filter wants both parts to
//! say the same. One pass, no tree and no recursion: the time is linear and the memory that of the
//! output, whatever the input nests or leaves open.

mod entity;
mod links;
mod output;
mod tag;

use memchr::{memchr, memmem};

pub use links::links_from_html;
use output::Output;
use tag::Tag;

/// Elements whose content nobody reads.
fn is_dropped(name: &str) -> bool {
    matches!(name, "script" | "style" | "title" | "template" | "noscript" | "textarea" | "select")
}

/// Elements that stand apart from the text around them by an empty line.
fn is_paragraph(name: &str) -> bool {
    matches!(
        name,
        "p" | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "table"
            | "ul"
            | "ol"
            | "dl"
            | "blockquote"
            | "pre"
            | "article"
            | "section"
    )
}

/// Elements that begin and end a line.
fn is_line(name: &str) -> bool {
    matches!(
        name,
        "div"
            | "tr"
            | "dt"
            | "dd"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "aside"
            | "address"
            | "form"
            | "fieldset"
            | "figure"
            | "caption"
    )
}

/// The readable text of `html`, with LF as line break: blocks on lines of their own, links as
/// `text (url)`, list items after `- `, entities decoded, scripts and styles dropped.
pub fn text_from_html(html: &str) -> String {
    let mut reader = Reader { out: Output::with_capacity(html.len() / 2), link: None };
    let mut rest = html;
    while !rest.is_empty() {
        rest = match memchr(b'<', rest.as_bytes()) {
            None => {
                reader.out.text(rest);
                ""
            }
            Some(0) => reader.markup(rest),
            Some(at) => {
                reader.out.text(&rest[..at]);
                &rest[at..]
            }
        };
    }
    reader.end_link();
    reader.out.finish()
}

struct Reader {
    out: Output,
    /// Where the link goes that is being read, and where its text begins in the output.
    link: Option<(String, usize)>,
}

impl Reader {
    /// Reads what begins with `<`; returns what stands behind it. What is left open ends with
    /// the input, as in a browser.
    fn markup<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return behind(comment, "-->");
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return behind(rest, ">");
        }
        let is_tag =
            rest[1..].trim_start_matches('/').starts_with(|character: char| character.is_ascii_alphabetic());
        if !is_tag {
            self.out.text("<");
            return &rest[1..];
        }
        let Some((tag, behind)) = Tag::read(rest) else {
            return "";
        };
        if !tag.is_end && is_dropped(&tag.name) {
            return behind_element(behind, &tag.name);
        }
        self.element(&tag);
        behind
    }

    fn element(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "br" => self.out.line_break(),
            "hr" => {
                self.out.paragraph();
                self.out.text("---");
                self.out.paragraph();
            }
            "a" => {
                self.end_link();
                if !tag.is_end {
                    self.start_link(tag);
                }
            }
            "img" => {
                if let Some(alt) = tag.attribute("alt") {
                    self.out.text(alt);
                }
            }
            "li" if !tag.is_end => self.out.item(),
            "li" => self.out.line(),
            "td" | "th" => self.out.space(),
            name if is_paragraph(name) => {
                self.out.paragraph();
                match (name, tag.is_end) {
                    ("ul" | "ol", false) => self.out.enter_list(),
                    ("ul" | "ol", true) => self.out.leave_list(),
                    ("pre", is_end) => self.out.set_preformatted(!is_end),
                    _ => {}
                }
            }
            name if is_line(name) => self.out.line(),
            _ => {}
        }
    }

    fn start_link(&mut self, tag: &Tag<'_>) {
        let Some(href) = tag.attribute("href") else {
            return;
        };
        let url = entity::decode(href.trim());
        let is_useful = ["http://", "https://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
            && !url.contains(|character: char| character.is_control() || character == ' ');
        if is_useful {
            self.link = Some((url.into_owned(), self.out.len()));
        }
    }

    /// Writes the address of the link, unless its text says it already.
    fn end_link(&mut self) {
        let Some((url, start)) = self.link.take() else {
            return;
        };
        let text = self.out.since(start).trim();
        let bare = url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(&url);
        if text == url || text == bare {
            return;
        }
        if text.is_empty() {
            self.out.verbatim(bare);
        } else {
            self.out.space();
            self.out.verbatim(&format!("({bare})"));
        }
    }
}

fn behind<'a>(text: &'a str, mark: &str) -> &'a str {
    match memmem::find(text.as_bytes(), mark.as_bytes()) {
        Some(at) => &text[at + mark.len()..],
        None => "",
    }
}

/// What stands behind `</name ...>`.
fn behind_element<'a>(text: &'a str, name: &str) -> &'a str {
    for at in memmem::find_iter(text.as_bytes(), "</") {
        let candidate = &text[at + 2..];
        let is_end = candidate.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && !candidate[name.len()..].starts_with(|character: char| character.is_alphanumeric());
        if is_end {
            return behind(candidate, ">");
        }
    }
    ""
}

#[cfg(test)]
mod tests;
