// What the seek bar says of a place before one goes there: its time, a small picture, a mark.
import { segmentAt } from "./playout.js";
import { clock, element, path } from "./text.js";

/** Small pictures of a recording at most: nearer places share one. */
const MOST = 240;
/** A pointer that rests so long is worth a picture, milliseconds. */
const REST = 80;
/** Half of the bar's thumb, which does not leave the bar, pixels. */
const THUMB = 9;
/** A mark this near to the pointer is meant, pixels. */
const NEAR = 8;

/**
 * Something that happened at a place of a recording.
 * @typedef {{ at: number, label: string }} Mark  seconds, for people
 */

/**
 * The segment whose picture stands for a place.
 * @param {import("./text.js").Facts} facts @param {number} at seconds
 */
export function pictured(facts, at) {
  const step = Math.max(1, Math.ceil(facts.starts.length / MOST));
  return facts.first + Math.floor(segmentAt(facts.starts, at) / step) * step;
}

/**
 * The place below a pointer, as a range input counts it.
 * @param {number} x @param {{ left: number, width: number }} box @param {number} start @param {number} end
 */
export function placeAt(x, box, start, end) {
  const part = (x - box.left - THUMB) / Math.max(1, box.width - 2 * THUMB);
  return start + Math.max(0, Math.min(1, part)) * (end - start);
}

/** Shows itself over a bar while a pointer or the keyboard is there. */
export class Preview {
  image = element("img", { alt: "", width: 160, height: 90, decoding: "async", hidden: true });
  time = element("span");
  word = element("span", { className: "label", hidden: true });
  box = element("div", { className: "preview", hidden: true, "aria-hidden": "true" }, this.image, this.word, this.time);
  row = element("div", { className: "marks", "aria-hidden": "true" });
  /** @type {Mark[]} */
  marks = [];
  range = { start: 0, end: 0 };
  /** @type {{ name: string, facts: import("./text.js").Facts } | undefined} */
  film = undefined;
  address = "";

  /** @param {HTMLInputElement} bar */
  constructor(bar) {
    this.bar = bar;
    bar.addEventListener("pointermove", (event) => this.point(event.clientX));
    bar.addEventListener("pointerdown", (event) => this.point(event.clientX));
    for (const end of ["pointerleave", "pointercancel", "blur"]) bar.addEventListener(end, () => this.hide());
    // A finger is lifted without leaving.
    bar.addEventListener("pointerup", (event) => event.pointerType !== "mouse" && this.hide());
    bar.addEventListener("keydown", () => this.keyed());
    bar.addEventListener("focus", () => bar.matches(":focus-visible") && this.keyed());
    this.image.addEventListener("load", () => this.drawn(false));
    this.image.addEventListener("error", () => this.drawn(true));
  }

  /** @param {boolean} none */
  drawn(none) {
    this.image.hidden = none;
    this.fit();
  }

  /** @param {number} x of the pointer */
  point(x) {
    const { start, end } = this.range;
    const box = this.bar.getBoundingClientRect();
    this.show(placeAt(x, box, start, end));
  }

  /** After a key has moved the bar. */
  keyed() {
    requestAnimationFrame(() => document.activeElement === this.bar && this.show(Number(this.bar.value)));
  }

  /** @param {number} at seconds */
  show(at) {
    this.at = at;
    this.time.textContent = clock(at);
    const { start, end } = this.range;
    const near = (NEAR / Math.max(1, this.bar.clientWidth)) * (end - start);
    const mark = this.marks.find((mark) => Math.abs(mark.at - at) <= near);
    this.word.textContent = mark?.label ?? "";
    this.word.hidden = !mark;
    this.box.hidden = false;
    this.fit();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.picture(at), REST);
  }

  /** Where it stands: over its place, within the bar. */
  fit() {
    const { start, end } = this.range;
    const width = this.bar.clientWidth;
    const half = this.box.offsetWidth / 2;
    const x = THUMB + (((this.at ?? start) - start) / Math.max(0.001, end - start)) * (width - 2 * THUMB);
    this.box.style.setProperty("--x", `${this.bar.offsetLeft + Math.max(half, Math.min(width - half, x))}px`);
  }

  /** @param {number} at seconds */
  picture(at) {
    const { film } = this;
    if (!film || film.facts.starts.length === 0 || !film.facts.width) return;
    const address = `/movies/${path(film.name)}.${pictured(film.facts, at)}.thumb?id=${film.facts.id}`;
    if (address === this.address) return;
    this.address = address;
    this.image.src = address;
  }

  hide() {
    clearTimeout(this.rest);
    this.box.hidden = true;
  }

  /** Draws marks; those beyond the bar are left out.
   * @param {Mark[]} marks */
  mark(marks) {
    this.marks = marks;
    this.draw();
  }

  /** @param {{ start: number, end: number }} range seconds */
  reach(range) {
    if (range.start === this.range.start && range.end === this.range.end) return;
    this.range = { start: range.start, end: range.end };
    this.draw();
  }

  draw() {
    const { start, end } = this.range;
    const inside = this.marks.filter(({ at }) => end > start && at >= start && at <= end);
    this.row.replaceChildren(...inside.map(({ at }) => {
      const tick = element("span");
      tick.style.setProperty("--at", String((at - start) / (end - start)));
      return tick;
    }));
  }
}
