//! What fanning out costs: `cargo bench -p relay --bench fanout [-- CASE...]`.
//!
//! Each case runs this relay and, beside it in the same run, what it is measured against. Viewers
//! are another process, so the CPU time of this one is the sender's. Figures are ratios: absolute
//! times are the machine's.
//!
//! Cases: `large` (60 KB frames), `small` (720p30 at 3 Mbit/s beside nginx-rtmp), `delay` (1,000
//! viewers at 4 Mbit/s, publisher to viewer), `memory` (a viewer, and one that stops reading).

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod os;
#[cfg(target_os = "linux")]
mod others;
#[cfg(target_os = "linux")]
mod ours;
#[cfg(target_os = "linux")]
mod rtmp;
#[cfg(target_os = "linux")]
mod sink;

#[cfg(target_os = "linux")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    relay::process::fit_to_descriptors(&mut relay::Limits::default());
    match args.first().map(String::as_str) {
        Some("sink") => sink::main(&args[1..]),
        _ => cases::main(&args),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark reads /proc and compares with sendfile(2): Linux only");
}
