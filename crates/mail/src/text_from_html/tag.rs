//! Reads one tag.

/// Attributes behind this many octets of a tag are not looked at.
const MAX_TAG: usize = 16 * 1024;
/// No element that matters has a longer name.
const MAX_NAME: usize = 16;

/// A start or end tag.
pub(super) struct Tag<'a> {
    /// Lower-case.
    pub(super) name: String,
    pub(super) is_end: bool,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads the tag that `text` begins with; returns what stands behind it. `None` where it is
    /// never closed.
    pub(super) fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let end = tag_end(text)?;
        let inner = &text[1..end];
        let (is_end, inner) = match inner.strip_prefix('/') {
            Some(inner) => (true, inner.trim_start_matches('/')),
            None => (false, inner),
        };
        let name_end = inner
            .find(|character: char| character.is_ascii_whitespace() || character == '/')
            .unwrap_or(inner.len());
        let name = inner[..name_end].get(..name_end.min(MAX_NAME)).unwrap_or_default();
        let tag = Self { name: name.to_ascii_lowercase(), is_end, attributes: &inner[name_end..] };
        Some((tag, &text[end + 1..]))
    }

    /// The raw value of the first attribute of that name.
    pub(super) fn attribute(&self, wanted: &str) -> Option<&'a str> {
        if self.attributes.len() > MAX_TAG {
            return None;
        }
        let mut rest = self.attributes;
        loop {
            rest = rest
                .trim_start_matches(|character: char| character.is_ascii_whitespace() || character == '/');
            if rest.is_empty() {
                return None;
            }
            let name_end = rest
                .find(|character: char| character.is_ascii_whitespace() || "=/".contains(character))
                .unwrap_or(rest.len());
            let name = &rest[..name_end];
            rest = rest[name_end..].trim_start();
            let Some(behind) = rest.strip_prefix('=') else {
                continue;
            };
            let (value, behind) = attribute_value(behind.trim_start());
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value);
            }
            rest = behind;
        }
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text.find(|character: char| character.is_ascii_whitespace()).unwrap_or(text.len());
    text.split_at(end)
}

/// The position of the `>` that closes the tag: quotes count only in a value, behind a `=`.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_value = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') if is_value => {
                quote = Some(byte);
                is_value = false;
            }
            (None, b'=') => is_value = true,
            (None, _) => is_value = is_value && byte.is_ascii_whitespace(),
        }
    }
    None
}
