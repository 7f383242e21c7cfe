//! Input that means harm: a clear error or harmless mail, never an extra header, an extra command or a dead server.

mod addresses;
mod attachments;
mod canaries;
mod injection;
mod json;
mod paths;
mod resources;
mod secrets;
mod slow;
