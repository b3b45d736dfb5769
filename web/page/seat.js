// A viewer's place in a room: the connection, what is known of the room, and the way to say something.
import { NodeClock, BURST } from "./clock.js";
import { Timelines } from "./follow.js";
import { Lines } from "./lines.js";
import { backOff } from "./playout.js";

/** Between pings once the relay's clock is known, milliseconds. */
const PING = 500;
/** A connection that is silent for so long is lost, milliseconds. */
const SILENT = 10_000;

/** @typedef {import("./lines.js").Line} Line */

/**
 * @typedef {{ ready: boolean, buffered_us: number, off_us: number, round_trip_us: number }} Report
 * @typedef {{ id: number, name: string, here: boolean, asks: boolean, awaited: boolean,
 *   copy: "stream" | "same" | "other" | "other_cut", report: Report | null }} Member
 * @typedef {{ code: string, stream: string, control: "everyone" | "host", approve: boolean,
 *   private: boolean, secret: import("./sealed.js").Secret | null, pin: boolean, you: number, token: string,
 *   timeline: import("./follow.js").Timeline, copy: Member["copy"] }} Room
 * What gets one in.
 * @typedef {{ say: "create", stream: string, name: string, pin?: string, control: string,
 *   approve: boolean, private: boolean, film_us?: number, secret?: import("./sealed.js").Secret }
 *   | { say: "enter", code: string, name: string, pin?: string, token?: string, film_us?: number }} Errand
 */

/**
 * Events: `standing`, `members`, `knocks`, `lines`, `timeline`, and `word` (detail: a sentence).
 */
export class Seat extends EventTarget {
  /** @param {Errand} errand */
  constructor(errand) {
    super();
    this.errand = errand;
    /** @type {"outside" | "knocking" | "inside" | "gone"} */
    this.standing = "outside";
    /** Whether it is connected. */
    this.here = false;
    this.leaving = false;
    /** Why one is not in (any more): for people, and a name. */
    this.reason = "";
    this.why = "";
    /** @type {Room | undefined} */
    this.room = undefined;
    /** @type {Timelines | undefined} */
    this.timelines = undefined;
    /** @type {Member[]} */
    this.members = [];
    this.host = 0;
    this.owner = 0;
    /** @type {{ id: number, name: string }[]} */
    this.knocks = [];
    this.lines = new Lines();
    /** What opens and seals lines, in a room with a secret, once one has said the passphrase.
     * @type {import("./sealed.js").Key | undefined} */
    this.key = undefined;
    this.clock = new NodeClock();
    this.attempt = 0;
    this.heard = 0;
    this.timer = setInterval(() => this.tick(), PING);
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/socket`);
    this.socket = socket;
    // A relay that was restarted has another clock: it is believed once it is known as well.
    const clock = new NodeClock();
    socket.onopen = () => {
      this.heard = performance.now();
      this.ping();
      this.say(this.hello());
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket || typeof data !== "string") return;
      this.heard = performance.now();
      const word = JSON.parse(data);
      if (word.say !== "pong") this.told(word);
      else this.ponged(clock, word);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.reason);
    };
  }

  /** @param {NodeClock} clock @param {{ sent: number, clock_us: number }} word */
  ponged(clock, { sent, clock_us }) {
    clock.heard(sent, performance.now(), clock_us / 1000);
    if (clock.settled() || !this.clock.settled()) this.clock = clock;
    if (clock.pings.length < BURST) this.ping();
  }

  /** What is said first on a connection: one comes back as who one was. */
  hello() {
    const { room, errand } = this;
    if (!room) return errand;
    return { say: "enter", code: room.code, name: errand.name, token: room.token, film_us: errand.film_us };
  }

  tick() {
    if (this.here || this.standing === "knocking") {
      if (performance.now() - this.heard > SILENT) this.socket?.close();
      this.ping();
    }
  }

  ping() {
    this.say({ say: "ping", sent: performance.now() });
  }

  /** False where there is no connection to say it on.
   * @param {object} word */
  say(word) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(word));
    return true;
  }

  /** Says a line, or sends a sign; false where it cannot be said.
   * @param {{ text: string } | { sign: string }} words @param {number} position seconds */
  talk(words, position) {
    const position_us = Math.round(position * 1e6);
    if (!this.here) return false;
    if ("sign" in words) return this.say({ say: "react", position_us, ...words });
    if (!this.room?.secret) return this.say({ say: "line", position_us, ...words });
    const sealed = this.key?.seal(words.text, this.errand.name);
    return sealed !== undefined && this.say({ say: "sealed", position_us, sealed });
  }

  /** Uses the remote control.
   * @param {"play" | "pause" | "seek" | "speed"} deed @param {number} [to] */
  remote(deed, to) {
    if (this.here) this.say({ say: "remote", deed, to });
  }

  /** @param {string} deed @param {number} [whom] */
  act(deed, whom) {
    this.say({ say: "act", deed, whom });
  }

  /** The relay's clock minus the page's, milliseconds; undefined until it is known well. */
  offset() {
    return this.clock.settled() ? this.clock.offset(performance.now()) : undefined;
  }

  /** The relay's clock, milliseconds; before it is known nothing is news. */
  nodeNow() {
    const offset = this.clock.offset(performance.now());
    return offset === undefined ? Number.POSITIVE_INFINITY : performance.now() + offset;
  }

  /** Another film of one's own, or none: one comes back with it.
   * @param {number | undefined} seconds */
  film(seconds) {
    this.errand.film_us = seconds === undefined ? undefined : Math.round(seconds * 1e6);
    const { socket } = this;
    this.socket = undefined;
    socket?.close();
    this.here = false;
    this.connect();
  }

  /** @param {Record<string, any>} word */
  told(word) {
    switch (word.say) {
      case "knocking": return this.stand("knocking");
      case "entered": return this.entered(/** @type {any} */ (word));
      case "refused": return this.refused(word.reason, word.why);
      case "left": return this.gone(word.reason, "left");
      case "timeline": this.timelines?.take(word.timeline, this.nodeNow()); break;
      case "members": [this.members, this.host, this.owner] = [word.members, word.host, word.owner]; break;
      case "knocks": this.knocks = word.knocks; break;
      case "lines": this.lines.take(word.lines.map((/** @type {Line} */ line) => this.open(line)), this.nodeNow()); break;
      default: return;
    }
    this.dispatchEvent(new Event(word.say));
  }

  /** What is sealed is opened, as far as the key does.
   * @param {Line} line */
  open(line) {
    if (line.sealed && this.key) line.text = this.key.open(line.sealed, line.who) ?? "(sealed with another passphrase)";
    return line;
  }

  /** @param {import("./sealed.js").Key} key */
  unlock(key) {
    this.key = key;
    for (const line of this.lines.all()) this.open(line);
    this.dispatchEvent(new Event("lines"));
  }

  /** @param {Room} room */
  entered(room) {
    // Of a relay that was restarted the epochs may be lower: what it says now holds.
    this.room = room;
    this.timelines = new Timelines(room.timeline);
    this.knocks = [];
    this.attempt = 0;
    this.here = true;
    this.stand("inside");
    this.dispatchEvent(new Event("timeline"));
  }

  /** @param {string} reason @param {string} why */
  refused(reason, why) {
    if (this.here) this.dispatchEvent(new CustomEvent("word", { detail: reason }));
    else this.gone(reason, why);
  }

  /** @param {Seat["standing"]} standing */
  stand(standing) {
    this.standing = standing;
    this.dispatchEvent(new Event("standing"));
  }

  /** @param {string} reason @param {string} why */
  gone(reason, why) {
    [this.reason, this.why] = [reason, why];
    this.end();
    this.stand("gone");
  }

  /** @param {string} reason */
  lost(reason) {
    this.socket = undefined;
    this.here = false;
    if (this.standing === "gone") return;
    if (this.leaving) return this.gone("", "left");
    if (!this.room && this.errand.say === "create") {
      this.gone("the relay does not answer; try again", "lost");
      return;
    }
    this.dispatchEvent(new CustomEvent("lost", { detail: reason }));
    this.dispatchEvent(new Event("standing"));
    this.retry = setTimeout(() => this.connect(), backOff(this.attempt));
    this.attempt += 1;
  }

  /** Leaves the room for good. */
  leave() {
    // The answer ends it, or the end of a connection on which none comes; who is not connected just goes.
    this.leaving = true;
    if (!this.say({ say: "leave" })) this.gone("", "left");
  }

  end() {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    const { socket } = this;
    this.socket = undefined;
    this.here = false;
    socket?.close();
  }

  you() {
    return this.members.find(({ id }) => id === this.room?.you);
  }

  isHost() {
    return this.room !== undefined && this.host === this.room.you;
  }

  /** Whether one may use the remote control. */
  controls() {
    return this.room?.control === "everyone" || this.isHost();
  }

  /** Whom the room waits for. */
  awaited() {
    const waits = this.timelines?.newest().going === "waiting";
    return this.members.filter(({ awaited }) => waits && awaited).map(({ name }) => name);
  }
}
