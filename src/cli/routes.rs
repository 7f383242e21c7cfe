//! `posthaste route test`: which way an email would go, and why. Sends and stores nothing.

use super::Place;
use super::failure::Failure;
use super::output::{Format, harmless};
use crate::routing::{RouteDecision, RouteQuery, RouteReason};
use clap::{Args, Subcommand};
use posthaste_model::email::{Priority, Source};
use posthaste_model::{Address, ClientId};
use serde_json::{Value, json};

#[derive(Args)]
pub struct Routes {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say which route an email would take, and why
    Test(Test),
}

#[derive(Args)]
struct Test {
    /// The sender
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    /// A recipient; repeatable
    #[arg(long, required = true, value_name = "ADDRESS", value_parser = address)]
    to: Vec<Address>,
    /// Where it came in: api, emails, aegis, mail_proxy, oauth, eo_report, operator or smtp
    #[arg(long, default_value = "api", value_parser = source)]
    source: Source,
    /// The client, by name or id
    #[arg(long)]
    client: Option<String>,
    /// A tag; repeatable
    #[arg(long)]
    tag: Vec<String>,
    /// Its priority, 1 (highest) to 5
    #[arg(long, default_value = "3", value_parser = priority)]
    priority: Priority,
    #[command(flatten)]
    format: Format,
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("the address {error}"))
}

fn source(text: &str) -> Result<Source, String> {
    let word = if text == "api" { "emails" } else { text };
    let words = || Source::ALL.iter().map(|source| source.as_str()).collect::<Vec<_>>().join(", ");
    Source::parse(word).ok_or_else(|| format!("is one of api, {}", words()))
}

fn priority(text: &str) -> Result<Priority, String> {
    text.parse().ok().and_then(Priority::new).ok_or_else(|| "is a number of 1 to 5".to_owned())
}

impl Routes {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let Command::Test(test) = self.command;
        let format = test.format;
        let decision = place.with_app(async |app| {
            let client = match &test.client {
                Some(name) => Some(app.admin.client(name).await?),
                None => None,
            };
            let to_domains: Vec<&str> = test.to.iter().map(Address::domain).collect();
            Ok(app.routes.find(&RouteQuery {
                source: test.source,
                test_mode: false,
                from_domain: test.from.domain(),
                to_domains: &to_domains,
                client_id: client.as_ref().map_or(ClientId::from_bytes([0; 16]), |client| client.id),
                client_name: client.as_ref().map(|client| client.name.as_str()),
                tags: &test.tag,
                priority: test.priority,
                lot: app.chance.u64().into(),
            }))
        })?;
        format.print(&shape(&decision), || text(&decision))
    }
}

fn shape(decision: &RouteDecision) -> Value {
    let rule = match decision.reason {
        RouteReason::Rule(number) => Some(number),
        _ => None,
    };
    let transports: Vec<&str> = decision.transports.iter().map(|name| &**name).collect();
    json!({"rule": rule, "reason": decision.reason.to_string(), "transports": transports})
}

fn text(decision: &RouteDecision) -> String {
    let mut text = format!("{}\n", decision.reason);
    for (number, name) in decision.transports.iter().enumerate() {
        let note = if number == 0 { "" } else { " (while the circuits before it are open)" };
        text.push_str(&format!("{}. {}{note}\n", number + 1, harmless(name)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_and_the_order_are_told() {
        let transports = ["a", "b"].map(std::sync::Arc::from).into();
        let decision = RouteDecision { transports, reason: RouteReason::Rule(2) };
        assert_eq!(shape(&decision)["rule"], 2);
        assert_eq!(text(&decision), "route 2 matched\n1. a\n2. b (while the circuits before it are open)\n");
        let decision = RouteDecision { reason: RouteReason::Default, ..decision };
        assert_eq!(shape(&decision)["rule"], Value::Null);
    }
}
