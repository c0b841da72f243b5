use posthaste_dispatch::Dispatcher;
use tokio::sync::watch;

/// A process with a dispatcher. It is killed when it is dropped: nothing that it began ever goes on.
pub(crate) struct Process {
    dispatcher: Dispatcher,
    life: watch::Sender<()>,
}

/// Whether a process lives: for as long as there is a sender.
pub(crate) type Life = watch::Receiver<()>;

impl Process {
    pub(crate) fn new(start: impl FnOnce(Life) -> Dispatcher) -> Self {
        let (life, lives) = watch::channel(());
        Self { dispatcher: start(lives), life }
    }

    /// Ends when a vital task of the dispatcher has died.
    pub(crate) fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.dispatcher.failed()
    }

    /// Ends as SIGTERM would have it.
    pub(crate) async fn drain(self) {
        self.dispatcher.drain().await;
        drop(self.life);
    }
}

/// Does `work` for as long as the process lives. After that it never ends.
pub(crate) async fn while_alive<T>(life: &Life, work: impl Future<Output = T>) -> T {
    let mut life = life.clone();
    tokio::select! {
        biased;
        _ = life.changed() => std::future::pending().await,
        done = work => done,
    }
}
