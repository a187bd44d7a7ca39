//! Adapters from decoder crates to [`Protocol`](crate::Protocol), each behind a feature and
//! written only with the public traits: a third party's adapter looks the same.

#[cfg(feature = "ais140")]
mod ais140;
#[cfg(feature = "gt06")]
mod gt06;

#[cfg(feature = "ais140")]
pub use ais140::{Ais140, Ais140Session};
#[cfg(feature = "gt06")]
pub use gt06::{Gt06, Gt06Session};
