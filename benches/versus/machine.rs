//! The machine that the comparison ran on.

use std::fs;
use std::thread::available_parallelism;

/// A line with the processor, the number of cores, and the kernel.
pub(crate) fn description() -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The rest of the version says who built it.
    let version = kernel.trim().split('-').next().unwrap_or_default();
    format!("{}, {cores} cores, Linux {version}", processor())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(key.trim(), "model name" | "Model"))
        .map_or_else(|| "a processor without a name".to_owned(), |(_, name)| name.trim().to_owned())
}
