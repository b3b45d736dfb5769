// Following a room: its timeline, and what a player does to show what it says. Without a browser
// around it: every moment is handed in.

/**
 * What is shown when, as the relay says it.
 * @typedef {{ epoch: number, anchor_us: number, position_us: number, speed_permille: number,
 *   going: "playing" | "paused" | "waiting", delay_us: number }} Timeline
 */

/** Most timelines that are known at a time. */
const COMING = 8;

/** What holds now, and what was announced to hold soon. Moments are milliseconds of the relay's clock. */
export class Timelines {
  /** @param {Timeline} first */
  constructor(first) {
    /** In the order of their epochs: the first holds, the others come. */
    this.all = [first];
  }

  /** Takes another one in; false for one that is old.
   * @param {Timeline} timeline @param {number} now */
  take(timeline, now) {
    if (timeline.epoch <= this.newest().epoch) return false;
    while (this.all.length === COMING || (this.all[1] && this.all[1].anchor_us / 1000 <= now)) this.all.shift();
    this.all.push(timeline);
    return true;
  }

  newest() {
    return this.all[this.all.length - 1];
  }

  /** @param {number} now */
  at(now) {
    const come = this.all.filter((timeline, i) => i === 0 || timeline.anchor_us / 1000 <= now);
    return come[come.length - 1];
  }

  /** What takes effect next.
   * @param {number} now */
  next(now) {
    const { epoch } = this.at(now);
    return this.all.find((timeline) => timeline.epoch > epoch);
  }
}

/** What is shown at a moment of the relay's clock, seconds of the recording.
 * @param {Timeline} timeline @param {number} now milliseconds */
export function positionOf(timeline, now) {
  const { going, position_us, anchor_us, speed_permille } = timeline;
  if (going !== "playing") return position_us / 1e6;
  return position_us / 1e6 + (Math.max(0, now - anchor_us / 1000) * speed_permille) / 1e6;
}

/**
 * What is to be shown when, on the page's clock, seconds of media.
 * `live`: there is nothing ahead of it to be fetched.
 * @typedef {{ goes: boolean, anchor: number, position: number, rate: number, live?: boolean }} Course
 */

/** What is obeyed: what holds, or what comes and begins to play, so that it is ready.
 * @param {Timelines} timelines @param {number} now of the relay's clock */
export function obeyed(timelines, now) {
  const holds = timelines.at(now);
  const next = timelines.next(now);
  return holds.going !== "playing" && next?.going === "playing" ? next : holds;
}

/** What a recording is to do.
 * @param {Timelines} timelines @param {number} now of the page's clock @param {number} offset relay's minus page's
 * @param {number} [start] where the recording begins, seconds @returns {Course} */
export function courseOf(timelines, now, offset, start = 0) {
  const { going, anchor_us, position_us, speed_permille } = obeyed(timelines, now + offset);
  return {
    goes: going === "playing", anchor: anchor_us / 1000 - offset,
    position: position_us / 1e6 + start, rate: speed_permille / 1000,
  };
}

/** What a live stream is to do: shown so long after its capture.
 * @param {number} delay milliseconds @param {number} captured of media time 0, of the relay's clock
 * @param {number} offset relay's minus page's @returns {Course} */
export function liveCourse(delay, captured, offset) {
  return { goes: true, anchor: captured + delay - offset, position: 0, rate: 1, live: true };
}

/** @param {Course} course @param {number} at of the page's clock */
export function shownAt(course, at) {
  return course.position + (course.goes ? (Math.max(0, at - course.anchor) / 1000) * course.rate : 0);
}

/** @param {Course} course @param {number} position */
function timeOf(course, position) {
  return course.anchor + ((position - course.position) / course.rate) * 1000;
}

/** Samples of a player's position count so long, milliseconds. */
const SAMPLES = 1_000;

/**
 * Where a player really is. What it says stands still between two of its looks at the sound card: the
 * newest place it said, carried on, is right where it is highest.
 */
export class Playhead {
  constructor() {
    /** @type {{ at: number, zero: number }[]} */
    this.samples = [];
  }

  /** @param {number} now @param {number} position seconds @param {number} rate */
  saw(now, position, rate) {
    this.samples.push({ at: now, zero: position * 1000 - now * rate });
    while (now - this.samples[0].at > SAMPLES) this.samples.shift();
  }

  /** How long it was watched, milliseconds. */
  span() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last ? last.at - first.at : 0;
  }

  /** Seconds; of use once it was watched for a while at one speed.
   * @param {number} now @param {number} rate */
  at(now, rate) {
    return (Math.max(...this.samples.map(({ zero }) => zero)) + now * rate) / 1000;
  }

  forget() {
    this.samples = [];
  }
}

/** Further off than this it goes elsewhere, seconds; nearer, it hurries or dawdles. */
const JUMP = 0.5;
/** It is moved when it is further off than this, seconds. Twice as fine as it is to be: what a browser
 * says of its position is not exact. */
const OFF = 0.005;
/** Most and least that its speed is changed by: a browser does not do less at all, though it says so. */
const MOST = 0.04;
const LEAST = 0.003;
/** A correction takes so long where it can, milliseconds. */
const CORRECT = 1_500;
/** After a change its position says nothing for so long, and then is watched for so long, milliseconds. */
const SETTLE = 500;
const WATCH = 600;
/** It stands where it stands if that is as near as this, seconds. */
const STANDS = 0.04;
/** Nor is it put there again if that did not bring it nearer: films do not begin exactly at 0. */
const NEAR = 0.3;
/** From saying play to being heard, milliseconds, before it was seen; then it is learned. */
const STARTUP = 60;
/** So long ahead of what is wanted it waits for its moment: at first and at most, milliseconds. */
const LEAD = { first: 400, most: 4_000 };
/** What of a live stream is not ready so long after its moment has to be looked for elsewhere, milliseconds. */
const GIVE_UP = 1_000;

/**
 * What a player is seen to do. `ready`: it has what it takes to play on from where it is.
 * @typedef {{ position: number, paused: boolean, seeking: boolean, ready: boolean }} Seen
 * What it is to do; `wake`: milliseconds until it has to be looked at again.
 * @typedef {{ seek?: number, play?: boolean, pitch?: boolean, rate: number, wake: number }} Deed
 */

/** Leads a player along a course. */
export class Follower {
  constructor() {
    /** Where it waits to play on, and since when that is asked for. @type {{ position: number, asked: number } | undefined} */
    this.cue = undefined;
    /** Where it was put to stand. @type {number | undefined} */
    this.put = undefined;
    this.lead = LEAD.first;
    /** Moments at which it did not play as it should have. */
    this.missed = 0;
    this.startup = STARTUP;
    this.head = new Playhead();
    /** What it says is believed from this moment on. */
    this.believe = 0;
    this.rate = 0;
    /** It was started and not yet seen where that led. */
    this.started = false;
    /** A correction: its speed, and when it is over. @type {{ rate: number, until: number } | undefined} */
    this.correction = undefined;
    /** How late it is, seconds; what it was when it was last known. */
    this.late = 0;
  }

  /**
   * @param {number} now of the page's clock @param {Course} course @param {Seen} seen
   * @returns {Deed}
   */
  step(now, course, seen) {
    if (!course.goes) return this.stand(course, seen);
    if (seen.paused || this.cue) return this.waitForCue(now, course, seen);
    return this.steer(now, course, seen);
  }

  /** @param {Course} course @param {Seen} seen @returns {Deed} */
  stand(course, seen) {
    this.cue = this.correction = undefined;
    this.late = 0;
    this.head.forget();
    const deed = { rate: course.rate, wake: 50 };
    if (!seen.paused) {
      this.put = undefined;
      return { ...deed, play: false };
    }
    const off = Math.abs(seen.position - course.position);
    // Where it was put and does not stand exactly, it cannot.
    const least = this.put === course.position ? NEAR : STANDS;
    if (seen.seeking || off <= least) return deed;
    this.put = course.position;
    return { ...deed, seek: course.position };
  }

  /** @param {number} now @param {Course} course @param {Seen} seen @returns {Deed} */
  waitForCue(now, course, seen) {
    const deed = { rate: course.rate, wake: 50 };
    const wanted = shownAt(course, now);
    if (!this.cue) {
      // Where it stands may be where it goes on, now or soon.
      const soon = seen.position - wanted;
      const off = seen.position - course.position;
      const here = !seen.seeking && off >= -STANDS && off < NEAR && now < course.anchor + this.startup;
      if (here || (seen.ready && !seen.seeking && soon > 0 && soon < LEAD.first / 1000)) {
        this.cue = { position: seen.position, asked: now };
      } else {
        const position = shownAt(course, Math.max(now, course.anchor) + this.lead);
        this.cue = { position, asked: now };
        return { ...deed, seek: position, play: false };
      }
    }
    const due = timeOf(course, this.cue.position) - this.startup;
    // The room has gone elsewhere meanwhile.
    if (due - now > LEAD.most + 1_000) return this.missCue(deed, course.live);
    if (seen.seeking || !seen.ready) return this.hopeForCue(now, course, due, deed);
    if (now < due) return { ...deed, wake: Math.min(50, due - now) };
    if (now - due > JUMP * 1000) return this.missCue(deed, course.live);
    this.cue = undefined;
    this.lead = Math.max(LEAD.first, this.lead * 0.8);
    this.begin(now);
    this.started = now - due < 30;
    return { ...deed, play: true };
  }

  /** Not ready: another place may come sooner.
   * @param {number} now @param {Course} course @param {number} due @param {Deed} deed @returns {Deed} */
  hopeForCue(now, course, due, deed) {
    if (course.live && now - due > GIVE_UP) return this.missCue(deed, true);
    // It stands where it was put; the room waits for it, or it catches up once it has what it needs.
    this.late = Math.max(0, (now - due) / 1000) * course.rate;
    return deed;
  }

  /** It came too late. Of a live stream there is nothing to be had further ahead: it needs more delay.
   * @param {Deed} deed @param {boolean} [live] @returns {Deed} */
  missCue(deed, live = false) {
    this.cue = undefined;
    this.missed += 1;
    if (!live) this.lead = Math.min(LEAD.most, this.lead * 2);
    return { ...deed, wake: 0 };
  }

  /** It does something else from now on: what it is seen to do has to be seen anew.
   * @param {number} now */
  begin(now) {
    this.head.forget();
    this.believe = now + SETTLE;
    this.correction = undefined;
  }

  /** @param {number} now @param {Course} course @param {Seen} seen @returns {Deed} */
  steer(now, course, seen) {
    const deed = { rate: course.rate, wake: 50 };
    const wanted = shownAt(course, now);
    if (course.rate !== this.rate) this.begin(now);
    this.rate = course.rate;
    if (seen.seeking || !seen.ready) {
      // It loads. Once it plays on, it is looked at anew.
      this.begin(now);
      this.started = false;
      this.late = wanted - seen.position;
      return deed;
    }
    if (this.correction) {
      const { rate, until } = this.correction;
      if (now < until) return { rate, pitch: this.pitch(course), wake: Math.min(50, until - now) };
      this.begin(now);
      return { ...deed, pitch: this.pitch(course) };
    }
    if (now < this.believe) return { ...deed, pitch: this.pitch(course), wake: 25 };
    this.head.saw(now, seen.position, course.rate);
    if (this.head.span() < WATCH) return { ...deed, pitch: this.pitch(course), wake: 17 };
    this.late = wanted - this.head.at(now, course.rate);
    this.learn();
    if (Math.abs(this.late) > JUMP) return this.jump(now, course, deed);
    const rate = Math.abs(this.late) > OFF ? this.correct(now, course) : course.rate;
    return { ...deed, pitch: this.pitch(course), wake: 17, rate };
  }

  /** How late it began says when to begin. */
  learn() {
    if (!this.started) return;
    this.started = false;
    if (Math.abs(this.late) > JUMP) return;
    this.startup = Math.max(0, Math.min(400, this.startup + this.late * 1000));
  }

  /** @param {number} now @param {Course} course @param {Deed} deed @returns {Deed} */
  jump(now, course, deed) {
    const position = shownAt(course, now + this.lead);
    this.cue = { position, asked: now };
    this.head.forget();
    return { ...deed, seek: position, play: false };
  }

  /** Begins to hurry or to dawdle; how fast.
   * @param {number} now @param {Course} course */
  correct(now, course) {
    const size = Math.abs(this.late) / course.rate;
    const change = Math.max(LEAST, Math.min(MOST, (size * 1000) / CORRECT));
    const rate = course.rate * (1 + Math.sign(this.late) * change);
    this.correction = { rate, until: now + (size / change) * 1000 };
    return rate;
  }

  /** Whether the pitch is kept. A browser that keeps it cuts the sound to pieces and loses its place
   * by up to 15 ms; at nearly the film's own speed nobody hears that it is not kept.
   * @param {Course} course */
  pitch(course) {
    return course.rate !== 1;
  }
}

/** Arrivals count so long, milliseconds. */
const ARRIVALS = 10_000;
/** More than the slowest arrival that a browser needs: at first, least and most, milliseconds. */
const SPARE = { first: 250, least: 200, most: 3_000 };

/** How long after its capture a live stream can be shown here. */
export class Needs {
  constructor() {
    /** The slowest arrivals of this stretch and the one before, milliseconds. */
    this.slowest = [0, 0];
    this.since = 0;
    this.spare = SPARE.first;
    this.calm = 0;
  }

  /** @param {number} now @param {number} lag from capture to arrival, milliseconds */
  arrived(now, lag) {
    if (now - this.since > ARRIVALS) {
      this.slowest = [0, this.slowest[0]];
      this.since = now;
    }
    this.slowest[0] = Math.max(this.slowest[0], Math.min(lag, 30_000));
    if (now - this.calm > 30_000) {
      this.spare = Math.max(SPARE.least, this.spare - 50);
      this.calm = now;
    }
  }

  /** It ran dry.
   * @param {number} now */
  stalled(now) {
    this.spare = Math.min(SPARE.most, this.spare + 100);
    this.calm = now;
  }

  /** Milliseconds; 0 while unknown. */
  all() {
    const slowest = Math.max(...this.slowest);
    return slowest > 0 ? slowest + this.spare : 0;
  }
}
