// A film's way to the relay, without a relay: node --test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Elsewhere, Refused, Upload, progress } from "../../page/upload.js";

const MB = 1 << 20;

/** A relay that has what it was sent, and fails as it is told to. */
class Relay {
  has = 0;
  log = [];
  /** What befalls the requests, one after the other; nothing more: all goes well. */
  fates = [];
  size = 40 * MB;
  /** Somebody brought the end, or said it. */
  complete = false;

  next(what) {
    this.log.push(what);
    const fate = this.fates.shift();
    return fate;
  }

  async begin(file) {
    const fate = this.next("begin");
    if (fate instanceof Error) throw fate;
    return { id: "1", offset: this.has };
  }

  async offset() {
    const fate = this.next("offset");
    if (fate instanceof Error) throw fate;
    return this.has;
  }

  async send(id, offset, part, sent, signal) {
    const fate = this.next(`send ${offset / MB}`);
    if (signal.aborted) throw new Error("aborted");
    if (fate instanceof Error) throw fate;
    if (offset !== this.has) throw new Elsewhere(this.has);
    // So much of it comes, and then the connection breaks.
    const bytes = typeof fate === "number" ? Math.min(fate, part.size) : part.size;
    sent(bytes);
    this.has += bytes;
    this.complete = this.has === this.size;
    if (typeof fate === "number") throw new Error("the connection broke");
    return this.has;
  }

  async remove(id) {
    this.log.push(`remove ${id}`);
  }

  async pause(milliseconds) {
    this.log.push(`pause ${milliseconds}`);
  }
}

const file = (size) => ({ name: "a.mp4", size, lastModified: 1, slice: (from, to) => ({ size: to - from }) });

test("what is called off while it is begun is not sent, and removed", async () => {
  const relay = new Relay();
  const upload = new Upload(file(relay.size), relay);
  const running = upload.run();
  upload.end();
  await running;
  assert.deepEqual(relay.log, ["begin", "remove 1"]);
  assert.equal(upload.stage, "ended");
});

test("a film goes in parts, and all of it", async () => {
  const relay = new Relay();
  const upload = new Upload(file(relay.size), relay);
  await upload.run();
  assert.deepEqual(relay.log, ["begin", "send 0", "send 16", "send 32"]);
  assert.deepEqual([upload.stage, upload.sent, relay.has], ["sent", relay.size, relay.size]);
});

test("after a broken connection it goes on where the relay is, later each time", async () => {
  const relay = new Relay();
  relay.fates = [undefined, undefined, 3 * MB, new Error("away"), new Error("away")];
  const upload = new Upload(file(relay.size), relay);
  const stages = [];
  upload.addEventListener("change", () => stages.push(upload.stage));
  await upload.run();
  assert.deepEqual(relay.log, ["begin", "send 0", "send 16", "pause 500", "offset", "pause 1000", "offset", "pause 2000",
    "offset", "send 19", "send 35"]);
  assert.ok(stages.includes("broken"));
  assert.deepEqual([upload.stage, relay.has], ["sent", relay.size]);
});

test("one that was begun earlier is gone on with", async () => {
  const relay = new Relay();
  relay.has = 20 * MB;
  await new Upload(file(relay.size), relay).run();
  assert.deepEqual(relay.log, ["begin", "send 20", "send 36"]);
});

test("one that was there but for its end is not sent before the relay knows", async () => {
  const relay = new Relay();
  relay.has = relay.size;
  const upload = new Upload(file(relay.size), relay);
  await upload.run();
  assert.deepEqual(relay.log, ["begin", "send 40"]);
  assert.deepEqual([upload.stage, relay.complete], ["sent", true]);
});

test("one whose last answer was lost is sent all the same", async () => {
  for (const away of [[], [new Error("restarts"), new Error("restarts")]]) {
    const relay = new Relay();
    relay.fates = [undefined, undefined, undefined, 8 * MB, ...away];
    const upload = new Upload(file(relay.size), relay);
    await upload.run();
    assert.deepEqual([upload.stage, upload.sent, relay.log.at(-1)], ["sent", relay.size, "send 40"]);
  }
});

test("the relay knows best where it is", async () => {
  const relay = new Relay();
  const upload = new Upload(file(relay.size), relay);
  const { send } = relay;
  relay.send = (...all) => {
    // What was sent before came after all.
    if (relay.log.length === 2) relay.has = 24 * MB;
    return send.apply(relay, all);
  };
  await upload.run();
  assert.deepEqual(relay.log, ["begin", "send 0", "send 16", "send 24"]);
});

test("a relay that says no is not asked again", async () => {
  for (const fates of [[new Refused("no room")], [undefined, new Refused("no room")], [undefined, new Error("broken"), new Refused("no room")]]) {
    const relay = new Relay();
    relay.fates = fates;
    const upload = new Upload(file(relay.size), relay);
    await upload.run();
    assert.deepEqual([upload.stage, upload.why], ["refused", "no room"]);
  }
});

test("one that is not wanted any more ends, whatever comes after", async () => {
  const relay = new Relay();
  relay.pause = async () => {
    upload.end();
    throw new Error("aborted");
  };
  relay.fates = [undefined, new Error("broken")];
  const upload = new Upload(file(relay.size), relay);
  await upload.run();
  assert.equal(upload.stage, "ended");
});

test("what is said of a film", () => {
  const line = { id: "1", title: "a", stream: null, stage: "arriving", done: 0.456, arrived: 4, size: 9, mine: true, why: null, fetched: false };
  assert.equal(progress(line, undefined).words, "Interrupted, 45 %: choose the same file to go on");
  assert.equal(progress({ ...line, mine: false }, undefined).words, "Being uploaded, 45 %");
  assert.equal(progress({ ...line, fetched: true, done: null }, undefined).words, "Being fetched");
  assert.equal(progress({ ...line, stage: "converting", done: null }, undefined).words, "Being converted");
  assert.equal(progress({ ...line, stage: "failed", why: "it is text" }, undefined).words, "Not added: it is text");
});
