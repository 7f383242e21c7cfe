//! Posthaste: a self-hosted gateway for transactional email.
