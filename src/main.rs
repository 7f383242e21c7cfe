//! The posthaste binary.

use posthaste::{app, base, config};

fn main() -> anyhow::Result<()> {
    let directory = std::env::current_dir()?;
    let loaded = config::load(&config::Overrides::default(), &directory)?;
    let _log = base::log::init(&loaded.settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let options = app::BuildOptions { faults: config::faults()?, ..app::BuildOptions::default() };
    runtime.block_on(app::serve(loaded.settings, app::Roles::ALL, options))?;
    Ok(())
}
