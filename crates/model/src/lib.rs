//! The vocabulary of Posthaste as types and pure rules; no I/O.
