// The relay's clock, from pings: how proto/src/clock.rs does it, in milliseconds.

/** How long a ping counts, and most that are kept. */
const WINDOW = 60_000;
const MOST = 320;
/** So many before the estimate is believed: before that it may jump. */
export const BURST = 8;
/** Fastest change of the applied offset. The native viewer takes what the ear does not hear as pitch, 500
 * millionths, since what it shows follows this at once. Here a player is led after it by other, unheard
 * means: what the first pings had wrong on a busy machine, some 10 ms, is right again within seconds. */
const SLEW = 3e-3;
/** Fastest that two clocks run apart: more is a fit to noise. */
const APART = 500e-6;
/** An error beyond what a round trip explains that is not slewed away, and pings in a row that say so. */
const BROKEN = 50;
const BELIEVED = 4;
/** Fewest milliseconds of history before a rate is fitted: a slope over less is noise. */
const RATE_AFTER = 10_000;

/** @typedef {{ at: number, offset: number, trip: number }} Ping */

/** Feed it answers, ask it for the time. */
export class NodeClock {
  constructor() {
    /** @type {Ping[]} */
    this.pings = [];
    /** The newest, if they contradict the others. @type {Ping[]} */
    this.suspects = [];
    /** @type {{ at: number, offset: number, rate: number, error: number } | undefined} */
    this.fit = undefined;
    /** @type {{ at: number, offset: number } | undefined} */
    this.applied = undefined;
  }

  /** A ping came back. Impossible ones are ignored.
   * @param {number} sent @param {number} received of the page's clock @param {number} node of the relay's */
  heard(sent, received, node) {
    const trip = received - sent;
    if (!(trip >= 0) || !Number.isFinite(node)) return;
    const ping = { at: received, offset: node - (sent + trip / 2), trip };
    if (this.contradicts(ping)) {
      this.suspects.push(ping);
      if (this.suspects.length < BELIEVED) return;
      this.pings = this.suspects;
      this.suspects = [];
      this.applied = undefined;
    } else {
      this.suspects = [];
      this.pings.push(ping);
    }
    this.pings = this.pings.filter(({ at }) => received - at <= WINDOW).slice(-MOST);
    this.refit();
  }

  settled() {
    return this.pings.length >= BURST;
  }

  /** Relay's clock minus the page's; undefined before the first answer.
   * @param {number} now of the page's clock */
  offset(now) {
    const { fit, applied } = this;
    if (!fit) return undefined;
    const target = fit.offset + fit.rate * (now - fit.at);
    let offset = target;
    if (applied && this.settled()) {
      const most = SLEW * Math.max(0, now - applied.at);
      offset = applied.offset + Math.max(-most, Math.min(most, target - applied.offset));
    }
    this.applied = { at: now, offset };
    return offset;
  }

  /** Shortest round trip of the last minute. */
  trip() {
    return this.pings.length === 0 ? 0 : Math.min(...this.pings.map(({ trip }) => trip));
  }

  /** Whether a ping and what is believed cannot both be right.
   * @param {Ping} ping */
  contradicts(ping) {
    const { fit } = this;
    if (!fit || !this.settled()) return false;
    const allowed = ping.trip / 2 + fit.error + BROKEN;
    return Math.abs(ping.offset - fit.offset - fit.rate * (ping.at - fit.at)) > allowed;
  }

  /** A line through the quarter with the shortest round trips: a queue on the way only ever adds time. */
  refit() {
    const best = [...this.pings].sort((a, b) => a.trip - b.trip);
    best.length = Math.ceil(best.length / 4);
    const shortest = best[0];
    if (!shortest) return;
    const mean = (/** @type {(ping: Ping) => number} */ of) => best.reduce((sum, ping) => sum + of(ping), 0) / best.length;
    const at = mean((ping) => ping.at);
    const offset = mean((ping) => ping.offset);
    const spread = mean((ping) => (ping.at - at) ** 2);
    const times = best.map((ping) => ping.at);
    let rate = 0;
    if (Math.max(...times) - Math.min(...times) >= RATE_AFTER && spread > 0) {
      const slope = mean((ping) => (ping.at - at) * (ping.offset - offset)) / spread;
      rate = Math.max(-APART, Math.min(APART, slope));
    }
    const left = best.map((ping) => Math.abs(ping.offset - offset - rate * (ping.at - at)));
    this.fit = { at, offset, rate, error: shortest.trip / 2 + Math.max(...left) };
  }
}
