// The relay's clock as a page knows it: node --test web/tests/page/
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeClock } from "../../page/clock.js";

function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The worst error of the second half, milliseconds. */
function worst({ ppm = 0, delay = 0.3, jitter = 0.3, lost = 0, seconds = 120, every = 500 }) {
  const node = (t) => 1.7e12 + t * (1 + ppm * 1e-6);
  const chance = dice(11);
  const clock = new NodeClock();
  let most = 0;
  for (let t = 0; t < seconds * 1000; t += every) {
    const arrives = t + delay + chance() * jitter;
    const back = arrives + delay + chance() * jitter;
    if (chance() >= lost) clock.heard(t, back, node(arrives));
    const offset = clock.offset(back);
    if (t > seconds * 500) most = Math.max(most, Math.abs(node(back) - back - offset));
  }
  return most;
}

test("a quiet network gives less than half a millisecond, a slow and lossy one some", () => {
  assert.ok(worst({}) < 0.2, `${worst({})}`);
  assert.ok(worst({ ppm: 50 }) < 0.5, `${worst({ ppm: 50 })}`);
  assert.ok(worst({ ppm: -50, delay: 50, jitter: 10, lost: 0.3, seconds: 240 }) < 2);
});

test("noise is slewed, never stepped; one mad answer changes nothing", () => {
  const clock = new NodeClock();
  let before;
  for (let t = 0; t < 100_000; t += 500) {
    const mad = t === 50_000 ? 3_600_000 : 0;
    const more = t > 60_000 ? 30 : 0;
    clock.heard(t, t + 1 + more, t + 0.5 + mad);
    const offset = clock.offset(t + 1 + more);
    if (before !== undefined && t > 5_000) assert.ok(Math.abs(offset - before) < 1.7, `stepped by ${offset - before} at ${t}`);
    before = offset;
  }
});

test("a laptop that slept is right again within some pings", () => {
  const clock = new NodeClock();
  const slept = (t) => (t < 50_000 ? 0 : 3_600_000);
  for (let t = 0; t < 52_500; t += 500) clock.heard(t, t + 1, t + 0.5 + slept(t));
  assert.ok(Math.abs(clock.offset(52_500) - 3_600_000) < 1);
});

test("impossible answers are ignored", () => {
  const clock = new NodeClock();
  clock.heard(10, 9, 0);
  clock.heard(10, Number.NaN, 0);
  clock.heard(10, 11, Number.NaN);
  assert.equal(clock.offset(20), undefined);
});
