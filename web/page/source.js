// Fragments into a video element: Media Source Extensions, one thing at a time.
import { rangesOf } from "./playout.js";

/** Kept behind the place that is played, seconds. */
const BEHIND = 20;
/** Bytes that may wait to be appended. */
const WAITING = 32 << 20;

// Safari on the phone has this one alone.
/** @type {typeof MediaSource | undefined} */
const Source = /** @type {any} */ (globalThis).ManagedMediaSource ?? globalThis.MediaSource;

/** @param {string} mime */
export function canPlay(mime) {
  return Boolean(Source?.isTypeSupported(mime));
}

/** Events: `error` (detail: a sentence), `appended`. */
export class Buffer extends EventTarget {
  /** @param {HTMLVideoElement} video @param {string} mime @param {number} duration seconds */
  constructor(video, mime, duration) {
    super();
    this.video = video;
    if (!Source) throw new Error("this browser plays no streams");
    this.source = new Source();
    /** @type {(Uint8Array | [number, number])[]} */
    this.queue = [];
    this.waiting = 0;
    /** @type {SourceBuffer | undefined} */
    this.buffer = undefined;
    this.closed = false;
    this.finished = false;
    video.disableRemotePlayback = true;
    this.address = URL.createObjectURL(this.source);
    video.src = this.address;
    this.source.addEventListener("sourceopen", () => this.open(mime, duration), { once: true });
  }

  /** @param {string} mime @param {number} duration */
  open(mime, duration) {
    if (this.closed) return;
    URL.revokeObjectURL(this.address);
    try {
      const buffer = this.source.addSourceBuffer(mime);
      this.source.duration = duration;
      buffer.addEventListener("updateend", () => {
        this.dispatchEvent(new Event("appended"));
        this.step();
      });
      buffer.addEventListener("error", () => this.fail("the stream cannot be decoded"));
      this.buffer = buffer;
      this.step();
    } catch (error) {
      this.fail(`this browser does not play ${mime} (${error})`);
    }
  }

  /** @param {Uint8Array} bytes */
  append(bytes) {
    if (this.closed) return;
    this.waiting += bytes.length;
    if (this.waiting > WAITING) {
      this.fail("this device is too slow for the stream");
      return;
    }
    this.queue.push(bytes);
    this.step();
  }

  /** Forgets a stretch.
   * @param {number} from @param {number} to */
  remove(from, to) {
    if (to > from) this.queue.push([from, to]);
    this.step();
  }

  ranges() {
    return this.buffer && this.source.readyState !== "closed" ? rangesOf(this.buffer.buffered) : [];
  }

  /** Nothing follows. */
  finish() {
    this.finished = true;
    this.step();
  }

  step() {
    const { buffer } = this;
    if (!buffer || buffer.updating || this.closed || this.source.readyState === "closed") return;
    const next = this.queue[0];
    if (!next) {
      if (this.finished && this.source.readyState === "open") this.source.endOfStream();
      this.finished = false;
      return;
    }
    try {
      if (next instanceof Uint8Array) {
        buffer.appendBuffer(/** @type {BufferSource} */ (next));
        this.waiting -= next.length;
      } else {
        buffer.remove(next[0], next[1]);
      }
      this.queue.shift();
    } catch (error) {
      this.refused(error);
    }
  }

  /** What was played makes room.
   * @param {unknown} error */
  refused(error) {
    const keep = this.video.currentTime - 2;
    const first = this.ranges()[0];
    if (error instanceof DOMException && error.name === "QuotaExceededError" && first && first[0] < keep) {
      this.queue.unshift([first[0], keep]);
      this.step();
      return;
    }
    this.fail(`this browser refused the stream (${error})`);
  }

  /** Forgets what was played a while ago. */
  tidy() {
    const first = this.ranges()[0];
    const keep = this.video.currentTime - BEHIND;
    if (first && first[0] < keep - BEHIND && this.queue.length === 0) this.remove(first[0], keep);
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.dispatchEvent(new CustomEvent("error", { detail: reason }));
  }

  close() {
    this.closed = true;
    this.queue = [];
    this.video.removeAttribute("src");
    this.video.load();
  }
}
