//! `.env` as most readers of such files take it, written so that ours reads the same. Files of the replaced services
//! are to work unchanged: a value without quotes stands as it is, with its spaces, quotes, backslashes and `$`; only
//! `${NAME}` stands for another variable.

/// The same assignments, with every value in quotes.
pub(super) fn as_meant(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let line = first_line(rest);
        let is_comment = line.trim_start().starts_with('#');
        let Some(equals) = line.find('=').filter(|_| !is_comment) else {
            // No assignment: a comment, or a fault that the reader tells.
            out.push_str(line);
            rest = &rest[line.len()..];
            continue;
        };
        let (name, value) = rest.split_at(equals + 1);
        out.push_str(name);
        let value = value.trim_start_matches([' ', '\t']);
        let taken = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(value, quote, &mut out),
            _ => bare(value, &mut out),
        };
        rest = &value[taken..];
    }
    out
}

/// The first line with its end.
fn first_line(text: &str) -> &str {
    &text[..text.find('\n').map_or(text.len(), |at| at + 1)]
}

/// Whether a `$` with this behind it stands for itself.
fn is_plain_dollar(behind: &str) -> bool {
    !behind.starts_with('{')
}

/// A value without quotes, up to a comment or the end of its line; the bytes taken.
fn bare(value: &str, out: &mut String) -> usize {
    let line = first_line(value);
    let begins_comment = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let comment = line.match_indices('#').map(|(at, _)| at).find(begins_comment);
    let text = line[..comment.unwrap_or(line.len())].trim();
    out.push('"');
    for (at, c) in text.char_indices() {
        if matches!(c, '"' | '\\') || c == '$' && is_plain_dollar(&text[at + 1..]) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push_str("\"\n");
    line.len()
}

/// A value in quotes, which may have several lines, and what follows on its last one; the bytes taken.
fn quoted(value: &str, quote: char, out: &mut String) -> usize {
    let (mut is_open, mut is_escaped) = (true, false);
    out.push(quote);
    for (at, c) in value.char_indices().skip(1) {
        if is_open && quote == '"' && c == '$' && !is_escaped && is_plain_dollar(&value[at + 1..]) {
            out.push('\\');
        }
        out.push(c);
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_open && quote == '"' => is_escaped = true,
            _ if is_open && c == quote => is_open = false,
            '\n' if !is_open => return at + 1,
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let text = as_meant(text);
        dotenvy::Iter::new(text.as_bytes()).filter_map(Result::ok).collect()
    }

    fn one(line: &str) -> String {
        let text = format!("# it's a comment\nPOSTHASTE_TEST_RELAY=relay\n{line}\n\nLAST=1");
        let all = read(&text);
        assert_eq!(all.len(), 3, "{line}: {all:?}");
        assert_eq!(all[2], ("LAST".to_owned(), "1".to_owned()), "{line}");
        assert_eq!(all[1].0, "NAME", "{line}");
        all[1].1.clone()
    }

    #[test]
    fn a_value_without_quotes_stands_as_it_is() {
        for (line, value) in [
            ("NAME=plain", "plain"),
            ("NAME=", ""),
            ("NAME=Ann B  # ours", "Ann B"),
            ("NAME = Ann's shop", "Ann's shop"),
            ("export NAME=a#b", "a#b"),
            ("NAME=# nothing", ""),
            ("NAME=pa$word$$1", "pa$word$$1"),
            (r#"NAME=a\b"c"\"#, r#"a\b"c"\"#),
            ("NAME=key=value==", "key=value=="),
            ("NAME=x ${POSTHASTE_TEST_RELAY} $", "x relay $"),
            ("NAME=a\r", "a"),
        ] {
            assert_eq!(one(line), value, "{line}");
        }
    }

    #[test]
    fn a_value_in_quotes_may_have_lines_and_escapes() {
        for (line, value) in [
            ("NAME=\"a b\" # c", "a b"),
            (r#"NAME="a \"b\" \$c $d \\""#, r#"a "b" $c $d \"#),
            ("NAME=\"${POSTHASTE_TEST_RELAY}:25\"", "relay:25"),
            ("NAME='a $b ${c} \"d\"'", "a $b ${c} \"d\""),
            ("NAME=\"one\nOTHER=two\n\"", "one\nOTHER=two\n"),
            ("NAME='one\nOTHER=two'", "one\nOTHER=two"),
        ] {
            assert_eq!(one(line), value, "{line}");
        }
        assert_eq!(read("\u{feff}A=b"), [("A".to_owned(), "b".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bare_text_reads_back(text in "[ -~äß]{0,30}") {
            prop_assume!(!text.contains("${") && !text.trim_start().starts_with(['"', '\'', '#']));
            prop_assume!(!text.contains(" #"));
            prop_assert_eq!(read(&format!("NAME={text}")), [("NAME".to_owned(), text.trim().to_owned())]);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = as_meant(&text);
        }
    }
}
