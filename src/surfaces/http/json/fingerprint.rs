//! What makes two requests with one Idempotency-Key "the same": the same JSON value or the same form fields.
//! White space, the order of keys and the spelling of numbers (`1`, `1.0`, `1e0`) do not matter.

use super::{Json, Member, Number};
use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 over the canonical form of a request.
pub type Fingerprint = [u8; 32];

/// The fingerprint of a JSON value.
pub fn of_json(value: &Json<'_>) -> Fingerprint {
    let mut digest = Context::new(&SHA256);
    feed(&mut digest, value);
    finish(digest)
}

/// The fingerprint of a JSON object, whatever its member `name` is and whether it is there at all.
pub fn of_json_without(value: &Json<'_>, name: &str) -> Fingerprint {
    let mut digest = Context::new(&SHA256);
    match value {
        Json::Object(members) => {
            feed_members(&mut digest, members.iter().filter(|member| member.0 != name).collect());
        }
        other => feed(&mut digest, other),
    }
    finish(digest)
}

/// The fingerprint of form fields, whatever their order; a field that stands twice counts twice.
pub fn of_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Fingerprint {
    let mut fields: Vec<(&str, &[u8])> = fields.into_iter().collect();
    fields.sort_unstable();
    let mut digest = Context::new(&SHA256);
    feed_length(&mut digest, b'=', fields.len());
    for (name, value) in fields {
        feed_bytes(&mut digest, name.as_bytes());
        feed_bytes(&mut digest, value);
    }
    finish(digest)
}

/// The fingerprint of bytes that are neither JSON nor a form.
pub fn of_bytes(bytes: &[u8]) -> Fingerprint {
    let mut digest = Context::new(&SHA256);
    feed_bytes(&mut digest, bytes);
    finish(digest)
}

fn finish(digest: Context) -> Fingerprint {
    digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Every value is a tag and, where it has parts, their number or length first: no two values share a form.
fn feed(digest: &mut Context, value: &Json<'_>) {
    match value {
        Json::Null => digest.update(b"n"),
        Json::Bool(true) => digest.update(b"t"),
        Json::Bool(false) => digest.update(b"f"),
        Json::Number(number) => {
            digest.update(b"#");
            feed_bytes(digest, normal_form(*number).as_bytes());
        }
        Json::String(text) => feed_bytes(digest, text.as_bytes()),
        Json::Array(elements) => {
            feed_length(digest, b'[', elements.len());
            for element in elements {
                feed(digest, element);
            }
        }
        Json::Object(members) => feed_members(digest, members.iter().collect()),
    }
}

/// An object's members, whatever their order.
fn feed_members(digest: &mut Context, mut members: Vec<&Member<'_>>) {
    feed_length(digest, b'{', members.len());
    members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in members {
        feed_bytes(digest, name.as_bytes());
        feed(digest, value);
    }
}

fn feed_length(digest: &mut Context, tag: u8, length: usize) {
    digest.update(&[tag]);
    digest.update(&(length as u64).to_le_bytes());
}

fn feed_bytes(digest: &mut Context, bytes: &[u8]) {
    feed_length(digest, b'"', bytes.len());
    digest.update(bytes);
}

/// `-12.50e3` as `-125e2`: the digits without zeros at either end, and the power of ten they stand at.
fn normal_form(number: Number<'_>) -> String {
    let written = number.as_written();
    let (sign, unsigned) = written.strip_prefix('-').map_or(("", written), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return "0".into();
    }
    let trailing_zeros = digits.len() - digits.trim_end_matches('0').len();
    // An exponent beyond i64 can only be negative here (the number is finite) and means zero to everyone.
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i64>() else { return "0".into() };
    let power = exponent.saturating_sub(fraction.len() as i64).saturating_add(trailing_zeros as i64);
    format!("{sign}{significant}e{power}")
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn of(text: &str) -> Fingerprint {
        of_json(&parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn spelling_does_not_matter() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n\"a\":1 }"),
            (r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#),
            ("1", "1.0"),
            ("1", "1e0"),
            ("100", "1E+2"),
            ("-12.50e3", "-12500"),
            ("0", "-0.00"),
            ("0.1", "1e-1"),
            (r#""a/\u00e9""#, r#""a\/é""#),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn values_do() {
        let texts = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "10",
            "-1",
            "0.1",
            r#""""#,
            r#""1""#,
            r#""n""#,
            "[]",
            "[1]",
            "[1,0]",
            "[[1],0]",
            "[[1,0]]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"["a",1]"#,
            r#"["a1"]"#,
            r#"["a","1"]"#,
            "1e-99999999999999999998",
        ];
        let mut seen = std::collections::HashMap::new();
        for text in texts.iter().filter(|text| !text.starts_with("1e-")) {
            assert_eq!(seen.insert(of(text), text), None, "{text}");
        }
        assert_eq!(of("1e-99999999999999999998"), of("0"));
    }

    #[test]
    fn one_member_can_be_left_out() {
        let without = |text: &str| of_json_without(&parse(text.as_bytes()).unwrap(), "key");
        assert_eq!(without(r#"{"a":1,"key":"k"}"#), of(r#"{"a":1}"#));
        assert_eq!(without(r#"{"key":null,"a":1}"#), without(r#"{"a":1}"#));
        assert_ne!(without(r#"{"a":{"key":1}}"#), without(r#"{"a":{}}"#), "only of the object itself");
        assert_eq!(without("[1]"), of("[1]"));
    }

    #[test]
    fn form_fields_have_no_order_but_bounds() {
        let of = |fields: &[(&str, &str)]| of_fields(fields.iter().map(|(n, v)| (*n, v.as_bytes())));
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1")]), of(&[("a", "1"), ("a", "1")]));
        assert_ne!(of(&[("ab", "c")]), of(&[("a", "bc")]));
        assert_ne!(of_bytes(b"x"), of_bytes(b"y"));
    }
}
