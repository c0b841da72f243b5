//! Whether the store is fit to be trusted with events.

use anyhow::{Context as _, bail};
use posthaste_api::dangers;
use posthaste_model::Timestamp;
use posthaste_store::{Finding, Level, Store};

/// Looks at what the store stands on. Tells of what is not as it should be, and refuses dangers that are not tolerated.
pub(crate) async fn examine(store: &dyn Store, now: Timestamp, tolerate: &[String]) -> anyhow::Result<()> {
    let findings = store.examine(now).await.context("cannot look at the store")?;
    let refused: Vec<&Finding> = dangers(&findings, tolerate).collect();
    if !refused.is_empty() {
        let found = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        let checks = refused.iter().map(|finding| finding.check);
        let tolerated = tolerate.iter().map(String::as_str).chain(checks).collect::<Vec<_>>().join(",");
        bail!(
            "the store puts acknowledged events at risk: {found}. To start all the same, set tolerate={tolerated} \
             (POSTHASTE_TOLERATE={tolerated})"
        );
    }
    for finding in findings.iter().filter(|finding| finding.level != Level::Fine) {
        let tolerated = if finding.level == Level::Danger { ", which is tolerated" } else { "" };
        tracing::warn!("{} of the store{tolerated}: {finding}", finding.level.as_str());
    }
    for check in tolerate.iter().filter(|check| !findings.iter().any(|finding| finding.check == **check)) {
        tracing::warn!("tolerate: this store has no check '{check}'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use posthaste_testkit::MemoryStore;

    use super::*;

    async fn examined(tolerate: &[&str]) -> anyhow::Result<()> {
        let tolerate: Vec<_> = tolerate.iter().map(|check| (*check).to_owned()).collect();
        examine(&MemoryStore::default(), Timestamp::UNIX_EPOCH, &tolerate).await
    }

    #[tokio::test]
    async fn a_danger_is_refused_unless_it_is_tolerated() {
        let refused = examined(&[]).await.unwrap_err().to_string();
        assert!(refused.contains("durability: volatile"), "{refused}");
        assert!(refused.ends_with("set tolerate=durability (POSTHASTE_TOLERATE=durability)"), "{refused}");
        let refused = examined(&["eviction"]).await.unwrap_err().to_string();
        assert!(refused.contains("POSTHASTE_TOLERATE=eviction,durability"), "{refused}");
        examined(&["durability", "eviction"]).await.unwrap();
    }
}
