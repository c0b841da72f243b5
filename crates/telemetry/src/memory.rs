//! How much memory the process has, and may have, as Linux tells it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the system tells it. Elsewhere than on Linux nothing is told.
pub(crate) struct Machine {
    proc: PathBuf,
    cgroup: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

impl Machine {
    /// The bytes of memory that the process takes up.
    pub(crate) fn resident(&self) -> Option<u64> {
        kilobytes(&read(self.proc.join("self/status"))?, "VmRSS:")
    }

    /// The bytes that it may take up: what the tightest of its control groups allows, or what the machine has.
    pub(crate) fn limit(&self) -> Option<u64> {
        let machine = read(self.proc.join("meminfo")).and_then(|text| kilobytes(&text, "MemTotal:"));
        let groups = read(self.proc.join("self/cgroup")).unwrap_or_default();
        let of_groups = groups.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            match (parts.next()?, parts.next()?) {
                ("", path) => self.tightest(self.cgroup.clone(), path, "memory.max"),
                (controllers, path) if controllers.split(',').any(|controller| controller == "memory") => {
                    self.tightest(self.cgroup.join("memory"), path, "memory.limit_in_bytes")
                }
                _ => None,
            }
        });
        of_groups.chain(machine).min()
    }

    /// The lowest limit of a group and those that it is in. A container sees itself as the root, whatever its path says.
    fn tightest(&self, root: PathBuf, path: &str, file: &str) -> Option<u64> {
        let group = root.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&root));
        // Without a limit the file says `max`, or a number beyond all machines.
        groups.filter_map(|group| read(group.join(file))?.trim().parse().ok()).min()
    }
}

fn read(file: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(file).ok()
}

/// What a line such as `VmRSS:     2128 kB` says, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit on a machine of 8 GiB with these files.
    #[track_caller]
    fn check(groups: &str, files: &[(&str, &str)], expect: Option<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine { proc: folder.path().join("proc"), cgroup: folder.path().join("cgroup") };
        let told = [("proc/self/cgroup", groups), ("proc/meminfo", "MemFree: 5 kB\nMemTotal:  8388608 kB\n")];
        for (name, text) in told.iter().chain(files) {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        assert_eq!(machine.limit(), expect, "{groups}");
    }

    #[test]
    fn the_tightest_limit_counts() {
        let machine = Some(8 << 30);
        check("", &[], machine);
        check("0::/\n", &[("cgroup/memory.max", "1000\n")], Some(1_000));
        check("0::/\n", &[("cgroup/memory.max", "max\n")], machine);
        check("0::/a/b\n", &[("cgroup/a/memory.max", "500"), ("cgroup/a/b/memory.max", "900")], Some(500));
        // Its own view of the groups begins at its own.
        check("0::/../outside\n", &[("cgroup/memory.max", "700")], Some(700));
        let unlimited = ("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        check("4:memory:/x\n0::/\n", &[unlimited], machine);
        let limited = ("cgroup/memory/x/memory.limit_in_bytes", "300\n");
        check("7:cpu,memory:/x\n", &[unlimited, limited], Some(300));
        check("7:cpu:/x\n", &[limited], machine);
    }

    #[test]
    fn this_process_takes_up_memory_and_has_a_limit() {
        let (resident, limit) = (Machine::default().resident().unwrap(), Machine::default().limit().unwrap());
        assert!(resident > 100_000 && limit > resident, "{resident} of {limit} bytes");
    }
}
