//! Dispatch with the real store, real sockets, and relays that do as a script says.

mod breaking;
mod many;
mod outcomes;
mod stage;
