#!/usr/bin/env python3
"""A viewer written from docs/PROTOCOL.md: prints what comes, and saves the pictures with --save,
as raw H.264 (Annex B) or one JPEG after the other; ffplay and mpv play both."""
import argparse, io, signal, socket, struct, sys

VIDEO, AUDIO = ["H.264", "MJPEG"], ["AAC", "Opus", "MP3", "FLAC", "Vorbis", "PCM"]
START_CODE = b"\0\0\0\1"


class Body(io.BytesIO):
    """The fields of a message, read one after the other."""
    def fields(self, form): return struct.unpack(form, self.read(struct.calcsize(form)))
    def bytes(self): return self.read(*self.fields("<Q"))
    def text(self): return self.bytes().decode()


def receive(stream):
    prefix = stream.read(8)
    body = stream.read(struct.unpack("<Q", prefix)[0]) if len(prefix) == 8 else b""
    return Body(body) if body else sys.exit("the connection was cut")


def send(sock, number, fields): sock.sendall(struct.pack("<QI", 4 + len(fields), number) + fields)
def text(words): return struct.pack("<Q", len(words.encode())) + words.encode()


def track(body):
    """Codec (of pictures), its set-up, and the rest in words."""
    if body.fields("<I") == (0,):
        codec, width, height, x, y, turn, frames, seconds = body.fields("<IIIIIHII")
        words = f"{VIDEO[codec]} {width}x{height}, pixels {x}:{y}, turned {turn}, {frames}/{seconds} fps"
    else:
        sound, rate, channels = body.fields("<IIH")
        codec, words = None, f"{AUDIO[sound]} {rate} Hz, {channels} channels"
    return codec, body.bytes(), f"{words} [{body.text()}]"


def parameter_sets(avcc):
    """SPS and PPS of an avcC record as Annex B."""
    body, found = Body(avcc[5:]), b""
    for mask in (0x1f, 0xff):
        for _ in range(body.fields("B")[0] & mask):
            found += START_CODE + body.read(*body.fields(">H"))
    return found


def annex_b(avcc, payload):
    body, size, found = Body(payload), (avcc[4] & 3) + 1, b""
    while length := body.read(size):
        found += START_CODE + body.read(int.from_bytes(length, "big"))
    return found


signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # "viewer.py ... | head" just ends
options = argparse.ArgumentParser(description=__doc__)
options.add_argument("host")
options.add_argument("--port", type=int, default=9999)
options.add_argument("--stream", help="its name; not needed where there is only one")
options.add_argument("--save", metavar="FILE", type=argparse.FileType("wb"))
options = options.parse_args()
sock = socket.create_connection((options.host, options.port))
send(sock, 0, b"INSTEP\r\n" + struct.pack("<HHIB", 1, 1, 1, 0) + text("viewer.py"))  # View, no token
stream, tracks = sock.makefile("rb"), []
while True:
    body = receive(stream)
    match body.fields("<I")[0]:
        case 1:
            print("welcome: version %d, node %016x," % body.fields("<HQ"), body.text())
            name = b"\0" if options.stream is None else b"\1" + text(options.stream)
            send(sock, 7, name + struct.pack("<I", 0))
        case 2: sys.exit("closed with %d: " % body.fields("<H") + body.text())
        case 9:
            print(f"describe: {body.text()} '{body.text()}'", "live=%d run=%016x" % body.fields("<?Q"), end=" ")
            print("us=%d" % body.fields("<Q") if body.fields("?")[0] else "endless")
            tracks = [track(body) for _ in range(*body.fields("<Q"))]
            for codec, config, words in tracks:
                print("  track:", words)
                if options.save and codec == 0: options.save.write(parameter_sets(config))
        case 10:
            number, key, sequence, *times = body.fields("<H?QqqIq")
            (codec, config, _), payload = tracks[number], body.read()
            print(f"packet: {sequence} track={number} key={key:d} pts,dts,duration,captured={times} bytes={len(payload)}")
            if options.save and codec is not None:
                options.save.write(annex_b(config, payload) if codec == 0 else payload)
        case 11: print("gap: %d packets, %d us" % body.fields("<Qq"))
        case 12: print("held:", body.text())
        case 13: print("resumed")
        case 14: sys.exit(print("end"))
