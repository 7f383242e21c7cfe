//! What is shown to be let in: tokens of any make and length, secrets whose refusal tells nothing, keys by the thousand.

mod alike;
mod many;
mod tokens;
