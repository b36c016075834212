//! Whether the service is about to end. What only reads is dropped then: a listing ends between its pages.

use tokio::sync::watch;

/// Whether the service is about to end.
pub(crate) struct Ending {
    has_begun: watch::Sender<bool>,
}

impl Ending {
    /// Not yet.
    pub(crate) fn new() -> Self {
        Self { has_begun: watch::Sender::new(false) }
    }

    /// The service is told to end.
    pub(crate) fn begin(&self) {
        self.has_begun.send_replace(true);
    }

    /// The service has ended; another one may begin.
    pub(crate) fn is_over(&self) {
        self.has_begun.send_replace(false);
    }

    /// Whether it was told to.
    pub(crate) fn has_begun(&self) -> bool {
        *self.has_begun.borrow()
    }

    /// Resolves when it is told to.
    pub(crate) async fn begun(&self) {
        // An error means that the sender is gone, and we hold it.
        let _ = self.has_begun.subscribe().wait_for(|begun| *begun).await;
    }
}
