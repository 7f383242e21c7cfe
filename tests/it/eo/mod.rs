//! `/eo/*` and the login before it (03-eo-reports): what organizers see and send, and who may not.

mod access;
mod attention;
mod crash;
mod login;
pub mod organizer;
mod report;
mod reports;
mod sessions;
