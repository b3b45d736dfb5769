// A film's way to the relay, gone on with after a broken connection. Nothing here draws or knows of
// requests: `ask` does (see `overHttp`).

/** Bytes of a request: what a proxy between takes, and what is sent again at most. */
const SLICE = 16 << 20;
/** Pauses after a broken connection, milliseconds. */
const SHORTEST = 500;
const LONGEST = 15_000;

/** The relay says no, in a sentence. */
export class Refused extends Error {}

/** The relay has another part of the film than was thought. */
export class Elsewhere extends Error {
  /** @param {number} offset */
  constructor(offset) {
    super("another part is wanted");
    this.offset = offset;
  }
}

/**
 * What an upload asks the relay. What is neither Refused nor Elsewhere is a broken connection.
 * @typedef {{
 *   begin(file: File): Promise<{ id: string, offset: number }>,
 *   offset(id: string): Promise<number>,
 *   send(id: string, offset: number, part: Blob, sent: (bytes: number) => void, signal: AbortSignal): Promise<number>,
 *   remove(id: string): Promise<void>,
 *   pause(milliseconds: number, signal: AbortSignal): Promise<void>,
 * }} Ask
 */

/** @typedef {"sending" | "broken" | "sent" | "refused" | "ended"} Stage */

/** Events: `change`. */
export class Upload extends EventTarget {
  /** @type {Stage} */
  stage = "sending";
  /** @type {string | undefined} */
  id;
  sent = 0;
  why = "";
  ending = new AbortController();

  /** @param {File} file @param {Ask} ask */
  constructor(file, ask) {
    super();
    this.file = file;
    this.ask = ask;
  }

  /** @param {Stage} stage @param {string} [why] */
  turn(stage, why = "") {
    if (this.stage === "ended") return;
    [this.stage, this.why] = [stage, why];
    this.dispatchEvent(new Event("change"));
  }

  /** Sends all of it; ends when the relay has it, refuses it, or it is not wanted any more. */
  async run() {
    try {
      const begun = await this.patiently(() => this.ask.begin(this.file));
      this.id = begun.id;
      this.sent = begun.offset;
      // It may have been called off before it had a number to be removed by.
      if (this.ending.signal.aborted) return await this.ask.remove(begun.id);
      // The end is said, too, where all of it is there: the relay may not have heard it.
      do this.sent = await this.patiently(() => this.go(begun.id));
      while (this.sent < this.file.size);
      this.turn("sent");
    } catch (error) {
      if (!this.ending.signal.aborted) this.turn("refused", error instanceof Error ? error.message : String(error));
    }
  }

  /** The next part; how much the relay has then.
   * @param {string} id */
  async go(id) {
    this.ending.signal.throwIfAborted();
    if (this.stage === "broken") this.sent = await this.ask.offset(id);
    this.turn("sending");
    const from = this.sent;
    const part = this.file.slice(from, Math.min(from + SLICE, this.file.size));
    const sent = (/** @type {number} */ bytes) => {
      this.sent = from + bytes;
      this.turn("sending");
    };
    try {
      return await this.ask.send(id, from, part, sent, this.ending.signal);
    } catch (error) {
      if (error instanceof Elsewhere && error.offset !== from) return error.offset;
      throw error;
    }
  }

  /** Again and again, as long as it is the connection.
   * @template T @param {() => Promise<T>} attempt @returns {Promise<T>} */
  async patiently(attempt) {
    for (let pause = SHORTEST; ; pause = Math.min(pause * 2, LONGEST)) {
      const before = this.sent;
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof Refused || this.ending.signal.aborted) throw error;
        if (this.sent > before) pause = SHORTEST;
        this.turn("broken");
        await this.ask.pause(pause, this.ending.signal);
      }
    }
  }

  /** It is not wanted any more. */
  end() {
    this.turn("ended");
    this.ending.abort();
  }
}

/** The sentence of an answer that says no.
 * @param {number} status @param {string} text */
function refusal(status, text) {
  // What a relay (or a proxy before it) that comes back may answer otherwise.
  const passes = [408, 425, 429, 500, 502, 503, 504].includes(status);
  const sentence = text.trim() || `the relay answers ${status}`;
  return passes ? new Error(sentence) : new Refused(sentence);
}

/** The last upload that was begun. @type {Promise<unknown>} */
let begun = Promise.resolve();

/** @param {File} file @returns {Promise<{ id: string, offset: number }>} */
async function begin(file) {
  const body = JSON.stringify({ name: file.name, size: file.size, mark: String(file.lastModified) });
  const answer = await fetch("/films", { method: "POST", headers: { "content-type": "application/json" }, body });
  if (answer.ok) return answer.json();
  // Places become free.
  throw answer.status === 503 ? new Refused((await answer.text()).trim()) : refusal(answer.status, await answer.text());
}

/** Asks the relay that the page is of.
 * @type {Ask} */
export const overHttp = {
  begin(file) {
    // One after another: the first answer says who we are, and the others are ours then.
    const mine = begun.then(() => begin(file));
    begun = mine.catch(() => {});
    return mine;
  },

  async offset(id) {
    const answer = await fetch(`/films/${id}`, { method: "HEAD", cache: "no-store" });
    if (!answer.ok) throw refusal(answer.status, answer.status === 404 ? "The relay does not have it any more; add it again." : "");
    return Number(answer.headers.get("upload-offset"));
  },

  // fetch() does not say how much it has sent.
  send: (id, offset, part, sent, signal) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", `/films/${id}`);
    request.setRequestHeader("upload-offset", String(offset));
    request.setRequestHeader("content-type", "application/offset+octet-stream");
    request.upload.onprogress = ({ loaded }) => sent(loaded);
    request.onerror = () => reject(new Error("the connection broke"));
    request.onabort = () => reject(new Error("not wanted any more"));
    request.onload = () => {
      const here = request.getResponseHeader("upload-offset");
      if (request.status === 204 && here !== null) resolve(Number(here));
      else if (request.status === 409 && here !== null) reject(new Elsewhere(Number(here)));
      else reject(refusal(request.status, request.responseText));
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(part);
  }),

  async remove(id) {
    await fetch(`/films/${id}`, { method: "DELETE" });
  },

  pause: (milliseconds, signal) => new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    addEventListener("online", () => resolve(undefined), { once: true });
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("not wanted any more"));
    }, { once: true });
  }),
};

/**
 * What is said of a film that is not there yet.
 * @param {import("./add.js").Line} line
 * @param {Upload | undefined} upload what sends it from this page
 * @returns {{ words: string, done: number | null, live: boolean }} `done` 0 to 1
 */
export function progress(line, upload) {
  const percent = line.done === null ? "" : `, ${Math.floor(line.done * 100)} %`;
  const said = (/** @type {string} */ words, done = line.done) => ({ words, done, live: true });
  switch (line.stage) {
    case "arriving":
      if (line.fetched) return said(line.arrived > 0 ? `Being fetched${percent}` : "Waits to be fetched");
      if (line.mine && !upload) return { words: `Interrupted${percent}: choose the same file to go on`, done: line.done, live: false };
      return said(`Being uploaded${percent}`);
    case "waiting": return said("Waits for its turn", null);
    case "checking": return said("Being looked through", null);
    case "converting": return said(`Being converted${percent}`);
    case "failed": return { words: line.why ? `Not added: ${line.why}` : "Not added", done: null, live: false };
    default: return said("", null);
  }
}
