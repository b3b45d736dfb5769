// From capture to what is seen, live, for a page, for hls.js and for the native client, and how soon the
// first picture is there: scripts/bench lag. The test pattern bears the time of its capture
// (docs/TEST-PATTERN.md), and all of them run on one machine, so that they share its clock.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Site } from "./site.mjs";
import { stamps } from "./stamps.mjs";

const [bin, modules] = process.argv.slice(2);
const require = createRequire(join(modules, "x.js"));
const { chromium } = require("playwright-core");
const HLS = readFileSync(require.resolve("hls.js/dist/hls.min.js"), "utf8");
const MOVIE = "big-buck-bunny-480p-30s";
/** Pages opened for the first picture, pictures looked at, and how long each settles, milliseconds. */
const OPENED = 11;
const LOOKS = 301;
const SETTLE = 10_000;

const site = new Site(bin);
await site.origin("--test-pattern", "--size", "640x360", "--name", "pattern");
await site.origin("--library", "samples");
await site.relay(4, MOVIE);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const rest = (time) => new Promise((resolve) => setTimeout(resolve, time));

const said = (list) => `${list[list.length >> 1]} ms (median), ${list[Math.floor(list.length * 0.95)]} ms (95 %)`;

async function first(path) {
  const times = [];
  for (let i = 0; i < OPENED; i += 1) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(site.url + path);
    await page.waitForFunction(() => document.querySelector("watch-page")?.dataset.first, undefined, { polling: 20 });
    times.push(await page.evaluate(() => Number(document.querySelector("watch-page").dataset.first)));
    await context.close();
  }
  return `${middle(times)} ms (median of ${OPENED}), ${Math.max(...times)} ms at most`;
}

async function ours() {
  const page = await browser.newPage();
  await page.goto(`${site.url}/?watch=pattern`);
  await page.waitForFunction(() => Number(document.querySelector("watch-page")?.dataset.pictures) > 30);
  await rest(SETTLE);
  const list = await stamps(page, LOOKS);
  await page.close();
  return said(list);
}

async function theirs() {
  const page = await browser.newPage();
  await page.goto(`${site.url}/api`);
  await page.evaluate(HLS);
  await page.evaluate(() => new Promise((resolve, reject) => {
    const video = document.createElement("video");
    document.body.replaceChildren(video);
    const hls = new globalThis.Hls({ enableWorker: false });
    hls.on("hlsError", (_, data) => data.fatal && reject(new Error(data.details)));
    video.addEventListener("playing", resolve, { once: true });
    hls.loadSource("/streams/pattern.m3u8");
    hls.attachMedia(video);
    void video.play();
  }));
  await rest(SETTLE);
  const list = await stamps(page, LOOKS);
  await page.close();
  return said(list);
}

/** What the native client says of itself. */
async function native() {
  const client = spawn(join(bin, "client"), ["--connect", site.native, "--stream", "pattern", "--headless", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const delays = [];
  for await (const line of createInterface({ input: client.stdout })) {
    const { state, delay_ms, elapsed_s } = JSON.parse(line);
    if (state === "playing" && elapsed_s * 1000 > SETTLE) delays.push(Math.round(delay_ms));
    if (delays.length === 10) client.kill();
  }
  return said(delays.sort((a, b) => a - b));
}

try {
  console.log("| | |\n| --- | --- |");
  console.log(`| page to first picture, live | ${await first("/?watch=pattern")} |`);
  console.log(`| page to first picture, recorded | ${await first(`/?watch=${MOVIE}`)} |`);
  console.log(`| capture to shown, page by WebSocket | ${await ours()} |`);
  console.log(`| capture to shown, hls.js on our HLS | ${await theirs()} |`);
  console.log(`| capture to shown, native client with its default | ${await native()} |`);
} finally {
  await browser.close();
  await site.close();
}
