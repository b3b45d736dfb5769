// Subtitles and what the seek bar shows of a place, without a browser: node --test web/tests/page/cues.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, label, plain, read } from "../../page/cues.js";
import { pictured, placeAt } from "../../page/preview.js";

const TEXT = `WEBVTT

NOTE not shown

00:00:03.000 --> 00:00:04.000
later

1
00:01.500 --> 00:00:02.000 line:10%
<i>Ja?</i>
<v Eve>Nein &amp; &lt;nie&gt;

00:00:05.000 --> 00:00:04.000
backwards

x --> y
no times
`;

test("cues are read in order, and what is none is left out", () => {
  const cues = read(TEXT);
  assert.deepEqual(cues, [
    { from: 1.5, to: 2, text: "Ja?\nNein & <nie>" },
    { from: 3, to: 4, text: "later" },
  ]);
  assert.deepEqual(read(TEXT.replaceAll("\n", "\r\n")), cues);
  assert.deepEqual(read(""), []);
});

test("a line is shown from its beginning until its end, two at a time below each other", () => {
  const cues = [{ from: 1, to: 3, text: "a" }, { from: 2, to: 4, text: "b" }];
  assert.deepEqual([0.9, 1, 2, 3, 4].map((time) => at(cues, time)), ["", "a", "a\nb", "b", ""]);
});

test("tags go, and what only looks like one stays", () => {
  assert.equal(plain("<b>x</b> <c.red>y</c> <00:01.000>z"), "x y z");
  assert.equal(plain("1 < 2 and 3 > 2"), "1 < 2 and 3 > 2");
  assert.equal(plain("<img src=x onerror=y>z &bogus;"), "z &bogus;");
});

test("subtitles have a name in the menu, whatever is known of them", () => {
  const named = (language) => ({ de: "Deutsch" })[language];
  assert.equal(label({ language: "de", title: "" }, 0, named), "Deutsch");
  assert.equal(label({ language: "de", title: "voll" }, 0, named), "Deutsch, voll");
  assert.equal(label({ language: "qx", title: "" }, 0, named), "qx");
  assert.equal(label({ language: "", title: "" }, 1, named), "Subtitles 2");
});

test("the place below a pointer is where the bar would go", () => {
  const box = { left: 100, width: 218 };
  assert.equal(placeAt(109, box, 0, 100), 0);
  assert.equal(placeAt(209, box, 0, 100), 50);
  assert.equal(placeAt(309, box, 10, 20), 20);
  assert.equal(placeAt(0, box, 10, 20), 10);
  assert.equal(placeAt(999, box, 10, 20), 20);
});

test("near places of a long film share a picture, those of a short one do not", () => {
  const facts = (count) => ({ first: 7, starts: Array.from({ length: count }, (_, i) => 2 * i) });
  assert.equal(pictured(facts(10), 5), 9);
  const long = facts(3_600);
  const numbers = new Set(Array.from({ length: 7_200 }, (_, at) => pictured(long, at)));
  assert.ok(numbers.size <= 240 && numbers.size > 200, `${numbers.size}`);
  assert.ok([...numbers].every((number) => number >= 7 && number < 3_607));
});
