//! Addresses, headers, MIME, DKIM and bounce messages; pure, no product, no async.
