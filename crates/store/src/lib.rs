//! The only SQL of Posthaste.
