//! From parts, templates and variables to the message that goes out.

pub mod schema;
pub mod template;
