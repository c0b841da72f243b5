use std::{
    io::{self, BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// A child process whose words are kept. It is killed when it is dropped, and when this process ends in any other way.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

/// A program that ends with this process, not yet started.
pub(super) fn program(name: &str) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", name]);
        command
    } else {
        Command::new(name)
    }
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// It is not there.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_owned();
        let (output, input) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).process_group(0);
        let (started, child) = mpsc::sync_channel(1);
        let (tell, lines) = mpsc::channel();
        // The thread lives as long as the child: to Linux, the parent whose death ends a child is the thread that
        // started it.
        thread::spawn(move || {
            let _ = started.send(command.spawn());
            // It holds our copy of the child's end of the pipe, which would never be at its end.
            drop(command);
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // Read on if nobody listens, so that the child never waits for us.
                let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let child = child.recv()?.with_context(|| format!("cannot run {}", name.display()))?;
        Ok(Self { child, lines, said: String::new() })
    }

    /// Waits until it has said `text`, for so long at most.
    ///
    /// # Errors
    /// It did not, or it ended without a word of it. The error holds all that it said.
    pub(super) fn wait_until_said(&mut self, text: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.said.contains(text) {
            ensure!(self.listen(deadline)?, "it ended before it said {text:?}:\n{}", self.said);
        }
        Ok(())
    }

    /// Waits until it ends, for so long at most, and returns all that it said.
    ///
    /// # Errors
    /// It did not end, or not well. The error holds all that it said.
    pub(super) fn finish(mut self, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        while self.listen(deadline)? {}
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {}", self.said.trim_end());
        Ok(std::mem::take(&mut self.said))
    }

    /// Sends a signal by its name (`STOP`, `CONT`) to it and to its own children, which rewrite files for it.
    pub(super) fn signal(&self, name: &str) -> Result<()> {
        // std knows only KILL, and only the child.
        let group = format!("-{}", self.child.id());
        let sent = Command::new("sh").args(["-c", r#"kill -s "$0" -- "$1""#, name, &group]).output()?;
        ensure!(sent.status.success(), "cannot send {name} to {group}");
        Ok(())
    }

    /// Hears the next line; whether there was one.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.said.push_str(&line);
                self.said.push('\n');
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => bail!("it took too long, and said:\n{}", self.said),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal("KILL");
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
