// The page on which one stream is watched.
import { account } from "./account.js";
import { Controls, pressed } from "./controls.js";
import { LivePlayer } from "./live.js";
import { RecordedPlayer } from "./recorded.js";
import { Subtitles } from "./subtitles.js";
import { element, path, size } from "./text.js";

/** The bar goes so long after the last sign of life, milliseconds. */
const REST = 3_000;

/** <watch-page>: a stream's picture, its sound, and what can be done with them. */
export class WatchPage extends HTMLElement {
  video = element("video", { playsInline: true, autoplay: false });
  canvas = element("canvas", { hidden: true, "aria-label": "The stream's picture" });
  word = element("p", { className: "word", role: "status" });
  figures = element("dl", { className: "figures", hidden: true });
  unmute = element("button", { type: "button", className: "unmute", hidden: true,
    onclick: () => this.deeds().mute() }, "Tap for sound");
  subtitles = new Subtitles();
  controls = new Controls(this.deeds(), this.subtitles.menu);
  stage = element("div", { className: "stage" }, this.video, this.canvas, this.subtitles.lines, this.word, this.unmute, this.figures, this.controls);
  playing = true;
  speed = 1;
  /** Pictures that were shown: in all, since a moment, how many a second; the first one's moment. */
  pictures = { total: 0, shown: 0, since: performance.now(), rate: 0, first: 0 };
  last = { bytes: 0, at: performance.now(), rate: 0 };
  measured = Number.NEGATIVE_INFINITY;
  /** From capture to presentation, milliseconds. @type {number | undefined} */
  delay = undefined;
  /** What of a live stream can be watched from earlier. @type {import("./text.js").Facts | undefined} */
  past = undefined;

  /** @param {import("./text.js").Info} info */
  constructor(info) {
    super();
    this.info = info;
    this.player = this.begin(info.live);
    this.keys = (/** @type {KeyboardEvent} */ event) => {
      const now = { ...this.bounds(), speed: this.speed, volume: this.video.volume };
      if (!pressed(event, this.deeds(), now)) return;
      event.preventDefault();
      this.wake();
    };
  }

  open() {
    this.build();
    document.addEventListener("keydown", this.keys);
    this.timer = setInterval(() => this.refresh(), 200);
  }

  build() {
    this.stage.addEventListener("pointermove", () => this.wake());
    this.stage.addEventListener("focusin", () => this.wake());
    for (const picture of [this.video, this.canvas]) {
      picture.addEventListener("click", () => this.touched());
      picture.addEventListener("dblclick", () => this.deeds().full());
    }
    const { title, name, summary, links, live } = this.info;
    const label = (/** @type {string} */ link) =>
      `${live && link.startsWith("/movies") ? "recorded " : ""}${link.slice(link.lastIndexOf("."))}`;
    this.replaceChildren(
      this.stage,
      element("div", { className: "about" },
        element("h1", {}, title || name),
        element("p", { className: "quiet" }, summary),
        ...this.together(),
        ...(links.length > 0 ? [element("p", { className: "quiet links" }, "For other programs: ",
          ...links.map((link) => element("a", { href: link }, label(link))))] : [])),
    );
    this.count();
    this.wake();
    if (this.info.recording) void this.subtitles.open(name);
  }

  /** The way to watch this with others. @returns {Node[]} */
  together() {
    return [element("p", {}, element("a", { href: `/?together=${path(this.info.name)}` }, "Watch together"))];
  }

  /** Another player: live, or from a place of the recording.
   * @param {boolean} live @param {number} [at] seconds */
  begin(live, at = 0) {
    const { name } = this.info;
    const player = live ? new LivePlayer(name, this.video, this.canvas)
      : new RecordedPlayer(name, this.video, this.canvas, at);
    player.addEventListener("state", (event) => this.say(/** @type {CustomEvent} */ (event).detail));
    player.addEventListener("described", () => this.described());
    return player;
  }

  /** Goes over to another player.
   * @param {boolean} live @param {number} [at] seconds */
  change(live, at) {
    this.player.close();
    this.player = this.begin(live, at);
  }

  /** Whether and how far back a live stream can be watched: that may begin while it is. */
  async measure() {
    this.measured = performance.now();
    try {
      const streams = await account.heard(await fetch("/streams.json")).json();
      const info = streams.find((/** @type {{ name: string }} */ stream) => stream.name === this.info.name);
      if (!info) return;
      this.info = info;
      if (!info.recording || !this.player.live) return;
      const answer = await fetch(`/movies/${path(info.name)}.json?for=page`);
      if (answer.ok) this.past = await answer.json();
    } catch {
      // Asked again by and by.
    }
  }

  described() {
    if (this.player.pictures) {
      this.player.pictures.onpicture = (at) => this.shown(at);
    }
    this.video.playbackRate = this.player.live ? 1 : this.speed;
    if (this.playing) void this.start();
  }

  async start() {
    this.playing = true;
    this.player.pause(false);
    if (!this.player.buffer) {
      this.say("");
      return;
    }
    try {
      await this.video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.video.muted) return;
      // Browsers play with sound only after a touch.
      this.video.muted = true;
      this.unmute.hidden = false;
      await this.video.play().catch(() => this.stop());
    }
  }

  stop() {
    this.playing = false;
    this.video.pause();
    this.player.pause(true);
  }

  /** @returns {import("./controls.js").Deeds} */
  deeds() {
    return {
      toggle: () => (this.playing && !this.video.ended ? this.stop() : void this.start()),
      skip: (by) => this.seek(this.at() + by),
      seek: (to) => this.seek(to),
      toLive: () => {
        if (this.info.live && !this.player.live) this.change(true);
        this.refresh();
        void this.start();
      },
      mute: () => {
        this.video.muted = !this.video.muted;
        this.unmute.hidden = true;
      },
      volume: (to) => {
        this.video.volume = to;
        this.video.muted = to === 0;
        this.unmute.hidden = true;
      },
      speed: (to) => {
        if (this.player.live) return;
        this.speed = to;
        this.video.playbackRate = to;
        this.controls.fast.value = String(to);
      },
      full: () => {
        if (document.fullscreenElement) void document.exitFullscreen();
        else if (this.stage.requestFullscreen) void this.stage.requestFullscreen();
        // Phones of one maker know it for videos alone.
        else /** @type {any} */ (this.video).webkitEnterFullscreen?.();
      },
      float: () => {
        if (document.pictureInPictureElement) void document.exitPictureInPicture();
        else void this.video.requestPictureInPicture?.().catch(() => this.say("not possible for this picture"));
      },
      facts: () => {
        this.figures.hidden = !this.figures.hidden;
      },
      words: () => this.subtitles.toggle(),
    };
  }

  canSeek() {
    return Boolean(this.info.recording);
  }

  /** @param {number} to seconds */
  seek(to) {
    const { start, end } = this.bounds();
    if (!this.info.recording) return;
    const place = Math.max(start, Math.min(to, end));
    if (this.player instanceof RecordedPlayer) this.player.seek(place);
    else this.change(false, place);
    this.refresh();
  }

  at() {
    return this.player instanceof RecordedPlayer ? this.player.position() : this.bounds().end;
  }

  /** Of what can be watched from earlier. */
  film() {
    return this.player instanceof RecordedPlayer ? this.player.facts : this.past;
  }

  bounds() {
    const facts = this.film();
    return { start: facts?.starts[0] ?? 0, end: facts?.end ?? 0 };
  }

  touched() {
    // A finger first asks for the bar.
    if (matchMedia("(hover: none)").matches && this.stage.classList.contains("calm")) this.wake();
    else this.deeds().toggle();
  }

  wake() {
    this.stage.classList.remove("calm");
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      if (this.playing && !this.controls.contains(document.activeElement)) this.stage.classList.add("calm");
    }, REST);
  }

  /** @param {string} what */
  say(what) {
    this.word.textContent = what;
    this.word.hidden = what === "";
  }

  /** Counts pictures of the video as they are shown. */
  count() {
    this.video.requestVideoFrameCallback?.((_, { mediaTime }) => {
      this.shown(mediaTime);
      if (this.isConnected) this.count();
    });
  }

  /** @param {number} at media time, seconds */
  shown(at) {
    if (this.pictures.first === 0) {
      this.pictures.first = performance.now();
      // Read by tests and by the figures.
      this.dataset.first = String(Math.round(this.pictures.first));
    }
    this.pictures.shown += 1;
    const delay = this.player instanceof LivePlayer ? this.player.delay(at) : undefined;
    if (delay !== undefined) this.delay = delay;
    if (this.word.textContent) this.say("");
  }

  refresh() {
    const { player, video } = this;
    if (player.live && performance.now() - this.measured > 5_000) void this.measure();
    this.controls.show({
      paused: !this.playing || video.ended, muted: video.muted, volume: video.volume, live: player.live,
      canSeek: this.canSeek() && this.bounds().end > 0, canBeLive: this.info.live,
      at: this.at(), ...this.bounds(), ahead: player.ahead(),
    });
    const now = performance.now();
    if (now - this.last.at > 1000) {
      this.last = { at: now, bytes: player.bytes, rate: ((player.bytes - this.last.bytes) * 8000) / (now - this.last.at) };
      this.pictures.rate = (this.pictures.shown * 1000) / (now - this.pictures.since);
      [this.pictures.total, this.pictures.shown, this.pictures.since] = [this.pictures.total + this.pictures.shown, 0, now];
    }
    const facts = this.film();
    this.controls.preview.film = facts && { name: this.info.name, facts };
    this.subtitles.show(player.live ? -1 : this.at());
    if (!this.figures.hidden) this.figure();
    this.dataset.pictures = String(this.pictures.total + this.pictures.shown);
    this.dataset.delay = this.delay === undefined ? "" : String(Math.round(this.delay));
    this.dataset.stalls = String(player.stalls);
  }

  figure() {
    const { player, video } = this;
    const quality = video.getVideoPlaybackQuality?.();
    const dropped = player.pictures ? player.pictures.dropped : (quality?.droppedVideoFrames ?? 0);
    const [width, height] = player.pictures ? [this.canvas.width, this.canvas.height] : [video.videoWidth, video.videoHeight];
    /** @type {[string, string][]} */
    const lines = [
      ["Picture", `${width}×${height}, ${this.pictures.rate.toFixed(1)} a second`],
      ["Data", `${size(Math.max(0, this.last.rate) / 8)}/s`],
      ["Buffered", `${player.ahead().toFixed(2)} s`],
      ["Dropped", String(dropped)],
      ["Stalls", String(player.stalls)],
      ["First picture", `after ${(this.pictures.first / 1000).toFixed(2)} s`],
    ];
    if (player.live) lines.unshift(["Delay", this.delay === undefined ? "not known yet" : `${Math.round(this.delay)} ms`]);
    this.figures.replaceChildren(...lines.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  }

  close() {
    this.player.close();
    this.subtitles.close();
    clearInterval(this.timer);
    clearTimeout(this.rest);
    document.removeEventListener("keydown", this.keys);
  }
}

customElements.define("watch-page", WatchPage);
