use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use posthaste_store::{Result, StoreError};

/// Holds the store for this process, for as long as it lives. The operating system lets go of it after a crash.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Locks the file `<database>.lock`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it.
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| {
            StoreError::unavailable(format!("cannot write {}: {e}", Path::new(&path).display()), e)
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { what: database.display().to_string() }),
            Err(TryLockError::Error(e)) => {
                Err(StoreError::unavailable(format!("cannot lock {}: {e}", Path::new(&path).display()), e))
            }
        }
    }
}
