// Elements and numbers for people. Names and titles come from elsewhere: they only ever become text.

/**
 * A line of the catalogue, /streams.json.
 * @typedef {{ name: string, title: string, live: boolean, state: "idle" | "running" | "held",
 *   viewers: number, summary: string, links: string[],
 *   recording: { seconds: number, bytes: number, growing: boolean, poster: boolean } | null }} Info
 */

/**
 * What is in a recording, /movies/NAME.json.
 * @typedef {{ id: string, title: string, summary: string, mime: string, pictures_apart: boolean,
 *   width: number, height: number, finished: boolean, first: number, starts: number[],
 *   end: number }} Facts
 */

/**
 * Makes an element. Properties are set as properties, those with a dash as attributes; children that
 * are strings become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} kind
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(kind, properties = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/**
 * 3725 to "1:02:05".
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/**
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) [bytes, unit] = [bytes / 1000, unit + 1];
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** The name as a component of an address.
 * @param {string} name
 */
export function path(name) {
  return encodeURIComponent(name).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}
