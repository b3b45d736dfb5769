// A live stream: through a WebSocket into a video element, or onto a canvas.
import { Pictures } from "./canvas.js";
import { NodeClock } from "./clock.js";
import { LiveSteering, backOff } from "./playout.js";
import { Buffer, canPlay } from "./source.js";

/** Of a binary message: what it is, when it is shown, when it was captured. */
const PREFIX = 17;
const HEADER = 1;
const FRAGMENT = 2;
const JPEG = 3;
/** Pictures without sound are shown so long after they were due to come, seconds. */
const SMOOTH = 0.08;
/** Fastest that what is known of the time of capture is moved: 500 millionths; and how far off it is
 * another one, milliseconds. As client/src/timeline.rs does it, with which it is in step. */
const SLEW = 500e-6;
const REBASE = 150;

/**
 * Events: `state` (detail: what it waits for, or ""), `described`, `over` (detail: why).
 */
export class LivePlayer extends EventTarget {
  /** @param {string} name @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas */
  constructor(name, video, canvas) {
    super();
    this.name = name;
    this.video = video;
    this.canvas = canvas;
    this.live = true;
    this.sound = "own";
    this.attempt = 0;
    this.closed = false;
    this.paused = false;
    this.clock = new NodeClock();
    this.steering = new LiveSteering();
    this.bytes = 0;
    this.jumps = 0;
    this.stalls = 0;
    /** @type {Record<string, any> | undefined} */
    this.description = undefined;
    /** @type {Buffer | undefined} */
    this.buffer = undefined;
    /** @type {Pictures | undefined} */
    this.pictures = undefined;
    /** Added to media time to get the time of capture on the node's clock, microseconds. */
    this.captured = 0;
    /** Somebody else says when what is shown: a room. */
    this.led = false;
    /** When media time 0 was captured, of the node's clock, milliseconds: stamps are noisy, so it moves
     * as slowly as nobody hears. @type {number | undefined} */
    this.base = undefined;
    this.based = 0;
    /** Page's time at which media time 0 is shown where there is no sound, seconds.
     * @type {number | undefined} */
    this.zero = undefined;
    this.onwaiting = () => this.dry();
    this.onplaying = () => this.say("");
    video.addEventListener("waiting", this.onwaiting);
    video.addEventListener("playing", this.onplaying);
    this.timer = setInterval(() => this.tick(), 100);
    this.pings = setInterval(() => this.ping(), 2_000);
    this.connect();
  }

  /** @param {string} what */
  say(what) {
    this.dispatchEvent(new CustomEvent("state", { detail: what }));
  }

  connect() {
    this.say("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/socket`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.watch();
      this.ping();
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      if (typeof data === "string") this.told(JSON.parse(data));
      else this.got(data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.again("the connection is lost");
    };
  }

  watch() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ say: "watch", stream: this.name, sound: this.sound }));
    this.say("waiting for the stream");
  }

  /** @param {string} why */
  again(why) {
    if (this.closed) return;
    this.socket = undefined;
    this.say(`${why}, trying again`);
    const wait = backOff(this.attempt);
    this.attempt += 1;
    this.retry = setTimeout(() => this.connect(), wait);
  }

  ping() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ say: "ping", sent: performance.now() }));
  }

  /** @param {Record<string, any>} word */
  told(word) {
    if (word.say === "pong") this.clock.heard(word.sent, performance.now(), word.clock_us / 1000);
    else if (word.say === "describe") this.describe(word);
    else if (word.say === "held") this.say("the source is away");
    else if (word.say === "resumed") this.say("");
    else if (word.say === "ended") {
      const socket = this.socket;
      this.again(word.reason);
      socket?.close();
      this.dispatchEvent(new CustomEvent("over", { detail: word.reason }));
    }
  }

  /** @param {Record<string, any>} word */
  describe(word) {
    if (word.mime && !canPlay(word.mime) && this.sound === "own") {
      // Its sound may be what cannot be played: the relay makes another of it.
      this.sound = "opus";
      this.watch();
      return;
    }
    this.release();
    this.description = word;
    this.attempt = 0;
    this.steering = new LiveSteering();
    this.base = undefined;
    this.video.hidden = word.pictures_apart;
    this.canvas.hidden = !word.pictures_apart;
    if (word.mime) this.buffer = this.fill(word.mime);
    if (word.pictures_apart) this.pictures = new Pictures(this.canvas, () => this.time());
    this.dispatchEvent(new Event("described"));
  }

  /** @param {string} mime */
  fill(mime) {
    const buffer = new Buffer(this.video, mime, Number.POSITIVE_INFINITY);
    buffer.addEventListener("error", (event) => {
      const socket = this.socket;
      this.again(/** @type {CustomEvent} */ (event).detail);
      socket?.close();
    });
    buffer.addEventListener("appended", () => this.steer());
    return buffer;
  }

  /** @param {ArrayBuffer} data */
  got(data) {
    this.bytes += data.byteLength;
    const view = new DataView(data);
    const at = Number(view.getBigInt64(1));
    const captured = Number(view.getBigInt64(9));
    const payload = new Uint8Array(data, PREFIX);
    const kind = view.getUint8(0);
    if (kind !== HEADER) this.place(captured, at);
    if (kind === HEADER || kind === FRAGMENT) {
      if (payload.length > 0) this.buffer?.append(payload);
    } else if (kind === JPEG && this.led) {
      this.pictures?.put(at / 1e6, payload);
    } else if (kind === JPEG && !this.paused) {
      const due = performance.now() / 1000 - at / 1e6 + SMOOTH;
      if (this.zero === undefined || due < this.zero || due > this.zero + 1) this.zero = due;
      // Slowly later, so that one early picture does not hurry all.
      this.zero += Math.min(0.001, due - this.zero);
      this.pictures?.put(at / 1e6, payload);
    }
  }

  /** A piece says when it was captured, microseconds of the node's clock and of the media.
   * @param {number} captured @param {number} at */
  place(captured, at) {
    this.captured = captured - at;
    const [now, base] = [performance.now(), this.captured / 1000];
    const most = SLEW * (now - this.based);
    const far = this.base === undefined || Math.abs(base - this.base) > REBASE;
    this.base = far ? base : /** @type {number} */ (this.base) + Math.max(-most, Math.min(most, base - /** @type {number} */ (this.base)));
    this.based = now;
    this.dispatchEvent(new CustomEvent("arrived", { detail: captured / 1000 }));
  }

  /** Media time that is to be shown now, seconds. */
  time() {
    if (this.description?.mime) return this.video.readyState >= 2 ? this.video.currentTime : undefined;
    return this.zero === undefined ? undefined : performance.now() / 1000 - this.zero;
  }

  steer() {
    const { buffer, video } = this;
    if (!buffer || this.paused || this.led) return;
    const ranges = buffer.ranges();
    const { seek, rate } = this.steering.steer(ranges, video.currentTime, performance.now() / 1000);
    if (seek !== undefined && Math.abs(seek - video.currentTime) > 0.01) {
      this.jumps += 1;
      video.currentTime = seek;
    }
    if (video.playbackRate !== rate) video.playbackRate = rate;
  }

  tick() {
    this.steer();
    this.buffer?.tidy();
  }

  dry() {
    if (this.paused || !(this.led || this.steering.started) || this.video.seeking) return;
    this.stalls += 1;
    this.dispatchEvent(new Event("dry"));
    this.steering.stalled(performance.now() / 1000);
    this.say("waiting for the stream");
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    if (!paused) this.steering.started = false;
    if (paused) this.pictures?.clear();
  }

  /** From capture to presentation of media time `at`, milliseconds; undefined while unknown.
   * @param {number} at seconds */
  delay(at) {
    const now = performance.now();
    const offset = this.clock.offset(now);
    return offset === undefined || !this.captured ? undefined : now + offset - (at * 1e6 + this.captured) / 1000;
  }

  ahead() {
    const last = this.buffer?.ranges().at(-1);
    return last ? Math.max(0, last[1] - this.video.currentTime) : (this.pictures?.queue.length ?? 0) / 30;
  }

  release() {
    this.buffer?.close();
    this.pictures?.close();
    this.buffer = this.pictures = this.zero = undefined;
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearInterval(this.pings);
    clearTimeout(this.retry);
    this.video.removeEventListener("waiting", this.onwaiting);
    this.video.removeEventListener("playing", this.onplaying);
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.release();
    this.video.playbackRate = 1;
  }
}
