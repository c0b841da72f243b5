use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use posthaste_client::Client;
use tempfile::TempDir;
use tokio::time::sleep;

/// How long the service may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Clock ticks a second in `/proc` (`USER_HZ`, the same on every Linux platform).
const TICKS: f64 = 100.0;
/// Not a secret: the service listens on the loopback interface, on a store that is thrown away.
const ADMIN_KEY: &str = "bench-bench-bench-bench-bench";

/// The service, in a process of its own, so that its CPU and memory can be told from the load's.
pub(super) struct ServiceProcess {
    child: Child,
    address: SocketAddr,
    url: String,
    _folder: TempDir,
}

impl ServiceProcess {
    /// Starts it on a fresh store and waits until it is ready.
    pub(super) async fn start(store: Option<&str>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("posthaste-bench-").tempdir()?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(folder.path());
        if let Some(store) = store {
            let own = folder.path().file_name().unwrap_or_default().to_string_lossy();
            command.args(["--store", store, "--set", &format!("redis.prefix={own}")]);
        }
        let child = command
            .args(["--set", "egress.allow=127.0.0.0/8", "--set", "log.level=warn"])
            .env("POSTHASTE_ADMIN_KEY", ADMIN_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the service")?;
        let url = format!("http://{address}");
        let mut process = Self { child, address, url, _folder: folder };
        process.until_ready().await?;
        Ok(process)
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let client = Client::new(&self.url, ADMIN_KEY)?;
        let ready = async {
            loop {
                if client.ready().await.is_ok_and(|readiness| readiness.is_ready()) {
                    return Ok(());
                }
                if let Some(status) = self.child.try_wait()? {
                    bail!("the service ended before it was ready: {status}");
                }
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready).await.context("the service does not get ready")?
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn admin_key(&self) -> &str {
        ADMIN_KEY
    }

    /// Seconds of CPU it has used, on systems with `/proc`.
    pub(super) fn cpu(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in brackets, may hold anything; what follows it is numbers (proc_pid_stat(5), fields 3 and on).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some((ticks(14)? + ticks(15)?) / TICKS)
    }

    /// The most memory it ever had, in bytes, on systems with `/proc`.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        // It may have ended by itself; its store is thrown away in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
