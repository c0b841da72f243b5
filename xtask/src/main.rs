//! Checks that keep docs/ARCHITECTURE.md true.
//!
//! `cargo xtask rooms` compares the manifests of the workspace with the table in [`rooms`], and the code map of the
//! page with the crates there are. It prints one line for each violation and then fails. Nothing here is part of the
//! service: no other crate may depend on this one.

mod code_map;
mod rooms;
mod violation;
mod workspace;

use std::io::Write as _;
use std::process::ExitCode;
use std::{env, fs, io};

use anyhow::{Context as _, bail};

use crate::violation::PAGE;
use crate::workspace::Workspace;

fn main() -> anyhow::Result<ExitCode> {
    match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [task] if task == "rooms" => check_rooms(),
        _ => bail!("usage: cargo xtask rooms"),
    }
}

fn check_rooms() -> anyhow::Result<ExitCode> {
    let workspace = Workspace::ask_cargo()?;
    let page = match fs::read_to_string(workspace.root.join(PAGE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {PAGE}"))?,
    };

    let mut violations = rooms::check(&workspace);
    violations.extend(code_map::check(&page, &workspace)?);

    let mut out = io::stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    if violations.is_empty() {
        writeln!(out, "{} crates know only whom they may know", workspace.packages.len())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
