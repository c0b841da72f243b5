use std::fs;

use anyhow::{Context as _, ensure};
use posthaste_signing::{Credential, SecretKind};

use crate::cli::VerifyArgs;

/// What is verified with, and the names by which it is spoken of: what they hold is never shown.
pub(super) struct Credentials {
    pub(super) all: Vec<Credential>,
    pub(super) names: Vec<String>,
    /// What is weak about them.
    pub(super) weaknesses: Vec<String>,
}

impl Credentials {
    /// Reads every secret and public key that is given.
    pub(super) fn read(args: &VerifyArgs) -> anyhow::Result<Self> {
        let mut texts: Vec<(Option<String>, String)> =
            args.secret.iter().map(|text| (None, text.clone())).collect();
        for path in &args.secret_file {
            let text = fs::read_to_string(path)
                .with_context(|| format!("--secret-file {} cannot be read", path.display()))?;
            // Files end in a line break; nothing else around a secret is forgiven.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            texts.push((Some(path.display().to_string()), text.to_owned()));
        }
        ensure!(
            !texts.is_empty(),
            "no secret to verify with: give --secret-file, POSTHASTE_VERIFY_SECRET or --secret"
        );
        let mut credentials = Self { all: Vec::new(), names: Vec::new(), weaknesses: Vec::new() };
        let several = texts.len() > 1;
        for (index, (file, text)) in texts.iter().enumerate() {
            let number = if several { format!(" {}", index + 1) } else { String::new() };
            let file = file.as_ref().map(|file| format!(" in {file}")).unwrap_or_default();
            let name = |what: &str| format!("{what}{number}{file}");
            let (credential, weakness) = Credential::of_sender(text).with_context(|| name("secret"))?;
            let name = name(match credential {
                Credential::Secret(_) => "secret",
                Credential::PublicKey(_) => "public key",
            });
            credentials.weaknesses.extend(weakness.map(|why| format!("{name} can be guessed: {why}")));
            credentials.names.push(name);
            credentials.all.push(credential);
        }
        Ok(credentials)
    }

    /// Whether any of them is of a kind.
    pub(super) fn have(&self, kind: SecretKind) -> bool {
        self.all.iter().any(|credential| match credential {
            Credential::Secret(secret) => secret.kind() == kind,
            Credential::PublicKey(_) => kind == SecretKind::Ed25519,
        })
    }
}
