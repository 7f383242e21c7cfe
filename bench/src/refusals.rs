//! What saying no costs: how long hostile requests keep the server busy, and whether the time of a refusal tells that a
//! client, a key or a user exists. The rules are of the acceptance list in the design: B17, B23, C26 and C28.

mod alike;
mod bounded;
mod caller;

use clap::Args;

use crate::Fault;
use crate::node::Node;

/// The rates at which guessing is stopped, put out of the way: nobody is to be blocked while it is measured.
const UNLIMITED: &str = "1000000000/min";

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Requests of each hostile kind; the median is printed.
    #[arg(long, default_value_t = 21)]
    requests: usize,
    /// Guesses of each kind when times are compared.
    #[arg(long, default_value_t = 2000)]
    samples: usize,
}

/// Measures both and prints two tables.
pub async fn measure(plan: &Plan) -> Result<(), Fault> {
    // Nothing of this is ever sent anywhere.
    let mut node = Node::new(([127, 0, 0, 1], 9).into())?;
    node.set("POSTHASTE_OAUTH__LOGIN_ATTEMPTS", UNLIMITED.to_owned());
    node.set("POSTHASTE_LIMITS__LOGIN_ATTEMPTS", UNLIMITED.to_owned());
    node.start().await?;
    let key = node.key().await?;
    node.admin().await?;
    let client =
        ["oauth-client", "create", "--id", alike::CLIENT, "--secret-stdin", "--scope", "email", "--json"];
    node.run_with(&client, "abc123").await?;

    println!("\nHostile requests, medians of {} each in ms\n", plan.requests);
    println!("| what | requests | median of all | the slowest | allowed |");
    println!("| --- | --- | --- | --- | --- |");
    bounded::measure(node.address()?, &key, plan.requests).await?;

    println!("\nGuesses with a wrong secret, medians of {} each in ms\n", plan.samples);
    println!("| whose | exists | exists not | ratio (0.95 to 1.05 is asked) |");
    println!("| --- | --- | --- | --- |");
    alike::measure(&node, &key, plan.samples).await?;
    node.stop().await;
    Ok(())
}
