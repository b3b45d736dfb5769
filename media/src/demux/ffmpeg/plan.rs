//! What ffmpeg is to do with a source: which streams it copies and which it converts.

use super::probe::{Probe, Stream};
use crate::demux::reader::Told;

/// Key frames come this often in what is converted: the wait of a viewer that joins.
const KEY_FRAMES: &str = "expr:gte(t,n_forced*2)";
/// Even sides for 4:2:0, no side longer than what is encoded in time, fields woven into frames.
const FILTER: &str = "yadif=deint=interlaced,\
    scale=w='min(1920,iw)':h='min(1920,ih)':force_original_aspect_ratio=decrease:\
    force_divisible_by=2,format=yuv420p";

/// The arguments for the output, and what to tell about it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Between the input's and the output's own arguments.
    pub(super) arguments: Vec<String>,
    /// Something goes as it is.
    pub(super) copies: bool,
    /// Something does not.
    pub(super) converts: bool,
    /// "the sound is AC-3 and becomes AAC; the picture goes as it is"
    pub(super) why: String,
    pub(super) told: Told,
}

impl Plan {
    /// `None` if there is neither picture nor sound. `may_copy`: what viewers play goes as it is.
    pub(super) fn new(probe: &Probe, may_copy: bool) -> Option<Self> {
        let video = choose(probe, "video");
        let audio = choose(probe, "audio");
        let mut arguments = Vec::new();
        let mut parts = Vec::new();
        let mut told = Told { duration_us: probe.duration_us(), ..Told::default() };
        let copies_video = may_copy && video.is_some_and(|stream| is_video_fine(stream, probe));
        let copies_audio = may_copy && audio.is_some_and(|stream| is_audio_fine(stream, probe));
        if let Some(stream) = video {
            map(&mut arguments, stream);
            if copies_video {
                arguments.extend(words("-c:v copy"));
                told.rotation = Some(stream.rotation());
                told.pixel_aspect = stream.pixel_aspect();
                parts.push("the picture goes as it is".to_owned());
            } else {
                arguments.extend(encode_video());
                parts.push(format!("the picture ({}) becomes H.264", video_name(stream)));
            }
        }
        if let Some(stream) = audio {
            map(&mut arguments, stream);
            if copies_audio {
                arguments.extend(words("-c:a copy"));
                parts.push("the sound goes as it is".to_owned());
            } else {
                let channels = stream.channels.clamp(1, 2);
                arguments.extend(words(&format!("-c:a aac -b:a 160k -ac {channels}")));
                parts.push(format!("the sound ({}) becomes AAC", audio_name(stream)));
            }
        }
        let copies = copies_video || copies_audio;
        let converts = (video.is_some() && !copies_video) || (audio.is_some() && !copies_audio);
        let why = parts.join(", ");
        (!parts.is_empty()).then_some(Self { arguments, copies, converts, why, told })
    }

    /// For a device, which gives raw pictures or sound: both are encoded.
    pub(super) fn for_device() -> Self {
        let mut arguments = words("-map 0:v? -map 0:a?");
        arguments.extend(encode_video());
        arguments.extend(words("-c:a aac -b:a 160k -ac 2"));
        let why = "what it gives becomes H.264 and AAC".into();
        Self { arguments, copies: false, converts: true, why, told: Told::default() }
    }
}

/// Everything found, for people: "hevc video, ac3 sound".
pub(super) fn found(probe: &Probe) -> String {
    let label = |stream: &Stream| match stream.codec_type.as_str() {
        "video" => Some(format!("{} video", video_name(stream))),
        "audio" => Some(format!("{} sound", audio_name(stream))),
        "" => None,
        other => Some(other.to_owned()),
    };
    let labels: Vec<String> = probe.streams.iter().filter_map(label).collect();
    if labels.is_empty() { "nothing".into() } else { labels.join(", ") }
}

/// Of one kind the first default stream, else the first; cover pictures are no movie.
fn choose<'a>(probe: &'a Probe, kind: &str) -> Option<&'a Stream> {
    let fits = |s: &&Stream| s.codec_type == kind && s.disposition.attached_pic == 0;
    let of_kind = || probe.streams.iter().filter(fits);
    of_kind().find(|s| s.disposition.default == 1).or_else(|| of_kind().next())
}

/// H.264 that viewers play, from a container that says when each picture is due (AVI does not).
fn is_video_fine(stream: &Stream, probe: &Probe) -> bool {
    stream.codec_name == "h264"
        && matches!(stream.profile.as_str(), "Baseline" | "Constrained Baseline" | "Main" | "High")
        && matches!(stream.pix_fmt.as_str(), "yuv420p" | "yuvj420p")
        && matches!(stream.field_order.as_str(), "" | "progressive" | "unknown")
        && probe.format.format_name != "avi"
}

/// Sound that viewers play. AAC in MPEG streams has its set-up in each packet, where a Matroska
/// pipe cannot have it.
fn is_audio_fine(stream: &Stream, probe: &Probe) -> bool {
    let in_mpeg = matches!(probe.format.format_name.as_str(), "mpegts" | "hls" | "aac" | "mpeg");
    let codec_is_fine = match stream.codec_name.as_str() {
        "aac" => stream.profile == "LC" && !in_mpeg,
        "opus" | "mp3" | "flac" | "vorbis" | "pcm_s16le" => true,
        _ => false,
    };
    codec_is_fine && matches!(stream.channels, 1 | 2)
}

fn map(arguments: &mut Vec<String>, stream: &Stream) {
    arguments.extend(["-map".to_owned(), format!("0:{}", stream.index)]);
}

fn encode_video() -> Vec<String> {
    let mut arguments = words("-c:v libx264 -preset veryfast -tune zerolatency -crf 21");
    arguments.extend(words("-maxrate 8M -bufsize 8M -g 600 -force_key_frames"));
    arguments.extend([KEY_FRAMES.to_owned(), "-vf".to_owned(), FILTER.to_owned()]);
    arguments
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// "HEVC 10-bit" rather than "hevc"
fn video_name(stream: &Stream) -> String {
    let name = match stream.codec_name.as_str() {
        "h264" => "H.264",
        "hevc" => "HEVC",
        "mpeg1video" => "MPEG-1",
        "mpeg2video" => "MPEG-2",
        "mpeg4" => "MPEG-4 Part 2",
        "vp8" => "VP8",
        "vp9" => "VP9",
        "av1" => "AV1",
        "theora" => "Theora",
        "mjpeg" => "MJPEG",
        "" => "unknown",
        other => other,
    };
    let depth = ["10", "12", "14", "16"].iter().find(|bits| {
        stream.pix_fmt.ends_with(&format!("p{bits}le")) || stream.pix_fmt == format!("p0{bits}le")
    });
    let fields = matches!(stream.field_order.as_str(), "tt" | "bb" | "tb" | "bt");
    let mut name = name.to_owned();
    if let Some(bits) = depth {
        name += &format!(" {bits}-bit");
    }
    if fields {
        name += " interlaced";
    }
    name
}

fn audio_name(stream: &Stream) -> String {
    let name = match stream.codec_name.as_str() {
        "aac" if stream.profile.starts_with("HE-AAC") => "HE-AAC",
        "aac" => "AAC",
        "ac3" => "AC-3",
        "eac3" => "E-AC-3",
        "mp2" => "MPEG audio layer II",
        "mp3" => "MP3",
        "opus" => "Opus",
        "vorbis" => "Vorbis",
        "flac" => "FLAC",
        "dts" => "DTS",
        "" => "unknown",
        other => other,
    };
    match stream.channels {
        0..=2 => name.to_owned(),
        more => format!("{name} with {more} channels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(json: &str) -> Probe {
        serde_json::from_str(json).expect("valid JSON")
    }

    fn has(plan: &Plan, wanted: &str) -> bool {
        plan.arguments.join(" ").contains(wanted)
    }

    #[test]
    fn only_what_must_be_converted_is() {
        let probe = probe(
            r#"{"streams": [
                {"index": 0, "codec_type": "video", "codec_name": "h264", "profile": "High",
                 "pix_fmt": "yuv420p", "field_order": "progressive", "sample_aspect_ratio": "4:3",
                 "side_data_list": [{"rotation": -90}]},
                {"index": 1, "codec_type": "audio", "codec_name": "ac3", "channels": 6}],
               "format": {"format_name": "matroska,webm", "duration": "8.5"}}"#,
        );
        let plan = Plan::new(&probe, true).expect("has tracks");
        assert!(plan.copies && has(&plan, "-map 0:0 -c:v copy -map 0:1 -c:a aac"), "{plan:?}");
        assert_eq!(plan.told.rotation, Some(90));
        assert_eq!(plan.told.pixel_aspect, Some((4, 3)));
        assert_eq!(plan.told.duration_us, Some(8_500_000));
        assert_eq!(
            plan.why,
            "the picture goes as it is, the sound (AC-3 with 6 channels) becomes AAC"
        );
        // ffmpeg turns what it converts.
        let plan = Plan::new(&probe, false).expect("has tracks");
        assert!(!plan.copies && has(&plan, "libx264"), "{plan:?}");
        assert_eq!(plan.told.rotation, None);
    }

    #[test]
    fn covers_and_secondary_sounds_are_passed_over() {
        let probe = probe(
            r#"{"streams": [
                {"index": 0, "codec_type": "video", "codec_name": "mjpeg",
                 "disposition": {"attached_pic": 1}},
                {"index": 1, "codec_type": "audio", "codec_name": "dts", "channels": 2},
                {"index": 2, "codec_type": "audio", "codec_name": "aac", "profile": "LC",
                 "channels": 2, "disposition": {"default": 1}}],
               "format": {"format_name": "x"}}"#,
        );
        let plan = Plan::new(&probe, true).expect("has tracks");
        assert_eq!(plan.arguments.join(" "), "-map 0:2 -c:a copy");
    }

    #[test]
    fn interlaced_ten_bit_and_avi_are_converted() {
        let stream = |more: &str, format: &str| {
            probe(&format!(
                r#"{{"streams": [{{"index": 0, "codec_type": "video", "codec_name": "h264",
                    "profile": "High", "pix_fmt": "yuv420p" {more}}}],
                    "format": {{"format_name": "{format}"}}}}"#
            ))
        };
        for (more, format, copies) in [
            ("", "mpegts", true),
            ("", "avi", false),
            (r#", "field_order": "tt""#, "mpegts", false),
        ] {
            let plan = Plan::new(&stream(more, format), true).expect("has a track");
            assert_eq!(plan.copies, copies, "{more} {format}");
        }
        assert!(Plan::new(&Probe::default(), true).is_none());
        assert_eq!(found(&Probe::default()), "nothing");
    }
}
