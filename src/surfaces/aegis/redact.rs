//! Takes addresses out of what relays said: anybody who has a message id may read it.

/// What stands in an address's place.
const MASK: &str = "[address]";
/// How links write an `@`: relays tell where to read more, and for whom.
const IN_LINKS: &str = "%40";

/// `text` without email addresses. `known` are those of the email itself, found in whatever form they stand.
pub(super) fn without_addresses(text: &str, known: &[&str]) -> String {
    let mut text = text.to_owned();
    for address in known {
        text = replace_ignoring_case(&text, address);
        text = replace_ignoring_case(&text, &address.replace('@', IN_LINKS));
    }
    generic(&text)
}

fn replace_ignoring_case(text: &str, address: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), address.to_ascii_lowercase());
    if wanted.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    // ASCII case does not move bytes, so places in one are places in the other.
    while let Some(at) = lower[from..].find(&wanted) {
        out.push_str(&text[from..from + at]);
        out.push_str(MASK);
        from += at + wanted.len();
    }
    out.push_str(&text[from..]);
    out
}

/// Masks everything around an `@`; too much rather than too little.
fn generic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, domain)) = next_at(rest) {
        let start = local_part_start(&rest[..at]);
        let end = rest[domain..].find(ends_domain).map_or(rest.len(), |i| domain + i);
        out.push_str(&rest[..start]);
        out.push_str(MASK);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Where the next `@` stands, in either form, and where it ends.
fn next_at(text: &str) -> Option<(usize, usize)> {
    let plain = text.find('@').map(|at| (at, at + 1));
    let coded = text.find(IN_LINKS).map(|at| (at, at + IN_LINKS.len()));
    plain.into_iter().chain(coded).min()
}

/// Where the local part that `before` ends with begins, a quoted one (`"a b"@c.example`) included.
fn local_part_start(before: &str) -> usize {
    if let Some(inside) = before.strip_suffix('"')
        && let Some(open) = inside.rfind('"')
    {
        return open;
    }
    before.rfind(ends_local_part).map_or(0, |i| i + 1)
}

fn ends_local_part(c: char) -> bool {
    // One byte each, so that the next character starts right after.
    c.is_ascii_whitespace() || c.is_ascii_control() || "\"\\<>()[],;:".contains(c)
}

fn ends_domain(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_control() || "\"\\<>(),;'@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_address_is_left() {
        let said = "550 5.1.1 <Ann@Example.org>: Recipient address rejected: User unknown";
        assert_eq!(
            without_addresses(said, &["ann@example.org"]),
            "550 5.1.1 <[address]>: Recipient address rejected: User unknown"
        );
        assert_eq!(without_addresses("to \"a b\"@c.example now", &[]), "to [address] now");
        assert_eq!(without_addresses("no bob@[192.0.2.1] here", &[]), "no [address] here");
        let link = "see https://relay.example/why?to=Ann%40Example.org&code=550";
        assert_eq!(
            without_addresses(link, &["ann@example.org"]),
            "see https://relay.example/why?to=[address]&code=550"
        );
        assert_eq!(without_addresses("for bob%40c.example now", &[]), "for [address] now");
        assert_eq!(without_addresses("SMTP connection timeout", &["a@b.example"]), "SMTP connection timeout");
        assert_eq!(without_addresses("grüße an bob@müller.example.", &[]), "grüße an [address]");
    }

    proptest! {
        #[test]
        fn nothing_around_an_at_survives(text in "(\\PC|@|%40| |\"){0,60}", known in "\\PC{0,10}") {
            let left = without_addresses(&text, &[&known]);
            prop_assert!(!left.contains('@') && !left.contains("%40"), "{left}");
        }
    }
}
