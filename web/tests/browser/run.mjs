// Watches in a real browser: scripts/test-browser. Waits for conditions; prints figures beside.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";
import { roomTests } from "./rooms.mjs";

const [bin, modules, shots] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");
const HOSTILE = `<img src=x onerror=document.title='broken'>&"'%2e`;
const folder = mkdtempSync(join(tmpdir(), "instep-browser-"));
const children = new Set();

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function start(program, ...flags) {
  const child = spawn(join(bin, program), flags, { stdio: ["ignore", program === "client" ? "pipe" : "ignore", "pipe"], env: { ...process.env, RUST_LOG: "error" } });
  child.stderr.pipe(process.stderr);
  children.add(child);
  return child;
}

function stop(child) {
  children.delete(child);
  return new Promise((resolve) => {
    child.once("exit", resolve);
    child.kill();
  });
}

const origins = [];
async function origin(...flags) {
  const port = await freePort();
  start("server", ...flags, "--listen", `127.0.0.1:${port}`, "--no-announce");
  origins.push("--origin", `127.0.0.1:${port}`);
}
await origin("--test-pattern", "--size", "640x360", "--name", "pattern");
await origin("--test-pattern", "--size", "640x360", "--codec", "mjpeg", "--name", "camera");
await origin("--test-pattern", "--size", "320x240", "--name", HOSTILE);
await origin("--library", "samples");
const [port, http] = [await freePort(), await freePort()];
const relayed = () => start("cache-server", ...origins, "--listen", `127.0.0.1:${port}`, "--http", `127.0.0.1:${http}`,
  "--no-announce", "--cache-dir", folder, "--dvr", "60s");
let relay = relayed();
const site = `http://127.0.0.1:${http}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
const complaints = [];

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection|ERR_/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(site + path);
  return page;
}

/** Waits until something is true in the page. */
const until = (page, condition, what) => page.waitForFunction(condition, what, { timeout: 60_000, polling: 50 });
const state = (page) => page.evaluate(() => {
  const { video, player, dataset } = document.querySelector("watch-page");
  return { ...dataset, at: video.currentTime, live: player.live, paused: video.paused };
});
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
const pictures = (page, count) => until(page, (count) => Number(document.querySelector("watch-page")?.dataset.pictures) >= count, count);

/** Milliseconds from capture to display of so many pictures, read from the pictures themselves
 * (docs/TEST-PATTERN.md): the page is on the machine of the test pattern, whose clock it shares. */
const stamped = (page, count) => page.evaluate((count) => new Promise((resolve) => {
  const { video } = document.querySelector("watch-page");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const found = [];
  const look = () => {
    const now = Date.now();
    draw.drawImage(video, 0, 0);
    const { width, height } = canvas;
    const edge = (n, side, blocks) => Math.floor((n * side) / blocks);
    const bright = [];
    for (let row = 3; row < 9; row += 1) {
      for (let column = 3; column < 19; column += 1) {
        const [left, right] = [edge(column, width, 64), edge(column + 1, width, 64)];
        const [top, bottom] = [edge(row, height, 36), edge(row + 1, height, 36)];
        bright.push(draw.getImageData((left + right) >> 1, (top + bottom) >> 1, 1, 1).data[1]);
      }
    }
    const middle = (Math.min(...bright) + Math.max(...bright)) / 2;
    const bits = bright.map((level) => (level > middle ? 1n : 0n));
    const captured = Number(bits.slice(32, 80).reduce((sum, bit) => sum * 2n + bit, 0n));
    if (Math.abs(now - captured) < 60_000) found.push(now - captured);
    if (found.length < count) video.requestVideoFrameCallback(look);
    else resolve(found.sort((a, b) => a - b)[count >> 1]);
  };
  video.requestVideoFrameCallback(look);
}), count);

const tests = {
  async "the catalogue shows all streams, names are text, and it is used with the keyboard alone"() {
    for (const [name, options] of [["list-dark-phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" }], ["list-light", { colorScheme: "light" }]]) {
      const page = await open("/", options);
      await until(page, (count) => document.querySelectorAll("stream-card").length === count, 6);
      // Pictures come where somebody can see them.
      const seen = options.isMobile ? 2 : 5;
      await until(page, (seen) => [...document.querySelectorAll("stream-card img")].filter((img) => img.naturalWidth > 0).length >= seen, seen);
      assert.equal(await page.title(), "instep", "a name became markup");
      assert.equal(await page.locator("stream-card img[src=x]").count(), 0);
      assert.ok(await page.getByText(HOSTILE, { exact: false }).count() > 0);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");
      await shot(page, name);
      if (!options.isMobile) {
        await page.keyboard.press("Tab"); // to the content
        for (let i = 0; i < 20; i += 1) {
          if ((await page.evaluate(() => document.activeElement?.getAttribute("href"))) === "/?watch=pattern") break;
          await page.keyboard.press("Tab");
        }
        await page.keyboard.press("Enter");
        await pictures(page, 5);
        await page.keyboard.press(" ");
        await until(page, () => document.querySelector("watch-page").video.paused);
        await page.goBack();
        await until(page, (count) => document.querySelectorAll("stream-card").length === count, 6);
        await page.getByRole("searchbox").fill("bunny");
        await until(page, () => document.querySelectorAll("stream-card:not([hidden])").length === 2);
      }
      await page.context().close();
    }
  },

  async "a live stream plays, its delay is known, and it can be watched from earlier"() {
    const page = await open("/?watch=pattern");
    await pictures(page, 240);
    await until(page, () => Number(document.querySelector("watch-page").dataset.delay) > 0);
    const seen = await stamped(page, 31);
    const now = await state(page);
    console.log(`  live: first picture after ${now.first} ms, ${now.delay} ms from capture to presentation by the page's figures, ${seen} ms by the pictures', ${now.stalls} stalls`);
    assert.ok(Math.abs(seen - now.delay) < 150, "the page's figure is wrong");
    await page.keyboard.press("i");
    await until(page, () => document.querySelector(".figures dd"));
    await shot(page, "live");
    await until(page, () => document.querySelector("watch-page").bounds().end > 3);
    await page.keyboard.press("ArrowLeft");
    await until(page, () => !document.querySelector("watch-page").player.live && document.querySelector("watch-page").video.readyState >= 3);
    await pictures(page, Number((await state(page)).pictures) + 10);
    await shot(page, "live-back");
    await page.getByRole("button", { name: "Live", exact: true }).click();
    await until(page, () => document.querySelector("watch-page").player.live && Number(document.querySelector("watch-page").dataset.delay) > 0);
    await page.context().close();
  },

  async "JPEGs are drawn on a canvas with sound beside them"() {
    const page = await open("/?watch=camera", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" });
    await pictures(page, 60);
    const drawn = await page.evaluate(() => {
      const { canvas, video, player } = document.querySelector("watch-page");
      return { width: canvas.width, hidden: canvas.hidden, apart: Math.abs(player.pictures.shown - video.currentTime), ...document.querySelector("watch-page").dataset };
    });
    assert.equal(drawn.width, 640);
    assert.ok(!drawn.hidden && drawn.apart < 0.15, `pictures and sound are ${drawn.apart} s apart`);
    console.log(`  JPEGs: first picture after ${drawn.first} ms, ${drawn.delay} ms from capture to presentation, ${Math.round(drawn.apart * 1000)} ms from their sound`);
    await shot(page, "jpegs-phone");
    await page.context().close();
  },

  async "a recording plays from any point, faster, and to its end"() {
    const page = await open("/?watch=big-buck-bunny-480p-30s", { colorScheme: "dark" });
    await pictures(page, 10);
    console.log(`  recorded: first picture after ${(await state(page)).first} ms`);
    const before = Number((await state(page)).pictures);
    await page.evaluate(() => document.querySelector("watch-page").seek(20));
    await until(page, () => document.querySelector("watch-page").video.currentTime > 20.3);
    assert.ok(Number((await state(page)).pictures) > before);
    await page.keyboard.press("Home");
    await until(page, () => document.querySelector("watch-page").video.currentTime < 5);
    await page.keyboard.press("]");
    assert.equal(await page.evaluate(() => document.querySelector("watch-page").video.playbackRate), 1.25);
    await pictures(page, Number((await state(page)).pictures) + 10);
    await shot(page, "recorded");
    await page.evaluate(() => document.querySelector("watch-page").seek(28));
    await until(page, () => document.querySelector("watch-page").video.ended);
    await page.context().close();
  },

  async "a relay that comes back is watched on"() {
    const page = await open("/?watch=pattern");
    await pictures(page, 10);
    await stop(relay);
    await until(page, () => document.querySelector("watch-page").word.textContent.includes("trying again"));
    await shot(page, "away");
    const before = Number((await state(page)).pictures);
    relay = relayed();
    await pictures(page, before + 30);
    await page.context().close();
  },
};
async function restart() {
  await stop(relay);
  relay = relayed();
  await ready();
}
Object.assign(tests, roomTests({ open, until, shot, start, stop, restart, port }));
/** Only those with this in their name, where it is said. */
const only = process.env.ONLY ?? "";

/** Until the relay has everything. */
async function ready() {
  for (;;) {
    try {
      if ((await (await fetch(`${site}/streams.json`)).json()).length === 6) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

let failed = 0;
try {
  await ready();
  for (const [name, test] of Object.entries(tests).filter(([name]) => name.includes(only))) {
    complaints.length = 0;
    try {
      await test();
      assert.deepEqual(complaints, [], "the browser complains");
      console.log(`ok: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name}\n${error.stack}`);
    }
  }
} finally {
  await browser.close();
  await Promise.all([...children].map(stop));
  rmSync(folder, { recursive: true });
}
process.exitCode = failed === 0 ? 0 : 1;
