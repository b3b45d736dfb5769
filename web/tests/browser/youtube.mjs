// A room that watches a video on YouTube, whose player is played by a page of our own that speaks as
// it does: a part of scripts/test-browser. What the real one does is not seen here.
import assert from "node:assert/strict";

const HOME = "https://www.youtube-nocookie.com";

/** The player as its messages make it: state, position, duration. */
const PLAYER = `<!doctype html><title>player</title><script>
  let [state, position, since, rate, listener] = [5, 0, performance.now(), 1, undefined];
  const at = () => (state === 1 ? position + (performance.now() - since) / 1000 * rate : position);
  const keep = (to) => { [position, since] = [to, performance.now()]; };
  const say = () => listener?.postMessage(JSON.stringify({ event: "infoDelivery", info: { playerState: state, currentTime: at(), duration: 600, playbackRate: rate } }), "*");
  const does = {
    playVideo: () => { keep(at()); state = 1; },
    pauseVideo: () => { keep(at()); state = 2; },
    seekTo: (to) => { keep(to); },
    setPlaybackRate: (to) => { keep(at()); rate = to; },
  };
  addEventListener("message", ({ data, source }) => {
    const word = JSON.parse(data);
    listener = source;
    if (word.event === "command") does[word.func]?.(...word.args);
    say();
  });
  setInterval(say, 250);
  window.player = () => ({ state, at: at(), rate });
</script>`;

/** @param {any} kit what run.mjs has for all */
export function youtubeTests({ open, until, shot }) {
  const asked = new Map();

  /** A page at which YouTube is ours. */
  async function page(path) {
    const opened = await open("/");
    asked.set(opened, 0);
    await opened.context().route(`${HOME}/**`, (route) => {
      asked.set(opened, asked.get(opened) + 1);
      return route.fulfill({ contentType: "text/html", body: PLAYER });
    });
    if (path) await opened.goto(new URL(path, opened.url()).href);
    return opened;
  }

  async function load(one) {
    await one.getByRole("button", { name: "Load the video from YouTube" }).click();
    await one.waitForSelector(".youtube iframe");
  }

  /** What its player does. */
  const player = (one) => one.frames().find((frame) => frame.url().startsWith(HOME))?.evaluate(() => window.player());

  async function when(one, is) {
    for (let i = 0; i < 600; i += 1) {
      const now = await player(one);
      if (now && is(now)) return now;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the player does ${JSON.stringify(await player(one))}`);
  }

  return {
    async "a video on YouTube is watched together, once somebody says so"() {
      const ana = await page();
      await ana.getByLabel("Link of a video on YouTube").fill("https://example.com/watch?v=a-b_c1234Z9");
      await ana.getByRole("button", { name: "Watch it together" }).click();
      await until(ana, () => document.querySelector("open-rooms .wrong")?.hidden === false);
      await ana.getByLabel("Link of a video on YouTube").fill("https://youtu.be/a-b_c1234Z9?si=share");
      await ana.getByRole("button", { name: "Watch it together" }).click();
      await ana.getByLabel("Your name").fill("Ana");
      await ana.getByRole("button", { name: "Make a room" }).click();
      await until(ana, () => document.querySelector("room-panel"));
      const code = new URL(ana.url()).searchParams.get("room");
      const ben = await page(`/?room=${code}`);
      await ben.getByLabel("Your name").fill("Ben");
      await ben.getByRole("button", { name: "Come in" }).click();
      await until(ben, () => document.querySelector("room-panel"));
      await shot(ben, "youtube");
      assert.deepEqual([asked.get(ana), asked.get(ben)], [0, 0], "nothing is asked of YouTube before");
      for (const one of [ana, ben]) await load(one);
      for (const one of [ana, ben]) await when(one, ({ state, at }) => state === 1 && at > 0.5);
      assert.match(await ana.frames()[1].evaluate(() => location.href), /\/embed\/a-b_c1234Z9\?enablejsapi=1/);

      const bar = ben.getByRole("slider", { name: "Position" });
      await bar.fill("300");
      for (const one of [ana, ben]) await when(one, ({ state, at }) => state === 1 && at > 299.5 && at < 330);
      const [first, second] = await Promise.all([player(ana), player(ben)]);
      assert.ok(Math.abs(first.at - second.at) < 1, `${first.at} and ${second.at}`);
      await ana.getByRole("button", { name: "Pause (space)" }).click();
      const stood = [];
      for (const one of [ana, ben]) stood.push((await when(one, ({ state }) => state === 2)).at);
      assert.ok(Math.abs(stood[0] - stood[1]) < 1, `${stood}`);
      await Promise.all([ana, ben].map((one) => one.context().close()));
    },
  };
}
