//! Whether the store takes data.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::SinkError;

/// Whether a pipeline gets rid of what it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// The last attempt worked.
    #[default]
    Ready,
    /// The store does not take data now; why.
    Stalled(Box<str>),
}

#[derive(Debug, Default)]
pub(crate) struct HealthCell(Mutex<Health>);

impl HealthCell {
    pub(crate) fn ready(&self) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *health != Health::Ready {
            tracing::info!("the store takes data again");
            *health = Health::Ready;
        }
    }

    pub(crate) fn stalled(&self, error: &SinkError) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *health = Health::Stalled(error.to_string().into());
    }

    pub(crate) fn get(&self) -> Health {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
