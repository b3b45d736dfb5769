//! Bounds of what people add, each with its reason.

use std::time::Duration;

/// Films that arrive or are made ready at a time: each has a file, and a line in what is listed.
pub const UNDERWAY: usize = 32;
/// Of those that one address (a network of 64 bits, of IPv6) began: nobody takes all the places.
pub const UNDERWAY_PER_ADDRESS: usize = 8;
/// One that nothing arrives of goes after this.
pub const UNFINISHED: Duration = Duration::from_secs(24 * 3_600);
/// One that nothing ever arrived of goes after this: it keeps room that others want.
pub const UNSTARTED: Duration = Duration::from_secs(10 * 60);
/// What went wrong is said to who added it for so long.
pub const FAILED: Duration = Duration::from_secs(3_600);
/// Films that went wrong of which that is known.
pub const MOST_FAILED: usize = 64;
/// How often what is too old is looked for.
pub const TIDY: Duration = Duration::from_secs(60);

/// Bytes that are left free on the disk, whatever arrives.
pub const RESERVE: u64 = 1 << 30;
/// Bytes that are written at a time.
pub const CHUNK: usize = 256 << 10;
/// Who takes an upload over waits so long for the other to give way.
pub const GIVE_WAY: Duration = Duration::from_secs(10);

/// Films that are looked through at a time.
pub const CHECKS: usize = 2;
/// Longest time that a film may take to be converted.
pub const CONVERTING: Duration = Duration::from_secs(24 * 3_600);
/// A film that is converted may become so many times as large as films may be.
pub const GROWTH: u64 = 2;

/// Films that are fetched at a time; others wait.
pub const FETCHES: usize = 2;
/// Longest address of a film, bytes.
pub const URL: usize = 2 << 10;
/// Redirects that are followed, each to an address that is looked at anew.
pub const REDIRECTS: u32 = 5;
/// A host must be found, and then connected to, within this each.
pub const CONNECT: Duration = Duration::from_secs(10);
/// A host that sends nothing for so long is given up.
pub const SILENCE: Duration = Duration::from_secs(30);
/// A host that sends less in this time is given up, too: it keeps a place that others wait for.
pub const PACE: Duration = Duration::from_secs(60);
/// What it must send in that time, bytes: 16 KiB a second.
pub const PACE_BYTES: u64 = 60 * (16 << 10);
/// A film must be fetched within this.
pub const FETCHING: Duration = Duration::from_secs(6 * 3_600);
