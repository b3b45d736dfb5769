// What is said in a room, and what is typed to come in: node --test web/tests/page/
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lines, codeIn, forPage, lateness, readable, wordsOf } from "../../page/lines.js";

const S = 1_000_000;
const line = (number, position, what, more = {}) => ({ number, position_us: position * S, at_us: 100 * S, who: "Ana", what, ...more });
const said = (number, position) => line(number, position, "said", { text: "hello" });
const due = (lines, position) => lines.due(position).map(({ number }) => number);

test("lines are shown where they belong, and once", () => {
  const lines = new Lines();
  lines.take([said(1, 5), said(2, 60), said(3, 61)], 900_000);
  lines.take([said(3, 0)], 900_000);
  assert.deepEqual(due(lines, 4), []);
  assert.deepEqual(due(lines, 62), [2, 3], "not what was said an hour before");
  assert.deepEqual(due(lines, 62), []);
  assert.deepEqual(due(lines, 6), [1], "who goes back reads it there");
  assert.deepEqual(lines.marks().map(({ at }) => at), [5, 60, 61]);
  assert.equal(lines.marks()[0].label, "Ana: hello");
});

test("what was just done is said at once, and what was done long ago is not", () => {
  const lines = new Lines();
  lines.take([line(1, 3_600, "paused")], 101_000);
  assert.deepEqual(due(lines, 0), [1]);
  lines.take([line(2, 3_600, "paused")], 900_000);
  assert.deepEqual(due(lines, 0), []);
});

test("a live stream has one place; what is kept is bounded", () => {
  const lines = new Lines();
  lines.take(Array.from({ length: 8_000 }, (_, i) => said(i + 1, 0)), 0);
  const all = due(lines, undefined);
  assert.equal(all.length, 4_000);
  assert.equal(all[0], 4_001);
});

test("what was done is a sentence", () => {
  assert.equal(wordsOf(line(1, 723, "paused")), "paused at 12:03");
  assert.equal(wordsOf(line(1, 0, "sought", { to: 3_600 * S })), "went to 1:00:00");
  assert.equal(wordsOf(line(1, 0, "speed", { to: 1250 })), "set the speed to 1.25×");
  assert.equal(wordsOf(line(1, 0, "reacted", { sign: "clap" })), "applauds 👏");
  assert.equal(wordsOf(line(1, 0, "reacted", { sign: "constructor" })), "reacts");
});

test("codes are read as people type them, and out of links", () => {
  for (const text of ["k7xw2m9qpd", " K7XW2-M9QPD ", "http://relay:8080/?room=K7XW2M9QPD", "https://tv/?x=1&room=k7xw2-m9qpd#a"]) {
    assert.equal(codeIn(text), "K7XW2M9QPD", text);
  }
  for (const text of ["", "K7XW2M9QP", "K7XW2M9QPDD", "K7XW2M9QPO", "K7XW2M9QP1", "K7XW2M9QPU"]) assert.equal(codeIn(text), undefined, text);
  assert.equal(readable("K7XW2M9QPD"), "K7XW2-M9QPD");
});

test("a refusal leaves out what is typed elsewhere", () => {
  assert.equal(forPage("this room asks for a PIN; give it with --pin"), "This room asks for a PIN.");
  assert.equal(forPage("only the host (Ana) may do that; ask to be host with /ask"), "Only the host (Ana) may do that.");
  assert.equal(forPage("the PIN is wrong; ask who invited you for the right one"), "The PIN is wrong; ask who invited you for the right one.");
  assert.equal(forPage("there is no room X here (any more); check the code, or see the open rooms with --rooms"), "There is no room X here (any more); check the code.");
});

test("lateness is said", () => {
  assert.deepEqual([0.2, 12.4, -3, 2_500].map(lateness), ["0 ms", "12 ms behind", "3 ms ahead", "2.5 s behind"]);
});
