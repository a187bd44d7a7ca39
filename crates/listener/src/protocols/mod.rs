//! Adapters from decoder crates to [`Protocol`](crate::Protocol), each behind a feature and
//! written only with the public traits.
