//! The visit as a caller meets it: events in, effects and screens out.

mod card_troubles;
mod common;
mod pairs;
mod person;
mod privacy;
mod resume;
mod signal;
mod words;
