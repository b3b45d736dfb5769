// The picture of a room: a player that does what the room's timeline says, and whose controls are the
// remote that all share.
import { Follower, Needs, courseOf, liveCourse, obeyed, shownAt } from "./follow.js";
import { LivePlayer } from "./live.js";
import { OwnPlayer } from "./own.js";
import { RecordedPlayer } from "./recorded.js";
import { PicturesScreen, VideoScreen } from "./screen.js";
import { element } from "./text.js";
import { WatchPage } from "./watch.js";
import { YoutubePlayer, videoOf } from "./youtube.js";

/** How often to report, milliseconds. */
const REPORT = 1_000;
/** At most so often it is asked for another place, milliseconds. */
const SEEKS = 200;
/** Ready is who has so much ahead, seconds; or all there is. */
const ENOUGH = 1;
/** A line is shown above a full screen so long, milliseconds. */
const SHOWN = 6_000;

/** <room-stage>. */
export class RoomStage extends WatchPage {
  notice = element("p", { className: "word notice", role: "status", hidden: true });
  bubble = element("p", { className: "bubble", hidden: true, "aria-hidden": "true" });
  follower = new Follower();
  needs = new Needs();
  /** What was reported, and when. @type {{ at: number, epoch: number, ready: boolean }} */
  reported = { at: 0, epoch: -1, ready: false };
  /** A seek that was asked for and is not answered: where it leads, and under which timeline.
   * @type {{ to: number, epoch: number, at: number } | undefined} */
  sought = undefined;
  asked = 0;
  ready = false;
  /** Of what the follower missed, what is known here. */
  missed = 0;
  /** Epoch in which the film was over here, and the room was told. */
  stopped = -1;
  /** It is watched since then. */
  since = Number.POSITIVE_INFINITY;

  /** @param {import("./text.js").Info} info @param {import("./seat.js").Seat} seat @param {File} [own] */
  constructor(info, seat, own) {
    super({ ...info, live: seat.timelines?.newest().delay_us !== 0, links: [] });
    this.seat = seat;
    this.stage.append(this.notice, this.bubble);
    if (own) this.bring(own);
    this.onlines = () => this.controls.marks(this.seat.lines.marks());
    seat.addEventListener("lines", this.onlines);
  }

  open() {
    super.open();
    this.onlines();
    this.lead();
  }

  /** @param {boolean} live @param {number} [at] */
  begin(live, at) {
    const video = videoOf(this.info.name);
    if (video) return this.hear(new YoutubePlayer(video, this.video, this.canvas));
    const player = super.begin(live, at);
    if (player instanceof LivePlayer) {
      player.led = true;
      player.addEventListener("arrived", (event) => this.arrived(/** @type {CustomEvent} */ (event).detail));
      player.addEventListener("dry", () => this.needs?.stalled(performance.now()));
    }
    return player;
  }

  together() {
    return [];
  }

  /** @param {any} player @returns {any} */
  hear(player) {
    player.addEventListener("state", (/** @type {CustomEvent} */ event) => this.say(event.detail));
    player.addEventListener("described", () => this.described());
    return player;
  }

  /** A film of one's own instead of the room's stream; none: the stream again.
   * @param {File | undefined} file */
  bring(file) {
    const at = this.position();
    this.player.close();
    this.follower = new Follower();
    this.player = file ? this.own(file) : this.begin(this.info.live, at);
  }

  /** @param {File} file @returns {any} */
  own(file) {
    const player = new OwnPlayer(file, this.video, this.canvas);
    player.addEventListener("described", () => this.described());
    player.addEventListener("over", (event) => this.say(/** @type {CustomEvent} */ (event).detail));
    return player;
  }

  described() {
    this.follower = new Follower();
    this.missed = 0;
    this.since = performance.now();
    if (this.player.pictures) this.player.pictures.onpicture = (at) => this.shown(at);
  }

  /** What is led. @returns {import("./screen.js").Screen | undefined} */
  screen() {
    const { video } = this;
    /** @type {any} */
    const player = this.player;
    if (player instanceof YoutubePlayer) return player.facts ? player : undefined;
    if (player.buffer) {
      const end = () => (player.live ? Number.POSITIVE_INFINITY : this.bounds().end);
      return new VideoScreen(video, { end, ahead: () => player.ahead(), start: () => void this.start() });
    }
    return player instanceof RecordedPlayer && player.facts ? new PicturesScreen(player) : undefined;
  }

  /** Leads the player, again and again. */
  lead() {
    clearTimeout(this.led);
    const now = performance.now();
    const { timelines } = this.seat;
    const offset = this.seat.offset();
    let wake = 50;
    if (timelines && offset !== undefined) {
      wake = this.follow(timelines, offset, now);
      const next = timelines.next(now + offset);
      if (next) wake = Math.min(wake, next.anchor_us / 1000 - offset - performance.now());
      this.report(timelines, now, offset);
    }
    this.led = setTimeout(() => this.lead(), Math.max(0, wake));
  }

  /** @param {import("./follow.js").Timelines} timelines @param {number} offset @param {number} now */
  follow(timelines, offset, now) {
    const { going, delay_us } = timelines.at(now + offset);
    this.playing = going !== "paused";
    const screen = this.screen();
    const course = this.course(timelines, offset, now, delay_us);
    if (this.player instanceof LivePlayer && !screen && course) {
      // Pictures without sound are drawn by this clock.
      this.player.zero = course.anchor / 1000;
      this.ready = this.pictures.first > 0;
      return 50;
    }
    this.ready = false;
    if (!screen || !course) return 50;
    const seen = screen.seen();
    const deed = this.follower.step(now, course, seen);
    if (this.follower.missed > this.missed) this.needs.stalled(now);
    this.missed = this.follower.missed;
    screen.rate(deed.rate, deed.pitch ?? true);
    if (deed.play === false) screen.pause();
    if (deed.seek !== undefined) screen.seek(deed.seek);
    if (deed.play) screen.play();
    const { end } = this.bounds();
    const enough = this.player.live || screen.ahead() >= Math.min(ENOUGH, end - seen.position - 0.5);
    this.ready = deed.seek === undefined && !seen.seeking && seen.ready && (enough || !seen.paused);
    return deed.wake;
  }

  /** @param {import("./follow.js").Timelines} timelines @param {number} offset @param {number} now @param {number} delay_us */
  course(timelines, offset, now, delay_us) {
    const { player } = this;
    if (!(player instanceof LivePlayer)) return courseOf(timelines, now, offset, this.bounds().start);
    return player.base === undefined ? undefined : liveCourse(delay_us / 1000, player.base, offset);
  }

  /** A piece of a live stream came.
   * @param {number} captured of the relay's clock, milliseconds */
  arrived(captured) {
    const now = performance.now();
    const offset = this.seat?.offset();
    // What was captured before one watched says nothing of the way.
    if (offset !== undefined && captured > this.since + offset) this.needs.arrived(now, now + offset - captured);
  }

  /** Says how it goes, once a second and when that changes.
   * @param {import("./follow.js").Timelines} timelines @param {number} now @param {number} offset */
  report(timelines, now, offset) {
    const { epoch } = obeyed(timelines, now + offset);
    const { ready } = this;
    const due = now - this.reported.at >= REPORT || epoch !== this.reported.epoch || ready !== this.reported.ready;
    if (!due) return;
    this.reported = { at: now, epoch, ready };
    const late = Math.max(-2_000, Math.min(2_000, this.follower.late));
    this.seat.say({
      say: "report", epoch, ready,
      buffered_us: Math.min(4e9, Math.round(Math.max(0, this.player.ahead()) * 1e6)),
      off_us: Math.round(late * 1e6),
      round_trip_us: Math.round(this.seat.clock.trip() * 1000),
      needs_us: this.player.live ? Math.round(this.needs.all() * 1000) : 0,
    });
    this.dataset.late = (late * 1000).toFixed(1);
    // How long the film is its player alone knows: the room stands at its end.
    const { epoch: newest, going } = timelines.newest();
    if (this.isOver() && going === "playing" && this.seat.controls() && this.stopped !== newest) {
      this.stopped = newest;
      this.seat.remote("pause");
    }
  }

  isOver() {
    return this.player instanceof YoutubePlayer && this.player.isOver();
  }

  /** @returns {import("./controls.js").Deeds} */
  deeds() {
    const remote = (/** @type {"play" | "pause" | "seek" | "speed"} */ deed, /** @type {number} */ to = 0) => this.seat.remote(deed, to);
    return {
      ...super.deeds(),
      toggle: () => {
        const newest = this.seat.timelines?.newest();
        if (!newest || this.info.live) return;
        // Where a browser wants a touch before it plays with sound, this is one.
        if (!this.unmute.hidden) return super.deeds().mute();
        // Nor need one wait for all to be ready.
        if (newest.going !== "paused") return remote("pause");
        if (this.isOver()) remote("seek", 0);
        remote("play");
      },
      skip: (by) => this.seek(this.target() + by),
      seek: (to) => this.seek(to),
      toLive: () => {},
      speed: (to) => remote("speed", Math.round(to * 1000)),
    };
  }

  canSeek() {
    return !this.info.live;
  }

  /** Where the room is, or soon is, seconds. */
  target() {
    const { timelines } = this.seat;
    const newest = timelines?.newest();
    if (!timelines || !newest) return 0;
    if (this.sought?.epoch === newest.epoch) return this.sought.to;
    const now = performance.now();
    return shownAt(courseOf(timelines, now, this.seat.offset() ?? 0, this.bounds().start), now);
  }

  /** @param {number} to seconds */
  seek(to) {
    const newest = this.seat.timelines?.newest();
    if (!newest || this.info.live) return;
    const { start, end } = this.bounds();
    this.sought = { to: Math.max(start, Math.min(to, end - 0.2)), epoch: newest.epoch, at: performance.now() };
    // Who drags the bar asks many times: the room is asked some of them, and the last.
    const wait = SEEKS - (performance.now() - this.asked);
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.ask(), Math.max(0, wait));
  }

  ask() {
    if (!this.sought) return;
    this.asked = performance.now();
    this.seat.remote("seek", Math.round((this.sought.to - this.bounds().start) * 1e6));
  }

  /** What the player shows, seconds. @returns {number} */
  position() {
    return this.player.live ? 0 : /** @type {any} */ (this.player).position();
  }

  /** The bar is where it was put until the room has answered. */
  at() {
    const { sought } = this;
    const waits = sought?.epoch === this.seat.timelines?.newest().epoch && performance.now() - (sought?.at ?? 0) < 1_000;
    return sought && waits ? sought.to : this.position();
  }

  /** Where lines belong that are said now, seconds; undefined in a live stream. */
  place() {
    return this.info.live ? undefined : this.position() - this.bounds().start;
  }

  bounds() {
    const facts = /** @type {any} */ (this.player).facts;
    return { start: facts?.starts[0] ?? 0, end: facts?.end ?? 0 };
  }

  async measure() {}

  refresh() {
    super.refresh();
    const newest = this.seat.timelines?.newest();
    const speed = (newest?.speed_permille ?? 1000) / 1000;
    this.speed = speed;
    if (document.activeElement !== this.controls.fast) this.controls.fast.value = String(speed);
    const awaited = this.seat.awaited();
    const others = awaited.length > 0 ? `Waiting for ${awaited.join(", ")}` : "";
    const words = this.seat.here ? others : "The connection to the room is lost; trying again";
    if (this.notice.textContent !== words) this.notice.textContent = words;
    this.notice.hidden = words === "" || !this.word.hidden;
  }

  /** Shows a line above a full screen, where the talk beside it is not seen.
   * @param {string} words */
  pop(words) {
    this.bubble.textContent = words;
    this.bubble.hidden = false;
    clearTimeout(this.popped);
    this.popped = setTimeout(() => {
      this.bubble.hidden = true;
    }, SHOWN);
  }

  close() {
    for (const timer of [this.led, this.popped, this.asking]) clearTimeout(timer);
    this.seat.removeEventListener("lines", this.onlines);
    super.close();
    this.video.playbackRate = 1;
    this.video.preservesPitch = true;
  }
}

customElements.define("room-stage", RoomStage);
