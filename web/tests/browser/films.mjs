// Films that people add, driven as a person does, over a connection that breaks.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MOVIE = "samples/big-buck-bunny-480p-30s.mp4";
const CONVERTED = "samples/big-buck-bunny-720p-5s.mp4";

/** Between browser and relay: cuts what brings more than so many bytes, once. */
class Wire {
  /** Bytes after which a connection is cut; then none is. */
  cutAfter = Number.POSITIVE_INFINITY;
  cuts = 0;

  async open(port, to) {
    this.server = createServer((near) => {
      const far = connect(to, "127.0.0.1");
      let bytes = 0;
      near.on("data", (chunk) => {
        bytes += chunk.length;
        if (bytes > this.cutAfter) {
          this.cutAfter = Number.POSITIVE_INFINITY;
          this.cuts += 1;
          near.destroy();
          far.destroy();
          this.onCut();
        } else if (!far.write(chunk)) {
          near.pause();
          far.once("drain", () => near.resume());
        }
      });
      far.on("data", (chunk) => near.write(chunk));
      for (const [one, other] of [[near, far], [far, near]]) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
  }
}

/** @param {Record<string, any>} tools of run.mjs */
export async function films({ start, stop, freePort, open, until, shot, pictures, inspect }) {
  const folder = mkdtempSync(join(tmpdir(), "instep-films-"));
  const [native, http, near] = [await freePort(), await freePort(), await freePort()];
  const relayed = () => start("cache-server", "--films", folder, "--listen", `127.0.0.1:${native}`,
    "--http", `127.0.0.1:${http}`, "--no-announce");
  let relay = relayed();
  const wire = new Wire();
  await wire.open(near, http);
  const site = `http://127.0.0.1:${near}`;
  try {
    await answers(site);
    const page = await open(`${site}/`);
    await page.getByRole("button", { name: "Add a film" }).click();
    await inspect(page, "the dialog for films");
    // The connection breaks in the middle, and the relay is away for a while.
    wire.cutAfter = 1_000_000;
    const cut = new Promise((resolve) => { wire.onCut = resolve; });
    await page.locator("add-films input[type=file]").setInputFiles(MOVIE);
    await cut;
    await stop(relay);
    await page.getByText("The connection is lost").first().waitFor();
    await shot(page, "films-lost");
    relay = relayed();
    await page.getByRole("link", { name: /^Watch big-buck-bunny-480p-30s/ }).waitFor();
    assert.equal(wire.cuts, 1);
    assert.ok(stored(folder).equals(readFileSync(MOVIE)), "every byte came, once");
    await converted(page, shot, inspect);
    await refused(page, folder);
    await address(page, await freePort());
    await renamed(page);
    await others(open, until, shot, site);
    await page.getByRole("link", { name: "Watch Ours & <b>theirs</b>", exact: true }).click();
    await pictures(page, 10);
    await page.goBack();
    await removed(page, until);
    await page.context().close();
  } finally {
    wire.server.close();
    await stop(relay);
    rmSync(folder, { recursive: true });
  }
}

async function answers(site) {
  for (;;) {
    try {
      if ((await fetch(`${site}/films.json`)).ok) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The only film that was added. */
function stored(folder) {
  const added = join(folder, "added");
  const [file] = readdirSync(added).filter((name) => name.endsWith(".mp4"));
  return readFileSync(join(added, file));
}

/** What viewers cannot play is converted, and is there then. */
async function converted(page, shot, inspect) {
  await page.locator("add-films input[type=file]").setInputFiles(CONVERTED);
  await page.getByRole("link", { name: /^Watch big-buck-bunny-720p-5s/ }).waitFor();
  await shot(page, "films");
  await inspect(page, "films that were added");
}

async function refused(page, folder) {
  const text = join(folder, ".instep", "text.mp4");
  writeFileSync(text, "no film at all");
  await page.locator("add-films input[type=file]").setInputFiles(text);
  await page.locator("dialog").getByText("Not added: text is not a movie").waitFor();
  await page.getByRole("button", { name: "Dismiss text" }).click();
  await page.getByText("Not added:").waitFor({ state: "detached" });
}

/** What is inside is not fetched, and that is said. */
async function address(page, port) {
  const field = page.getByLabel("Address of a film");
  await field.fill(`http://127.0.0.1:${port}/secret.mp4`);
  await page.keyboard.press("Enter");
  await page.locator("dialog").getByText("is in a network that is not everybody's").waitFor();
  await page.getByRole("button", { name: "Dismiss secret" }).click();
  await field.fill("ftp://example.org/film.mp4");
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "looks like https://" }).waitFor();
}

async function renamed(page) {
  await page.getByRole("button", { name: "Rename big-buck-bunny-480p-30s" }).focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("New title").locator("visible=true").fill("Ours & <b>theirs</b>");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Watch Ours & <b>theirs</b>", exact: true }).waitFor();
}

/** Somebody else, on a phone, sees the films and may not change them. */
async function others(open, until, shot, site) {
  const page = await open(`${site}/`, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" });
  await page.locator("stream-card").getByText("Ours & <b>theirs</b>").waitFor();
  await page.getByRole("button", { name: "Add a film" }).tap();
  await page.getByRole("button", { name: "Choose files" }).waitFor();
  assert.equal(await page.locator("film-row").count(), 0);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");
  await shot(page, "films-phone");
  await page.keyboard.press("Escape");
  await until(page, () => !document.querySelector("dialog.add").open);
  await page.context().close();
}

async function removed(page, until) {
  await page.getByRole("button", { name: "Add a film" }).click();
  page.once("dialog", (asked) => asked.accept());
  await page.getByRole("button", { name: "Remove Ours & <b>theirs</b>" }).click();
  await until(page, () => document.querySelectorAll("stream-card").length === 1);
}
