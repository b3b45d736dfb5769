#!/usr/bin/env python3
"""Fills corpus/ with places to start from: the golden messages, and tiny files made by ffmpeg."""
import pathlib, struct, subprocess

FOLDER = pathlib.Path(__file__).parent
CORPUS = FOLDER / "corpus"
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=0.5"]
SOUND = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=0.3"]
BOTH = PICTURE + SOUND
H264, AAC = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "3"], ["-c:a", "aac"]
MJPEG = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]
FRAGMENTS = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"]
FILES = {
    "mp4": {
        "whole.mp4": BOTH + H264 + AAC,
        "faststart.mp4": BOTH + H264 + AAC + ["-movflags", "faststart"],
        "fragments.mp4": BOTH + H264 + AAC + FRAGMENTS,
        "mjpeg.mov": PICTURE + MJPEG,
        "sound.m4a": SOUND + AAC,
        "opus.mp4": BOTH + H264 + ["-c:a", "libopus"],
    },
    "matroska": {
        "h264-aac.mkv": BOTH + H264 + AAC,
        "mjpeg-flac.mkv": BOTH + MJPEG + ["-c:a", "flac"],
        "vorbis.mkv": SOUND + ["-c:a", "libvorbis"],
        "opus.webm": SOUND + ["-c:a", "libopus"],
    },
    "sound_file": {
        "sound.mp3": SOUND, "sound.flac": SOUND, "sound.wav": SOUND,
        "opus.ogg": SOUND + ["-c:a", "libopus"], "vorbis.ogg": SOUND + ["-c:a", "libvorbis"],
    },
}


def make(path, options):
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *options, str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


def save(target, name, data):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(data)


def box(mp4, kind):
    """The first box of a kind, found by its name."""
    at = mp4.index(kind)
    return mp4[at + 4:at - 4 + int.from_bytes(mp4[at - 4:at], "big")]


def decoder_input(codec, config, *packets):
    return bytes([codec]) + b"".join(struct.pack("<H", len(p)) + p for p in (config, *packets))


def adts_frames(data):
    while len(data) > 7:
        length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        yield data[7:length]
        data = data[length:]


for file in (FOLDER / "../samples/wire").glob("*.hex"):
    frame = bytes.fromhex(file.read_text())
    save("frame", file.stem, b"\x07" + frame)
    save("message", file.stem, frame[8:])
for target, files in FILES.items():
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for name, options in files.items():
        make(CORPUS / target / name, options)

raw = CORPUS / "raw"
raw.mkdir(exist_ok=True)
picture = make(raw / "one.mp4", PICTURE + H264 + ["-frames:v", "1"])
save("h264", "avcc", box(picture, b"avcC"))
save("h264", "picture", box(picture, b"mdat"))
save("h264", "sps", box(picture, b"avcC")[8:])
save("decode", "h264", decoder_input(0, box(picture, b"avcC"), box(picture, b"mdat")))
jpeg = make(raw / "one.mjpeg", PICTURE + MJPEG + ["-frames:v", "1"])
save("decode", "mjpeg", decoder_input(1, b"", jpeg))
frames = list(adts_frames(make(raw / "sound.aac", SOUND + ["-ac", "2"])))
save("decode", "aac", decoder_input(2, b"\x11\x90", *frames[:3]))
save("decode", "mp3", decoder_input(4, b"", make(raw / "sound.mp3", SOUND)[-1152:]))
flac = make(raw / "sound.flac", SOUND + ["-map_metadata", "-1"])
save("decode", "flac", decoder_input(5, flac[8:42], flac[flac.index(b"\xff\xf8"):][:4000]))
save("decode", "pcm", decoder_input(7, b"", bytes(4000)))
