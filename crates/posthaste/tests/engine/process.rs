use std::sync::Arc;

use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts};
use tokio::runtime::{Builder, Runtime};

use crate::{
    backend::Backend,
    seen::Record,
    subscribers::{Line, Subscribers},
    watched::Watched,
};

/// A process with a dispatcher: a runtime and an open store of its own. It is killed when it is dropped.
pub(crate) struct Process {
    pub(crate) name: String,
    /// None: it has been given away.
    dispatcher: Option<Dispatcher>,
    /// None: it has ended.
    runtime: Option<Runtime>,
}

/// What a process needs of the world that it starts in.
pub(crate) struct Surroundings {
    pub(crate) backend: Arc<Backend>,
    pub(crate) record: Arc<Record>,
    pub(crate) subscribers: Arc<Subscribers>,
}

impl Process {
    /// Starts, and returns once the dispatcher runs. `make` completes what a dispatcher works with.
    pub(crate) async fn start(
        settings: DispatchSettings,
        around: Surroundings,
        make: impl FnOnce(Arc<Watched>, Arc<Line>) -> Parts,
    ) -> Self {
        let Surroundings { backend, record, subscribers } = around;
        let name = settings.owner.clone();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.spawn(async move { backend.open().await }).await.unwrap();
        let store = Arc::new(Watched { process: name.clone(), store, record });
        let line = Arc::new(Line { process: name.clone(), subscribers });
        let dispatcher = {
            let _entered = runtime.enter();
            Dispatcher::start(make(store, line), settings)
        };
        Self { name, dispatcher: Some(dispatcher), runtime: Some(runtime) }
    }

    /// Ends as SIGTERM would have it.
    pub(crate) async fn drain(mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.drain().await;
        }
    }

    /// Ends as a crash does: whatever it was at is never gone on with.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Drops the dispatcher, and lives on: what is in flight is finished, though nobody holds its partition.
    pub(crate) fn abandon(&mut self) {
        self.dispatcher = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
