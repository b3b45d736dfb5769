//! Files made byte by byte.

use std::io::Cursor;

use bytes::Bytes;
use media::demux::mp4::Mp4;
use media::demux::{Reader, Refusal};
use proto::Packet;

/// avcC of a High profile stream, 854x480, whose VUI says that two pictures are held back.
pub(crate) const AVCC: [u8; 48] = [
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1b, 0x67, 0x64, 0x00, 0x1f, 0xac, 0x56, 0x24, 0x0d,
    0x83, 0xde, 0x6f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x00, 0xf1,
    0x83, 0x18, 0x98, 0x01, 0x00, 0x06, 0x68, 0xe8, 0x8e, 0x52, 0xc8, 0xb0, 0xfd, 0xf8, 0xf8, 0x00,
];
/// AudioSpecificConfig of AAC-LC, 48 kHz, stereo.
const ASC: [u8; 2] = [0x11, 0x90];
/// The movie's time scale; an edit's lengths are counted in it.
pub(crate) const MOVIE_TIMESCALE: u32 = 1000;

/// One sample of a track that is to be built.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) duration: u32,
    /// Composition time minus decoding time.
    pub(crate) shift: i32,
    pub(crate) key: bool,
    pub(crate) payload: Vec<u8>,
}

/// A track that is to be built.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) is_video: bool,
    pub(crate) timescale: u32,
    pub(crate) samples: Vec<Sample>,
    /// Length in the movie's time scale, media time or -1.
    pub(crate) edits: Vec<(u32, i32)>,
    /// a, b, c, d of the matrix.
    pub(crate) matrix: [i32; 4],
    pub(crate) pixel_aspect: Option<(u32, u32)>,
}

/// A length-prefixed slice; `seed` makes it different from others.
pub(crate) fn picture(key: bool, seed: usize) -> Vec<u8> {
    let body = vec![u8::try_from(seed % 251).expect("small"); 20 + seed % 7];
    let kind = if key { 0x65 } else { 0x41 };
    let length = u32::try_from(body.len() + 1).expect("short");
    [&length.to_be_bytes()[..], &[kind], &body].concat()
}

impl Track {
    /// 25 pictures a second, a key frame every ten; each is shown as it is decoded.
    pub(crate) fn video(count: usize) -> Self {
        let sample = |n: usize| {
            let key = n.is_multiple_of(10);
            Sample { duration: 512, shift: 0, key, payload: picture(key, n) }
        };
        Self {
            is_video: true,
            timescale: 12_800,
            samples: (0..count).map(sample).collect(),
            edits: Vec::new(),
            matrix: [0x1_0000, 0, 0, 0x1_0000],
            pixel_aspect: None,
        }
    }

    /// The same with two B-frames after each P-frame: I P B B P B B ...
    pub(crate) fn video_with_b_frames(count: usize) -> Self {
        let mut track = Self::video(count);
        for (n, sample) in track.samples.iter_mut().enumerate() {
            let frames = if n == 0 { 1 } else { [3, 0, 0][(n - 1) % 3] };
            sample.shift = frames * 512;
            sample.key = n == 0;
            sample.payload = picture(n == 0, n);
        }
        track
    }

    /// AAC frames.
    pub(crate) fn audio(count: usize) -> Self {
        let sample = |n: usize| Sample {
            duration: 1024,
            shift: 0,
            key: true,
            payload: vec![u8::try_from(n % 256).expect("a byte"); 10 + n % 5],
        };
        Self {
            is_video: false,
            timescale: 48_000,
            samples: (0..count).map(sample).collect(),
            ..Self::video(0)
        }
    }
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The index before the data.
    MoovFirst,
    /// The index after the data, offsets of 64 bits.
    MoovLast,
    /// Fragments of five samples a track; how they say where their data is.
    Fragments(Base),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// default-base-is-moof, a data offset in each run, tfdt.
    Moof,
    /// base-data-offset, no data offset, no tfdt.
    Explicit,
    /// Neither: the first track's data follows the moof's start, the next one's goes on there.
    Chained,
}

pub(crate) fn mp4(tracks: &[Track], layout: Layout) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[b"isom\0\0\0\0isom"]);
    match layout {
        Layout::MoovFirst => {
            let length = moov(tracks, &chunk_offsets(tracks, 0), false).len();
            let data_at = ftyp.len() + length + 8;
            let moov = moov(tracks, &chunk_offsets(tracks, data_at), false);
            [ftyp, moov, boxed(b"mdat", &[&interleaved(tracks)])].concat()
        }
        Layout::MoovLast => {
            let moov = moov(tracks, &chunk_offsets(tracks, ftyp.len() + 8), true);
            [ftyp, boxed(b"mdat", &[&interleaved(tracks)]), moov].concat()
        }
        Layout::Fragments(base) => {
            let empty: Vec<Track> =
                tracks.iter().map(|t| Track { samples: Vec::new(), ..t.clone() }).collect();
            let mut file = [ftyp, moov_with(&empty, &[], false, true)].concat();
            let count = tracks.iter().map(|t| t.samples.len()).max().unwrap_or(0);
            for first in (0..count).step_by(FRAGMENT) {
                let fragment = fragment(tracks, first, base, file.len());
                file.extend(fragment);
            }
            file
        }
    }
}

const FRAGMENT: usize = 5;
const CHUNK: usize = 3;

/// A chunk of three samples of each track in turn.
fn interleaved(tracks: &[Track]) -> Vec<u8> {
    chunks(tracks).into_iter().flat_map(|(_, payloads)| payloads).collect()
}

/// Track and bytes of each chunk, in file order.
fn chunks(tracks: &[Track]) -> Vec<(usize, Vec<u8>)> {
    let most = tracks.iter().map(|t| t.samples.len()).max().unwrap_or(0);
    let mut chunks = Vec::new();
    for first in (0..most).step_by(CHUNK) {
        for (index, track) in tracks.iter().enumerate() {
            let samples = track.samples.iter().skip(first).take(CHUNK);
            let bytes: Vec<u8> = samples.flat_map(|s| s.payload.clone()).collect();
            if first < track.samples.len() {
                chunks.push((index, bytes));
            }
        }
    }
    chunks
}

fn chunk_offsets(tracks: &[Track], data_at: usize) -> Vec<Vec<u64>> {
    let mut offsets = vec![Vec::new(); tracks.len()];
    let mut at = u64::try_from(data_at).expect("small");
    for (track, bytes) in chunks(tracks) {
        offsets[track].push(at);
        at += u64::try_from(bytes.len()).expect("small");
    }
    offsets
}

fn moov(tracks: &[Track], offsets: &[Vec<u64>], long: bool) -> Vec<u8> {
    moov_with(tracks, offsets, long, false)
}

fn moov_with(tracks: &[Track], offsets: &[Vec<u64>], long: bool, fragmented: bool) -> Vec<u8> {
    let mvhd = full(
        b"mvhd",
        0,
        0,
        &[&[0; 8], &be32(MOVIE_TIMESCALE), &[0; 4], &be32(0x1_0000), &[0; 12], &[0; 60], &be32(9)],
    );
    let none = Vec::new();
    let traks = tracks
        .iter()
        .enumerate()
        .map(|(index, track)| trak(index, track, offsets.get(index).unwrap_or(&none), long));
    let mut parts: Vec<Vec<u8>> = [mvhd].into_iter().chain(traks).collect();
    if fragmented {
        let trex = |index: usize| {
            let track = &tracks[index];
            let not_sync = if track.is_video { 0x1_0000 } else { 0 };
            let duration = if track.is_video { 512 } else { 1024 };
            full(
                b"trex",
                0,
                0,
                &[&be32(id(index)), &be32(1), &be32(duration), &[0; 4], &be32(not_sync)],
            )
        };
        parts.push(boxed(b"mvex", &[&(0..tracks.len()).flat_map(trex).collect::<Vec<u8>>()]));
    }
    boxed(b"moov", &[&parts.concat()])
}

fn id(index: usize) -> u32 {
    u32::try_from(index + 1).expect("small")
}

fn trak(index: usize, track: &Track, offsets: &[u64], long: bool) -> Vec<u8> {
    let [a, b, c, d] = track.matrix.map(i32::to_be_bytes);
    let zero = [0; 4];
    let matrix = [a, b, zero, c, d, zero, zero, zero, 0x4000_0000u32.to_be_bytes()].concat();
    let tkhd = full(b"tkhd", 0, 3, &[&[0; 8], &be32(id(index)), &[0; 24], &matrix, &[0; 8]]);
    let mdhd =
        full(b"mdhd", 0, 0, &[&[0; 8], &be32(track.timescale), &[0; 4], &[0x55, 0xc4, 0, 0]]);
    let handler: &[u8] = if track.is_video { b"vide" } else { b"soun" };
    let hdlr = full(b"hdlr", 0, 0, &[&[0; 4], handler, &[0; 13]]);
    let stbl = stbl(track, offsets, long);
    let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &boxed(b"minf", &[&stbl])]);
    boxed(b"trak", &[&tkhd, &edts(track), &mdia])
}

fn edts(track: &Track) -> Vec<u8> {
    if track.edits.is_empty() {
        return Vec::new();
    }
    let entries = track.edits.iter().flat_map(|(length, time)| {
        [length.to_be_bytes(), time.to_be_bytes(), be32(0x1_0000)].concat()
    });
    let entries: Vec<u8> = entries.collect();
    boxed(b"edts", &[&full(b"elst", 0, 0, &[&count(track.edits.len()), &entries])])
}

fn stbl(track: &Track, offsets: &[u64], long: bool) -> Vec<u8> {
    let samples = &track.samples;
    let each = |f: &dyn Fn(&Sample) -> Vec<u8>| samples.iter().flat_map(f).collect::<Vec<u8>>();
    let length = count(samples.len());
    let stts = each(&|s| [be32(1), be32(s.duration)].concat());
    let ctts = each(&|s| [be32(1), s.shift.to_be_bytes()].concat());
    let keys: Vec<u8> = samples
        .iter()
        .zip(1u32..)
        .filter(|(sample, _)| sample.key)
        .flat_map(|(_, number)| number.to_be_bytes())
        .collect();
    let sizes = each(&|s| count(s.payload.len()).to_vec());
    let chunk = count(CHUNK);
    let stco = if long {
        let all: Vec<u8> = offsets.iter().flat_map(|o| o.to_be_bytes()).collect();
        full(b"co64", 0, 0, &[&count(offsets.len()), &all])
    } else {
        let short = |o: &u64| u32::try_from(*o).expect("small").to_be_bytes();
        let all: Vec<u8> = offsets.iter().flat_map(short).collect();
        full(b"stco", 0, 0, &[&count(offsets.len()), &all])
    };
    let stsd = full(b"stsd", 0, 0, &[&be32(1), &entry(track)]);
    let mut parts = vec![
        stsd,
        full(b"stts", 0, 0, &[&length, &stts]),
        full(b"ctts", 1, 0, &[&length, &ctts]),
        full(b"stsc", 0, 0, &[&be32(1), &be32(1), &chunk, &be32(1)]),
        full(b"stsz", 0, 0, &[&be32(0), &length, &sizes]),
        stco,
    ];
    if track.is_video {
        parts.push(full(b"stss", 0, 0, &[&count(keys.len() / 4), &keys]));
    }
    boxed(b"stbl", &[&parts.concat()])
}

fn entry(track: &Track) -> Vec<u8> {
    if track.is_video {
        let size = [[0x03, 0x56], [0x01, 0xe0]].concat();
        let fixed = [&[0; 7][..], &[1], &[0; 16], &size, &[0; 50]].concat();
        let pasp = track.pixel_aspect.map(|(h, v)| boxed(b"pasp", &[&be32(h), &be32(v)]));
        return boxed(b"avc1", &[&fixed, &boxed(b"avcC", &[&AVCC]), &pasp.unwrap_or_default()]);
    }
    let fixed = [&[0; 7][..], &[1], &[0; 8], &[0, 2, 0, 16, 0, 0, 0, 0], &[0xbb, 0x80, 0, 0]];
    let config = [&[5, 2][..], &ASC].concat();
    let decoder = [&[4, 17, 0x40, 0x15], &[0; 11][..], &config].concat();
    let descriptor = [&[3, 25, 0, 1, 0][..], &decoder, &[6, 1, 2]].concat();
    boxed(b"mp4a", &[&fixed.concat(), &full(b"esds", 0, 0, &[&descriptor])])
}

/// A `moof` and its `mdat`, to be written at `at`.
fn fragment(tracks: &[Track], first: usize, base: Base, at: usize) -> Vec<u8> {
    let part = |track: &Track| -> Vec<Sample> {
        track.samples.iter().skip(first).take(FRAGMENT).cloned().collect()
    };
    let data: Vec<u8> = tracks.iter().flat_map(part).flat_map(|s| s.payload).collect();
    // Twice: the second time with the length that the first one had.
    let length = moof(tracks, first, base, at, 0).len();
    let moof = moof(tracks, first, base, at, length);
    [moof, boxed(b"mdat", &[&data])].concat()
}

fn moof(tracks: &[Track], first: usize, base: Base, at: usize, length: usize) -> Vec<u8> {
    // From the moof's start.
    let mut data = length + 8;
    let mut trafs = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let samples: Vec<&Sample> = track.samples.iter().skip(first).take(FRAGMENT).collect();
        if samples.is_empty() {
            continue;
        }
        let dts: u32 = track.samples.iter().take(first).map(|s| s.duration).sum();
        let id = be32(id(index));
        let here = u64::try_from(at + data).expect("small").to_be_bytes();
        let (header, time) = match base {
            Base::Moof => (full(b"tfhd", 0, 0x2_0000, &[&id]), full(b"tfdt", 0, 0, &[&be32(dts)])),
            Base::Explicit => (full(b"tfhd", 0, 1, &[&id, &here]), Vec::new()),
            Base::Chained => (full(b"tfhd", 0, 0, &[&id]), Vec::new()),
        };
        // Only the first track's data can begin elsewhere than where that of another ended.
        let has_offset = base == Base::Moof || base == Base::Chained && trafs.is_empty();
        let run = run(&samples, has_offset.then_some(data));
        trafs.push(boxed(b"traf", &[&header, &time, &run]));
        data += samples.iter().map(|s| s.payload.len()).sum::<usize>();
    }
    let mfhd = full(b"mfhd", 0, 0, &[&be32(1)]);
    boxed(b"moof", &[&mfhd, &trafs.concat()])
}

fn run(samples: &[&Sample], offset: Option<usize>) -> Vec<u8> {
    let each = |s: &&Sample| {
        let flags = be32(if s.key { 0x200_0000 } else { 0x1_0000 });
        [be32(s.duration), count(s.payload.len()), flags, s.shift.to_be_bytes()].concat()
    };
    let entries: Vec<u8> = samples.iter().flat_map(each).collect();
    let data_offset = offset.map(|o| count(o).to_vec()).unwrap_or_default();
    let flags = 0xf00 | u32::from(offset.is_some());
    full(b"trun", 1, flags, &[&count(samples.len()), &data_offset, &entries])
}

pub(crate) fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&count(body.len() + 8)[..], kind, &body].concat()
}

fn full(kind: &[u8; 4], version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut head = flags.to_be_bytes();
    head[0] = version;
    boxed(kind, &[&head, &parts.concat()])
}

fn be32(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

fn count(value: usize) -> [u8; 4] {
    be32(u32::try_from(value).expect("small"))
}

/// Matroska with one picture and one sound track; block times are presentation times.
pub(crate) fn matroska(tracks: &[Track]) -> Vec<u8> {
    let entry = |(index, track): (usize, &Track)| {
        let (kind, codec, private): (u8, &[u8], &[u8]) =
            if track.is_video { (1, b"V_MPEG4/ISO/AVC", &AVCC) } else { (2, b"A_AAC", &ASC) };
        let media = if track.is_video {
            element(0xE0, &[element(0xB0, &[3, 0x56]), element(0xBA, &[1, 0xe0])].concat())
        } else {
            let rate = 48_000f32.to_be_bytes();
            element(0xE1, &[element(0xB5, &rate), element(0x9F, &[2])].concat())
        };
        let number = [u8::try_from(index + 1).expect("small")];
        let parts = [
            element(0xD7, &number),
            element(0x73C5, &number),
            element(0x83, &[kind]),
            element(0x86, codec),
            element(0x63A2, private),
            media,
        ];
        element(0xAE, &parts.concat())
    };
    let entries: Vec<u8> = tracks.iter().enumerate().flat_map(entry).collect();
    let scale = element(0x2A_D7B1, &1_000_000u32.to_be_bytes());
    let written_by = [element(0x4D80, b"us"), element(0x5741, b"us")].concat();
    let info = element(0x1549_A966, &[scale, written_by].concat());
    let clusters: Vec<u8> = clusters(tracks);
    let ebml = element(0x1A45_DFA3, &element(0x4282, b"matroska"));
    let segment = element(0x1853_8067, &[info, element(0x1654_AE6B, &entries), clusters].concat());
    [ebml, segment].concat()
}

/// A cluster for each block, in order of decoding.
fn clusters(tracks: &[Track]) -> Vec<u8> {
    let mut blocks = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let mut dts = 0i64;
        for sample in &track.samples {
            let ms = |ticks: i64| ticks * 1000 / i64::from(track.timescale);
            let time = u32::try_from(ms(dts + i64::from(sample.shift))).expect("not negative");
            let number = 0x81 + u8::try_from(index).expect("small");
            let flags = if sample.key { 0x80 } else { 0 };
            let block = element(0xA3, &[&[number, 0, 0, flags][..], &sample.payload].concat());
            blocks.push((ms(dts), [element(0xE7, &time.to_be_bytes()), block].concat()));
            dts += i64::from(sample.duration);
        }
    }
    blocks.sort_by_key(|(due, _)| *due);
    blocks.into_iter().flat_map(|(_, body)| element(0x1F43_B675, &body)).collect()
}

pub(crate) fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    let size = u32::try_from(body.len()).expect("small") | 0x1000_0000;
    [&id, &size.to_be_bytes()[..], body].concat()
}

/// 16-bit stereo PCM.
pub(crate) fn wav(frames: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..frames * 4).map(|n| u8::try_from(n % 256).expect("a byte")).collect();
    let le32 = |n: usize| u32::try_from(n).expect("small").to_le_bytes();
    let format = [&[1, 0, 2, 0][..], &le32(48_000), &le32(192_000), &[4, 0, 16, 0]].concat();
    let head = [&b"WAVEfmt "[..], &le32(16), &format, b"data", &le32(data.len())].concat();
    [&b"RIFF"[..], &le32(head.len() + data.len()), &head, &data].concat()
}

/// Frames of silence: MPEG-1 layer III, 128 kbit/s, 48 kHz.
pub(crate) fn mp3(frames: usize) -> Vec<u8> {
    let frame = [&[0xff, 0xfb, 0x94, 0x00][..], &[0; 380]].concat();
    frame.repeat(frames)
}

/// Opens bytes as MP4 and takes all packets, and the note.
pub(crate) fn read_mp4(bytes: &[u8]) -> Result<(Vec<Packet>, Option<String>), Refusal> {
    let mut movie = Mp4::open(Cursor::new(bytes))?;
    let mut packets = Vec::new();
    while let Some(packet) = movie.next_packet()? {
        packets.push(packet);
    }
    Ok((packets, movie.note().map(str::to_owned)))
}

/// Opens bytes as Matroska or sound.
pub(crate) fn open_reader(bytes: &[u8], is_matroska: bool) -> Result<Reader, Refusal> {
    Reader::open(Box::new(Bytes::copy_from_slice(bytes)), is_matroska)
}

/// Opens bytes as Matroska or sound and takes all packets, and the note.
pub(crate) fn read_with_reader(
    bytes: &[u8],
    is_matroska: bool,
) -> Result<(Vec<Packet>, Option<String>), Refusal> {
    let mut reader = open_reader(bytes, is_matroska)?;
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet()? {
        packets.push(packet);
    }
    Ok((packets, reader.note().map(str::to_owned)))
}
