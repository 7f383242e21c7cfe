//! `posthaste doctor graph`: the set-up at Microsoft, step by step.

use super::Diagnosis;
use crate::app::App;
use crate::transports::provider::{Finding, examine_graph};

/// Every transport of kind graph; `user` is a mailbox that must exist.
pub async fn all(app: &App, user: Option<&str>) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for (name, place, graph) in app.graph_apps() {
        let steps = examine_graph(&place, &graph, user, &app.clock).await;
        match steps {
            Ok(steps) => found.extend(steps.into_iter().map(|step| diagnosis(&name, step))),
            Err(error) => found.push(Diagnosis::failed(format!("{name}: login"), error, "see the message")),
        }
    }
    found
}

/// What to say where there is none.
pub fn none() -> Diagnosis {
    let remedy = "set MICROSOFT_TENANT_ID, MICROSOFT_CLIENT_ID and MICROSOFT_CLIENT_SECRET; docs/providers.md leads \
                  through the app registration";
    Diagnosis::failed("graph", "no transport of kind graph is configured", remedy)
}

fn diagnosis(transport: &str, step: Finding) -> Diagnosis {
    let part = format!("{transport}: {}", step.step);
    match step.is_fine {
        Some(true) => Diagnosis::ok(part, step.message),
        Some(false) => Diagnosis::failed(part, step.message, step.remedy),
        None => Diagnosis::warning(part, step.message, step.remedy),
    }
}
