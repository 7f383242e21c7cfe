//! From parts, templates and variables to the message that goes out.

pub mod template;
