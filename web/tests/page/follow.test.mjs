// Following a room, with a player and clocks that are simulated: node --test web/tests/page/
import assert from "node:assert/strict";
import { test } from "node:test";
import { Follower, Needs, Playhead, Timelines, courseOf, liveCourse, positionOf, shownAt } from "../../page/follow.js";

/** A small, seeded generator: the simulation is the same in every run. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const timeline = (epoch, anchor, position, going = "playing", speed = 1000) => ({
  epoch, anchor_us: anchor * 1000, position_us: position * 1e6, going, speed_permille: speed, delay_us: 0,
});

/** A player as browsers are: it starts late, seeks slowly, and says where it was some time ago. */
class Player {
  constructor({ startup = 90, seek = 120, stairs = 20, drift = 0, position = 0 } = {}) {
    Object.assign(this, { startup, seekTime: seek, stairs, drift, at: 0, place: position, paused: true, rate: 1 });
    this.moves = this.sought = 0;
    this.said = position;
    this.looked = 0;
    this.starved = false;
    this.seeks = 0;
  }

  /** Goes on to a moment. */
  advance(now) {
    const from = Math.max(this.at, this.moves);
    if (!this.paused && !this.starved && now > from) this.place += ((now - from) / 1000) * this.rate * (1 + this.drift);
    this.at = now;
    if (now - this.looked >= this.stairs) [this.looked, this.said] = [now, this.place];
  }

  seen() {
    const seeking = this.at < this.sought;
    return { position: this.said, paused: this.paused, seeking, ready: !seeking && !this.starved };
  }

  obey(deed) {
    this.rate = deed.rate;
    if (deed.play === false) this.paused = true;
    if (deed.seek !== undefined) {
      this.place = this.said = deed.seek;
      this.sought = this.at + this.seekTime;
      this.seeks += 1;
    }
    if (deed.play && this.paused) {
      this.paused = false;
      this.moves = this.at + this.startup;
    }
  }
}

/** Runs for so many seconds; how late it was at each step where it moved, seconds. */
function run(player, timelines, seconds, { follower = new Follower(), from = 0, offset = () => 5e9, each = () => {} } = {}) {
  const late = [];
  let now = from;
  const end = from + seconds * 1000;
  const chance = dice(7);
  while (now < end) {
    player.advance(now);
    each(now, player);
    const course = courseOf(timelines, now, offset(now));
    const deed = follower.step(now, course, player.seen());
    player.obey(deed);
    if (!player.paused && now > player.moves) late.push({ now, late: shownAt(course, now) - player.place });
    // Timers come late.
    now += Math.max(1, deed.wake) + chance() * 4;
  }
  return late;
}

const worst = (late, from) => Math.max(...late.filter(({ now }) => now >= from).map(({ late }) => Math.abs(late)));

test("a timeline holds from its anchor on, and old ones never again", () => {
  const timelines = new Timelines(timeline(4, 0, 0, "paused"));
  assert.ok(timelines.take(timeline(5, 1, 10), 0.5));
  assert.equal(timelines.at(0.9).epoch, 4);
  assert.equal(timelines.at(1).epoch, 5);
  assert.ok(!timelines.take(timeline(5, 0, 0), 2));
  assert.equal(timelines.next(0.9).epoch, 5);
  assert.equal(timelines.next(1), undefined);
  for (let epoch = 6; epoch < 40; epoch += 1) timelines.take(timeline(epoch, 10_000, 0), 0.6);
  assert.ok(timelines.all.length <= 8, "bounded");
});

test("a timeline says what is shown", () => {
  const plays = timeline(1, 1_000, 60, "playing", 1500);
  assert.equal(positionOf(plays, 0), 60, "not before it takes effect");
  assert.equal(positionOf(plays, 3_000), 63);
  assert.equal(positionOf({ ...plays, going: "waiting" }, 3_000), 60);
});

test("what comes and plays is made ready for before it holds; what comes and stands is not", () => {
  const timelines = new Timelines(timeline(1, 0, 10, "waiting"));
  timelines.take(timeline(2, 5_000, 10), 0);
  const course = courseOf(timelines, 0, 4_000);
  assert.ok(course.goes);
  assert.equal(course.anchor, 1_000, "on the page's clock");
  timelines.take(timeline(3, 9_000, 50, "paused"), 6_000);
  assert.ok(courseOf(timelines, 2_000, 4_000).goes);
  assert.equal(courseOf(timelines, 5_000, 4_000).goes, false);
});

test("a player is where the newest place it said would be by now", () => {
  const head = new Playhead();
  for (let now = 0; now <= 600; now += 7) head.saw(now, Math.floor(now / 20) * 0.02, 1);
  assert.ok(Math.abs(head.at(600, 1) - 0.6) < 0.002, `${head.at(600, 1)}`);
});

test("who begins with the others is in step from the first second, and learns how long beginning takes", () => {
  const follower = new Follower();
  const timelines = new Timelines(timeline(1, 5e9 + 1_000, 0));
  const late = run(new Player(), timelines, 20, { follower });
  assert.ok(worst(late, 1_000) < 0.05, `${worst(late, 1_000)} s off at first`);
  assert.ok(worst(late, 4_000) < 0.01, `${worst(late, 4_000)} s off`);
  assert.ok(Math.abs(follower.startup - 90) < 15, `learned ${follower.startup} ms`);
  // The next time it knows.
  const player = new Player({ position: 0 });
  timelines.take(timeline(2, 5e9 + 30_000, 0, "waiting"), 5e9 + 29_900);
  run(player, timelines, 1, { follower, from: 30_000 });
  timelines.take(timeline(3, 5e9 + 31_400, 0), 5e9 + 31_200);
  const again = run(player, timelines, 5, { follower, from: 31_000 });
  assert.ok(worst(again, 31_000) < 0.025, `${worst(again, 31_000)} s off`);
});

test("who comes while it plays is in step within some seconds", () => {
  for (const seek of [50, 300, 900]) {
    const player = new Player({ seek });
    const late = run(player, new Timelines(timeline(1, 5e9 - 600_000, 0)), 30);
    assert.ok(worst(late, 10_000) < 0.012, `a seek of ${seek} ms: ${worst(late, 10_000)} s off`);
    assert.ok(player.seeks < 6, `${player.seeks} seeks`);
  }
});

test("a sound card and a clock that run apart are followed, unheard", () => {
  for (const drift of [-100e-6, 100e-6]) {
    const rates = new Set();
    const player = new Player({ drift });
    const offset = (now) => 5e9 + now * -50e-6;
    const late = run(player, new Timelines(timeline(1, 5e9 + 500, 0)), 300, { offset, each: (_, { rate }) => rates.add(rate) });
    assert.ok(worst(late, 10_000) < 0.015, `${worst(late, 10_000)} s off`);
    assert.ok(Math.min(...rates) >= 0.96 && Math.max(...rates) <= 1.04);
    assert.ok(player.seeks <= 1, "it never jumps");
  }
});

test("a pause, a jump and another speed are obeyed at their moment", () => {
  const timelines = new Timelines(timeline(1, 5e9 + 500, 0));
  const follower = new Follower();
  const player = new Player();
  run(player, timelines, 10, { follower });
  timelines.take(timeline(2, 5e9 + 10_300, 9.8, "paused"), 5e9 + 10_000);
  run(player, timelines, 1, { follower, from: 10_000 });
  assert.ok(player.paused && Math.abs(player.place - 9.8) < 0.06, `it stands at ${player.place}`);
  timelines.take(timeline(3, 5e9 + 11_300, 100, "waiting"), 5e9 + 11_000);
  run(player, timelines, 1, { follower, from: 11_000 });
  assert.ok(player.paused && Math.abs(player.place - 100) < 0.001, `it stands at ${player.place}`);
  timelines.take(timeline(4, 5e9 + 12_300, 100, "playing", 1500), 5e9 + 12_000);
  const late = run(player, timelines, 15, { follower, from: 12_000 });
  assert.ok(worst(late, 17_000) < 0.02, `${worst(late, 17_000)} s off`);
});

test("who ran dry catches up: by hurrying where that is soon done, else by a jump", () => {
  for (const [dry, jumps] of [[300, 0], [4_000, 1]]) {
    const player = new Player();
    const starve = (now, player) => {
      player.starved = now > 10_000 && now < 10_000 + dry;
    };
    const late = run(player, new Timelines(timeline(1, 5e9 + 500, 0)), 40, { each: starve });
    assert.ok(worst(late, 28_000) < 0.012, `dry for ${dry} ms: ${worst(late, 28_000)} s off`);
    assert.ok(jumps === 0 ? player.seeks === 0 : player.seeks >= 1, `${player.seeks} seeks`);
  }
});

test("where it cannot stand exactly, it is not put again and again", () => {
  const player = new Player({ position: 3 });
  const timelines = new Timelines(timeline(1, 0, 0, "waiting"));
  const each = (_, player) => {
    // The first picture is a little later.
    player.place = player.said = Math.max(player.place, 0.08);
  };
  run(player, timelines, 5, { each });
  assert.equal(player.seeks, 1);
});

test("a live stream is shown so long after its capture", () => {
  const course = liveCourse(500, 7_000_000, 6_990_000);
  assert.equal(shownAt(course, 10_500), 0);
  assert.equal(shownAt(course, 12_500), 2);
});

test("a live stream that cannot be begun in time needs more delay, and is begun once it has it", () => {
  const [follower, needs, player] = [new Follower(), new Needs(), new Player({ seek: 900 })];
  let delay = 300;
  for (let now = 10_000; now < 70_000; now += 25) {
    player.advance(now);
    const { missed } = follower;
    player.obey(follower.step(now, liveCourse(delay, 0, 0), player.seen()));
    needs.arrived(now, 50);
    if (follower.missed > missed) needs.stalled(now);
    // A player that decodes slowly has less of it to do the more there is between.
    player.seekTime = Math.max(100, 1_200 - needs.all());
    delay = Math.max(delay, needs.all());
  }
  assert.ok(!player.paused && Math.abs(follower.late) < 0.01, `${follower.late} s late`);
  assert.ok(delay >= 400 && delay < 3_100, `${delay} ms`);
});

test("what a live stream needs is its slowest arrival and something to spare", () => {
  const needs = new Needs();
  assert.equal(needs.all(), 0);
  for (let now = 0; now < 30_000; now += 40) needs.arrived(now, now === 8_000 ? 180 : 20);
  const calm = needs.all();
  assert.ok(calm < 300, `${calm}: one late one is forgotten`);
  needs.stalled(30_000);
  assert.ok(needs.all() > calm);
});
