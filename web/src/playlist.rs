//! Playlists of HTTP Live Streaming (RFC 8216), version 7: segments of fragmented MP4.

use std::fmt::Write;

use proto::recording::Index;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::limits;
use crate::names::encode;
use crate::ring::Ring;

/// Whole seconds, rounded up.
fn seconds(us: i64) -> i64 {
    us.saturating_add(999_999) / 1_000_000
}

fn head(target_us: i64, first: u64, rest: &str, header: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
         {rest}#EXT-X-MAP:URI=\"{header}\"\n",
        seconds(target_us).max(1)
    )
}

/// The newest segments of a live stream.
pub(crate) fn live(name: &str, ring: &Ring) -> String {
    let name = encode(name);
    let skip = ring.stretches.len().saturating_sub(limits::PLAYLIST);
    let named: Vec<_> = ring.stretches.iter().skip(skip).collect();
    let target_us = named.iter().map(|stretch| stretch.duration_us).max().unwrap_or(0);
    let epoch = ring.header.as_ref().map_or(0, |header| header.epoch);
    let first = named.first().map_or(0, |stretch| stretch.number);
    let rest = format!("#EXT-X-DISCONTINUITY-SEQUENCE:{epoch}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let mut out = head(target_us, first, &rest, &format!("{name}.init.m4s?e={epoch}"));
    for stretch in named {
        let nanos = i128::from(stretch.captured_at_us) * 1000;
        if let Ok(moment) = OffsetDateTime::from_unix_timestamp_nanos(nanos)
            && let Ok(moment) = moment.format(&Rfc3339)
        {
            let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{moment}");
        }
        let seconds = stretch.duration_us as f64 / 1e6;
        let _ = writeln!(out, "#EXTINF:{seconds:.6},\n{name}.{}.m4s?e={epoch}", stretch.number);
    }
    out
}

/// All segments of a recording.
pub(crate) fn recorded(name: &str, index: &Index) -> String {
    let name = encode(name);
    let first = index.oldest.max(index.first);
    let gone = usize::try_from(first - index.first).unwrap_or(usize::MAX);
    let lines = index.segments.get(gone..).unwrap_or_default();
    let target_us = lines.iter().map(|line| i64::from(line.duration_us)).max().unwrap_or(0);
    let kind = if index.finished { "VOD" } else { "EVENT" };
    // What moves on at its start is neither.
    let kind = if first > 0 && !index.finished {
        String::new()
    } else {
        format!("#EXT-X-PLAYLIST-TYPE:{kind}\n")
    };
    let id = index.id;
    let mut out = head(target_us, first, &kind, &format!("{name}.init.m4s?id={id}"));
    for (line, number) in lines.iter().zip(first..) {
        let seconds = f64::from(line.duration_us) / 1e6;
        let _ = writeln!(out, "#EXTINF:{seconds:.6},\n{name}.{number}.m4s?id={id}");
    }
    if index.finished {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}
