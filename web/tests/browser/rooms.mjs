// Rooms in a real browser, with a native viewer among them: a part of scripts/test-browser.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";

const FILM = "big-buck-bunny-480p-30s";

/** @param {any} kit what run.mjs has for all */
export function roomTests({ open, until, shot, start, stop, restart, port }) {
  /** Goes in with what the door asks for. */
  async function enter(page, name, pin = "") {
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("PIN", { exact: false }).first().fill(pin);
    await page.getByRole("button", { name: "Come in" }).click();
  }

  const inside = (page) => until(page, () => document.querySelector("room-panel"));
  const plays = (page) => until(page, () => {
    const stage = document.querySelector("room-stage");
    return stage?.ready && !stage.video.paused && stage.video.currentTime > 0.5;
  });
  const says = (page, words) => until(page, (words) => document.querySelector(".log")?.textContent.includes(words), words);

  async function type(page, words) {
    await page.getByLabel("Say something").fill(words);
    await page.keyboard.press("Enter");
  }

  /** A room of the film that a page makes: the page, and the room's code. */
  async function made(name, { settings = async () => {}, options } = {}) {
    const page = await open(`/?watch=${FILM}`, options);
    await page.getByRole("link", { name: "Watch together" }).click();
    await page.getByLabel("Your name").fill(name);
    await settings(page);
    await page.getByRole("button", { name: "Make a room" }).click();
    await inside(page);
    const code = new URL(page.url()).searchParams.get("room");
    assert.match(code, /^[2-9A-Z]{10}$/);
    return { page, code };
  }

  /** A native viewer in a room; what it says comes through `heard`. */
  function native(code, name, pin, ...flags) {
    const more = pin ? ["--pin", pin, ...flags] : flags;
    const child = start("client", "--connect", `127.0.0.1:${port}`, "--room", code, "--name", name, ...more, "--headless", "--json", "--no-audio");
    const lines = [];
    for (const pipe of [child.stdout, child.stderr]) createInterface({ input: pipe }).on("line", (line) => lines.push(line));
    child.heard = async (words) => {
      for (let i = 0; i < 600; i += 1) {
        if (lines.some((line) => line.includes(words))) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`the native viewer never said '${words}':\n${lines.join("\n")}`);
    };
    return child;
  }

  /** By how much a page's pictures are late against the room's timeline, milliseconds: the median of some. */
  const pictures = (page) => page.evaluate(() => new Promise((resolve) => {
    const { seat, player, video } = document.querySelector("room-stage");
    const late = [];
    const look = (_, { expectedDisplayTime, mediaTime }) => {
      const now = expectedDisplayTime + seat.offset();
      const { anchor_us, position_us, delay_us } = seat.timelines.at(now);
      const recorded = () => position_us / 1000 + now - anchor_us / 1000;
      const live = () => now - delay_us / 1000 - player.base;
      late.push((player.live ? live() : recorded()) - mediaTime * 1000);
      if (late.length < 61) video.requestVideoFrameCallback(look);
      else resolve(late.sort((a, b) => a - b)[30]);
    };
    video.requestVideoFrameCallback(look);
  }));

  return {
    async "two pages and a native viewer are in one room, in step, and hold one remote control"() {
      const { page: ana, code } = await made("Ana", { settings: (page) => page.getByLabel("PIN", { exact: false }).first().fill("4711") });
      await shot(ana, "room-alone");
      const list = await open("/", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
      await until(list, () => document.querySelector("open-rooms li a"));
      await shot(list, "rooms-phone");
      await list.context().close();

      const ben = await open(`/?room=${code.toLowerCase()}`, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" });
      await enter(ben, "Ben", "0000");
      await until(ben, () => document.querySelector("[role=alert]:not([hidden])")?.textContent.includes("PIN is wrong"));
      await shot(ben, "door-wrong-phone");
      await enter(ben, "Ben", "4711");
      await inside(ben);
      const nora = native(code, "Nora", "4711");
      await nora.heard("you are in room");
      for (const page of [ana, ben]) {
        await says(page, "Nora joined");
        await plays(page);
      }
      // Whoever came while it played has had a moment to come into step.
      for (const page of [ana, ben]) await until(page, () => Math.abs(Number(document.querySelector("room-stage").dataset.late)) < 15);
      const late = [await pictures(ana), await pictures(ben)];
      console.log(`  in a room: pictures are ${late.map((ms) => ms.toFixed(0)).join(" and ")} ms late against the timeline`);
      assert.ok(late.every((ms) => Math.abs(ms) < 100), `${late} ms`);

      await type(ana, "<b>look</b>");
      await says(ben, "<b>look</b>");
      await nora.heard("Ana: <b>look</b>");
      assert.equal(await ben.locator(".log b", { hasText: "look" }).count(), 0, "chat became markup");
      await ben.getByRole("button", { name: "applauds" }).click();
      await nora.heard("Ben applauds");
      // A finger first asks for the bar.
      await ben.evaluate(() => document.querySelector("room-stage").wake());
      await ben.getByRole("button", { name: "Pause" }).click();
      for (const page of [ana, ben]) await until(page, () => document.querySelector("room-stage").video.paused);
      const [a, b] = await Promise.all([ana, ben].map((page) => page.evaluate(() => document.querySelector("room-stage").video.currentTime)));
      assert.ok(Math.abs(a - b) < 0.1, `they stand at ${a} and ${b} s`);
      await says(ana, "Ben paused at");
      await ana.evaluate(() => document.querySelector("room-stage").seek(20));
      for (const page of [ana, ben]) await until(page, () => Math.abs(document.querySelector("room-stage").video.currentTime - 20) < 0.1);
      await nora.heard("Ana went to 0:20");
      await ana.evaluate(() => document.activeElement.blur());
      await ana.keyboard.press(" ");
      for (const page of [ana, ben]) await plays(page);
      assert.ok(await ana.evaluate(() => document.querySelectorAll(".marks span").length) > 0, "what was said is marked on the bar");
      await shot(ana, "room");
      await shot(ben, "room-phone");
      assert.ok(await ben.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");

      // Out by the host, and no way back by the token.
      await ana.getByLabel("What to do with Ben").click();
      await ana.getByRole("button", { name: "Send out: Ben" }).click();
      await until(ben, () => document.querySelector(".note")?.textContent.length > 10 && !document.querySelector("room-panel"));
      await nora.heard("Ben was sent out");
      await ana.getByRole("button", { name: "Leave" }).click();
      await until(ana, () => document.querySelector(".note")?.textContent.includes("left the room"));
      await nora.heard("Nora is host now");
      await stop(nora);
      await Promise.all([ana, ben].map((page) => page.context().close()));
    },

    async "who knocks waits for the host, who opens or sends away"() {
      const { page: ana, code } = await made("Ana", { settings: (page) => page.getByLabel("knocks", { exact: false }).check() });
      const ben = await open(`/?room=${code}`);
      await enter(ben, "Ben");
      await until(ben, () => document.querySelector(".note")?.textContent.includes("You have knocked"));
      await until(ana, () => document.querySelector(".knocks li"));
      await shot(ana, "knock");
      await ana.getByRole("button", { name: "Turn away: Ben" }).click();
      await until(ben, () => document.querySelector("[role=alert]:not([hidden])"));
      await enter(ben, "Ben");
      await ana.getByRole("button", { name: "Let in: Ben" }).click();
      await inside(ben);
      await says(ana, "Ben joined");
      await Promise.all([ana, ben].map((page) => page.context().close()));
    },

    async "a page comes back to its room: after a reload, and when the relay was restarted"() {
      const { page: ana, code } = await made("Ana");
      await plays(ana);
      await type(ana, "before");
      await says(ana, "before");
      await ana.reload();
      await inside(ana);
      await plays(ana);
      await restart();
      await until(ana, () => !document.querySelector("room-stage").seat.here);
      await until(ana, () => document.querySelector("room-stage").seat.here);
      const members = await ana.evaluate(() => document.querySelector("room-stage").seat.members.map(({ name }) => name));
      assert.deepEqual(members, ["Ana"], "it is who it was");
      assert.equal(new URL(ana.url()).searchParams.get("room"), code);
      await ana.context().close();
    },

    async "JPEGs without sound are watched together, too"() {
      const page = await open("/?together=silent");
      await page.getByLabel("Your name").fill("Ana");
      await page.getByRole("button", { name: "Make a room" }).click();
      await inside(page);
      const goes = () => until(page, () => document.querySelector("room-stage").seat.timelines?.newest().going === "playing");
      const at = () => page.evaluate(() => document.querySelector("room-stage").player.position());
      await goes();
      const before = await at();
      await until(page, (before) => document.querySelector("room-stage").player.position() > before + 1, before);
      await page.evaluate(() => document.querySelector("room-stage").deeds().seek(10));
      await until(page, () => document.querySelector("room-stage").player.position() >= 10);
      await goes();
      assert.ok((await page.evaluate(() => document.querySelector("room-stage").player.pictures.drawn)) > 0);
      await page.context().close();
    },

    async "a live stream is watched together with one delay"() {
      const page = await open("/?together=pattern");
      await page.getByLabel("Your name").fill("Ana");
      await page.getByRole("button", { name: "Make a room" }).click();
      await inside(page);
      const code = new URL(page.url()).searchParams.get("room");
      const ben = await open(`/?room=${code}`);
      await enter(ben, "Ben");
      await inside(ben);
      for (const one of [page, ben]) {
        await plays(one);
        await until(one, () => Math.abs(Number(document.querySelector("room-stage").dataset.late)) < 15);
      }
      const late = [await pictures(page), await pictures(ben)];
      const delay = await ben.evaluate(() => document.querySelector("room-stage").seat.timelines.newest().delay_us / 1000);
      console.log(`  live in a room: pictures are ${late.map((ms) => ms.toFixed(0)).join(" and ")} ms late against its delay of ${delay} ms`);
      assert.ok(late.every((ms) => Math.abs(ms) < 100), `${late} ms`);
      await shot(page, "room-live");
      await Promise.all([page, ben].map((one) => one.context().close()));
    },

    async "what is sealed with a passphrase is read by who has it, natively and in pages"() {
      const settings = (page) => page.getByLabel("Passphrase for the talk").fill("open sesame");
      const { page: ana, code } = await made("Ana", { settings });
      const cleo = native(code, "Cleo", "", "--secret", "open sesame");
      await cleo.heard("you are in room");
      await plays(ana);
      await type(ana, "from the page");
      await cleo.heard("Ana: from the page");
      const ben = await open(`/?room=${code}`);
      await enter(ben, "Ben");
      await inside(ben);
      await says(ben, "(sealed)");
      const passphrase = ben.getByLabel("Passphrase of this room");
      await passphrase.fill("close sesame");
      await passphrase.press("Enter");
      await until(ben, () => document.querySelector(".talk").textContent.includes("not its passphrase"));
      await passphrase.fill("open sesame");
      await passphrase.press("Enter");
      await says(ben, "from the page");
      assert.ok(!(await ben.locator(".log").innerText()).includes("(sealed)"));
      await type(ben, "so do I");
      await says(ana, "so do I");
      await cleo.heard("Ben: so do I");
      await stop(cleo);
      await Promise.all([ana, ben].map((page) => page.context().close()));
    },

    async "a film of one's own is led by the room, and it is said when it is another cut"() {
      const { page: ana } = await made("Ana");
      await plays(ana);
      await ana.getByText("A copy of your own").click();
      await ana.getByLabel("Play a file of your own").setInputFiles(`samples/${FILM}.mp4`);
      await until(ana, () => document.querySelector("room-panel .own").textContent.includes("as long as the room's film"));
      await until(ana, () => document.querySelector("room-stage").video.src.startsWith("blob:"));
      await plays(ana);
      await until(ana, () => Math.abs(Number(document.querySelector("room-stage").dataset.late)) < 50);
      await shot(ana, "own-copy");
      await ana.context().close();
    },
  };
}
