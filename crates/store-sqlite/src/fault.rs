use posthaste_store::{Missing, StoreError};

/// Why a job of the writer, or a read, failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLite failed. Whatever the transaction wrote is rolled back.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The request cannot be granted. Nothing was written for it.
    #[error(transparent)]
    Refused(#[from] StoreError),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn missing(what: Missing) -> Self {
        Self::Refused(StoreError::NotFound(what))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Sqlite(error) => Self::unavailable(error.to_string(), error),
        }
    }
}

/// For a value in the file that this build cannot have written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Refused(StoreError::damaged(what))
}
