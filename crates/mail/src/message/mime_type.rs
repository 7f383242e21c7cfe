//! The form of a MIME type (RFC 2045, 5.1).

/// In octets, parameters included.
const MAX_TYPE: usize = 255;

/// Whether `text` is `type/subtype`, with parameters or without, and safe in a header.
pub fn is_mime_type(text: &str) -> bool {
    if text.len() > MAX_TYPE {
        return false;
    }
    let mut pieces = text.split(';');
    let is_type = pieces
        .next()
        .and_then(|essence| essence.trim_end_matches(' ').split_once('/'))
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type && pieces.all(is_parameter)
}

/// The part before the parameters, without blanks; its case as given.
pub fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or(text).trim_matches(' ')
}

fn is_parameter(text: &str) -> bool {
    text.trim_matches(' ').split_once('=').is_some_and(|(name, value)| {
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        is_token(name)
            && match unquoted {
                Some(inner) => {
                    inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
                }
                None => is_token(value),
            }
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-^_`{|}~.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_types_pass() {
        for text in
            ["text/plain", "image/svg+xml", "text/calendar; method=REQUEST", "text/plain;charset=\"utf-8\""]
        {
            assert!(is_mime_type(text), "{text}");
        }
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain\r\nX: y",
            "text/pl ain",
            "text/plain;",
            "text/plain; a",
            "text/plain; a=\"b\\\"",
            "text/ü",
            "text/plain;\0=b",
            "a/b/c",
        ] {
            assert!(!is_mime_type(text), "{text}");
        }
        assert_eq!(essence("text/plain ; a=b"), "text/plain");
    }
}
