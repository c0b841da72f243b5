//! The binary as a process.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use posthaste_client::{Client, TopicFields};
use posthaste_model::{TenantId, TopicName};
use tempfile::TempDir;

pub(crate) const KEY: &str = "black-box-test-admin-key";

/// A running service. It is ended with the test.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it says after it has said where it listens.
    heard: mpsc::Receiver<String>,
}

/// `posthaste` with the settings that tests need: loopback may be reached, nothing comes from outside.
pub(crate) fn posthaste(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command
        .env_clear()
        .env("POSTHASTE_ADMIN_KEY", KEY)
        .env("POSTHASTE_EGRESS_ALLOW", "127.0.0.0/8")
        .env("POSTHASTE_LOG_LEVEL", "warn")
        .env("POSTHASTE_DATA_DIR", data_dir)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

impl Service {
    /// Starts on a free port.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(posthaste(data_dir).args(["serve", "--listen", "127.0.0.1:0"]))
    }

    /// Starts on the port of a service that ended.
    pub(crate) fn start_at(data_dir: &Path, address: SocketAddr) -> Self {
        Self::start_with(posthaste(data_dir).args(["serve", "--listen", &address.to_string()]))
    }

    /// Starts, and closes its standard output once it has said where it listens.
    pub(crate) fn start_unheard(data_dir: &Path) -> Self {
        Self::spawn(posthaste(data_dir).args(["serve", "--listen", "127.0.0.1:0"]), Stdio::inherit()).0
    }

    /// Starts, and returns once it says where it listens.
    pub(crate) fn start_with(command: &mut Command) -> Self {
        Self::start_logging(command, Stdio::inherit())
    }

    /// Starts with its log going there, and returns once it says where it listens.
    pub(crate) fn start_logging(command: &mut Command, log: impl Into<Stdio>) -> Self {
        let (mut service, said) = Self::spawn(command, log.into());
        let (tell, heard) = mpsc::channel();
        // Read on, so that the service never waits for us.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        service.heard = heard;
        service
    }

    fn spawn(command: &mut Command, log: Stdio) -> (Self, Lines<BufReader<ChildStdout>>) {
        let mut child = command.stderr(log).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.rsplit_once("listens on http://")?.1.parse().ok())
            .expect("the service says where it listens");
        (Self { child, address, heard: mpsc::channel().1 }, lines)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), KEY).expect("a valid URL and key")
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(killed.expect("sh runs").success());
    }

    /// Waits until it says a line with this in it.
    pub(crate) fn until_it_says(&self, words: &str) {
        while let Ok(line) = self.heard.recv_timeout(Duration::from_secs(20)) {
            if line.contains(words) {
                return;
            }
        }
        panic!("it never said '{words}'");
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data folder that goes with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

/// Registers a topic.
pub(crate) async fn topic(client: &Client, name: &str) -> TopicName {
    let topic: TopicName = name.parse().expect("a valid topic");
    client.put_topic(&topic, &TopicFields::default()).await.expect("the topic is registered");
    topic
}

/// What a process that failed at start said.
pub(crate) fn complaint(command: &mut Command) -> String {
    let mut child = command.spawn().expect("the binary runs");
    let started = BufReader::new(child.stdout.take().expect("stdout is piped"))
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("listens on"));
    if started {
        child.kill().expect("it runs");
    }
    let status = child.wait().expect("it ends");
    let mut said = String::new();
    child.stderr.take().expect("stderr is piped").read_to_string(&mut said).expect("it is text");
    assert!(!started && !status.success(), "it should have failed: {command:?} {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "one clear line: {said}");
    said
}
