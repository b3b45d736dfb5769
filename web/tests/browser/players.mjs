// Other people's players on a relay's outputs: scripts/test-players. Each has to decode pictures and
// sound, live and recorded, from the start and from the middle; what it has decoded is counted.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { Site } from "./site.mjs";

const [bin, modules] = process.argv.slice(2);
const require = createRequire(join(modules, "x.js"));
const { chromium } = require("playwright-core");
const HLS = readFileSync(require.resolve("hls.js/dist/hls.min.js"), "utf8");
const run = promisify(execFile);
/** A player that takes longer hangs. */
const PATIENCE = 120_000;
/** VLC counts the time it takes to open, too, seconds. */
const OPENING = 12;
/** Of each, seconds. */
const LENGTH = 5;

const site = new Site(bin);
await site.origin("--test-pattern", "--size", "640x360", "--name", "pattern");
await site.origin("--test-pattern", "--size", "640x360", "--codec", "mjpeg", "--name", "camera");
await site.origin("--library", "samples");
const MOVIE = "big-buck-bunny-480p-30s";
await site.relay(5, MOVIE);
const made = join(site.folder, "made");
mkdirSync(made);
// VLC does not run as root.
chmodSync(site.folder, 0o755);
chmodSync(made, 0o777);
const unprivileged = process.getuid() === 0 ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] : [];

async function call(...words) {
  const [program, ...flags] = words;
  const env = { ...process.env, HOME: made, SDL_VIDEODRIVER: "dummy", SDL_AUDIODRIVER: "dummy" };
  return await run(program, flags, { timeout: PATIENCE, env, maxBuffer: 64 << 20 });
}

/** Pictures and seconds of sound in a file that a player has written. */
async function counted(file) {
  assert.ok(existsSync(file), "it wrote nothing");
  const probe = async (kind) => {
    const { stdout } = await call("ffprobe", "-v", "error", "-select_streams", `${kind}:0`, "-count_packets", "-show_entries",
      "stream=nb_read_packets,sample_rate,codec_name", "-of", "json", file);
    return JSON.parse(stdout).streams[0];
  };
  const [video, audio] = [await probe("v"), await probe("a")];
  return { pictures: Number(video?.nb_read_packets ?? 0), sounds: Number(audio?.nb_read_packets ?? 0) };
}

function enough({ pictures, sounds }, wanted) {
  assert.ok(pictures >= wanted.pictures, `${pictures} pictures of ${wanted.pictures}`);
  assert.ok(sounds >= wanted.sounds, `${sounds} packets of sound of ${wanted.sounds}`);
}

let count = 0;
const file = (ending) => join(made, `${(count += 1)}.${ending}`);

/** Each plays so many seconds of an address from a place on, and says what came. */
const players = {
  async vlc(url, from) {
    const to = file("ts");
    const flags = ["-I", "dummy", "--no-one-instance", "--run-time", String(LENGTH + OPENING), "--start-time", String(from),
      "--network-caching", "300", "--sout", `#transcode{vcodec=mp2v,vb=2000,acodec=mpga,ab=128}:std{access=file,mux=ts,dst=${to}}`];
    await call(...unprivileged, "cvlc", ...flags, url, "vlc://quit");
    return await counted(to);
  },
  async mpv(url, from) {
    const to = file("mkv");
    // Asked for the very beginning it seeks, too.
    const seek = from ? [`--start=${from}`] : [];
    const flags = ["--no-config", "--really-quiet", `--length=${LENGTH}`, ...seek, "--ovc=mpeg4", "--oac=ac3", `--o=${to}`];
    await call("mpv", ...flags, url);
    return await counted(to);
  },
  async ffplay(url, from) {
    // Asked for the very beginning it seeks, too; of what is live it does not find the end.
    const seek = from ? ["-ss", String(from)] : [];
    const flags = ["-hide_banner", "-loglevel", "info", "-stats", "-autoexit", ...seek, "-t", String(LENGTH), url];
    const { stderr } = await call("timeout", String(LENGTH + OPENING), "ffplay", ...flags).catch((error) => {
      if (error.code === 124) return error;
      throw error;
    });
    // "   4.98 A-V:  0.001 fd=   0 aq=   12KB vq=   40KB": the clock, and how far picture and sound are apart.
    const shown = [...stderr.matchAll(/([\d.]+) A-V: +-?\d/g)].map((found) => Number(found[1]));
    const played = Math.max(0, ...shown) - Math.min(...shown);
    assert.ok(played < 2 * LENGTH + OPENING && shown[0] > from - LENGTH, `it began at ${shown[0]} s`);
    const kinds = (kind) => (new RegExp(`Stream #.*${kind}:`).test(stderr) ? 1 : 0);
    // It says no numbers: as long as its clock went, both were there.
    return { pictures: kinds("Video") * played * 30, sounds: kinds("Audio") * played * 38 };
  },
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});

/** Plays in a video element of the relay's own page: Chromium alone, or with hls.js. */
async function watched(url, from, withHls) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  try {
    await page.goto(`${site.url}/api`);
    if (withHls) await page.evaluate(HLS);
    return await page.evaluate(async ({ url, from, length }) => {
      const video = document.createElement("video");
      document.body.replaceChildren(video);
      const { Hls } = globalThis;
      const failed = new Promise((_, reject) => {
        video.addEventListener("error", () => reject(new Error(video.error?.message)));
        if (Hls) {
          // A worker would come from a blob, which the page's policy does not allow.
          const hls = new Hls({ enableWorker: false, startPosition: from || -1 });
          hls.on(Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(data.details)));
          hls.loadSource(url);
          hls.attachMedia(video);
        } else {
          video.src = url;
        }
      });
      const played = async () => {
        if (from && !Hls) {
          await new Promise((resolve) => video.addEventListener("loadedmetadata", resolve, { once: true }));
          video.currentTime = from;
        }
        await video.play();
        const start = Math.max(video.currentTime, from);
        let pictures = 0;
        const count = () => video.requestVideoFrameCallback(() => {
          pictures += 1;
          count();
        });
        count();
        while (video.currentTime < start + length) await new Promise((resolve) => setTimeout(resolve, 50));
        // Sound that was decoded, bytes: a second of it has some thousand.
        return { pictures, sounds: video.webkitAudioDecodedByteCount / 100, at: video.currentTime };
      };
      return await Promise.race([played(), failed]);
    }, { url, from, length: LENGTH });
  } finally {
    await page.close();
  }
}
players.chromium = (url, from) => watched(url, from, false);
players["hls.js"] = (url, from) => watched(url, from, true);

/** Chromium shows JPEGs that follow each other as a picture that changes. */
players["chromium, picture"] = async (url) => {
  const page = await browser.newPage();
  try {
    await page.goto(`${site.url}/api`);
    return await page.evaluate(async (url) => {
      const image = document.createElement("img");
      document.body.replaceChildren(image);
      image.src = url;
      const canvas = new OffscreenCanvas(64, 36);
      const draw = canvas.getContext("2d", { willReadFrequently: true });
      let [last, pictures] = ["", 0];
      while (pictures < 20) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
        if (!image.naturalWidth) continue;
        draw.drawImage(image, 0, 0, 64, 36);
        const now = draw.getImageData(0, 0, 64, 36).data.join();
        if (now !== last) pictures += 1;
        last = now;
      }
      return { pictures, sounds: 0 };
    }, url);
  } finally {
    await page.close();
  }
};

const LIVE = { pictures: 25 * LENGTH * 0.8, sounds: 20 * LENGTH };
const [endless, segments, jpegs] = ["mp4", "m3u8", "mjpeg"].map((kind) => `/streams/pattern.${kind}`);
const [movie, list] = ["mp4", "m3u8"].map((kind) => `/movies/${MOVIE}.${kind}`);
// ffmpeg 5's reader of playlists, mpv's too, gets nothing after a seek in segments of fragmented MP4, its own
// ones included: there it is played from the start.
const PLAYS = [
  ["vlc", endless, 0, LIVE], ["vlc", segments, 0, LIVE], ["vlc", jpegs, 0, { pictures: 20, sounds: 0 }], ["vlc", movie, 0, LIVE], ["vlc", movie, 20, LIVE], ["vlc", list, 0, LIVE],
  ["mpv", endless, 0, LIVE], ["mpv", segments, 0, LIVE], ["mpv", jpegs, 0, { pictures: 20, sounds: 0 }], ["mpv", movie, 20, LIVE], ["mpv", list, 0, LIVE],
  ["ffplay", endless, 0, LIVE], ["ffplay", segments, 0, LIVE], ["ffplay", movie, 20, LIVE], ["ffplay", list, 0, LIVE],
  ["chromium", endless, 0, LIVE], ["chromium", movie, 20, LIVE], ["chromium, picture", jpegs, 0, { pictures: 20, sounds: 0 }],
  ["hls.js", segments, 0, LIVE], ["hls.js", list, 10, LIVE],
];

let failed = 0;
try {
  for (const [player, path, from, wanted] of PLAYS) {
    const what = `${player} plays ${path}${from ? ` from ${from} s on` : ""}`;
    try {
      const got = await players[player](site.url + path, from);
      enough(got, wanted);
      console.log(`ok: ${what}: ${Math.round(got.pictures)} pictures`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${what}\n${error.message.slice(0, 500)}\n${String(error.stderr ?? "").slice(-500)}`);
    }
  }
} finally {
  await browser.close();
  await site.close();
}
process.exitCode = failed === 0 ? 0 : 1;
