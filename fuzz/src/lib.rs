//! What the fuzz targets and the generator of their seeds share: how an input is read, and how
//! one is written.

pub mod carrier;
pub mod frames;
pub mod message;
pub mod session;
pub mod stream;
