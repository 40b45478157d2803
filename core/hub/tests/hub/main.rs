//! The hub as devices and commands meet it: real TLS on loopback, real databases in a fresh folder, a clock that stands.

mod admin;
mod audit;
mod clinic;
mod desk;
mod device;
mod front;
mod pairing;
mod panic;
mod renewal;
mod revocation;
