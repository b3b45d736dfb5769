// The logic of the player, without a browser: node --test web/tests/page/playout.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveSteering, TARGET, backOff, reach, segmentAt, stepOver, wanted } from "../../page/playout.js";

test("a live stream begins near its newest picture, and never before its first", () => {
  const steering = new LiveSteering();
  assert.equal(steering.steer([], 0, 0).seek, undefined);
  assert.equal(steering.steer([[1, 5]], 0, 0).seek, 5 - TARGET.first);
  assert.equal(new LiveSteering().steer([[1, 1.1]], 0, 0).seek, 1);
});

test("a little late it hurries, far behind it jumps, too near it dawdles", () => {
  const steering = new LiveSteering();
  steering.steer([[1, 5]], 0, 0);
  const at = (behind) => steering.steer([[1, 10]], 10 - behind, 1);
  assert.deepEqual(at(TARGET.first), { rate: 1 });
  assert.ok(at(TARGET.first + 0.2).rate > 1);
  assert.ok(at(TARGET.first - 0.2).rate < 1);
  assert.equal(at(5).seek, 10 - TARGET.first);
});

test("a hole is jumped over", () => {
  const steering = new LiveSteering();
  steering.steer([[1, 5]], 0, 0);
  const { seek } = steering.steer([[1, 5], [8, 9]], 5, 1);
  assert.equal(seek, 9 - TARGET.first);
  assert.equal(steering.steer([[1, 5], [8, 8.1]], 5, 1).seek, 8, "not before what is there");
});

test("stalls make it wait longer, calm makes it nearer again, both within bounds", () => {
  const steering = new LiveSteering();
  for (let i = 0; i < 100; i += 1) steering.stalled(i);
  assert.equal(steering.target, TARGET.most);
  steering.started = true;
  for (let now = 100; now < 10_000; now += 31) steering.steer([[0, 10]], 7, now);
  assert.equal(steering.target, TARGET.least);
});

test("segments are found and fetched from where it is played on", () => {
  const starts = [0, 2, 4, 6, 8];
  assert.deepEqual([0, 1.9, 2, 7, 100, -1].map((at) => segmentAt(starts, at)), [0, 0, 1, 3, 4, 0]);
  const here = new Set([1, 2]);
  const has = (index) => here.has(index);
  assert.equal(wanted(starts, has, 2.5, 30), 3);
  assert.equal(wanted(starts, has, 2.5, 1), undefined, "far enough ahead");
  assert.equal(wanted(starts, has, 0, 30), 0);
  assert.equal(segmentAt([], 5), 0);
  assert.equal(wanted([], has, 0, 30), undefined);
});

test("what is ahead ends at the first hole", () => {
  const starts = [0, 2, 4, 6];
  const has = (...there) => (index) => there.includes(index);
  assert.equal(reach(starts, 8, has(), 1), 0);
  assert.equal(reach(starts, 8, has(0, 1, 3), 1), 3);
  assert.equal(reach(starts, 8, has(0, 1, 2, 3), 1), 7);
  assert.equal(reach(starts, 8, has(3), 8), 0);
});

test("a small hole between segments is stepped over, a large one waited for", () => {
  assert.equal(stepOver([[0, 2], [2.1, 4]], 1), undefined);
  assert.ok(stepOver([[0, 2], [2.1, 4]], 1.99) > 2.1);
  assert.equal(stepOver([[0, 2], [9, 12]], 2), undefined);
});

test("connections are tried again later and later, not in step", () => {
  assert.ok(backOff(0, 0) >= 200 && backOff(0, 1) <= 400);
  assert.ok(backOff(50, 1) <= 10_000);
  assert.notEqual(backOff(3, 0), backOff(3, 1));
});
