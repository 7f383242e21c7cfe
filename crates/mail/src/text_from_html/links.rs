//! Where the links of a page lead.

use super::entity;
use super::tag::Tag;
use memchr::memchr;

/// The addresses of the links of `html` to the web, in their order, each once, at most `most`.
pub fn links_from_html(html: &str, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while found.len() < most
        && let Some(at) = memchr(b'<', rest.as_bytes())
    {
        rest = &rest[at..];
        let is_tag = rest[1..].starts_with(|character: char| character.is_ascii_alphabetic());
        if !is_tag {
            rest = &rest[1..];
            continue;
        }
        let Some((tag, behind)) = Tag::read(rest) else { break };
        rest = behind;
        let href = if matches!(&*tag.name, "a" | "area") { tag.attribute("href") } else { None };
        if let Some(href) = href {
            let url = entity::decode(href.trim()).into_owned();
            if is_web_address(&url) && !found.contains(&url) {
                found.push(url);
            }
        }
    }
    found
}

fn is_web_address(url: &str) -> bool {
    let is_web = ["http://", "https://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    is_web && url.len() <= 8_192 && !url.contains(|c: char| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_web_are_found_once_each() {
        let html = "<A class=x HREF='https://a.example/?x=1&amp;y=2'>go</a><a href=https://a.example/?x=1&amp;y=2>\
                    <a href=\"javascript:alert(1)\"><img href=https://no.example><a name=x><area href=http://b.example>\
                    < a href=https://no.example><!-- x --><a href='https://c.example/a b'><a href=//d.example>";
        assert_eq!(links_from_html(html, 9), ["https://a.example/?x=1&y=2", "http://b.example"]);
        assert_eq!(links_from_html(html, 1).len(), 1);
        assert_eq!(links_from_html("<a href=\"https://open.example", 9), [""; 0]);
    }
}
