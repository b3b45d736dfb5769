// A YouTube video, in YouTube's own player: it shows it, and the room's remote is shared. Nothing is
// asked of YouTube before somebody says so. Its player is spoken to by messages (the "IFrame Player API"
// of its documentation, whose script would only send and read these).
import { element } from "./text.js";

const HOME = "https://www.youtube-nocookie.com";
/** Numbers of its player's states. */
const [ENDED, PLAYING, BUFFERING] = [0, 1, 3];
/** A place it was asked to go to is believed until it says another, milliseconds. */
const GOES = 2_000;
/** It is told that it is listened to until it answers, milliseconds. */
const CALL = 250;
/** Then it is said that it does not, milliseconds. */
const PATIENCE = 10_000;
/** It plays at multiples of this speed. */
const SPEEDS = 0.25;

/** What rooms call a video. */
const PREFIX = "youtube:";

/** The number of the video that a room watches whose stream is called so.
 * @param {string} stream */
export function videoOf(stream) {
  return /^youtube:([\w-]{11})$/.exec(stream)?.[1];
}

/** What a room is made for that watches the video of a link; undefined for what is none.
 * @param {string} link */
export function streamOf(link) {
  const number = /^(?:https?:\/\/)?(?:(?:www\.|m\.)?youtube(?:-nocookie)?\.com\/(?:watch\?(?:.*&)?v=|(?:shorts|live|embed)\/)|youtu\.be\/)([\w-]{11})(?![\w-])/.exec(link.trim());
  return number ? PREFIX + number[1] : undefined;
}

/**
 * What its player is known to do, without a browser around it. Times are seconds, moments milliseconds.
 */
export class Known {
  state = -1;
  duration = 0;
  rate = 1;
  /** Where it was at some moment. */
  place = { position: 0, at: 0 };
  /** Where it was sent, until it is there. @type {{ to: number, until: number } | undefined} */
  sent = undefined;

  /** It said something. @param {Record<string, unknown>} info @param {number} now */
  heard(info, now) {
    const number = (/** @type {string} */ name) => {
      const value = info[name];
      return typeof value === "number" && Number.isFinite(value) ? value : undefined;
    };
    this.place = { position: this.position(now), at: now };
    this.state = number("playerState") ?? this.state;
    this.duration = number("duration") ?? this.duration;
    this.rate = number("playbackRate") ?? this.rate;
    const position = number("currentTime");
    if (position === undefined) return;
    if (this.sent && Math.abs(position - this.sent.to) > 2 && now < this.sent.until) return;
    this.sent = undefined;
    this.place = { position, at: now };
  }

  /** It was sent there. @param {number} to @param {number} now */
  goes(to, now) {
    this.sent = { to, until: now + GOES };
    this.place = { position: to, at: now };
  }

  /** @param {number} now */
  position(now) {
    const { position, at } = this.place;
    return this.state === PLAYING && !this.sent ? position + ((now - at) / 1000) * this.rate : position;
  }

  moves() {
    return this.state === PLAYING || this.state === BUFFERING;
  }
}

/** @typedef {import("./screen.js").Screen} Screen */

/** Events as of the other players: `state`, `described`. It is a screen of itself (see screen.js).
 * @implements {Screen} */
export class YoutubePlayer extends EventTarget {
  live = false;
  bytes = 0;
  jumps = 0;
  stalls = 0;
  pictures = undefined;
  buffer = undefined;
  known = new Known();
  /** @type {{ starts: number[], end: number } | undefined} */
  facts = undefined;

  /** @param {string} number @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas */
  constructor(number, video, canvas) {
    super();
    this.number = number;
    this.video = video;
    video.hidden = canvas.hidden = true;
    const ask = element("button", { type: "button", className: "main", onclick: () => this.load() }, "Load the video from YouTube");
    this.place = element("div", { className: "youtube" },
      element("p", {}, "This room watches a video on YouTube. Your browser has not asked anything of YouTube yet; once it does, YouTube knows of it."), ask);
    video.after(this.place);
    this.onmessage = (/** @type {MessageEvent} */ event) => this.told(event);
    addEventListener("message", this.onmessage);
    this.onvolume = () => this.loud();
    video.addEventListener("volumechange", this.onvolume);
  }

  load() {
    const origin = encodeURIComponent(location.origin);
    const address = `${HOME}/embed/${this.number}?enablejsapi=1&playsinline=1&controls=0&disablekb=1&rel=0&origin=${origin}`;
    this.frame = element("iframe", { src: address, title: "YouTube's player", allow: "autoplay; encrypted-media; picture-in-picture",
      // Without the sender's address it does not play.
      referrerPolicy: "strict-origin-when-cross-origin" });
    this.place.replaceChildren(this.frame);
    this.calling = setInterval(() => this.post({ event: "listening", id: 1, channel: "widget" }), CALL);
    this.patience = setTimeout(() => {
      this.dispatchEvent(new CustomEvent("state", { detail: "YouTube does not answer; is there a way to the Internet?" }));
    }, PATIENCE);
  }

  /** @param {object} words */
  post(words) {
    this.frame?.contentWindow?.postMessage(JSON.stringify(words), HOME);
  }

  /** @param {string} func @param {unknown[]} args */
  command(func, ...args) {
    this.post({ event: "command", func, args });
  }

  /** @param {MessageEvent} event */
  told(event) {
    if (!this.frame || event.source !== this.frame.contentWindow || event.origin !== HOME) return;
    let word;
    try {
      word = typeof event.data === "string" ? JSON.parse(event.data) : event.data;
    } catch {
      return;
    }
    if (word?.event === "onError") {
      this.dispatchEvent(new CustomEvent("state", { detail: "YouTube does not play this video here" }));
      return;
    }
    clearInterval(this.calling);
    clearTimeout(this.patience);
    if (!word?.info || typeof word.info !== "object") return;
    this.known.heard(word.info, performance.now());
    if (!this.facts && this.known.duration > 0) {
      this.facts = { starts: [0], end: this.known.duration };
      this.dispatchEvent(new CustomEvent("state", { detail: "" }));
      this.dispatchEvent(new Event("described"));
      this.loud();
    }
  }

  loud() {
    this.command(this.video.muted ? "mute" : "unMute");
    this.command("setVolume", Math.round(this.video.volume * 100));
  }

  position() {
    return this.known.position(performance.now());
  }

  isOver() {
    return this.known.state === ENDED;
  }

  seen() {
    const { known } = this;
    const ready = this.facts !== undefined && known.state !== BUFFERING;
    return { position: this.position(), paused: !known.moves(), seeking: known.sent !== undefined && known.state === BUFFERING, ready };
  }

  /** It does not say what it has: enough, once it plays. */
  ahead() {
    return this.facts ? Number.POSITIVE_INFINITY : 0;
  }

  play() {
    this.command("playVideo");
  }

  /** @param {boolean} [paused] */
  pause(paused = true) {
    if (paused) this.command("pauseVideo");
  }

  /** @param {number} to */
  seek(to) {
    this.known.goes(to, performance.now());
    this.command("seekTo", to, true);
  }

  /** @param {number} rate */
  rate(rate) {
    const fitting = Math.max(SPEEDS, Math.round(rate / SPEEDS) * SPEEDS);
    if (fitting !== this.known.rate) this.command("setPlaybackRate", fitting);
  }

  close() {
    clearInterval(this.calling);
    clearTimeout(this.patience);
    removeEventListener("message", this.onmessage);
    this.video.removeEventListener("volumechange", this.onvolume);
    this.place.remove();
    this.video.hidden = false;
  }
}
