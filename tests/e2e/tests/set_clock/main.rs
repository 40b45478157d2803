//! Device, front and desk in this process, over real TLS and on real databases, each with a clock that the test sets.

mod pairing_attacks;
mod renewal;
mod scene;
