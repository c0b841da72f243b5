use std::{future::pending, thread};

use tokio::sync::watch;

/// Sounds when a task dies without which the dispatcher only looks healthy.
pub(crate) struct Alarm(watch::Sender<bool>);

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Does the work of such a task.
    pub(crate) async fn guard<T>(&self, doing: &'static str, work: impl Future<Output = T>) -> T {
        let _armed = Armed { alarm: self, doing };
        work.await
    }

    /// Ends when it has sounded.
    pub(crate) fn sounded(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut sound = self.0.subscribe();
        async move {
            if sound.wait_for(|sounded| *sounded).await.is_err() {
                pending().await
            }
        }
    }
}

struct Armed<'a> {
    alarm: &'a Alarm,
    doing: &'static str,
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        // No task ends by itself but by a panic; the others were told to end, or are dropped with the runtime.
        if thread::panicking() {
            tracing::error!("{} has died; this process needs to be restarted", self.doing);
            self.alarm.0.send_replace(true);
        }
    }
}
