//! Copies of urgent envelopes, for consumers that act at once.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::GatewayOptions;
use super::forward::{Forwarding, forward, record};
use crate::kafka::{KafkaConfig, KafkaFault, Producer};
use crate::spool::Spool;

/// Copies that wait in memory, where there is no log for them.
const IN_MEMORY: usize = 1_000;

/// The way of the copies. A copy is one more: what it is of is stored and acknowledged without it, so
/// that a topic that takes no copies holds nothing up.
#[derive(Debug)]
pub(super) enum Express {
    Log(Spool),
    Memory(mpsc::Sender<(String, Vec<u8>)>),
}

impl Express {
    pub(super) fn start(
        config: &KafkaConfig,
        options: &GatewayOptions,
    ) -> Result<(Self, JoinHandle<()>), KafkaFault> {
        let producer = Producer::new(config, &options.producer)?;
        let topic = options.topics.urgent.clone();
        match &options.express {
            Some(log) => {
                let forwarding = Forwarding {
                    producer: Some(producer),
                    config: config.clone(),
                    options: options.producer.clone(),
                    topic,
                    before: None,
                };
                let copying = tokio::spawn(forward(log.clone(), forwarding));
                Ok((Self::Log(log.clone()), copying))
            }
            None => {
                let (sender, copies) = mpsc::channel(IN_MEMORY);
                let copying = tokio::spawn(send(producer, topic, copies));
                Ok((Self::Memory(sender), copying))
            }
        }
    }

    /// Makes a copy, in the order of the calls. In a log it is safe when the future resolves.
    pub(super) fn copy(
        &self,
        key: &str,
        encoded: &[u8],
    ) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let is_taken = match self {
            Self::Log(log) if !log.status().full => {
                let appended = log.append(record(key, encoded));
                return Some(Box::pin(async move {
                    if let Err(error) = appended.await {
                        tracing::warn!(%error, "an urgent envelope has no copy");
                    }
                }));
            }
            Self::Log(_) => false,
            Self::Memory(copies) => {
                let copy = (key.to_owned(), encoded.to_vec());
                copies.try_send(copy).is_ok()
            }
        };
        if !is_taken {
            metrics::counter!("milepost_gateway_express_skipped_total").increment(1);
        }
        None
    }

    pub(super) fn waiting(&self) -> u64 {
        match self {
            Self::Log(log) => log.status().depth,
            Self::Memory(copies) => {
                u64::try_from(copies.max_capacity() - copies.capacity()).unwrap_or(0)
            }
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Log(log) = self {
            log.close().await;
        }
    }
}

async fn send(producer: Producer, topic: String, mut copies: mpsc::Receiver<(String, Vec<u8>)>) {
    while let Some((key, encoded)) = copies.recv().await {
        match producer.enqueue(&topic, &key, &encoded).await {
            Ok(delivery) => {
                tokio::spawn(async move {
                    if let Err(error) = delivery.await {
                        tracing::warn!(%error, "the copy of an urgent envelope was not delivered");
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "an urgent envelope has no copy"),
        }
    }
}
