use std::{
    fs,
    ops::Range,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::{
    process::{Process, program},
    random,
};

/// Below the ports that Linux gives to connections (32768 and up), and so are the ports of the cluster bus: the port of
/// a server that is down stays free for it.
const PORTS: Range<u16> = 10_000..22_768;
const PORTS_TRIED: usize = 20;

/// Long, because it is not what is tested: it only ends a test that would wait for ever.
const AMPLE: Duration = Duration::from_secs(30);

/// What survives the end of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// What was acknowledged: an append-only file, and an `fsync` before each answer.
    AofAlways,
    /// All but the last second or two: an append-only file, and an `fsync` each second.
    AofEverysec,
    /// Nothing.
    None,
}

/// How a server is to run.
#[derive(Debug, Clone)]
pub struct ServerSetup {
    options: Vec<(String, String)>,
    password: Option<String>,
    tls: bool,
}

/// A server on a port of 127.0.0.1, with a folder of its own. Dropping it ends both.
pub struct RedisServer {
    setup: ServerSetup,
    port: u16,
    /// None: it is down. Dropped before its folder.
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl ServerSetup {
    /// Adds a line of the server's configuration: `maxmemory`, `10mb`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for a password, of characters that need no escape in a URL.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self.option("requirepass", password) }
    }

    /// Speaks TLS and nothing else, with a certificate for 127.0.0.1 and localhost that it signs itself.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Starts it, and returns once it answers.
    ///
    /// # Errors
    /// It does not start; the error holds its log.
    pub fn start(&self) -> Result<RedisServer> {
        for _ in 0..PORTS_TRIED {
            let port = PORTS.start + (random() % PORTS.len() as u64) as u16;
            let server = RedisServer {
                setup: self.clone(),
                port,
                process: Mutex::default(),
                folder: tempfile::Builder::new().prefix("posthaste-redis-").tempdir()?,
            };
            match server.restart() {
                Err(error) if format!("{error:#}").contains("Failed listening on port") => {}
                started => return started.map(|()| server),
            }
        }
        bail!("{PORTS_TRIED} ports of {PORTS:?} are taken")
    }
}

impl RedisServer {
    /// A setup to be added to.
    pub fn with(persistence: Persistence) -> ServerSetup {
        let setup = ServerSetup { options: Vec::new(), password: None, tls: false }.option("save", "");
        match persistence {
            Persistence::AofAlways => setup.option("appendonly", "yes").option("appendfsync", "always"),
            Persistence::AofEverysec => setup.option("appendonly", "yes").option("appendfsync", "everysec"),
            Persistence::None => setup.option("appendonly", "no"),
        }
    }

    /// Starts one that has no more setup, and returns once it answers.
    ///
    /// # Errors
    /// It does not start; the error holds its log.
    pub fn start(persistence: Persistence) -> Result<Self> {
        Self::with(persistence).start()
    }

    /// The port of 127.0.0.1 that it listens on, down or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with the password.
    pub fn url(&self) -> String {
        let scheme = if self.setup.tls { "rediss" } else { "redis" };
        let login = self.setup.password.iter().map(|password| format!(":{password}@")).collect::<String>();
        format!("{scheme}://{login}127.0.0.1:{}/", self.port)
    }

    /// The certificate (PEM) to trust, if it speaks TLS.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Ends it as a crash does (`SIGKILL`).
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again, after ending it as a crash does if it runs: same port, same folder, same setup. Returns once it
    /// has loaded what it had and answers.
    ///
    /// # Errors
    /// It does not start; the error holds its log.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        let mut process = Process::start(self.server()?)?;
        process
            .wait_until_said("Ready to accept connections", AMPLE)
            .context("redis-server does not start")?;
        *self.process() = Some(process);
        let answer = self.command(&["PING"])?;
        ensure!(answer == "PONG", "{answer:?} is no answer to PING");
        Ok(())
    }

    /// Stops its clock (`SIGSTOP`): connections are accepted by the kernel, and nobody answers.
    ///
    /// # Errors
    /// It is down.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Goes on after a [`pause`](Self::pause) (`SIGCONT`).
    ///
    /// # Errors
    /// It is down.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Does a command, and returns what `redis-cli` makes of the answer: `SET`, `key`, `value` returns `OK`.
    ///
    /// # Errors
    /// The answer is an error, which is told, or there is none within half a minute.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        self.command_within(AMPLE, words)
    }

    /// Does a command that is to be answered in so long a time.
    ///
    /// # Errors
    /// The answer is an error, which is told, or there is none.
    pub fn command_within(&self, limit: Duration, words: &[&str]) -> Result<String> {
        let mut client = program("redis-cli");
        client.args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.setup.tls {
            client.arg("--tls").arg("--cacert").arg(self.certificate_file());
        }
        client.envs(self.setup.password.iter().map(|password| ("REDISCLI_AUTH", password)));
        client.args(words);
        let answer = Process::start(client)?.finish(limit).with_context(|| words.join(" "))?;
        Ok(answer.trim_end().to_owned())
    }

    /// Waits until its log has `text` since it was last started, for so long at most.
    ///
    /// # Errors
    /// It is down, or did not log it; the error holds its log.
    pub fn wait_for_log(&self, text: &str, within: Duration) -> Result<()> {
        self.process().as_mut().context("it is down")?.wait_until_said(text, within)
    }

    fn signal(&self, name: &str) -> Result<()> {
        self.process().as_ref().context("it is down")?.signal(name)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs it.
    fn server(&self) -> Result<Command> {
        let mut server = program("redis-server");
        server.args(["--daemonize", "no", "--bind", "127.0.0.1"]).arg("--dir").arg(self.folder.path());
        let port = self.port.to_string();
        if self.setup.tls {
            let key_file = self.certify()?;
            server.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            server.arg("--tls-key-file").arg(key_file);
            for option in ["--tls-cert-file", "--tls-ca-cert-file"] {
                server.arg(option).arg(self.certificate_file());
            }
        } else {
            server.args(["--port", &port]);
        }
        for (name, value) in &self.setup.options {
            server.args([format!("--{name}"), value.clone()]);
        }
        Ok(server)
    }

    /// Writes a certificate and its key, unless they are there, and returns the file of the key.
    fn certify(&self) -> Result<PathBuf> {
        let key_file = self.folder.path().join("key.pem");
        if !key_file.exists() {
            let names = ["127.0.0.1", "localhost"].map(str::to_owned);
            let made = rcgen::generate_simple_self_signed(names)?;
            fs::write(self.certificate_file(), made.cert.pem())?;
            fs::write(&key_file, made.signing_key.serialize_pem())?;
        }
        Ok(key_file)
    }
}
