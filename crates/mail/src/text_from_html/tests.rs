use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn html_becomes_readable_text() {
    for (html, text) in [
        ("<p>Hello <b>Ann</b>,</p><p>welcome.</p>", "Hello Ann,\n\nwelcome."),
        ("a<br>b<br/>c<BR><br><br>d", "a\nb\nc\n\nd"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("  a \n\t b  ", "a b"),
        ("<ul><li>one</li><li>two<ul><li>deep</ul></li></ul>end", "- one\n- two\n  - deep\n\nend"),
        ("<a href=\"https://x.com/?a=1&amp;b=2\">Click</a> now", "Click (https://x.com/?a=1&b=2) now"),
        ("<a href='https://x.com'>https://x.com</a>", "https://x.com"),
        ("<a href=mailto:a@b.com>a@b.com</a>", "a@b.com"),
        ("<a href=\"mailto:a@b.com\">write</a>", "write (a@b.com)"),
        ("<a href=\"javascript:alert(1)\">x</a><a href='#top'>y</a>", "xy"),
        ("<a href=\"https://x.com\"><img src=y></a>", "https://x.com"),
        ("<img alt=\"Logo &amp; name\" src=x> text", "Logo & name text"),
        ("<head><title>T</title><style>p{a>b}</style></head>x<script>if(a<b)</script >y", "xy"),
        ("a<!-- <p>no</p> -->b<!doctype html>c<?xml?>d", "abcd"),
        (
            "1 &lt; 2 &amp;&amp; 3 &gt; 2 &euro;5 &#8364; &#x20AC; &#128; &eacute;&nbsp;x",
            "1 < 2 && 3 > 2 €5 € € € é x",
        ),
        ("AT&T &unknown; &amp &#xzz; &", "AT&T &unknown; &amp &#xzz; &"),
        ("1 < 2 <3", "1 < 2 <3"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("x<hr>y", "x\n\n---\n\ny"),
        ("<pre>a\n  b   c</pre>", "a\n  b   c"),
        ("<a title=\"x>y\" href=\"https://z.com\">w</a>", "w (https://z.com)"),
        ("&zwnj;&nbsp;&zwnj;&nbsp;Hi", "Hi"),
        ("a&#0;&#13;&#10;b&#27;c", "a\u{fffd} bc"),
        ("", ""),
        ("<p></p>", ""),
    ] {
        assert_eq!(text_from_html(html), text, "{html}");
    }
}

#[test]
fn broken_html_ends_where_it_is_left_open() {
    for (html, text) in [
        ("a<p", "a"),
        ("a<!-- b", "a"),
        ("a<script>b", "a"),
        ("a<b title=\"c>d", "a"),
        ("a</b>c</>d", "ac</>d"),
        ("<a href=\"https://x.com\">a", "a (https://x.com)"),
    ] {
        assert_eq!(text_from_html(html), text, "{html}");
    }
}

#[test]
fn the_time_is_linear() {
    for piece in [
        "<",
        "<a ",
        "<a href=\"",
        "</",
        "<!--",
        "<script>",
        "<div>",
        "<ul><li>",
        "&",
        "&#",
        "&amp",
        "<a href=https://x.com>",
        "<b a=",
        "=\"'",
        "</script",
        "<x></",
    ] {
        let html = piece.repeat(500_000 / piece.len());
        let start = Instant::now();
        let text = text_from_html(&html);
        assert!(start.elapsed() < Duration::from_secs(2), "{piece} took {:?}", start.elapsed());
        assert!(text.len() <= html.len() * 8, "{piece}");
    }
}

proptest! {
    #[test]
    fn anything_is_read(html in "(.|\\n|<[/a-z]{1,6}( [a-z]{1,4}=[\"']?)?>?|&#?[a-z0-9]{1,6};?){0,60}") {
        let text = text_from_html(&html);
        prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
        prop_assert!(!text.contains("\n\n\n"));
        prop_assert_eq!(text.trim_matches('\n').len(), text.len());
    }
}
