//! What all HTTP surfaces share: the server, the outermost service, strict JSON, bounded bodies, problems and the
//! headers of rate limits. Knows nothing of any dialect.

pub mod json;
