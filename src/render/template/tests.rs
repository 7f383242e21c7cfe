use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::time::{Duration, Instant};

fn map(variables: Json) -> Map<String, Json> {
    match variables {
        Json::Object(map) => map,
        other => panic!("{other}"),
    }
}

fn html(source: &str, variables: Json) -> Result<String, TemplateError> {
    render(source, &map(variables), Escape::Html).map(Cow::into_owned)
}

fn text(source: &str, variables: Json) -> Result<String, TemplateError> {
    render(source, &map(variables), Escape::None).map(Cow::into_owned)
}

#[test]
fn fills_in_what_the_specification_shows() {
    assert_eq!(html("<p>Halo {{name}}</p>", json!({"name": "Andi"})).unwrap(), "<p>Halo Andi</p>");
    assert_eq!(text("Halo {{ name }}", json!({"name": "Andi"})).unwrap(), "Halo Andi");
}

#[test]
fn a_source_without_tags_is_handed_back_uncopied() {
    for source in ["", "plain", "a { b } }} c", "@media print{#header{color:red}}", "{ {", "{", "{#"] {
        let rendered = render(source, &Map::new(), Escape::Html).unwrap();
        assert!(matches!(rendered, Cow::Borrowed(same) if same == source), "{source}");
    }
}

#[test]
fn says_what_jinja_says() {
    let variables = json!({
        "name": "ann lee", "n": 3, "price": 19.5, "yes": true, "no": false, "nil": null, "empty": "",
        "user": {"name": "Bo", "tags": ["x", "y"], "first-name": "Bo"},
        "items": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}], "none_here": [], "key": "name",
        "order-id": 7, "map": {"a": 1, "b": 2},
    });
    for (source, expected) in [
        ("{{ n }} {{ price }} {{ yes }} [{{ nil }}]", "3 19.5 true []"),
        (
            "{{ user.name }} {{ user['name'] }} {{ user[key] }} {{ user.tags[1] }} {{ user.tags.0 }}",
            "Bo Bo Bo y x",
        ),
        ("{{ order-id }} {{ user.first-name }}", "7 Bo"),
        ("{{ name|upper }} {{ name | title }} {{ name|capitalize }}", "ANN LEE Ann Lee Ann lee"),
        (
            "{{ gone|default('-') }} {{ nil|default(5) }} {{ empty|default('e', true) }}|{{ empty|default('e') }}",
            "- 5 e|",
        ),
        ("{{ user.gone.deeper | default('x') | upper }}", "X"),
        (
            "{{ user.tags|join(', ') }} {{ user.tags|length }} {{ user.tags|first }}{{ user.tags|last }}",
            "x, y 2 xy",
        ),
        ("{{ ' a b '|trim|replace('b', 'c') }} {{ 'a/b c&d'|urlencode }}", "a c a%2Fb%20c%26d"),
        (
            "{% if n == 3 and yes %}1{% endif %}{% if no or n > 2 %}2{% endif %}{% if not no %}3{% endif %}",
            "123",
        ),
        ("{% if n < 3 %}a{% elif n <= 3 %}b{% else %}c{% endif %}", "b"),
        (
            "{% if 'x' in user.tags %}1{% endif %}{% if 'z' not in user.tags %}2{% endif %}{% if 'a' in map %}3{% endif %}{% if 'nn' in name %}4{% endif %}",
            "1234",
        ),
        (
            "{% if gone is defined %}a{% endif %}{% if gone is not defined %}b{% endif %}{% if nil is none %}c{% endif %}{% if n is undefined %}d{% endif %}",
            "bc",
        ),
        (
            "{% for i in items %}{{ loop.index }}/{{ loop.length }}:{{ i.sku }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1/2:A,2/2:B",
        ),
        ("{% for x in none_here %}x{% else %}nothing{% endfor %}", "nothing"),
        (
            "{% for k, v in map %}{{ k }}={{ v }};{% endfor %}{% for k in map %}{{ k }}{% endfor %}",
            "a=1;b=2;ab",
        ),
        (
            "{% for a in user.tags %}{% for b in user.tags %}{{ a }}{{ b }} {% endfor %}{{ loop.index }} {% endfor %}",
            "xx xy 1 yx yy 2 ",
        ),
        (
            "{{ 'many' if n > 1 else 'one' }} {{ (nil or empty or name) }} {{ -2 }} {{ 1.50 }}",
            "many ann lee -2 1.5",
        ),
        ("a {#- gone -#} b {{- n -}} c", "ab3c"),
        ("{%- if yes -%}  x  {%- endif %} y", "x y"),
        (
            "{% raw %}{{ n }} {% if %}{% endraw %}!{%raw-%} {{ x }} {%- endraw-%} z",
            "{{ n }} {% if %}!{{ x }}z",
        ),
        ("{{ \"q'\\\"\\\\\\n\" }}", "q'\"\\\n"),
        ("{# a comment with {{ and {% #}b", "b"),
        ("{{ 'ß'|upper }}{{ 'ŒUVRE'|lower }}{{ 'é'|length }}", "SSœuvre1"),
    ] {
        assert_eq!(text(source, variables.clone()).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn whole_numbers_are_compared_to_the_last_digit() {
    let variables = json!({"a": 9_007_199_254_740_993_i64, "b": 9_007_199_254_740_992_i64, "c": u64::MAX});
    let source = "{% if a > b %}1{% endif %}{% if a == b %}2{% endif %}{% if c > a %}3{% endif %}";
    assert_eq!(text(source, variables).unwrap(), "13");
}

#[test]
fn syntax_faults_name_line_and_column() {
    for (source, line, column, part) in [
        ("{{ name", 1, 8, "not closed"),
        ("a\nb\n  {{ name }", 3, 11, "unexpected `}`"),
        ("é {{ }}", 1, 6, "expected a value"),
        ("{{ a b }}", 1, 6, "expected `}}`, found `b`"),
        ("{{ a %}", 1, 6, "expected `}}`, found `%}`"),
        ("{% if a %}\n{% for x in y %}\n{% endif %}", 3, 4, "no block"),
        ("\n{% if a %}", 2, 4, "`if` is not closed by `{% endif %}`"),
        ("{% for x in y %}", 1, 4, "`for` is not closed"),
        ("{% endif %}", 1, 4, "no block"),
        ("{% include 'x' %}", 1, 4, "not a block"),
        ("{% import 'x' as y %}", 1, 4, "not a block"),
        ("{% extends 'x' %}", 1, 4, "not a block"),
        ("{% set x = 1 %}", 1, 4, "not a block"),
        ("{% macro f() %}{% endmacro %}", 1, 4, "not a block"),
        ("{% autoescape false %}{% endautoescape %}", 1, 4, "not a block"),
        ("{{ range(9) }}", 1, 4, "no functions"),
        ("{{ env('HOME') }}", 1, 4, "no functions"),
        ("{{ a.items() }}", 1, 4, "no functions"),
        ("{{ a + b }}", 1, 6, "do not calculate"),
        ("{{ 'x' * 9 }}", 1, 8, "do not calculate"),
        ("{{ a ~ b }}", 1, 6, "do not calculate"),
        ("{{ a|safe }}", 1, 6, "always escaped"),
        ("{{ a|nope }}", 1, 6, "there is no filter `nope`; there are default, "),
        ("{{ a|replace('x') }}", 1, 6, "takes two texts"),
        ("{{ a|upper(1) }}", 1, 6, "takes no arguments"),
        ("{{ 'a }}", 1, 4, "quote is not closed"),
        ("{{ 'a\\x' }}", 1, 6, "backslash"),
        ("{# never closed", 1, 1, "comment is not closed"),
        ("{% raw %} {{ x }}", 1, 4, "`raw` is not closed"),
        ("{% for loop in x %}{% endfor %}", 1, 8, "cannot be the name"),
        ("{% for x, y, z in w %}{% endfor %}", 1, 12, "expected `in`"),
        ("{% if a = b %}{% endif %}", 1, 9, "`==` compares"),
        ("{{ a is odd }}", 1, 9, "`is odd` is unknown"),
        ("{{ a if b }}", 1, 11, "expected `else`"),
        ("{{{ a }}}", 1, 3, "unexpected `{`"),
        ("{{ a.b.'c' }}", 1, 8, "expected a name"),
        ("{{ and }}", 1, 4, "expected a value"),
        ("{%%}", 1, 3, "expected a word"),
    ] {
        let Err(TemplateError::Syntax(fault)) = text(source, json!({})) else {
            panic!("{source} is no fault");
        };
        assert_eq!((fault.line, fault.column), (line, column), "{source}: {fault}");
        assert!(fault.message.contains(part), "{source}: {fault}");
        assert_eq!(validate(source), Err(fault));
    }
}

#[test]
fn all_missing_variables_are_named_where_they_are_missing() {
    let variables =
        json!({"user": {"name": "Bo"}, "items": [{"sku": "A"}, {}], "by": {"a/b": {}}, "k": "zz"});
    let missing = |source: &str| match text(source, variables.clone()) {
        Err(TemplateError::Missing(missing)) => missing.join(" "),
        other => panic!("{source}: {other:?}"),
    };
    assert_eq!(missing("{{ name }} {{ user.name }} {{ user.age }} {{ name }}"), "/name /user/age");
    assert_eq!(missing("{{ gone.deep.er }} {{ user.name.x }}"), "/gone /user/name/x");
    assert_eq!(missing("{% for i in items %}{{ i.sku }}{% endfor %}"), "/items/1/sku");
    assert_eq!(missing("{% for k, v in by %}{{ v.c }}{% endfor %}"), "/by/a~1b/c");
    assert_eq!(missing("{{ items[7].sku }} {{ user[k] }} {{ user['q'] }}"), "/items/7 /user/zz /user/q");
    assert_eq!(missing("{% if gone %}{{ other }}{% endif %}{% for x in list %}{% endfor %}"), "/gone /list");
    assert_eq!(missing("{% if a > 3 %}{% endif %}{{ b | upper | first }}{{ c | join }}"), "/a /b /c");
    assert_eq!(missing("{{ gone | default(fallback) }}"), "/fallback");
    let many: String = (0..100).fold(String::new(), |all, n| all + &format!("{{{{ v{n} }}}}"));
    assert_eq!(missing(&many).split(' ').count(), MISSING_MAX);
}

#[test]
fn values_that_do_not_fit_are_faults_with_a_place() {
    let variables = json!({"list": [1], "map": {}, "n": 1, "s": "x"});
    for (source, column, part) in [
        ("{{ list }}", 1, "a list"),
        ("a {{ map }}", 3, "an object"),
        ("{% for x in n %}{% endfor %}", 4, "needs a list"),
        ("{% for x in s %}{% endfor %}", 4, "needs a list"),
        ("{% for x, y in list %}{% endfor %}", 4, "two names"),
        ("{% if list == list %}{% endif %}", 12, "cannot be compared"),
        ("{% if n < s %}{% endif %}", 9, "cannot be compared"),
        ("{% if n in n %}{% endif %}", 9, "cannot look for"),
        ("{{ list|upper }}", 9, "needs a text"),
        ("{{ n|length }}", 6, "needs a text, a list"),
        ("{{ s|join }}", 6, "needs a list"),
        ("{{ s|replace('', 'x') }}", 6, "needs a text to look for"),
    ] {
        let Err(TemplateError::Failed(fault)) = text(source, variables.clone()) else {
            panic!("{source} is no fault");
        };
        assert_eq!((fault.line, fault.column), (1, column), "{source}: {fault}");
        assert!(fault.message.contains(part), "{source}: {fault}");
    }
}

#[test]
fn a_value_is_never_read_as_a_template() {
    let variables = json!({"a": "{{ b }}{% for x in y %}", "b": "secret"});
    assert_eq!(text("{{ a }}", variables.clone()).unwrap(), "{{ b }}{% for x in y %}");
    assert_eq!(text("{{ '{{ b }}' }}", variables).unwrap(), "{{ b }}");
}

#[test]
fn html_is_escaped_in_text_attribute_and_url() {
    let variables = json!({"v": "\"><script>alert('1')</script>&`"});
    let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&#96;";
    let source = "<p>{{ v }}</p><i title=\"{{ v }}\"></i><a href='https://a.b/?q={{ v }}'>{{ '<' }}</a>";
    let expected =
        format!("<p>{escaped}</p><i title=\"{escaped}\"></i><a href='https://a.b/?q={escaped}'>&lt;</a>");
    assert_eq!(html(source, variables.clone()).unwrap(), expected);
    assert_eq!(text("{{ v }}", variables.clone()).unwrap(), variables["v"].as_str().unwrap());
}

/// Refused or ended: within 200 ms, also on a busy machine and without optimisation.
#[test]
fn hostile_templates_end_soon() {
    let big = "x".repeat(200_000);
    let list: Vec<u32> = (0..50_000).collect();
    let texts: Vec<String> = (0..2_000).map(|n| format!("{big:.90}{n}")).collect();
    let variables = map(json!({"big": big, "list": list, "texts": texts, "m": {"k": 1}}));
    let nested = |inner: &str| format!("{0}{0}{0}{inner}{1}{1}{1}", "{% for x in list %}", "{% endfor %}");
    let sources = [
        "{% for i in range(1000000000) %}x{% endfor %}".to_owned(),
        nested(""),
        nested("x"),
        nested("{{ x }}"),
        nested("{{ big }}"),
        nested("{% if big == big %}{% endif %}"),
        nested("{% if big in texts %}{% endif %}"),
        nested("{% if 'y' in big %}{% endif %}"),
        nested("{% if texts|join == big %}{% endif %}"),
        nested("{{ big|upper|lower|title|trim|length }}"),
        nested("{% if m[big] is defined %}{% endif %}"),
        nested("{% if big|replace('x', 'y') %}{% endif %}"),
        nested("{% if texts|length and big|first %}{% endif %}"),
        "{{ big|replace('x', big) }}".to_owned(),
        "{{ big|replace('x', 'xxxxxxxxxxxx')|replace('x', 'xxxxxxxxxxxx') }}".to_owned(),
        "{{ texts|join(big) }}".to_owned(),
        "{{ big }}".repeat(20),
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{{{{ a{} }}}}", "[a".repeat(100_000)),
        format!("{{{{ {}a }}}}", "not ".repeat(200_000)),
        format!("{{{{ a{} }}}}", " if a else a".repeat(80_000)),
        format!("{{{{ a{} }}}}", "|default(a".repeat(90_000)),
        "{% if a %}".repeat(90_000),
        "{% for a in a %}".repeat(60_000),
        "{{".repeat(500_000),
        "{{ '".repeat(250_000),
        "{%".repeat(500_000),
        "{# ".repeat(300_000),
        "{% raw %}".repeat(100_000),
        format!("{{{{ {} }}}}", "a".repeat(900_000)),
        "x".repeat(SOURCE_BYTES_MAX + 1) + "{{ x }}",
    ];
    for source in sources {
        let start = Instant::now();
        let result = render(&source, &variables, Escape::Html);
        let took = start.elapsed();
        assert!(result.is_err(), "{source:.80}");
        assert!(took < Duration::from_millis(200), "{took:?}: {source:.80}");
    }
}

/// Long, and allowed: neither reading nor running nor dropping recurses with the length.
#[test]
fn long_chains_are_no_nesting() {
    let variables = map(json!({"a": 1}));
    for source in [
        format!("{{{{ a{} }}}}", " and a".repeat(100_000)),
        format!("{{{{ a{} }}}}", "|trim".repeat(20_000)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(60_000)),
        "{% if a %}{% endif %}".repeat(40_000),
    ] {
        render(&source, &variables, Escape::Html).unwrap();
    }
}

proptest! {
    #[test]
    fn no_source_panics(source in "(\\{\\{|\\}\\}|\\{%|%\\}|\\{#|#\\}|-| |a|if|for|in|endif|endfor|else|raw|endraw|\\||\\(|\\)|\\[|\\]|'|\"|\\.|,|1|é|\n){0,40}") {
        let variables = map(json!({"a": ["x", {"a": 1}]}));
        let first = render(&source, &variables, Escape::Html);
        prop_assert_eq!(&first, &render(&source, &variables, Escape::Html), "the same each time");
        if let Err(TemplateError::Syntax(fault)) = first {
            prop_assert!(fault.line <= source.matches('\n').count() + 1);
        }
    }

    #[test]
    fn a_variable_never_appears_unescaped(value in "\\PC*[<>\"'&`]\\PC*") {
        let source = "<a title=\"{{ v }}\">{{ v|trim }}{{ list|join('<') }}{% for x in list %}{{ x }}{% endfor %}</a>";
        let rendered = html(source, json!({"v": value, "list": [value]})).unwrap();
        let inside = rendered.strip_prefix("<a title=\"").unwrap().strip_suffix("</a>").unwrap();
        let (attribute, rest) = inside.split_once("\">").unwrap();
        for part in [attribute, rest] {
            prop_assert!(!part.contains(['<', '>', '"', '\'', '`']), "{}", part);
            for reference in part.split('&').skip(1) {
                let name = reference.split(';').next().unwrap();
                prop_assert!(["amp", "lt", "gt", "quot", "#39", "#96"].contains(&name), "{}", part);
            }
        }
        // And what is escaped reads back as what was given.
        let back = attribute.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
            .replace("&#39;", "'").replace("&#96;", "`").replace("&amp;", "&");
        prop_assert_eq!(back, value);
    }
}
