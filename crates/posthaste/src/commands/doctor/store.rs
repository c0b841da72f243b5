use posthaste_store::StoreError;

use super::{finding::Finding, keys, place::Listener};
use crate::{cli::on_one_line, clock, settings::Settings, store};

const STORE: &str = "store";

/// What the store stands on, and whether the encryption key is its own.
pub(super) async fn examine(settings: &Settings, listener: &Listener) -> Vec<Finding> {
    let url = settings.store_url();
    let mut findings = Vec::new();
    match store::open_existing(settings).await {
        Ok(None) => {
            findings.push(keys::encryption_key(settings, None).await);
            findings.push(Finding::fine(STORE, format!("{url} is made at the first start")));
            match store::examine_servers(settings, clock::system().now()).await {
                Ok(found) => findings.extend(found.into_iter().flatten().map(Finding::from)),
                Err(error) => findings.push(unusable(on_one_line(&error))),
            }
        }
        Ok(Some(store)) => {
            findings.push(keys::encryption_key(settings, Some(&*store)).await);
            findings.push(Finding::fine(STORE, format!("{url} can be opened")));
            match store.examine(clock::system().now()).await {
                Ok(found) => findings.extend(found.into_iter().map(Finding::from)),
                Err(error) => findings.push(unusable(error.to_string())),
            }
        }
        Err(error) => {
            findings.push(keys::encryption_key(settings, None).await);
            let in_use = matches!(error.downcast_ref(), Some(StoreError::InUse { .. }));
            match listener {
                // Whoever has the store tells what is to be known of it.
                Listener::Posthaste(readiness) if in_use => {
                    let found =
                        format!("{url} is in use by the posthaste that listens on {}", settings.listen);
                    findings.push(Finding::fine(STORE, found));
                    findings.extend(readiness.findings.iter().cloned().map(Finding::from));
                }
                _ if in_use => findings.push(Finding::warning(
                    STORE,
                    on_one_line(&error),
                    "if that is the service, ask it: set listen as it has it",
                )),
                _ => findings.push(unusable(on_one_line(&error))),
            }
        }
    }
    findings.into_iter().map(|finding| finding.with_tolerance(&settings.tolerate)).collect()
}

fn unusable(found: String) -> Finding {
    Finding::danger(STORE, found, "make it reachable, or set another one")
}
