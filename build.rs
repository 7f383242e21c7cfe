//! Notes the version of the compiler, which the status page tells.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told).into_owned();
    // `rustc 1.95.0 (hash date)`
    let version = told.split_whitespace().nth(1).unwrap_or(env!("CARGO_PKG_RUST_VERSION"));
    println!("cargo::rustc-env=POSTHASTE_RUSTC_VERSION={version}");
}
