//! Input that means harm: a clear error or harmless mail, never an extra header, an extra command or a dead server.

mod addresses;
mod attachments;
mod injection;
mod json;
mod resources;
mod secrets;
mod slow;
