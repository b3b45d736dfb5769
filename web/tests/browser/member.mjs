// Goes into a room with Chromium and stays there, to be listened to: tests/benches/together.
//   node member.mjs MODULES SITE CODE
import { join } from "node:path";
import { createRequire } from "node:module";

const [modules, site, code] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  ignoreDefaultArgs: ["--mute-audio"],
  args: ["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => void browser.close().then(() => process.exit(0)));
const page = await browser.newPage();
page.on("pageerror", (error) => console.log(`complaint: ${error.message}`));
await page.goto(`${site}/?room=${code}`);
await page.getByLabel("Your name").fill("Browser");
await page.getByRole("button", { name: "Come in" }).click();
// It plays, and has looked where it is.
await page.waitForFunction(() => {
  const stage = document.querySelector("room-stage");
  return stage?.ready && !stage.video.paused && Math.abs(Number(stage.dataset.late)) < 50 && stage.video.currentTime > 1;
}, undefined, { timeout: 60_000, polling: 100 });
console.log("in step");
for (;;) {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const now = await page.evaluate(() => {
    const { dataset, video, follower } = document.querySelector("room-stage");
    return { ...dataset, rate: video.playbackRate, startup: follower.startup, at: video.currentTime };
  });
  console.log(JSON.stringify(now));
}
