// The bar below the picture: buttons, the place in a recording, volume, speed.
import { Preview } from "./preview.js";
import { clock, element } from "./text.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** Drawings of 24 by 24 units. */
const SIGNS = {
  play: "M7 4v16l13-8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  sound: "M4 9v6h4l5 5V4L8 9zM16 8a5 5 0 0 1 0 8M18.5 5a9 9 0 0 1 0 14",
  silent: "M4 9v6h4l5 5V4L8 9zM16 9l6 6M22 9l-6 6",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  window: "M3 5h18v14H3zM12 12h7v5h-7z",
  facts: "M12 11v6M12 7.5v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  back: "M11 6l-7 6 7 6zM20 6l-7 6 7 6z",
  ahead: "M4 6l7 6-7 6zM13 6l7 6-7 6z",
};

/** @param {keyof typeof SIGNS} name */
function sign(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const drawing = document.createElementNS(space, "path");
  drawing.setAttribute("d", SIGNS[name]);
  svg.append(drawing);
  return svg;
}

/**
 * @param {keyof typeof SIGNS} name @param {string} label @param {() => void} act
 */
function button(name, label, act) {
  const made = element("button", { type: "button", title: label, "aria-label": label, onclick: act }, sign(name));
  return made;
}

/**
 * What can be done, for the bar and the keyboard alike.
 * @typedef {object} Deeds
 * @property {() => void} toggle play or pause
 * @property {(by: number) => void} skip seconds
 * @property {(to: number) => void} seek seconds
 * @property {() => void} toLive
 * @property {() => void} mute
 * @property {(to: number) => void} volume 0 to 1
 * @property {(to: number) => void} speed
 * @property {() => void} full
 * @property {() => void} float
 * @property {() => void} facts
 * @property {() => void} words subtitles on or off
 */

/** <player-controls>: draws what {@link Controls#show} says, and calls what it was given. */
export class Controls extends HTMLElement {
  /** @param {Deeds} deeds @param {HTMLElement} words chooses subtitles */
  constructor(deeds, words) {
    super();
    this.play = button("play", "Play (space)", deeds.toggle);
    this.back = button("back", "10 seconds back (left)", () => deeds.skip(-10));
    this.on = button("ahead", "10 seconds ahead (right)", () => deeds.skip(10));
    this.bar = element("input", {
      type: "range", min: "0", max: "1", step: "any", value: "0", className: "bar", "aria-label": "Position",
    });
    this.bar.addEventListener("input", () => deeds.seek(Number(this.bar.value)));
    this.preview = new Preview(this.bar);
    this.time = element("span", { className: "time" });
    this.direct = element("button", { type: "button", className: "live", onclick: deeds.toLive }, "Live");
    this.sound = button("sound", "Mute (m)", deeds.mute);
    this.loud = element("input", {
      type: "range", min: "0", max: "1", step: "0.05", className: "volume", "aria-label": "Volume",
    });
    this.loud.addEventListener("input", () => deeds.volume(Number(this.loud.value)));
    this.fast = element("select", { title: "Speed", "aria-label": "Speed" },
      ...SPEEDS.map((speed) => element("option", { value: String(speed), selected: speed === 1 }, `${speed}×`)));
    this.fast.addEventListener("change", () => deeds.speed(Number(this.fast.value)));
    const rest = [button("facts", "Figures (i)", deeds.facts)];
    if (document.pictureInPictureEnabled) rest.push(button("window", "Picture in picture (p)", deeds.float));
    rest.push(button("full", "Full screen (f)", deeds.full));
    this.append(
      this.preview.box, this.bar, this.preview.row,
      element("div", { className: "row" }, this.play, this.back, this.on, this.direct, this.time,
        element("span", { className: "space" }), this.sound, this.loud, words, this.fast, ...rest),
    );
  }

  /** Marks places on the bar: a line each, and its words when the pointer is there.
   * @param {import("./preview.js").Mark[]} list in any order */
  marks(list) {
    this.preview.mark(list);
  }

  /**
   * @param {object} now
   * @param {boolean} now.paused @param {boolean} now.muted @param {number} now.volume
   * @param {boolean} now.live @param {boolean} now.canSeek @param {boolean} now.canBeLive
   * @param {number} now.at @param {number} now.start @param {number} now.end @param {number} now.ahead
   */
  show(now) {
    this.look(this.play, now.paused ? "play" : "pause", now.paused ? "Play (space)" : "Pause (space)");
    this.look(this.sound, now.muted ? "silent" : "sound", now.muted ? "Unmute (m)" : "Mute (m)");
    if (document.activeElement !== this.loud) this.loud.value = String(now.muted ? 0 : now.volume);
    for (const part of [this.bar, this.back, this.on, this.preview.row]) part.hidden = !now.canSeek;
    this.fast.hidden = now.live;
    this.direct.hidden = !now.canBeLive;
    this.direct.classList.toggle("on", now.live);
    this.direct.setAttribute("aria-pressed", String(now.live));
    if (now.canSeek) this.place(now);
    const time = now.live ? "" : `${clock(now.at)} / ${clock(now.end)}`;
    if (this.time.textContent !== time) this.time.textContent = time;
  }

  /** @param {{ at: number, start: number, end: number, ahead: number, live: boolean }} now */
  place(now) {
    const { bar } = this;
    this.preview.reach(now);
    bar.min = String(now.start);
    bar.max = String(now.end);
    const at = now.live ? now.end : now.at;
    bar.value = String(at);
    bar.setAttribute("aria-valuetext", now.live ? "live" : `${clock(at)} of ${clock(now.end)}`);
    const part = (/** @type {number} */ to) => `${(100 * (to - now.start)) / Math.max(0.001, now.end - now.start)}%`;
    bar.style.setProperty("--played", part(at));
    bar.style.setProperty("--here", part(Math.min(now.end, at + now.ahead)));
  }

  /** @param {HTMLButtonElement} button @param {keyof typeof SIGNS} name @param {string} label */
  look(button, name, label) {
    if (button.title === label) return;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.replaceChildren(sign(name));
  }
}

customElements.define("player-controls", Controls);

/**
 * What a key does; false if nothing.
 * @param {KeyboardEvent} event @param {Deeds} deeds @param {{ end: number, start: number, speed: number, volume: number }} now
 */
export function pressed(event, deeds, now) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.altKey || event.metaKey || target.matches("select, input:not([type=range])")) return false;
  // Its own arrows change the volume, too.
  if (target.matches(".volume") && event.key.startsWith("Arrow")) return false;
  const isButton = target.matches("button, a");
  const next = (/** @type {number} */ by) => SPEEDS[SPEEDS.indexOf(now.speed) + by];
  /** @type {Record<string, () => void>} */
  const keys = {
    k: deeds.toggle, m: deeds.mute, f: deeds.full, p: deeds.float, i: deeds.facts, c: deeds.words,
    arrowup: () => deeds.volume(Math.min(1, now.volume + 0.05)),
    arrowdown: () => deeds.volume(Math.max(0, now.volume - 0.05)),
    arrowleft: () => deeds.skip(-10), arrowright: () => deeds.skip(10),
    home: () => deeds.seek(now.start), end: () => deeds.seek(now.end),
    "[": () => deeds.speed(next(-1) ?? now.speed), "]": () => deeds.speed(next(1) ?? now.speed),
  };
  if (!isButton) keys[" "] = deeds.toggle;
  const deed = keys[event.key.toLowerCase()];
  if (!deed) return false;
  deed();
  return true;
}
