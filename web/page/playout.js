// What to play when: the logic of the player, without a browser around it.

/** @typedef {[number, number][]} Ranges  what is buffered, seconds, in order */

/** Behind the newest picture that is played live, seconds: at first, least and most. */
export const TARGET = { first: 0.3, least: 0.2, most: 3 };
/** Further off than this, playback jumps instead of hurrying, seconds. */
const JUMP = 0.6;
/** Nearer than this, nothing is done, seconds. */
const CLOSE = 0.04;
/** Speeds nobody hears. */
const HURRY = 1.04;
const DAWDLE = 0.96;
/** Further off than this it hurries more, seconds; which is hardly heard. */
const LATE = 0.15;
const RUN = 1.1;
/** A hole smaller than this is stepped over at once, seconds. */
const HOLE = 0.25;

/**
 * The range that holds a time, or the first one behind it.
 * @param {Ranges} ranges
 * @param {number} at
 */
function around(ranges, at) {
  const holds = ranges.find(([start, end]) => at >= start - 0.001 && at < end);
  return { holds, next: ranges.find(([start]) => start > at) };
}

/** Keeps a live stream as near to its newest picture as it plays without stalls. */
export class LiveSteering {
  constructor() {
    this.target = TARGET.first;
    this.started = false;
    this.calmSince = 0;
  }

  /** It ran dry.
   * @param {number} now seconds of any clock */
  stalled(now) {
    this.target = Math.min(TARGET.most, this.target + 0.15);
    this.calmSince = now;
  }

  /**
   * What to do.
   * @param {Ranges} ranges
   * @param {number} at where playback is, seconds
   * @param {number} now seconds of any clock
   * @returns {{ seek?: number, rate: number }}
   */
  steer(ranges, at, now) {
    const last = ranges[ranges.length - 1];
    if (!last) return { rate: 1 };
    const [start, end] = last;
    const place = Math.max(start, end - this.target);
    if (!this.started) {
      this.started = true;
      this.calmSince = now;
      return { seek: place, rate: 1 };
    }
    // Half a minute without a stall: a little less is tried.
    if (now - this.calmSince > 30) {
      this.target = Math.max(TARGET.least, this.target - 0.05);
      this.calmSince = now;
    }
    const { holds, next } = around(ranges, at);
    if (!holds && next && next !== last) return { seek: place, rate: 1 };
    if (!holds && next) return { seek: Math.max(next[0], place), rate: 1 };
    const off = end - at - this.target;
    if (off > JUMP) return { seek: place, rate: 1 };
    if (off > LATE) return { rate: RUN };
    if (off > CLOSE) return { rate: HURRY };
    if (off < -CLOSE && end > at) return { rate: DAWDLE };
    return { rate: 1 };
  }
}

/**
 * Index of the segment that holds a time: the last that begins at or before it.
 * @param {number[]} starts @param {number} at
 */
export function segmentAt(starts, at) {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle] <= at + 0.001) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

/**
 * Index of the segment to fetch next: the first from where playback is on that is not here, up to so
 * many seconds ahead; undefined if all of them are.
 * @param {number[]} starts @param {(index: number) => boolean} has @param {number} at @param {number} ahead
 */
export function wanted(starts, has, at, ahead) {
  for (let i = segmentAt(starts, at); i < starts.length && starts[i] < at + ahead; i += 1) {
    if (!has(i)) return i;
  }
  return undefined;
}

/**
 * How far ahead of playback it is here without a hole, seconds.
 * @param {number[]} starts @param {number} end @param {(index: number) => boolean} has @param {number} at
 */
export function reach(starts, end, has, at) {
  let i = segmentAt(starts, at);
  while (i < starts.length && has(i)) i += 1;
  return Math.max(0, (starts[i] ?? end) - at);
}

/**
 * Where a recording goes on that stands at the edge of a hole: undefined if there is none.
 * @param {Ranges} ranges @param {number} at
 */
export function stepOver(ranges, at) {
  const { holds, next } = around(ranges, at);
  if (holds && holds[1] - at > 0.05) return undefined;
  return next && next[0] - at < HOLE ? next[0] + 0.001 : undefined;
}

/** Time until a connection is tried again, milliseconds: longer each time, never in step with others.
 * @param {number} attempt from 0 @param {number} [chance] 0 to 1 */
export function backOff(attempt, chance = Math.random()) {
  return Math.min(10_000, 400 * 2 ** Math.min(attempt, 5)) * (0.5 + chance / 2);
}

/** @param {TimeRanges} ranges @returns {Ranges} */
export function rangesOf(ranges) {
  return Array.from({ length: ranges.length }, (_, i) => [ranges.start(i), ranges.end(i)]);
}
