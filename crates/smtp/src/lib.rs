//! The SMTP protocol, both ends, without any product.
