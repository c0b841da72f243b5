//! The keys of the service: from the settings, or from files of the data folder that only their owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use posthaste_signing::EncryptionKey;
use rand::{Rng as _, rngs::StdRng};

use crate::settings::Settings;

/// How long an admin key has to be, in characters.
const MIN_ADMIN_KEY: usize = 24;

/// The admin key, and where it was just written if it was made now.
pub(crate) struct AdminKey {
    pub(crate) key: String,
    pub(crate) made_in: Option<PathBuf>,
}

/// Finds the admin key, or makes one.
pub(crate) fn admin_key(settings: &Settings, rng: &mut StdRng) -> anyhow::Result<AdminKey> {
    if let Some(key) = &settings.admin_key {
        check_admin_key(key.expose()).context("admin_key")?;
        return Ok(AdminKey { key: key.expose().to_owned(), made_in: None });
    }
    let path = settings.data_dir.join("admin.key");
    let (key, made) = read_or_make(&path, || {
        let mut random = [0_u8; 24];
        rng.fill_bytes(&mut random);
        random.iter().fold("phk_".to_owned(), |key, byte| key + &format!("{byte:02x}"))
    })?;
    check_admin_key(&key).with_context(|| path.display().to_string())?;
    Ok(AdminKey { key, made_in: made.then_some(path) })
}

fn check_admin_key(key: &str) -> anyhow::Result<()> {
    ensure!(key.chars().count() >= MIN_ADMIN_KEY, "an admin key has at least {MIN_ADMIN_KEY} characters");
    ensure!(key.bytes().all(|b| b.is_ascii_graphic()), "an admin key has only printable ASCII characters");
    Ok(())
}

/// Finds the key that secrets are sealed with, or makes one.
pub(crate) fn encryption_key(settings: &Settings, rng: &mut StdRng) -> anyhow::Result<EncryptionKey> {
    if let Some(key) = &settings.encryption_key {
        return EncryptionKey::parse(key.expose()).context("encryption_key");
    }
    let path = settings.data_dir.join("encryption.key");
    let (key, _) = read_or_make(&path, || EncryptionKey::generate(rng).expose().to_string())?;
    EncryptionKey::parse(&key).with_context(|| path.display().to_string())
}

/// Reads a key's file; where there is none, makes the key and writes it. Says whether it was made.
fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<(String, bool)> {
    match fs::read_to_string(path) {
        Ok(key) => return Ok((key.trim().to_owned(), false)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let key = make();
    let write = || -> std::io::Result<()> {
        // The key is whole or not there: it is written beside its place, and moved there.
        let draft = path.with_extension("key.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        writeln!(file, "{key}")?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        // What will be sealed with the key must not outlive it.
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok((key, true))
}
