//! Hears what is logged.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::subscriber::DefaultGuard;

/// Keeps what this thread logs, from warnings to what is told in passing.
pub(crate) struct Witness {
    heard: Arc<Mutex<Vec<u8>>>,
    _listening: DefaultGuard,
}

struct Ear(Arc<Mutex<Vec<u8>>>);

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Witness {
    /// Begins to listen. The runtime of the test has one thread.
    pub(crate) fn new() -> Self {
        let heard = Arc::default();
        let ear = Arc::clone(&heard);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .without_time()
            .with_ansi(false)
            .with_writer(move || Ear(Arc::clone(&ear)))
            .finish();
        Self { heard, _listening: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines that were logged.
    pub(crate) fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        String::from_utf8_lossy(&heard).lines().map(|line| line.trim().to_owned()).collect()
    }
}
