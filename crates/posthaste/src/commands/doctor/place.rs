use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use posthaste_client::Readiness;

use super::finding::Finding;
use crate::commands::health;

const SETTINGS: &str = "settings";
const DATA_DIR: &str = "data_dir";
const LISTEN: &str = "listen";

/// Who is where the service is to listen.
pub(super) enum Listener {
    /// Nobody.
    Free,
    /// A service that answers.
    Posthaste(Box<Readiness>),
    /// Another program.
    Other,
    /// It cannot be listened there.
    Unusable(std::io::Error),
}

impl Listener {
    pub(super) async fn of(listen: SocketAddr) -> Self {
        match TcpListener::bind(listen) {
            Ok(_) => Self::Free,
            Err(error) if error.kind() == ErrorKind::AddrInUse => match health::ask(listen).await {
                Ok(readiness) => Self::Posthaste(Box::new(readiness)),
                Err(_) => Self::Other,
            },
            Err(error) => Self::Unusable(error),
        }
    }
}

/// Which file the settings come from.
pub(super) fn settings_file(file: Option<PathBuf>) -> Finding {
    Finding::fine(
        SETTINGS,
        file.map_or_else(
            || "no file; flags, variables and defaults count".to_owned(),
            |file| format!("from {}", file.display()),
        ),
    )
}

/// Whether the data folder can be written.
pub(super) fn data_folder(folder: &Path) -> Finding {
    let missing = !folder.exists();
    // What is not there yet is made in the first folder above it that is.
    let there =
        folder.ancestors().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let there = there.into_iter().find(|above| above.exists()).unwrap_or(Path::new("."));
    match tempfile::tempfile_in(there) {
        Ok(_) if missing => {
            Finding::fine(DATA_DIR, format!("{} is made at the first start", folder.display()))
        }
        Ok(_) => Finding::fine(DATA_DIR, format!("{} can be written", folder.display())),
        Err(error) => Finding::danger(
            DATA_DIR,
            format!("{} cannot be written: {error}", there.display()),
            "give the folder to the user that the service runs as, or set data_dir",
        ),
    }
}

/// Whether the service can listen, or does already.
pub(super) fn listen(address: SocketAddr, listener: &Listener) -> Finding {
    match listener {
        Listener::Free => Finding::fine(LISTEN, format!("{address} is free")),
        Listener::Posthaste(readiness) if readiness.is_ready() => {
            Finding::fine(LISTEN, format!("a posthaste listens on {address}, and is ready"))
        }
        Listener::Posthaste(readiness) => Finding::warning(
            LISTEN,
            format!(
                "a posthaste listens on {address}, and is not ready: {}",
                readiness.reason.as_deref().unwrap_or("it does not say why")
            ),
            "look at its log",
        ),
        Listener::Other => Finding::danger(
            LISTEN,
            format!("{address} is taken by another program"),
            "stop it, or set another address",
        ),
        Listener::Unusable(error) => Finding::danger(
            LISTEN,
            format!("{address} cannot be listened on: {error}"),
            "set another address",
        ),
    }
}
