// What was said and done in a room, and what of that is shown now: a line belongs to a position of the
// recording and is shown when the viewer is there, once. What was just done is shown at once.
import { clock } from "./text.js";

/**
 * @typedef {{ number: number, position_us: number, at_us: number, who: string, what: string,
 *   text?: string, sealed?: import("./sealed.js").Sealed, sign?: string, to?: number }} Line
 */

/** Most lines kept; the oldest go. */
const MOST = 4_000;
/** Most marks: a bar has hardly more pixels. */
const MARKS = 500;
/** A line is shown to who is no farther behind its place, seconds: a newcomer reads what was said last,
 * not an hour of it. */
const STILL = 10;
/** What happened no longer ago is news, milliseconds. */
const NEWS = 10_000;

export class Lines {
  constructor() {
    /** Those that were not shown. @type {{ line: Line, news: boolean }[]} */
    this.waiting = [];
    this.highest = 0;
    /** What was said. @type {Line[]} */
    this.talk = [];
  }

  /** Takes lines in; what was here before is not taken again.
   * @param {Line[]} lines @param {number} now of the relay's clock, milliseconds */
  take(lines, now) {
    for (const line of lines) {
      if (line.number <= this.highest) continue;
      this.highest = line.number;
      const said = ["said", "sealed", "reacted"].includes(line.what);
      if (said) this.talk.push(line);
      this.waiting.push({ line, news: !said && now - line.at_us / 1000 < NEWS });
    }
    this.waiting = this.waiting.slice(-MOST);
    this.talk = this.talk.slice(-MARKS);
  }

  /** What was said where, for the seek bar: seconds, words. */
  marks() {
    return this.talk.map((line) => ({ at: line.position_us / 1e6, label: `${line.who}: ${wordsOf(line)}`.slice(0, 80) }));
  }

  /** Every line that may be shown again. */
  all() {
    return [...this.talk, ...this.waiting.map(({ line }) => line)];
  }

  /** What is to be shown at this position, seconds; undefined: a live stream, where everything belongs
   * to the present.
   * @param {number | undefined} position */
  due(position) {
    const isDue = (/** @type {{ line: Line, news: boolean }} */ { line, news }) => {
      if (news || position === undefined) return true;
      const ago = position - line.position_us / 1e6;
      return ago >= 0 && ago <= STILL;
    };
    if (!this.waiting.some(isDue)) return [];
    const due = this.waiting.filter(isDue).map(({ line }) => line);
    this.waiting = this.waiting.filter((waiting) => !isDue(waiting));
    return due;
  }
}

/** Signs, what each is and what is said of who sends it. */
export const SIGNS = {
  like: ["👍", "likes it"],
  love: ["❤️", "loves it"],
  laugh: ["😂", "laughs"],
  wow: ["😮", "is amazed"],
  sad: ["😢", "is sad"],
  clap: ["👏", "applauds"],
};

/** What a line says besides who: words for people.
 * @param {Line} line */
export function wordsOf(line) {
  const sign = Object.hasOwn(SIGNS, line.sign ?? "") ? SIGNS[/** @type {keyof typeof SIGNS} */ (line.sign)] : undefined;
  /** @type {Record<string, string>} */
  const words = {
    said: line.text ?? "",
    sealed: line.text ?? "(sealed)",
    reacted: sign ? `${sign[1]} ${sign[0]}` : "reacts",
    joined: "joined",
    left: "left",
    played: "let it play",
    paused: `paused at ${clock(line.position_us / 1e6)}`,
    sought: `went to ${clock((line.to ?? 0) / 1e6)}`,
    speed: `set the speed to ${(line.to ?? 0) / 1000}×`,
    awaited: "has to be waited for",
    left_behind: "was left behind, and catches up",
    asks: "asks to be host",
    hosts: "is host now",
    removed: "was sent out",
  };
  return Object.hasOwn(words, line.what) ? words[line.what] : line.what;
}

/** A refusal for a page: what to type in another program is left out.
 * @param {string} reason */
export function forPage(reason) {
  const sentence = reason.replace(/[;,] [^;,]*(--|\/)[a-z]+[^;,]*$/, "");
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}${/[.!?]$/.test(sentence) ? "" : "."}`;
}

/** A code as people read it: "K7XW2-M9QPD".
 * @param {string} code */
export function readable(code) {
  return `${code.slice(0, 5)}-${code.slice(5)}`;
}

/** What is typed as a code, or a whole link with one in it; undefined if it is none.
 * @param {string} text */
export function codeIn(text) {
  const link = new URLSearchParams(/\?([^#]*)/.exec(text)?.[1]).get("room");
  const code = (link ?? text).replace(/[\s-]/g, "").toUpperCase();
  return /^[2-9A-HJKMNP-TV-Z]{10}$/.test(code) ? code : undefined;
}

/** How late somebody is, in words.
 * @param {number} late milliseconds */
export function lateness(late) {
  const ms = Math.round(Math.abs(late));
  const size = ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
  if (ms < 1) return "0 ms";
  return late > 0 ? `${size} behind` : `${size} ahead`;
}
