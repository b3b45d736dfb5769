// Accounts, driven as a person does.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAME = "Ana O'Neil";

/** @param {Record<string, any>} tools of run.mjs */
export async function accounts({ start, stop, freePort, open, until, shot, pictures, inspect, origins }) {
  const folder = mkdtempSync(join(tmpdir(), "instep-accounts-"));
  const [port, http] = [await freePort(), await freePort()];
  const flags = [...origins, "--listen", `127.0.0.1:${port}`, "--http", `127.0.0.1:${http}`, "--no-announce", "--cache-dir", folder];
  const site = `http://127.0.0.1:${http}`;
  const relay = start("cache-server", ...flags, "--accounts", "required");
  try {
    await answers(site);
    const page = await open(`${site}/?watch=pattern`);
    await register(page, until, shot, inspect);
    // Where the address led is shown then.
    await pictures(page, 5);
    await session(page, site);
    await password(page, until, shot, inspect);
    await leave(page, until, shot);
    await page.context().close();
    await onPhone(open, until, shot, site);
  } finally {
    await stop(relay);
    rmSync(folder, { recursive: true });
  }
}

async function answers(site) {
  for (;;) {
    try {
      if ((await fetch(`${site}/account.json`)).ok) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const field = (page, name) => page.getByLabel(name, { exact: true });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const wrong = (page, part) => page.getByRole("alert").filter({ hasText: part }).waitFor();

async function register(page, until, shot, inspect) {
  await until(page, () => document.activeElement?.getAttribute("autocomplete") === "username");
  assert.equal(await page.locator("stream-card, watch-page, account-menu button:visible").count(), 0);
  await shot(page, "log-in");
  await inspect(page, "log-in");
  await field(page, "Name").fill(NAME);
  await field(page, "Password").fill("correct horse");
  await page.keyboard.press("Enter");
  await wrong(page, "The name or the password is wrong.");
  await press(page, "Make an account");
  assert.equal(await field(page, "Name").inputValue(), NAME, "what was typed stays");
  await field(page, "Password").fill("short");
  await page.keyboard.press("Enter");
  await wrong(page, "at least 8 characters");
  await field(page, "Password").fill("correct horse");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: `Account of ${NAME}` }).waitFor();
}

async function session(page, site) {
  const [cookie] = await page.context().cookies(site);
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  assert.ok(!(await page.evaluate(() => document.cookie)).includes(cookie.value));
  // A link from elsewhere leads in, though the cookie does not come with it.
  const other = await page.context().newPage();
  await other.goto("data:text/html,<a href='" + site + "/'>in</a>");
  await other.getByRole("link").click();
  await other.getByRole("button", { name: `Account of ${NAME}` }).waitFor();
  await other.close();
}

async function password(page, until, shot, inspect) {
  // With the keyboard alone.
  await page.getByRole("button", { name: `Account of ${NAME}` }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await shot(page, "account");
  await page.keyboard.press("Escape");
  assert.ok(await page.evaluate(() => document.activeElement?.closest("account-menu")), "the focus comes back");
  await page.keyboard.press("Enter");
  await press(page, "Change the password");
  await until(page, () => document.activeElement?.getAttribute("autocomplete") === "current-password");
  await page.keyboard.type("correct horse");
  await page.keyboard.press("Tab");
  await page.keyboard.type("battery staple");
  await shot(page, "password");
  await inspect(page, "password");
  await page.keyboard.press("Enter");
  await until(page, () => !document.querySelector("dialog[open]"));
}

async function leave(page, until, shot) {
  await page.getByRole("button", { name: `Account of ${NAME}` }).click();
  await press(page, "Log out");
  await page.locator("log-in-page").waitFor();
  await field(page, "Name").fill(NAME.toUpperCase());
  await field(page, "Password").fill("battery staple");
  await press(page, "Log in");
  await page.getByRole("button", { name: `Account of ${NAME}` }).click();
  await press(page, "Delete the account");
  await page.getByLabel("Password", { exact: true }).fill("battery staple");
  await shot(page, "delete");
  await press(page, "Delete it");
  await page.locator("log-in-page").waitFor();
}

async function onPhone(open, until, shot, site) {
  const page = await open(`${site}/`, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" });
  await page.locator("log-in-page").waitFor();
  await press(page, "Make an account");
  await field(page, "Name").fill("A name of forty characters, just so long".replace(",", ""));
  await field(page, "Password").fill("correct horse");
  await shot(page, "register-phone");
  await press(page, "Make it");
  await until(page, () => document.querySelectorAll("stream-card").length > 0);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");
  await shot(page, "list-phone-account");
  await page.context().close();
}
