//! The workspace as `cargo metadata` tells it: the members and what their manifests ask for.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The part of `cargo metadata --no-deps` (format version 1) that the checks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// Absolute path of the folder that holds the root manifest.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// The members alone, in no promised order.
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Absolute path of its Cargo.toml.
    manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a member's dependency tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The real name of the package, even where the manifest renames it.
    pub(crate) name: String,
    /// `None` for `[dependencies]`.
    kind: Option<Kind>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dev,
    Build,
}

impl Workspace {
    /// Asks cargo about the workspace around the current folder.
    ///
    /// # Errors
    /// When cargo cannot be run, refuses (its message goes to stderr), or answers in another shape.
    pub(crate) fn ask_cargo() -> anyhow::Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let answer = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(answer.status.success(), "cargo metadata failed: {}", answer.status);
        serde_json::from_slice(&answer.stdout).context("cargo metadata answered in an unknown shape")
    }
}

impl Package {
    /// The member's folder relative to `root`, as people write it: `crates/model`.
    ///
    /// # Errors
    /// When the manifest lies outside `root`.
    pub(crate) fn folder<'a>(&'a self, root: &Path) -> anyhow::Result<&'a str> {
        self.manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok())
            .and_then(Path::to_str)
            .with_context(|| format!("{} lies outside {}", self.manifest_path.display(), root.display()))
    }
}

impl Dependency {
    /// Whether only tests, examples and benches see it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind == Some(Kind::Dev)
    }
}
