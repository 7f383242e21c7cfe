//! Nothing accepted is lost: the process is killed, stopped, starved and asked to leave, and both ends are counted.

pub mod count;
mod disk;
mod faults;
mod kills;
mod poison;
mod retention;
mod stops;
mod workers;
