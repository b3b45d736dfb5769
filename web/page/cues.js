// Subtitles: WebVTT as the relay serves it, and which of its lines are shown when. Plain text.

/**
 * One line of subtitles, times in seconds.
 * @typedef {{ from: number, to: number, text: string }} Cue
 */

/** @type {Record<string, string>} */
const MEANS = { amp: "&", lt: "<", gt: ">", nbsp: "\u00a0", lrm: "\u200e", rlm: "\u200f", quot: '"' };

/** "01:02:03.400" as seconds; NaN for what is no time.
 * @param {string} time */
function seconds(time) {
  return time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Without tags, and with what stands for other characters as these.
 * @param {string} text */
export function plain(text) {
  return text.replace(/<\/?[a-z][^<>]*>|<[\d:.]+>/gi, "").replace(/&(\w+);/g, (whole, name) => MEANS[name] ?? whole).trim();
}

/**
 * All cues in order of their beginning.
 * @param {string} text
 * @returns {Cue[]}
 */
export function read(text) {
  /** @type {Cue[]} */
  const cues = [];
  for (const block of text.replace(/\r\n?/g, "\n").split(/\n{2,}/)) {
    const lines = block.split("\n");
    const at = lines.findIndex((line) => line.includes("-->"));
    if (at < 0) continue;
    const [from, to] = lines[at].split("-->").map((part) => seconds(part.trim().split(/\s/)[0]));
    const shown = plain(lines.slice(at + 1).join("\n"));
    if (to > from && shown) cues.push({ from, to, text: shown });
  }
  return cues.sort((a, b) => a.from - b.from);
}

/**
 * What is shown at a time, one line a cue; empty for nothing.
 * @param {Cue[]} cues @param {number} at seconds
 */
export function at(cues, at) {
  const shown = [];
  for (const cue of cues) {
    if (cue.from > at) break;
    if (at < cue.to) shown.push(cue.text);
  }
  return shown.join("\n");
}

/**
 * The name of subtitles in a menu.
 * @param {{ language: string, title: string }} track
 * @param {number} number from 0
 * @param {(language: string) => string | undefined} named what people call a language
 */
export function label({ language, title }, number, named) {
  const called = (language && named(language)) || language;
  if (called && title) return `${called}, ${title}`;
  return called || title || `Subtitles ${number + 1}`;
}
