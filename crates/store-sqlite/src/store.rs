use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use posthaste_model::Timestamp;
use posthaste_store::{Durability, Finding, KeyId, Level, Result, Store, StoreError};
use rusqlite::Connection;

use crate::{
    fault::Fault, lock::ProcessLock, meta, readers::Readers, schema, shared::Shared, state::State,
    writer::Writer,
};

/// A store in one SQLite file.
pub struct SqliteStore {
    // Dropped in this order: the writer is the last to close the file, and takes its log along; then the lock is let go.
    pub(crate) readers: Readers,
    pub(crate) writer: Writer,
    pub(crate) shared: Shared,
    path: PathBuf,
    file: FileId,
    _lock: ProcessLock,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, and makes it, with its folder, if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, [`StoreError::NewerSchema`] when a newer build has written
    /// it, [`StoreError::Unavailable`] when the file or its folder cannot be written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| {
                StoreError::unavailable(format!("cannot make the folder {}: {e}", folder.display()), e)
            })?;
        }
        let failed =
            |e: io::Error| StoreError::unavailable(format!("cannot open {}: {e}", path.display()), e);
        let path = &place(path).map_err(failed)?;
        let lock = ProcessLock::acquire(path)?;
        let file = create(path).map_err(failed)?;
        let shared = Shared::default();
        let (conn, state) = load(path, &shared).map_err(|fault| match fault {
            Fault::Sqlite(e) => StoreError::unavailable(format!("cannot open {}: {e}", path.display()), e),
            Fault::Refused(error) => error,
        })?;
        let writer = Writer::start(conn, state)?;
        Ok(Self {
            writer,
            readers: Readers::new(path.clone()),
            shared,
            path: path.clone(),
            file,
            _lock: lock,
        })
    }

    /// Whether the file that is written is still the one at the path.
    fn check_place(&self) -> Result<()> {
        match FileId::of(&self.path) {
            Ok(found) if found == self.file => Ok(()),
            _ => Err(StoreError::Unavailable {
                reason: format!("{} was removed or replaced while it was in use", self.path.display()),
                source: None,
            }),
        }
    }
}

/// Names a file whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// One path for one file: links are followed, so that the lock beside it is one, too.
fn place(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.file_name()) {
        (Err(error), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(fs::canonicalize(folder.unwrap_or(Path::new(".")))?.join(name))
        }
        (place, _) => place,
    }
}

/// Makes the file if there is none, for its owner alone: it holds payloads. SQLite makes its other files alike.
fn create(path: &Path) -> io::Result<FileId> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => FileId::of(path),
    }
}

fn load(path: &Path, shared: &Shared) -> Result<(Connection, State), Fault> {
    let conn = Connection::open(path)?;
    schema::prepare_writer(&conn)?;
    schema::migrate(&conn)?;
    let state = State::load(&conn, shared.clone())?;
    Ok((conn, state))
}

#[async_trait]
impl Store for SqliteStore {
    fn durability(&self) -> Durability {
        Durability::Disk
    }

    async fn check(&self) -> Result<()> {
        self.check_place()?;
        self.writer.run(|work| Ok(meta::set(work.conn, meta::CHECKS, work.conn.total_changes())?)).await
    }

    async fn examine(&self, _now: Timestamp) -> Result<Vec<Finding>> {
        self.check().await?;
        let found = "disk: an event is on disk before it is acknowledged".into();
        Ok(vec![Finding { check: "durability", level: Level::Fine, found, remedy: None }])
    }

    async fn bind_key(&self, key: KeyId) -> Result<()> {
        self.writer
            .run(move |work| {
                let KeyId(key) = key;
                match meta::get::<Vec<u8>>(work.conn, meta::ENCRYPTION_KEY)? {
                    None => Ok(meta::set(work.conn, meta::ENCRYPTION_KEY, key)?),
                    Some(bound) if bound == key => Ok(()),
                    Some(_) => Err(StoreError::ForeignKey.into()),
                }
            })
            .await
    }
}
