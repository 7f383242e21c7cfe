use super::*;

#[test]
fn names_that_would_override_ours_are_reserved() {
    for name in [
        "From",
        "to",
        "CC",
        "Bcc",
        "Subject",
        "Date",
        "Message-Id",
        "Sender",
        "Reply-To",
        "MIME-Version",
        "Content-Type",
        "content-transfer-encoding",
        "Content-X",
        "Return-Path",
        "Received",
        "DKIM-Signature",
        "Resent-From",
        "Resent-To",
        "X-Posthaste-Id",
        "ARC-Seal",
        "Authentication-Results",
    ] {
        assert!(HeaderName::parse(name).expect(name).is_reserved(), "{name}");
    }
    for name in ["X-Campaign", "List-Unsubscribe", "In-Reply-To", "References", "X-From", "Auto-Submitted"] {
        assert!(!HeaderName::parse(name).expect(name).is_reserved(), "{name}");
    }
}

#[test]
fn hostile_names_are_refused() {
    let long = "a".repeat(77);
    for name in [
        "",
        "X Y",
        "X:",
        "X\r\nY",
        "X\n",
        "X\0",
        "X\t",
        "X\u{7f}",
        "X\u{2028}",
        "Ü",
        "a(b)",
        "\"x\"",
        "X\u{85}",
        &long,
    ] {
        assert!(HeaderName::parse(name).is_err(), "{name:?}");
    }
    assert!(HeaderName::parse(&"a".repeat(76)).is_ok());
}

#[test]
fn hostile_values_are_refused_or_become_encoded_words() {
    for value in ["a\rb", "a\nb", "a\r\nBcc: x@y.com", "\0", "a\t\r\nb", "\u{7f}", "\u{85}", "\u{1b}[2J"] {
        assert_eq!(HeaderValue::parse(value), Err(HeaderError::ControlCharacter), "{value:?}");
    }
    assert_eq!(HeaderValue::parse(&"a".repeat(8193)), Err(HeaderError::ValueTooLong));
    for value in ["a\u{2028}b", "a\tb", "%0d%0aBcc: x", "=?utf-8?q?=0d=0a?=", " a ", "a  b"] {
        assert!(HeaderValue::parse(value).is_ok(), "{value:?}");
    }
}
