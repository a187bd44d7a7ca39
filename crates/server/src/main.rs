//! Milepost.
fn main() {}
