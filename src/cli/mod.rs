//! The command line: one file a command group. A command reads its arguments, calls what the API calls too, and
//! prints what came of it: a table for people, JSON for programs.

mod backup;
mod clients;
mod completions;
mod config;
mod doctor;
mod domains;
mod events;
mod failure;
mod installation;
mod keys;
mod migrate;
mod migrate_store;
mod oauth_clients;
mod output;
mod progress;
mod queue;
mod restore;
mod routes;
mod send;
mod serve;
mod signing_keys;
mod suppressions;
mod templates;
mod tokens;
mod users;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use failure::Failure;
use std::path::PathBuf;
use std::process::ExitCode;

/// What stands below `--help`; docs/commands.md says the same at length.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed (the reason is on standard error), 2 the command line is wrong.
Commands that prepare an installation work while a server runs, and take effect at once on every node.";

/// A self-hosted gateway for transactional email.
#[derive(Parser)]
#[command(name = "posthaste", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct CommandLine {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Which installation is meant.
#[derive(Args, Clone, Debug, Default)]
struct Place {
    /// The configuration file [default: posthaste.toml where the command is run, if there is one]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The data directory, instead of the configured one
    #[arg(long, global = true, value_name = "PATH")]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Bring the store to this version's schema
    Migrate(migrate::Migrate),
    /// Move the embedded store, while stopped, into an empty PostgreSQL database
    MigrateStore(migrate_store::MigrateStore),
    /// Try every configured part; say what is wrong and how to mend it
    Doctor(doctor::Doctor),
    /// Hand in one test mail
    Send(send::Send),
    /// Clients: the applications that send
    Client(clients::Clients),
    /// API keys
    Key(keys::Keys),
    /// Tokens of the Mail Proxy API
    Token(tokens::Tokens),
    /// OAuth2 clients
    OauthClient(oauth_clients::OauthClients),
    /// The keys that sign access tokens
    Keys(signing_keys::SigningKeys),
    /// Sending domains and their signing keys
    Domain(domains::Domains),
    /// Addresses that are not written to
    #[command(alias = "suppressions")]
    Suppression(suppressions::Suppressions),
    /// Take over the addresses that another service did not write to
    Import(suppressions::Import),
    /// Templates
    Template(templates::Templates),
    /// People who log in
    User(users::Users),
    /// Organizers' events
    Event(events::Events),
    /// Routes: which transport takes which email
    Route(routes::Routes),
    /// The queue
    Queue(queue::Queue),
    /// The configuration
    Config(config::Config),
    /// Print the OpenAPI document of the Emails API
    Openapi,
    /// Copy the installation, while it runs, into a new directory
    Backup(backup::Backup),
    /// Put a backup into an empty data directory
    Restore(restore::Restore),
    /// Print the completions of a shell
    Completions(completions::Completions),
}

/// Parses the command line and runs what it asks for.
pub fn run() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no faults: clap knows which stream and which code each gets. A closed pipe is
            // the reader's choice.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    match line.command.run(&line.place) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("posthaste: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

impl Command {
    fn run(self, place: &Place) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve(serve) => serve.run(place),
            Self::Migrate(migrate) => migrate.run(place),
            Self::MigrateStore(migrate) => migrate.run(place),
            Self::Doctor(doctor) => return doctor.run(place),
            Self::Send(send) => send.run(place),
            Self::Client(clients) => clients.run(place),
            Self::Key(keys) => keys.run(place),
            Self::Token(tokens) => tokens.run(place),
            Self::OauthClient(clients) => clients.run(place),
            Self::Keys(keys) => keys.run(place),
            Self::Domain(domains) => domains.run(place),
            Self::Suppression(suppressions) => suppressions.run(place),
            Self::Import(import) => import.run(place),
            Self::Template(templates) => templates.run(place),
            Self::User(users) => users.run(place),
            Self::Event(events) => events.run(place),
            Self::Route(routes) => routes.run(place),
            Self::Queue(queue) => queue.run(place),
            Self::Config(config) => config.run(place),
            Self::Openapi => output::json(&crate::surfaces::emails_api::openapi::document()),
            Self::Backup(backup) => backup.run(place),
            Self::Restore(restore) => restore.run(place),
            Self::Completions(completions) => completions.run(CommandLine::command()),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn lists_of_other_services_are_imported() {
        for (arguments, is_right) in [
            (&["import", "--from", "csv", "list.csv"][..], true),
            (&["import", "--from", "csv"], true),
            (&["import", "--from", "carrier-pigeon", "list.csv"], false),
            (&["suppressions", "import", "list.csv"], true),
        ] {
            let line = std::iter::once("posthaste").chain(arguments.iter().copied());
            assert_eq!(CommandLine::try_parse_from(line).is_ok(), is_right, "{arguments:?}");
        }
    }

    #[test]
    fn permissions_and_scopes_are_listed_or_repeated() {
        let token = ["token", "create", "--name", "N", "--permission", "mail:send"];
        let key = ["key", "create", "--permission", "emails:send"];
        let oauth = ["oauth-client", "create", "--id", "x", "--secret-stdin", "--scope", "basic"];
        for (given, more) in [
            (&token[..], &["mail:read", "--json"][..]),
            (&token, &["--permission", "mail:read", "--expires-in", "60"]),
            (&key, &["emails:read", "--client", "Tickets"]),
            (&key, &["--permission", "emails:read", "--client", "Tickets"]),
            (&oauth, &["email", "--json"]),
            (&oauth, &["--scope", "email"]),
        ] {
            let line = std::iter::once("posthaste").chain(given.iter().copied()).chain(more.iter().copied());
            let fault = CommandLine::try_parse_from(line).err().map(|fault| fault.to_string());
            assert_eq!(fault, None, "{given:?} {more:?}");
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn flags(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().map(|argument| argument.get_id().to_string()));
            command.get_subcommands().for_each(|sub| flags(sub, found));
        }
        let mut found = Vec::new();
        flags(&CommandLine::command(), &mut found);
        // What is read from standard input is named, not given.
        found.retain(|flag| !flag.ends_with("_stdin"));
        for word in ["password", "secret", "token", "api_key"] {
            assert!(!found.iter().any(|flag| flag.contains(word)), "{word} in {found:?}");
        }
    }

    #[test]
    fn every_command_is_in_the_manual() {
        const MANUAL: &str = include_str!("../../docs/commands.md");
        fn commands(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() { commands(sub, &path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        commands(&CommandLine::command(), "posthaste", &mut found);
        let missing: Vec<&String> =
            found.iter().filter(|path| !MANUAL.contains(&format!("`{path}"))).collect();
        assert!(missing.is_empty(), "docs/commands.md does not name {missing:?}");
    }
}
