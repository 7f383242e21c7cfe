//! The addresses of a header field such as `From` (RFC 5322 section 3.4), for policy: whoever reads the message later
//! must not see another sender than the one that was judged. So what two readers could read differently is an error.

use crate::Address;
use crate::view::field_text;

/// Longest field that is read, octets.
const MAX_FIELD: usize = 64 * 1024;
/// Comments in comments that are followed.
const MAX_COMMENT_DEPTH: usize = 8;

/// A field that is no list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no list of addresses that all readers read alike")]
pub struct AddressListError;

/// Every address of a field, groups opened.
pub fn address_list(value: &[u8]) -> Result<Vec<Address>, AddressListError> {
    if value.len() > MAX_FIELD {
        return Err(AddressListError);
    }
    let text = std::str::from_utf8(value).map_err(|_| AddressListError)?;
    let mut addresses = Vec::new();
    for item in items(text)? {
        let item = item.trim();
        if item.is_empty() {
            continue;
        }
        let address = match item.strip_suffix('>') {
            Some(body) => body.rsplit_once('<').ok_or(AddressListError)?.1,
            None if item.contains(['<', '"']) && !item.starts_with('"') => return Err(AddressListError),
            None => item,
        };
        addresses.push(Address::parse(address.trim()).map_err(|_| AddressListError)?);
    }
    Ok(addresses)
}

/// The items between commas (and the colon and semicolon of groups), comments and folds taken out.
fn items(text: &str) -> Result<Vec<String>, AddressListError> {
    let mut items = vec![String::new()];
    let (mut quoted, mut in_angle, mut comment) = (false, false, 0_usize);
    // An address in angle brackets has stood in this item already.
    let mut closed = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let item = items.last_mut().ok_or(AddressListError)?;
        match character {
            '\\' if quoted || comment > 0 => {
                let escaped = characters.next().ok_or(AddressListError)?;
                if comment == 0 {
                    item.extend(['\\', escaped]);
                }
            }
            '"' if comment == 0 => {
                quoted = !quoted;
                item.push('"');
            }
            '(' if !quoted => {
                comment += 1;
                if comment > MAX_COMMENT_DEPTH || in_angle {
                    return Err(AddressListError);
                }
            }
            ')' if !quoted => comment = comment.checked_sub(1).ok_or(AddressListError)?,
            _ if comment > 0 => {}
            '\r' | '\n' => {}
            '<' if !quoted => {
                if std::mem::replace(&mut in_angle, true) || closed {
                    return Err(AddressListError);
                }
                item.push('<');
            }
            '>' if !quoted => {
                if !std::mem::replace(&mut in_angle, false) {
                    return Err(AddressListError);
                }
                closed = true;
                item.push('>');
            }
            ',' | ';' if !quoted && !in_angle => {
                items.push(String::new());
                closed = false;
            }
            // A group's name is no address; a colon between angle brackets would be a route.
            ':' if !quoted && !in_angle => item.clear(),
            '\t' => item.push(' '),
            other => item.push(other),
        }
    }
    if quoted || in_angle || comment > 0 { Err(AddressListError) } else { Ok(items) }
}

/// Every domain that stands behind an `@` anywhere in the field as a reader sees it, names and comments included, in
/// lower case: what a person could take for the sender's domain.
pub fn domains_shown(value: &[u8]) -> Vec<String> {
    let shown = field_text(&value[..value.len().min(MAX_FIELD)]);
    let mut domains = Vec::new();
    for behind in shown.split('@').skip(1) {
        let end = behind.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_')));
        let domain = behind[..end.unwrap_or(behind.len())].trim_matches('.').to_lowercase();
        if domain.contains('.') && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<Vec<String>> {
        let list = address_list(value.as_bytes()).ok()?;
        Some(list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists_are_read() {
        for (value, addresses) in [
            ("a@b.example", &["a@b.example"][..]),
            ("Ann <a@b.example>", &["a@b.example"]),
            ("\"Ann, B. <x@y.z>\" <a@b.example>, b@c.example", &["a@b.example", "b@c.example"]),
            ("a@b.example (Ann (really))", &["a@b.example"]),
            ("Ann\r\n <a@b.example>,\r\n\t<c@d.example>", &["a@b.example", "c@d.example"]),
            ("friends: a@b.example, c@d.example;", &["a@b.example", "c@d.example"]),
            ("undisclosed-recipients:;", &[]),
            ("=?utf-8?q?J=C3=B6rg?= <a@B.Example>", &["a@b.example"]),
            ("\"a b\"@c.example", &["\"a b\"@c.example"]),
            ("", &[]),
        ] {
            assert_eq!(
                read(value).as_deref(),
                Some(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{value}"
            );
        }
    }

    #[test]
    fn what_readers_could_read_differently_is_refused() {
        for value in [
            "root",
            "<a@b.example> <c@d.example>",
            "a@b.example <c@d.example> x",
            "<a@b.example",
            "a@b.example>",
            "<@x.example:a@b.example>",
            "a@b@c.example",
            "\"a@b.example",
            "a@b.example (open",
            "a@b.example)",
            "<a@b.example(x)c.example>",
            "a@[127.0.0.1]",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(address_list(b"\xff@b.example"), Err(AddressListError));
    }

    #[test]
    fn domains_in_names_are_seen() {
        let shown = |value: &str| domains_shown(value.as_bytes()).join(" ");
        assert_eq!(shown("\"ceo@Bank.example\" <a@b.example>"), "bank.example b.example");
        assert_eq!(shown("=?utf-8?q?ceo=40bank.example?= <a@b.example>"), "bank.example b.example");
        assert_eq!(shown("a@b.example (see you@work)"), "b.example");
        assert_eq!(shown("root"), "");
    }

    proptest! {
        #[test]
        fn no_field_is_a_panic(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (address_list(&value), domains_shown(&value));
        }

        #[test]
        fn every_domain_that_counts_is_shown(value in "[a-c@<>,;:()\" .\\\\]{0,24}") {
            for address in address_list(value.as_bytes()).unwrap_or_default() {
                let domain = address.domain().to_owned();
                prop_assert!(!domain.contains('.') || domains_shown(value.as_bytes()).contains(&domain), "{}", value);
            }
        }
    }
}
