// Watches in a real browser: scripts/test-browser. Waits for conditions; prints figures beside.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";
import { accounts } from "./accounts.mjs";
import { films } from "./films.mjs";
import { roomTests } from "./rooms.mjs";
import { stamps } from "./stamps.mjs";
import { youtubeTests } from "./youtube.mjs";

const [bin, modules, shots] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");
const AXE = readFileSync(join(modules, "node_modules/axe-core/axe.min.js"), "utf8");
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
  origins.push("--origin", `127.0.0.1:${port}`);
  return start("server", ...flags, "--listen", `127.0.0.1:${port}`, "--no-announce");
}

/** A library of one movie that has two texts in it, and one beside it. */
function texts() {
  const movies = mkdtempSync(join(folder, "movies-"));
  const srt = (word) => `1\n00:00:01,000 --> 00:00:20,000\n${word}\n`;
  const [text, movie, beside] = ["text.srt", "words.mkv", "words.fr.srt"].map((name) => join(movies, name));
  writeFileSync(text, srt("<i>Hallo</i>"));
  execFileSync("ffmpeg", ["-nostdin", "-loglevel", "error", "-i", "samples/big-buck-bunny-480p-30s.mp4", "-i", text,
    "-map", "0:v", "-map", "0:a", "-map", "1", "-map", "1", "-c", "copy", "-c:s:0", "subrip", "-c:s:1", "ass",
    "-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=ger", "-metadata:s:s:1", `title=${HOSTILE}`, movie]);
  writeFileSync(beside, srt(`Bonjour & ${HOSTILE}`));
  // A file that was just written may not be all there.
  utimesSync(movie, new Date(0), new Date(0));
  return movies;
}

/** A library of pictures without sound that no browser plays by itself. */
function silent() {
  const movies = mkdtempSync(join(folder, "movies-"));
  const movie = join(movies, "silent.mkv");
  execFileSync("ffmpeg", ["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=20",
    "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-g", "25", movie]);
  utimesSync(movie, new Date(0), new Date(0));
  return movies;
}
await origin("--test-pattern", "--size", "640x360", "--name", "pattern");
await origin("--test-pattern", "--size", "640x360", "--codec", "mjpeg", "--name", "camera");
await origin("--test-pattern", "--size", "320x240", "--name", HOSTILE);
await origin("--library", "samples");
await origin("--library", silent());
const reader = await origin("--library", texts());
const [port, http] = [await freePort(), await freePort()];
const relayed = () => start("cache-server", ...origins, "--listen", `127.0.0.1:${port}`, "--http", `127.0.0.1:${http}`,
  "--no-announce", "--cache-dir", join(folder, "cache"), "--dvr", "60s");
let relay = relayed();
const site = `http://127.0.0.1:${http}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
const complaints = [];
/** Streams there are. */
const COUNT = 8;

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection|ERR_/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(new URL(path, site).href);
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

/** What axe finds wrong. */
async function inspect(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(found, [], `${what}: axe complains`);
}

const SIZES = [
  ["phone, dark", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" }],
  ["phone, light", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "light" }],
  ["large, dark", { viewport: { width: 1920, height: 1080 }, colorScheme: "dark" }],
  ["large, light", { viewport: { width: 1920, height: 1080 }, colorScheme: "light" }],
];

const tests = {
  async "the catalogue shows all streams, names are text, and it is used with the keyboard alone"() {
    for (const [name, options] of [["list-dark-phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" }], ["list-light", { colorScheme: "light" }]]) {
      const page = await open("/", options);
      await until(page, (count) => document.querySelectorAll("stream-card").length === count, COUNT);
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
        await until(page, (count) => document.querySelectorAll("stream-card").length === count, COUNT);
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
    const seen = (await stamps(page, 31))[15];
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

  async "nothing keeps anybody out: contrast, labels, sizes"() {
    for (const [size, options] of SIZES) {
      for (const path of ["/", "/?watch=pattern", "/?watch=camera", "/?watch=words", "/?watch=nothing", "/api"]) {
        const page = await open(path, options);
        if (path.startsWith("/?watch") && !path.endsWith("nothing")) {
          await pictures(page, 5);
          await page.keyboard.press("i");
          await until(page, () => document.querySelector(".figures dd"));
          if (path.endsWith("words")) await until(page, () => document.querySelector(".words")?.hidden === false);
        } else {
          await until(page, () => document.querySelector("stream-card, .note, .api tr"));
        }
        await inspect(page, `${path} (${size})`);
        const cut = await page.evaluate(() => [...document.querySelectorAll("button, select, input, a:not(.skip)")].filter((part) => {
          const { left, right, width } = part.getBoundingClientRect();
          return width > 0 && (left < 0 || right > innerWidth);
        }).map((part) => part.getAttribute("aria-label") ?? part.textContent));
        assert.deepEqual(cut, [], `${path} (${size}): out of reach`);
        await shot(page, `${path.replace(/\W+/g, "-")}-${size.replace(/\W+/g, "-")}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} (${size}) is too wide`);
        await page.context().close();
      }
    }
  },

  async "the keyboard reaches everything in order, sees where it is, and gets out again"() {
    const page = await open("/?watch=words");
    await pictures(page, 5);
    await until(page, () => document.querySelector(".words")?.hidden === false);
    const visited = [];
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      const now = await page.evaluate(() => {
        const { activeElement } = document;
        if (!activeElement || activeElement === document.body) return undefined;
        const box = activeElement.getBoundingClientRect();
        const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
        let opacity = 1;
        for (let at = activeElement; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
        return { name: activeElement.getAttribute("aria-label") ?? activeElement.textContent, seen: box.width > 0 && box.left >= 0 && box.right <= innerWidth,
          outlined: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2, opacity };
      });
      if (!now) break;
      visited.push(now.name);
      assert.ok(now.seen && now.outlined, `${now.name}: nobody sees that it has the focus`);
      await until(page, () => [...document.querySelectorAll("player-controls")].every((bar) => !bar.contains(document.activeElement) || getComputedStyle(bar).opacity === "1"));
    }
    const expected = ["Position", "Pause (space)", "10 seconds back (left)", "10 seconds ahead (right)", "Mute (m)", "Volume", "Subtitles", "Speed", "Figures (i)", "Picture in picture (p)", "Full screen (f)"];
    assert.deepEqual(visited.filter((name) => expected.includes(name)), expected, `the order is ${visited.join(", ")}`);
    assert.ok(visited.length < 40, "there is no way out");
    await page.getByRole("slider", { name: "Volume" }).focus();
    const [volume, at] = await page.evaluate(() => [document.querySelector("video").volume, document.querySelector("video").currentTime]);
    await page.keyboard.press("ArrowLeft");
    await until(page, (volume) => document.querySelector("video").volume < volume, volume);
    assert.ok((await state(page)).at >= at, "the volume's arrows seek");
    await page.context().close();
  },

  async "the seek bar shows a place before one goes there"() {
    const page = await open("/?watch=words");
    await pictures(page, 5);
    await page.evaluate(() => document.querySelector("watch-page").controls.marks([{ at: 15, label: "<b>Ana</b>: look" }, { at: 999, label: "beyond" }]));
    const bar = page.getByRole("slider", { name: "Position" });
    const box = await bar.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await until(page, () => document.querySelector(".preview img")?.naturalWidth === 160 && !document.querySelector(".preview").hidden);
    assert.match(await page.locator(".preview").innerText(), /<b>Ana<\/b>: look\s+0:15/);
    const first = await page.evaluate(() => document.querySelector(".preview img").src);
    await shot(page, "preview");
    await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2);
    await until(page, (first) => document.querySelector(".preview img").src !== first, first);
    assert.equal(await page.locator(".marks span").count(), 1);
    await page.mouse.move(10, 10);
    await until(page, () => document.querySelector(".preview").hidden);
    // Who has no pointer hears and sees where the bar is.
    await bar.focus();
    await page.keyboard.press("Home");
    await until(page, () => !document.querySelector(".preview").hidden);
    assert.match(await bar.getAttribute("aria-valuetext"), /^0:\d\d of 0:30$/);
    await page.context().close();
  },

  async "subtitles are chosen, shown, remembered, and there without their origin"() {
    const line = (page, text) => until(page, (text) => document.querySelector(".lines").innerText === text && !document.querySelector(".lines").hidden, text);
    const menu = (page) => until(page, () => document.querySelector(".words")?.hidden === false);
    let page = await open("/?watch=words", { locale: "en" });
    await pictures(page, 5);
    await menu(page);
    assert.deepEqual(await page.locator(".words option").allInnerTexts(), ["No subtitles", "French", "German", `German, ${HOSTILE}`]);
    await page.evaluate(() => document.querySelector("watch-page").seek(5));
    for (const [choice, text] of [["German", "Hallo"], [`German, ${HOSTILE}`, "Hallo"], ["French", `Bonjour & ${HOSTILE}`]]) {
      await page.getByRole("combobox", { name: "Subtitles" }).selectOption(choice);
      await line(page, text.replace("<img src=x onerror=document.title='broken'>", ""));
    }
    await shot(page, "subtitles");
    await page.locator("video").focus().catch(() => {});
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press("c");
    await until(page, () => document.querySelector(".lines").hidden);
    await page.keyboard.press("c");
    await until(page, () => !document.querySelector(".lines").hidden);
    await page.evaluate(() => document.querySelector("watch-page").seek(25));
    await until(page, () => document.querySelector(".lines").hidden);
    await page.keyboard.press("c");
    // Watched once, the relay has them on its disk.
    await stop(reader);
    await stop(relay);
    relay = relayed();
    await ready();
    await page.goto(`${site}/?watch=words`);
    await menu(page);
    await page.getByRole("combobox", { name: "Subtitles" }).selectOption("German");
    await page.evaluate(() => document.querySelector("watch-page").seek(5));
    await line(page, "Hallo");
    await page.reload();
    await page.evaluate(() => 0);
    await menu(page);
    assert.equal(await page.evaluate(() => document.querySelector(".words").selectedOptions[0].label), "German");
    await page.context().close();
  },

  async "volume, speed, full screen, picture in picture, and what is waited for"() {
    const page = await open("/?watch=big-buck-bunny-480p-30s");
    await pictures(page, 5);
    await page.keyboard.press("ArrowDown");
    await until(page, () => Math.abs(document.querySelector("video").volume - 0.95) < 0.01);
    await page.keyboard.press("m");
    await until(page, () => document.querySelector("video").muted && document.querySelector('[aria-label="Unmute (m)"]'));
    await page.getByRole("combobox", { name: "Speed" }).selectOption("1.5");
    assert.equal(await page.evaluate(() => document.querySelector("video").playbackRate), 1.5);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("f");
    await until(page, () => document.fullscreenElement === document.querySelector(".stage"));
    await page.keyboard.press("f");
    await until(page, () => !document.fullscreenElement);
    await page.keyboard.press("p");
    await until(page, () => document.pictureInPictureElement || document.querySelector(".word").textContent.includes("not possible"));
    await page.evaluate(() => document.exitPictureInPicture?.().catch(() => {}));
    let let_go;
    const held = new Promise((resolve) => (let_go = resolve));
    await page.route(/m4s/, async (route) => {
      await held;
      await route.continue().catch(() => {});
    });
    await page.evaluate(() => {
      const { player } = document.querySelector("watch-page");
      player.here.clear();
      player.buffer.remove(0, 1e9);
    });
    await page.evaluate(() => document.querySelector("watch-page").seek(28));
    await until(page, () => document.querySelector(".word").textContent === "loading" && !document.querySelector(".word").hidden);
    await shot(page, "loading");
    let_go();
    await until(page, () => document.querySelector(".word").hidden && document.querySelector("video").currentTime > 28.2);
    await page.context().close();
  },

  async "people register, log in and out, change their password and go"() {
    await accounts({ start, stop, freePort, open, until, shot, pictures, inspect, origins });
  },

  async "people add films over a connection that breaks, and what they added is theirs"() {
    await films({ start, stop, freePort, open, until, shot, pictures, inspect });
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
Object.assign(tests, youtubeTests({ open, until, shot }));
/** Only those with this in their name, where it is said. */
const only = process.env.ONLY ?? "";

/** Until the relay has everything. */
async function ready() {
  for (;;) {
    try {
      if ((await (await fetch(`${site}/streams.json`)).json()).length === COUNT) return;
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
