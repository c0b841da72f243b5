//! The receivers that the pages show, as processes.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use super::{page, subscriber::Subscriber};

/// A language whose packages are installed for tests.
pub(super) struct Language {
    pub(super) page: &'static str,
    /// How its files end.
    pub(super) extension: &'static str,
    /// Puts together what runs a program, given the folder of the packages.
    pub(super) run: fn(packages: &Path) -> Command,
}

/// A running receiver. It is ended with the test.
pub(super) struct Process(Child);

/// Starts the receiver of a page, once for every profile that the page has a `verify` for.
pub(super) fn start(language: &Language, folder: &TempDir, secret: &str) -> Vec<(Subscriber, Process)> {
    let packages = packages();
    let blocks = page::blocks(language.page);
    let (receivers, verifiers): (Vec<_>, Vec<_>) =
        blocks.into_iter().partition(|(name, _)| *name == "receiver");
    let [(_, receiver)] = &receivers[..] else { panic!("one receiver on a page: {receivers:?}") };
    symlink(packages.join("node_modules"), folder.path().join("node_modules")).unwrap();
    let start = |(profile, verify): &(&str, String)| {
        let (folder, file) = (folder.path().join(profile), |name| format!("{name}.{}", language.extension));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(file("receiver")), receiver).unwrap();
        fs::write(folder.join(file("verify")), verify).unwrap();
        (language.run)(&packages)
            .arg(file("receiver"))
            .current_dir(folder)
            .env("WEBHOOK_SECRET", secret)
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // All of them at once: what takes long is to load the packages.
    let children: Vec<Process> = verifiers.iter().map(|verifier| Process(start(verifier))).collect();
    let names = verifiers.iter().map(|(profile, _)| *profile);
    let running = names.zip(children).map(|(profile, mut process)| {
        let subscriber = Subscriber::with_package(profile, process.address());
        (subscriber, process)
    });
    running.collect()
}

/// The folder that `scripts/verifiers-for-tests` makes.
fn packages() -> PathBuf {
    let folder = env::var_os("POSTHASTE_TEST_VERIFIERS");
    folder
        .expect("cargo nextest run installs the packages; scripts/test installs what it needs for that")
        .into()
}

impl Process {
    /// Where it says that it listens.
    fn address(&mut self) -> SocketAddr {
        let mut said = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = said.by_ref().find_map(|line| line.strip_prefix("listens on ")?.parse().ok());
        // Read on: packages say things, too.
        thread::spawn(move || said.for_each(drop));
        address.expect("the receiver on the page says where it listens")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
