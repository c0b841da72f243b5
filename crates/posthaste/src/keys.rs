//! The keys of the service: from the settings, or from files of the data folder that only their owner can read.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use posthaste_signing::EncryptionKey;
use rand::{Rng as _, rngs::StdRng};

use crate::settings::Settings;

/// How long an admin key has to be, in characters.
const MIN_ADMIN_KEY: usize = 24;

const ADMIN_FILE: &str = "admin.key";
const ENCRYPTION_FILE: &str = "encryption.key";
/// Where a new encryption key is kept until the store is bound to it.
const ENCRYPTION_DRAFT: &str = "encryption.key.new";

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The settings.
    Settings,
    /// A file of the data folder.
    File(PathBuf),
}

/// The admin key, and where it was just written if it was made now.
pub(crate) struct AdminKey {
    pub(crate) key: String,
    pub(crate) made_in: Option<PathBuf>,
}

/// Finds the admin key, or makes one.
pub(crate) fn admin_key(settings: &Settings, rng: &mut StdRng) -> anyhow::Result<AdminKey> {
    if let Some((key, _)) = find_admin_key(settings)? {
        return Ok(AdminKey { key, made_in: None });
    }
    let mut random = [0_u8; 24];
    rng.fill_bytes(&mut random);
    let key = random.iter().fold("phk_".to_owned(), |key, byte| key + &format!("{byte:02x}"));
    let path = settings.data_dir.join(ADMIN_FILE);
    let key = write_new(&path, &key)?;
    Ok(AdminKey { key, made_in: Some(path) })
}

/// The admin key that is there already, and where.
pub(crate) fn find_admin_key(settings: &Settings) -> anyhow::Result<Option<(String, Source)>> {
    if let Some(key) = &settings.admin_key {
        check_admin_key(key.expose()).context("admin_key")?;
        return Ok(Some((key.expose().to_owned(), Source::Settings)));
    }
    let path = settings.data_dir.join(ADMIN_FILE);
    let Some(key) = read(&path)? else { return Ok(None) };
    check_admin_key(&key).with_context(|| path.display().to_string())?;
    Ok(Some((key, Source::File(path))))
}

fn check_admin_key(key: &str) -> anyhow::Result<()> {
    ensure!(key.chars().count() >= MIN_ADMIN_KEY, "an admin key has at least {MIN_ADMIN_KEY} characters");
    ensure!(key.bytes().all(|b| b.is_ascii_graphic()), "an admin key has only printable ASCII characters");
    Ok(())
}

/// The key that secrets are to be sealed with. The store is yet to be bound to it.
pub(crate) struct Candidate {
    pub(crate) key: EncryptionKey,
    /// The data folder, if the key is new.
    new_in: Option<PathBuf>,
}

/// Finds the key that secrets are sealed with, or makes one.
///
/// A new one waits in a file of its own, so that it is neither lost when the process dies before it is
/// [kept](Candidate::keep), nor left behind when the store turns out to have another.
pub(crate) fn encryption_key(settings: &Settings, rng: &mut StdRng) -> anyhow::Result<Candidate> {
    if let Some((key, _)) = find_encryption_key(settings)? {
        return Ok(Candidate { key, new_in: None });
    }
    let draft = settings.data_dir.join(ENCRYPTION_DRAFT);
    let key = match read(&draft)? {
        Some(key) => key,
        None => write_new(&draft, &EncryptionKey::generate(rng).expose())?,
    };
    let key = EncryptionKey::parse(&key).with_context(|| draft.display().to_string())?;
    Ok(Candidate { key, new_in: Some(settings.data_dir.clone()) })
}

/// The encryption key that is there already, and where.
pub(crate) fn find_encryption_key(settings: &Settings) -> anyhow::Result<Option<(EncryptionKey, Source)>> {
    if let Some(key) = &settings.encryption_key {
        let key = EncryptionKey::parse(key.expose()).context("encryption_key")?;
        return Ok(Some((key, Source::Settings)));
    }
    let path = settings.data_dir.join(ENCRYPTION_FILE);
    let Some(key) = read(&path)? else { return Ok(None) };
    let key = EncryptionKey::parse(&key).with_context(|| path.display().to_string())?;
    Ok(Some((key, Source::File(path))))
}

impl Candidate {
    /// The store is bound to the key: it must never be lost.
    pub(crate) fn keep(self) -> anyhow::Result<EncryptionKey> {
        let Self { key, new_in } = self;
        let Some(folder) = new_in else { return Ok(key) };
        let path = folder.join(ENCRYPTION_FILE);
        let kept = write_new(&path, &key.expose())?;
        ensure!(kept == *key.expose(), "{} was written by another process meanwhile", path.display());
        remove(&folder.join(ENCRYPTION_DRAFT))?;
        Ok(key)
    }

    /// The store is bound to another key: a new one is of no use.
    pub(crate) fn discard(self) -> anyhow::Result<()> {
        self.new_in.map_or(Ok(()), |folder| remove(&folder.join(ENCRYPTION_DRAFT)))
    }
}

/// Reads a key's file, if there is one.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(key) => Ok(Some(key.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a key's file. Where another process was faster, its key counts.
fn write_new(path: &Path, key: &str) -> anyhow::Result<String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<bool> {
        // The key is whole or not there: it is written beside its place, for its owner alone, and put there.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{key}")?;
        file.as_file().sync_all()?;
        let first = match file.persist_noclobber(path) {
            Ok(_) => true,
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => false,
            Err(refused) => return Err(refused.error),
        };
        // What will be sealed with the key must not outlive it.
        fs::File::open(folder)?.sync_all()?;
        Ok(first)
    };
    let first = write().with_context(|| format!("cannot write {}", path.display()))?;
    if first {
        Ok(key.to_owned())
    } else {
        read(path)?.with_context(|| format!("{} vanished", path.display()))
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
