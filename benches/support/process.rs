//! What processes have used, from /proc.

use std::fs;

/// CPU seconds by process.
#[derive(Clone, Debug, Default)]
pub struct Usage(Vec<(String, f64)>);

impl Usage {
    /// Of the given processes and, by name, of all servers of the machine.
    pub fn of(processes: &[(String, u32)], servers: &[&str]) -> Self {
        let mut rows: Vec<_> =
            processes.iter().map(|(name, pid)| (name.clone(), cpu_seconds(*pid))).collect();
        for server in servers {
            let pids = pids_named(server);
            rows.push(((*server).to_owned(), pids.into_iter().map(cpu_seconds).sum()));
        }
        rows.push(("load generator".to_owned(), cpu_seconds(std::process::id())));
        Self(rows)
    }

    pub fn since(&self, before: &Self) -> Self {
        let rows = self.0.iter().zip(&before.0);
        Self(rows.map(|((name, now), (_, then))| (name.clone(), now - then)).collect())
    }

    pub fn rows(&self) -> impl Iterator<Item = &(String, f64)> {
        self.0.iter()
    }
}

/// User and system time, in seconds (fields 14 and 15 of `/proc/pid/stat`, in hundredths).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The highest resident memory that a process ever had, in megabytes.
pub fn peak_megabytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

fn pids_named(name: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        })
        .collect()
}
