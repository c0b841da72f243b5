use tokio::sync::watch;

/// Asks a task to stop.
pub(crate) struct Stopper(watch::Sender<bool>);

/// Tells a task whether it was asked to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stopper {
    pub(crate) fn new() -> (Self, Stop) {
        let (ask, asked) = watch::channel(false);
        (Self(ask), Stop(asked))
    }

    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the task is asked to stop. Whoever could ask and is gone has asked.
    pub(crate) async fn asked(&mut self) {
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}
