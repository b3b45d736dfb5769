// What is known of YouTube's player, and which links are links of videos.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Known, streamOf, videoOf } from "../../page/youtube.js";

test("a link of a video is a room's stream, and nothing else is", () => {
  for (const link of [
    "https://www.youtube.com/watch?v=a-b_c1234Z9",
    "http://m.youtube.com/watch?app=desktop&v=a-b_c1234Z9&t=10s",
    " https://youtu.be/a-b_c1234Z9?si=x ",
    "youtube.com/shorts/a-b_c1234Z9",
    "https://www.youtube-nocookie.com/embed/a-b_c1234Z9",
    "https://www.youtube.com/live/a-b_c1234Z9",
  ]) {
    assert.equal(streamOf(link), "youtube:a-b_c1234Z9", link);
  }
  for (const other of ["", "a-b_c1234Z9", "https://example.com/watch?v=a-b_c1234Z9", "https://youtube.com/watch?v=short",
    "https://youtube.com.evil.example/watch?v=a-b_c1234Z9", "https://evil.example/?https://youtu.be/a-b_c1234Z9",
    "https://youtu.be/a-b_c1234Z9x", "javascript:alert(1)//youtu.be/a-b_c1234Z9"]) {
    assert.equal(streamOf(other), undefined, other);
  }
  assert.equal(videoOf("youtube:a-b_c1234Z9"), "a-b_c1234Z9");
  assert.equal(videoOf("youtube:a/b_c1234Z9"), undefined);
  assert.equal(videoOf("film"), undefined);
});

test("where the player is follows from what it said last", () => {
  const known = new Known();
  known.heard({ playerState: 2, duration: 60, currentTime: 5 }, 1_000);
  assert.equal(known.position(9_000), 5);
  known.heard({ playerState: 1 }, 9_000);
  assert.equal(known.position(11_000), 7);
  known.heard({ playbackRate: 2, currentTime: 7 }, 11_000);
  assert.equal(known.position(12_000), 9);
  known.heard({ playerState: 3 }, 12_000);
  assert.equal(known.position(20_000), 9);
  assert.ok(known.moves());
});

test("a place it was sent to is believed until it is there, or has had its time", () => {
  const known = new Known();
  known.heard({ playerState: 1, duration: 600, currentTime: 5 }, 0);
  known.goes(300, 1_000);
  known.heard({ currentTime: 6 }, 1_100);
  assert.equal(known.position(1_200), 300);
  known.heard({ currentTime: 300.1 }, 1_400);
  assert.equal(known.position(2_400), 301.1);
  known.goes(20, 3_000);
  known.heard({ currentTime: 302 }, 6_000);
  assert.equal(known.position(6_000), 302, "it did not go");
});

test("what is no number says nothing", () => {
  const known = new Known();
  known.heard({ playerState: "1", duration: Number.NaN, currentTime: null }, 0);
  assert.deepEqual([known.state, known.duration, known.position(5)], [-1, 0, 0]);
});
