//! The manual of the configuration, made from the table of keys; `docs/configuration.md` is its copy.

use super::keys::{self, KEYS, Key, PLAIN_VARIABLES};
use std::fmt::Write as _;

const HEAD: &str = "# Configuration

<!-- Made from the table of keys; regenerate with: cargo run -- config docs > docs/configuration.md -->

Later wins: built-in defaults, `posthaste.toml` in the working directory (or `--config PATH`), `.env` in the working
directory, the environment, flags. Every key has a variable `POSTHASTE_<SECTION>__<KEY>`; many have an older one
too. An unknown key, a bad value or a contradiction stops the start and says where it stands and what would be
right. An empty variable counts as not set. `posthaste config check` looks without starting, `posthaste config show`
says which value holds and where it comes from.

In `.env` a value without quotes stands as it is, up to a comment that begins with ` #`; so does one in single quotes.
`${NAME}` stands for another variable, but in single quotes.

Durations are written `500ms`, `30s`, `5m`, `1h`, `30d`; sizes `512KB`, `25MB`, `1GB`, in 1,024s; rates `10/s`,
`60/min`, `5/15min`, `100/h`; lists as TOML lists or, in variables, with commas.

With a plain variable `SMTP_ENCRYPTION` or `MAIL_ENCRYPTION`, `tls` means STARTTLS and `ssl` TLS from the first byte;
`RATE_LIMIT` is a number of requests an hour; times in `OTEL_*` are milliseconds. `LOG_LEVEL` may be one of syslog's levels,
such as `warning`.
";

/// The whole manual, Markdown.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for section in keys::sections() {
        let _ = match section {
            keys::TRANSPORTS => write!(text, "\n## transports.&lt;name&gt;\n\n{TRANSPORTS}\n"),
            keys::ROUTES => write!(text, "\n## routes\n\n{ROUTES}\n"),
            section => writeln!(text, "\n## {section}"),
        };
        text.push_str("\n| key | value | default | variables | meaning |\n| --- | --- | --- | --- | --- |\n");
        for key in KEYS.iter().filter(|key| key.section == section) {
            text.push_str(&row(key));
        }
    }
    text
}

const TRANSPORTS: &str = "A table for each transport: `[transports.main]`. Its name is made of lower-case letters, digits, `_` and `-`. The
plain variables make transports named like their kind. A transport of kind inbox, named `inbox`, is always there.";

const ROUTES: &str = "An ordered list, `[[routes]]`; the first route whose conditions all hold takes the mail. In variables a route has its
number, from 0: `POSTHASTE_ROUTES__0__TRANSPORTS=main,backup`.";

fn row(key: &Key) -> String {
    let default = match key.default {
        "" => "-".to_owned(),
        list if list.len() > 60 => list.replace(',', ", "),
        default => format!("`{default}`"),
    };
    let mut variables = vec![format!("`{}`", key.variable())];
    let plain = PLAIN_VARIABLES.iter().filter(|plain| is_of(plain.path, key));
    variables.extend(plain.map(|plain| format!("`{}`", plain.name)));
    let only = if key.only.is_empty() { String::new() } else { format!("{}: ", key.only.join(", ")) };
    format!(
        "| `{}` | {} | {default} | {} | {only}{} |\n",
        key.name,
        key.kind.describe(),
        variables.join(" "),
        key.doc
    )
}

fn is_of(path: &str, key: &Key) -> bool {
    keys::find(path).is_some_and(|found| std::ptr::eq(found, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_manual_is_the_generated_one() {
        let committed =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md"));
        let (committed, generated) = (committed.unwrap_or_default(), document());
        let differing = committed.lines().zip(generated.lines()).find(|(old, new)| old != new);
        assert!(
            committed == generated,
            "docs/configuration.md is not what the table of keys says; regenerate it with: \
             cargo run -- config docs > docs/configuration.md\nfirst difference: {differing:#?}"
        );
    }
}
