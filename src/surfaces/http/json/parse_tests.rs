use super::*;
use proptest::prelude::*;

fn refusal(text: &[u8]) -> &'static str {
    match parse(text) {
        Ok(value) => panic!("was taken: {value:?}"),
        Err(error) => error.kind.code(),
    }
}

#[test]
fn hostile_texts_are_refused_by_name() {
    let deep = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    let objects = |levels: usize| [b"{\"a\":".repeat(levels), b"1".to_vec(), b"}".repeat(levels)].concat();
    let list = [b"[".to_vec(), b"0,".repeat(1_000_000), b"0]".to_vec()].concat();
    let table: &[(&[u8], &str)] = &[
        (b"", "empty_body"),
        (b" \r\n\t", "empty_body"),
        (b"\xEF\xBB\xBF{}", "json_byte_order_mark"),
        (b"\xFF\xFE{\0}\0", "json_invalid_utf8"),
        (b"{\"a\":\"\xC3\"}", "json_invalid_utf8"),
        (b"\"\xED\xA0\x80\"", "json_invalid_utf8"),
        (b"{\"a\":1,\"a\":2}", "json_duplicate_key"),
        (b"{\"a\":1,\"\\u0061\":2}", "json_duplicate_key"),
        (b"1e400", "json_number_out_of_range"),
        (b"[-1e309]", "json_number_out_of_range"),
        (b"\"\\ud800\"", "json_lone_surrogate"),
        (b"\"\\udc00\"", "json_lone_surrogate"),
        (b"\"\\ud800\\u0041\"", "json_lone_surrogate"),
        (b"\"\\ud800\\ud800\"", "json_lone_surrogate"),
        (b"\"\\ud83d x\"", "json_lone_surrogate"),
        (b"{\"a\":1,}", "malformed_json"),
        (b"[1,]", "malformed_json"),
        (b"[1 2]", "malformed_json"),
        (b"{a:1}", "malformed_json"),
        (b"{'a':1}", "malformed_json"),
        (b"{\"a\" 1}", "malformed_json"),
        (b"{\"a\":1", "malformed_json"),
        (b"[", "malformed_json"),
        (b"\"abc", "malformed_json"),
        (b"\"a\nb\"", "malformed_json"),
        (b"\"a\0b\"", "malformed_json"),
        (b"\"\\x41\"", "malformed_json"),
        (b"\"\\u12g4\"", "malformed_json"),
        (b"\"\\u12", "malformed_json"),
        (b"\"\\", "malformed_json"),
        (b"01", "malformed_json"),
        (b"-", "malformed_json"),
        (b"+1", "malformed_json"),
        (b".5", "malformed_json"),
        (b"1.", "malformed_json"),
        (b"1e", "malformed_json"),
        (b"0x10", "malformed_json"),
        (b"NaN", "malformed_json"),
        (b"Infinity", "malformed_json"),
        (b"nul", "malformed_json"),
        (b"True", "malformed_json"),
        (b"{} {}", "malformed_json"),
        (b"{}\0", "malformed_json"),
        (b"/* c */ {}", "malformed_json"),
        (b"\x0b1", "malformed_json"),
        (&deep(33), "json_too_deep"),
        (&deep(100_000), "json_too_deep"),
        (&objects(33), "json_too_deep"),
        (&list, "json_too_many_values"),
    ];
    for (text, code) in table {
        let shown = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        assert_eq!(refusal(text), *code, "{shown}");
    }
    assert!(parse(&deep(32)).is_ok());
    assert!(parse(&objects(32)).is_ok());
}

#[test]
fn a_duplicate_among_many_keys_is_found() {
    let mut members: Vec<String> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
    assert!(parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
    members.push("\"k7\":0".into());
    let text = format!("{{{}}}", members.join(","));
    assert_eq!(parse(text.as_bytes()).unwrap_err().kind, JsonErrorKind::DuplicateKey("k7".into()));
}

#[test]
fn a_fault_has_its_line_and_column() {
    let error = parse("{\n  \"é\": tru\n}".as_bytes()).unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
    assert_eq!(error.to_string(), "line 2, column 8: expected a JSON value");
    let error = parse(b"{\"a\":1,\"a\":2}").unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 8: the key \"a\" stands twice in one object");
}

#[test]
fn strings_borrow_unless_escaped() {
    let value = parse(br#"{"plain":"<p>Halo</p>","escaped":"a\/b\u00e9\ud83d\ude00\n"}"#).unwrap();
    assert!(matches!(value.get("plain"), Some(Json::String(Cow::Borrowed("<p>Halo</p>")))));
    assert_eq!(value.get("escaped").and_then(Json::as_str), Some("a/bé😀\n"));
}

#[test]
fn numbers_keep_their_spelling() {
    let value = parse(b"[0,-0,12,-3.50,1e2,18446744073709551615,1e308]").unwrap();
    let numbers: Vec<&str> = value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| if let Json::Number(n) = n { n.as_written() } else { "" })
        .collect();
    assert_eq!(numbers, ["0", "-0", "12", "-3.50", "1e2", "18446744073709551615", "1e308"]);
    assert_eq!(parse(b"1.0").unwrap().as_i64(), None);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_back_what_another_writer_wrote(value in any_json()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(parse(text.as_bytes()).unwrap().to_value(), value.clone());
        }
    }

    #[test]
    fn agrees_with_another_parser_on_any_bytes(bytes in "[\\[\\]{}:,\"\\\\a-f0-9eE+.u \\n-]{0,40}") {
        let ours = parse(bytes.as_bytes());
        match serde_json::from_str::<serde_json::Value>(&bytes) {
            Ok(theirs) => match ours {
                Ok(value) => prop_assert_eq!(value.to_value(), theirs),
                Err(error) => prop_assert!(matches!(error.kind, JsonErrorKind::DuplicateKey(_)), "{}", error),
            },
            Err(_) => prop_assert!(ours.is_err()),
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn finds_every_special_byte(bytes in prop::array::uniform8(any::<u8>())) {
        if bytes.iter().any(|&b| b == b'"' || b == b'\\' || b < 0x20) {
            prop_assert!(has_special(u64::from_ne_bytes(bytes)));
        }
    }
}
