//! What the system says of another process (Linux; elsewhere nothing).

use std::fs;
use std::time::Duration;

/// Resident memory, for people.
pub(crate) fn memory(process: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or("an unknown amount".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
}

/// Processor time used, in the system's ticks.
pub(crate) fn cpu(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: fields 14 and 15 of all.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map_while(|time| time.parse::<u64>().ok());
    Some(times.next()? + times.next()?)
}

/// Processor time between two looks, for people.
pub(crate) fn share(before: Option<u64>, after: Option<u64>, length: Duration) -> String {
    match (before, after) {
        (Some(before), Some(after)) => {
            let seconds = (after.saturating_sub(before)) as f64 / ticks_a_second();
            format!("{:.0} % of one core", 100.0 * seconds / length.as_secs_f64())
        }
        _ => "an unknown amount of processor time".to_owned(),
    }
}

fn ticks_a_second() -> f64 {
    #[cfg(unix)]
    return rustix::param::clock_ticks_per_second() as f64;
    #[cfg(not(unix))]
    return 100.0;
}
