//! The posthaste binary.

use std::process::ExitCode;

/// Faster than the system's own, and gives back what a large request took (docs/decisions/0011-allocator.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    posthaste::run()
}
