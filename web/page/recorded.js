// A recording: segments by number, fetched ahead of where it is played.
import { Pictures } from "./canvas.js";
import { backOff, reach, segmentAt, stepOver, wanted } from "./playout.js";
import { Buffer, canPlay } from "./source.js";
import { path } from "./text.js";

/** Fetched ahead, seconds. */
const AHEAD = 30;
/** The same where pictures are held one by one. */
const PICTURES_AHEAD = 5;
/** How often a recording that grows is looked at, milliseconds. */
const GROWS = 2_000;

/** Events: `state` (detail: what it waits for, or ""), `described`, `over` (detail: why). */
export class RecordedPlayer extends EventTarget {
  /** @param {string} name @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas @param {number} at seconds */
  constructor(name, video, canvas, at = 0) {
    super();
    this.name = name;
    this.video = video;
    this.canvas = canvas;
    this.live = false;
    this.sound = "own";
    this.bytes = 0;
    this.jumps = 0;
    this.stalls = 0;
    this.closed = false;
    this.attempt = 0;
    /** Segments that are here, by number. @type {Set<number>} */
    this.here = new Set();
    /** @type {import("./text.js").Facts | undefined} */
    this.facts = undefined;
    /** @type {Buffer | undefined} */
    this.buffer = undefined;
    /** @type {Pictures | undefined} */
    this.pictures = undefined;
    /** Where it stood at a moment of the page's clock, where there is no sound: seconds, milliseconds. */
    this.stood = 0;
    /** @type {number | undefined} */
    this.since = undefined;
    /** Until it is tried again. @type {number | undefined} */
    this.retry = undefined;
    /** Whether it plays without waiting. */
    this.flowing = false;
    this.looked = 0;
    this.growing = false;
    /** @type {AbortController | undefined} */
    this.fetching = undefined;
    this.onwaiting = () => {
      // What was not played yet, or was jumped to, has to come first.
      if (this.flowing) this.stalls += 1;
      this.flowing = false;
      this.say("loading");
    };
    this.onplaying = () => {
      this.flowing = true;
      this.say("");
    };
    this.onseeking = () => {
      this.flowing = false;
      this.sought();
    };
    video.addEventListener("waiting", this.onwaiting);
    video.addEventListener("playing", this.onplaying);
    video.addEventListener("seeking", this.onseeking);
    this.timer = setInterval(() => this.tick(), 250);
    void this.open(at);
  }

  /** @param {string} what */
  say(what) {
    this.dispatchEvent(new CustomEvent("state", { detail: what }));
  }

  /** @param {string} what @param {AbortSignal} [signal] */
  async get(what, signal) {
    const ours = `for=page&sound=${this.sound}`;
    const id = this.facts ? `&id=${this.facts.id}` : "";
    const answer = await fetch(`/movies/${path(this.name)}.${what}?${ours}${id}`, { signal });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer;
  }

  /** @param {number} at */
  async open(at) {
    this.say("opening");
    try {
      this.facts = undefined;
      let facts = await (await this.get("json")).json();
      if (facts.mime && !canPlay(facts.mime)) {
        this.sound = "opus";
        facts = await (await this.get("json")).json();
      }
      if (this.closed) return;
      this.facts = facts;
      await this.start(at);
    } catch (error) {
      this.failed(error, at);
    }
  }

  /** @param {number} at */
  async start(at) {
    const { facts } = this;
    if (!facts) return;
    this.release();
    this.here.clear();
    this.video.hidden = facts.pictures_apart;
    this.canvas.hidden = !facts.pictures_apart;
    if (facts.pictures_apart) this.pictures = new Pictures(this.canvas, () => this.position());
    if (facts.mime) {
      const duration = facts.finished ? facts.end : Number.POSITIVE_INFINITY;
      const header = new Uint8Array(await (await this.get("init.m4s")).arrayBuffer());
      if (this.closed) return;
      this.buffer = new Buffer(this.video, facts.mime, duration);
      this.buffer.addEventListener("error", (event) => {
        this.failed(new Error(/** @type {CustomEvent} */ (event).detail), this.position());
      });
      this.buffer.append(header);
    }
    this.attempt = 0;
    this.dispatchEvent(new Event("described"));
    this.seek(Math.max(at, facts.starts[0] ?? 0));
    void this.fill();
  }

  /** @param {unknown} error @param {number} at */
  failed(error, at) {
    if (this.closed || this.retry !== undefined) return;
    const why = error instanceof Error ? error.message : String(error);
    this.say(`${why}; trying again`);
    this.dispatchEvent(new CustomEvent("over", { detail: why }));
    this.retry = setTimeout(() => {
      this.retry = undefined;
      // Somebody may have gone elsewhere meanwhile.
      void this.open(this.facts ? this.position() : at);
    }, backOff(this.attempt));
    this.attempt += 1;
  }

  /** Fetches what is wanted next, one at a time. */
  async fill() {
    const { facts } = this;
    if (!facts || this.fetching || this.closed || this.retry !== undefined) return;
    const has = (/** @type {number} */ index) => this.here.has(facts.first + index);
    const index = wanted(facts.starts, has, this.position(), facts.pictures_apart ? PICTURES_AHEAD : AHEAD);
    if (index === undefined) return;
    const abort = new AbortController();
    this.fetching = abort;
    try {
      await this.take(facts, index, abort.signal);
      this.fetching = undefined;
      this.attempt = 0;
      void this.fill();
    } catch (error) {
      this.fetching = undefined;
      if (!abort.signal.aborted) this.failed(error, this.position());
      else void this.fill();
    }
  }

  /** @param {import("./text.js").Facts} facts @param {number} index @param {AbortSignal} signal */
  async take(facts, index, signal) {
    const number = facts.first + index;
    if (facts.pictures_apart) {
      const data = await (await this.get(`${number}.jpegs`, signal)).arrayBuffer();
      this.bytes += data.byteLength;
      this.put(data);
    }
    if (this.buffer) {
      const data = await (await this.get(`${number}.m4s`, signal)).arrayBuffer();
      this.bytes += data.byteLength;
      this.buffer.append(new Uint8Array(data));
    }
    this.here.add(number);
    const isLast = facts.finished && index === facts.starts.length - 1;
    if (isLast) this.buffer?.finish();
  }

  /** @param {ArrayBuffer} data pictures with time and length before each */
  put(data) {
    const view = new DataView(data);
    for (let at = 0; at + 12 <= data.byteLength; ) {
      const time = Number(view.getBigInt64(at)) / 1e6;
      const length = view.getUint32(at + 8);
      this.pictures?.put(time, new Uint8Array(data, at + 12, length));
      at += 12 + length;
    }
  }

  /** Where it is, seconds.
   * @returns {number} */
  position() {
    if (this.buffer) return this.video.currentTime;
    if (this.since === undefined) return this.stood;
    return this.stood + ((performance.now() - this.since) / 1000) * this.video.playbackRate;
  }

  /** @param {number} at seconds */
  seek(at) {
    const end = this.facts ? this.facts.end - 0.1 : at;
    const place = Math.max(this.facts?.starts[0] ?? 0, Math.min(at, end));
    if (this.buffer) {
      this.video.currentTime = place;
    } else {
      this.stood = place;
      if (this.since !== undefined) this.since = performance.now();
      this.sought();
    }
  }

  sought() {
    const { facts } = this;
    if (!facts) return;
    // What was drawn is gone: the pictures of this place are wanted anew.
    if (this.pictures) {
      this.pictures.clear();
      this.here.clear();
    }
    const current = facts.first + segmentAt(facts.starts, this.position());
    if (!this.here.has(current)) this.fetching?.abort();
    void this.fill();
  }

  /** @param {boolean} paused */
  pause(paused) {
    if (this.buffer) return;
    this.stood = this.position();
    this.since = paused ? undefined : performance.now();
  }

  /** Pictures alone go on at another speed.
   * @param {number} rate */
  hurry(rate) {
    if (rate === this.video.playbackRate) return;
    this.stood = this.position();
    if (this.since !== undefined) this.since = performance.now();
    this.video.playbackRate = rate;
  }

  /** Whether what is shown now is here. */
  hasNow() {
    const { facts } = this;
    return facts !== undefined && this.here.has(facts.first + segmentAt(facts.starts, this.position()));
  }

  tick() {
    if (this.buffer) {
      const over = stepOver(this.buffer.ranges(), this.video.currentTime);
      if (over !== undefined && this.video.readyState < 3) this.video.currentTime = over;
      this.forget();
    }
    void this.fill();
    void this.grow();
  }

  /** Segments far behind are thrown away, and are fetched anew when they are wanted. */
  forget() {
    const { facts, buffer } = this;
    if (!facts || !buffer) return;
    buffer.tidy();
    const ranges = buffer.ranges();
    const covered = (/** @type {number} */ index) => {
      const middle = (facts.starts[index] + (facts.starts[index + 1] ?? facts.end)) / 2;
      return ranges.some(([start, end]) => middle >= start && middle <= end);
    };
    if (buffer.queue.length > 0) return;
    for (const number of this.here) {
      if (!covered(number - facts.first)) this.here.delete(number);
    }
  }

  /** Looks what was added. */
  async grow() {
    const { facts } = this;
    if (!facts || facts.finished || this.growing || this.closed || this.retry !== undefined) return;
    if (performance.now() - this.looked < GROWS) return;
    this.looked = performance.now();
    this.growing = true;
    try {
      const news = await (await this.get("json")).json();
      if (news.id === facts.id && !this.closed) this.facts = news;
    } catch {
      // The next look may find it.
    } finally {
      this.growing = false;
    }
  }

  ahead() {
    const at = this.position();
    const { facts } = this;
    if (!this.buffer) return facts ? reach(facts.starts, facts.end, (index) => this.here.has(facts.first + index), at) : 0;
    const range = this.buffer?.ranges().find(([start, end]) => at >= start - 0.1 && at <= end);
    return range ? range[1] - at : 0;
  }

  release() {
    this.fetching?.abort();
    this.fetching = undefined;
    this.buffer?.close();
    this.pictures?.close();
    this.buffer = this.pictures = undefined;
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.video.removeEventListener("waiting", this.onwaiting);
    this.video.removeEventListener("playing", this.onplaying);
    this.video.removeEventListener("seeking", this.onseeking);
    this.release();
  }
}
