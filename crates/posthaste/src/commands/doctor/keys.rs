use posthaste_store::{KeyId, Store, StoreError};

use super::finding::Finding;
use crate::{
    cli::on_one_line,
    keys::{self, Source},
    settings::{Role, Settings},
    store,
};

const ADMIN: &str = "admin_key";
const ENCRYPTION: &str = "encryption_key";

/// Whether there is an admin key.
pub(super) fn admin_key(settings: &Settings) -> Finding {
    match keys::find_admin_key(settings) {
        Err(error) => Finding::danger(ADMIN, on_one_line(&error), "give another one"),
        Ok(Some((_, source))) => Finding::fine(ADMIN, whence(settings, &source)),
        Ok(None) if !settings.roles.has(Role::Api) => {
            Finding::fine(ADMIN, "not needed without the role 'api'")
        }
        Ok(None) => Finding::fine(ADMIN, "is made at the first start"),
    }
}

/// Whether there is an encryption key, and whether it is the store's, if there is one.
pub(super) async fn encryption_key(settings: &Settings, store: Option<&dyn Store>) -> Finding {
    let (key, source) = match keys::find_encryption_key(settings) {
        Err(error) => return Finding::danger(ENCRYPTION, on_one_line(&error), "give another one"),
        Ok(Some(found)) => found,
        Ok(None) if store.is_some() => {
            let remedy = "give the key that the store was first used with, or put its file back";
            return Finding::warning(ENCRYPTION, "there is a store, and no key", remedy);
        }
        Ok(None) => return Finding::fine(ENCRYPTION, "is made at the first start of a new store"),
    };
    let whence = whence(settings, &source);
    let Some(store) = store else { return Finding::fine(ENCRYPTION, whence) };
    match store.bind_key(KeyId(key.id().to_bytes())).await {
        Ok(()) => Finding::fine(ENCRYPTION, format!("{whence}; it is the store's")),
        Err(error @ StoreError::ForeignKey) => {
            let remedy = "give the key that the store was first used with, or put its file back";
            Finding::danger(ENCRYPTION, format!("{whence}; {error}"), remedy)
        }
        Err(error) => Finding::danger(ENCRYPTION, format!("{whence}; {error}"), "make the store reachable"),
    }
}

fn whence(settings: &Settings, source: &Source) -> String {
    match source {
        Source::Settings => "is set".to_owned(),
        Source::File(path) if store::is_embedded(settings) => format!("is kept in {}", path.display()),
        Source::File(path) => {
            format!("is kept in {}; every other process on this store needs the same", path.display())
        }
    }
}
