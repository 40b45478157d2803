//! The plastic card: the conversations of `core/card` against the virtual card, which shares no code with them.

mod cancel;
mod certificates;
mod counts;
mod inspect;
mod loss;
mod pin;
mod random;
mod rig;
mod swap;
