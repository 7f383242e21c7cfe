//! The doors: each surface translates its own documented shapes onto the one pipeline, and knows no rule of mail.

pub mod emails_api;
pub mod http;
pub mod inbox;
pub mod ops;
pub mod web;
