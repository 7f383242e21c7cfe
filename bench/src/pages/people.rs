//! The pages that people look at: the dashboard, the organizers' reports, the inbox.

use serde_json::Value;

use super::{Plan, cell};
use crate::Fault;
use crate::node::Node;

/// What is asked for; `CLIENT` and `EMAIL` stand for ids.
pub const PAGES: [(&str, &str); 12] = [
    ("overview", "/admin"),
    ("emails", "/admin/emails?client=CLIENT"),
    ("of a status", "/admin/emails?client=CLIENT&q=status:sent"),
    ("of words", "/admin/emails?client=CLIENT&q=order+status:sent"),
    ("one email", "/admin/emails/CLIENT/EMAIL"),
    ("templates", "/admin/templates?client=CLIENT"),
    ("webhooks", "/admin/webhooks?client=CLIENT"),
    ("suppressions", "/admin/suppressions?client=CLIENT"),
    ("audit", "/admin/audit"),
    ("system", "/admin/system"),
    ("reports", "/eo/email-reports"),
    ("inbox", "/inbox"),
];

/// A row of the table.
pub async fn row(plan: &Plan, node: &Node, key: &str) -> Result<String, Fault> {
    let clients = node.run(&["client", "list", "--json"]).await?;
    let of_bench = clients.as_array().and_then(|all| all.iter().find(|one| one["name"] == "bench"));
    let client = of_bench.and_then(|one| one["client_id"].as_str()).ok_or("no client")?;
    let newest: Value = serde_json::from_str(&node.ask("/api/emails?limit=1", key).await?)?;
    let email = newest["data"][0]["id"].as_str().ok_or_else(|| format!("no email: {newest}"))?;
    let cookie = node.log_in().await?;
    let mut cells = Vec::new();
    for (_, path) in PAGES {
        let path = path.replace("CLIENT", client).replace("EMAIL", email);
        cells.push(cell(plan, async |_| node.page(&path, &cookie).await.map(|_| ())).await?);
    }
    Ok(cells.join(" | "))
}
