// The subtitles of a recording: which there are, the chosen ones, and their lines over the picture.
import { at, label, read } from "./cues.js";
import { element, path } from "./text.js";

/** Asked again where the relay is still reading, milliseconds and times. */
const AGAIN = 2_000;
const TRIES = 30;

const names = new Intl.DisplayNames(undefined, { type: "language", fallback: "none" });

/** What people call a language.
 * @param {string} language */
function named(language) {
  try {
    return names.of(language);
  } catch {
    return undefined;
  }
}

/** @param {string} address @param {() => boolean} wanted whether somebody still waits */
async function patiently(address, wanted) {
  for (let tries = 0; tries < TRIES && wanted(); tries += 1) {
    const answer = await fetch(address);
    if (answer.ok) return answer;
    if (answer.status !== 503) break;
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
  return undefined;
}

export class Subtitles {
  lines = element("p", { className: "lines", hidden: true });
  menu = element("select", { title: "Subtitles (c)", "aria-label": "Subtitles", className: "words", hidden: true,
    onchange: () => this.choose(this.menu.selectedIndex - 1) });
  /** @type {{ language: string, title: string, link: string }[]} */
  tracks = [];
  /** @type {import("./cues.js").Cue[]} */
  cues = [];
  chosen = -1;
  /** That the key brings back. */
  last = 0;
  closed = false;

  /** Looks which there are.
   * @param {string} name of the stream */
  async open(name) {
    try {
      const answer = await patiently(`/movies/${path(name)}.subtitles`, () => !this.closed);
      this.tracks = answer ? await answer.json() : [];
    } catch {
      // None, then.
    }
    if (this.tracks.length === 0 || this.closed) return;
    this.menu.replaceChildren(element("option", {}, "No subtitles"),
      ...this.tracks.map((track, number) => element("option", {}, label(track, number, named))));
    this.menu.hidden = false;
    const kept = localStorage.getItem("subtitles");
    const before = kept === null ? -1 : this.tracks.findIndex((track) => track.language === kept);
    if (before >= 0) this.choose(before);
  }

  /** @param {number} number -1 for none */
  choose(number) {
    this.chosen = number;
    this.menu.selectedIndex = number + 1;
    this.cues = [];
    const track = this.tracks[number];
    if (track) localStorage.setItem("subtitles", track.language);
    else localStorage.removeItem("subtitles");
    if (!track) return;
    this.last = number;
    void this.take(number, track.link);
  }

  /** @param {number} number @param {string} link */
  async take(number, link) {
    const wanted = () => this.chosen === number && !this.closed;
    try {
      const answer = await patiently(link, wanted);
      const text = answer ? await answer.text() : "";
      if (!wanted()) return;
      this.cues = read(text);
      if (this.cues.length === 0) this.choose(-1);
    } catch {
      if (wanted()) this.choose(-1);
    }
  }

  /** On or off. */
  toggle() {
    if (this.tracks.length > 0) this.choose(this.chosen < 0 ? this.last : -1);
  }

  /** Shows what belongs to a place.
   * @param {number} place seconds */
  show(place) {
    const text = at(this.cues, place);
    if (this.lines.textContent === text) return;
    this.lines.textContent = text;
    this.lines.hidden = text === "";
  }

  close() {
    this.closed = true;
  }
}
