//! What is learned about a device.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What has been learned or configured about one device, as its decoder writes it.
///
/// To everyone but the decoder it is an opaque text with a version inside. A registry keeps it; a
/// copy travels with each frame, so that decoding is a function of frame and profile. Sharing one
/// costs a reference count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(Arc<str>);

impl Profile {
    /// Wraps what a decoder wrote.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// What the decoder wrote.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
