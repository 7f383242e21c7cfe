//! Posthaste: a self-hosted gateway for transactional email.

pub mod base;
pub mod limits;
pub mod surfaces;
