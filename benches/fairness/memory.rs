use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use posthaste_testkit::Reply;

use crate::{
    backend::{Backend, Ground},
    in_flight::{IN_FLIGHT, READY},
    outside::Outside,
};

/// Requests that are to be under way at once.
const COUNT: usize = 10_000;
/// All must be there before the first of them is given up.
const WITHIN: Duration = Duration::from_secs(25);

/// What the service takes while many requests wait for their answer: it is a process of its own, and the receiver is here.
pub(crate) fn measure(outside: &Outside) {
    println!("memory of the service with {COUNT} requests in flight, MB");
    println!(
        "{:<7} {:>8} {:>8} {:>8} {:>16} {:>14}",
        "store", "before", "with", "peak", "KiB each request", "all within, s"
    );
    for backend in Backend::ALL {
        let ground = Ground::new(backend);
        let receiver = outside.receiver(|_| Reply::Hang);
        let mut service = Service::start(&ground.address(), receiver.address().port());
        let before = service.memory("VmRSS:");
        let begun = Instant::now();
        service.go();
        let arrived = outside.wait(receiver.wait_for(COUNT, WITHIN)).len();
        let took = begun.elapsed().as_secs_f64();
        let [with, peak] = ["VmRSS:", "VmHWM:"].map(|name| service.memory(name));
        assert_eq!(arrived, COUNT, "requests in flight");
        let each = (with - before) / 1_024.0 / COUNT as f64;
        let [before, with, peak] = [before, with, peak].map(|bytes| bytes / 1e6);
        println!("{:<7} {before:>8.1} {with:>8.1} {peak:>8.1} {each:>16.1} {took:>14.1}", backend.as_str());
    }
}

/// The process. It ends when this is dropped, and when this process ends in any other way.
struct Service(Child);

impl Service {
    /// Starts it, and returns once it has nothing to do.
    fn start(address: &str, port: u16) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([IN_FLIGHT, address, &port.to_string(), &COUNT.to_string()]);
        let mut service = Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said.trim_end(), READY, "the service did not start");
        service
    }

    /// Has it publish.
    fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Bytes, by their name in `/proc`.
    fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: f64 = line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
        kib * 1_024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
