//! SIGTERM and SIGINT: the first asks for a clean end, the second ends at once. SIGHUP, which a
//! closing terminal sends and some tools use for "read your files again", never ends anything.

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// A token that the first signal cancels. A second signal ends the process with status 130.
///
/// # Errors
/// When the handlers cannot be installed.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn on_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            tracing::info!("SIGHUP: nothing to do; a changed configuration needs a restart");
        }
    });
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        first.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(token)
}
