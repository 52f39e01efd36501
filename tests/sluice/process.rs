//! Processes of the binary under test, with what they say kept in files.

use std::{
    fs::{File, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Environment variables. Those of whoever runs the tests are not passed on.
pub type Environment = Vec<(&'static str, String)>;

/// How much of a log is shown when a test fails.
const TAIL: usize = 40;

/// `sluice` with arguments.
pub fn sluice(environment: &Environment, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.env("RUST_LOG", std::env::var("SLUICE_TEST_LOG").unwrap_or_else(|_| "info".into()));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs `sluice` to its end.
pub fn run(environment: &Environment, arguments: &[&str]) -> Output {
    sluice(environment, arguments).output().expect("the binary")
}

/// Both streams of a finished process as text.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A process that can be killed, frozen and started again.
pub struct Process {
    name: String,
    log: PathBuf,
    command: Command,
    child: Option<Child>,
}

impl Process {
    /// Starts it. What it says goes to `<name>.log` in the directory.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let append = || OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let file: File = append();
        command.stdout(file.try_clone().expect("a log")).stderr(file);
        let mut process = Self { name: name.to_owned(), log, command, child: None };
        process.restart();
        process
    }

    /// Starts it again, or for the first time.
    pub fn restart(&mut self) {
        self.kill();
        self.child = Some(self.command.spawn().expect("a process"));
    }

    /// SIGKILL: it has no chance to finish anything.
    pub fn kill(&mut self) -> Option<u32> {
        let mut child = self.child.take()?;
        // An error means that it has ended by itself.
        let _ended = child.kill();
        let _waited = child.wait();
        Some(child.id())
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill");
        assert!(sent.success(), "{} is gone\n{}", self.name, self.tail());
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    /// Waits for it to end by itself.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            let child = self.child.as_mut().expect("a running process");
            if let Some(status) = child.try_wait().expect("its status") {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "{} did not end\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last of what it has said.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(TAIL)..];
        format!("--- {} ({} lines)\n{}\n", self.name, lines.len(), last.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address that nobody listens on, below the ports that connections get: a process that is started again
/// finds it still free.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let pid = u16::try_from(std::process::id() % 500).expect("less than 500");
        let port = 12_200 + (pid * 40 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
