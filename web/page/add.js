// Adding films: a button, a dialog, and what is underway.
import { account } from "./account.js";
import { element, path, size } from "./text.js";
import { Upload, overHttp, progress } from "./upload.js";

/**
 * A line of /films.json.
 * @typedef {{ id: string, title: string, stream: string | null,
 *   stage: "arriving" | "waiting" | "checking" | "converting" | "ready" | "failed",
 *   done: number | null, arrived: number, size: number | null, fetched: boolean, mine: boolean, why: string | null }} Line
 */

/** How often is looked how far films are: when somebody looks or something is underway, and otherwise. */
const SOON = 1_000;
const LATER = 10_000;

/** Uploads of this page, whichever part of it is shown.
 * @type {Set<Upload>} */
const uploads = new Set();

addEventListener("beforeunload", (event) => {
  if ([...uploads].some(({ stage }) => stage === "sending" || stage === "broken")) event.preventDefault();
});

/** @param {string} address @param {RequestInit} request */
async function ask(address, request) {
  const answer = account.heard(await fetch(address, request));
  if (!answer.ok) throw new Error((await answer.text()).trim() || `The relay answers ${answer.status}.`);
}

/** @param {unknown} body @returns {RequestInit} */
const json = (body) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** <film-row>: a film that is underway or somebody's own. */
class Row extends HTMLElement {
  heading = element("span", { className: "title" });
  words = element("span", { className: "quiet" });
  bar = element("progress", { max: 1 });
  watch = element("a", { className: "button", hidden: true }, "Watch");
  rename = element("button", { type: "button", className: "plain", hidden: true, onclick: () => this.edit() }, "Rename");
  remove_ = element("button", { type: "button", className: "plain", hidden: true, onclick: () => this.drop() });
  field = element("input", { type: "text", maxLength: 200, "aria-label": "New title" });
  form = element("form", { hidden: true, onsubmit: (/** @type {Event} */ event) => this.save(event) },
    this.field, element("button", { type: "submit", className: "plain" }, "Save"));
  /** @type {Line | undefined} */
  line;
  /** @type {Upload | undefined} */
  upload;

  /** @param {(sentence: string) => void} say @param {() => void} look */
  constructor(say, look) {
    super();
    this.say = say;
    this.look = look;
  }

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("div", {}, this.heading, this.words, this.bar, this.form), element("div", { className: "does" }, this.watch, this.rename, this.remove_));
  }

  /** @param {Line} line @param {Upload | undefined} upload */
  show(line, upload) {
    [this.line, this.upload] = [line, upload];
    const { words, done, live } = progress(line, upload);
    const broken = upload?.stage === "broken";
    this.set(this.heading, line.title);
    const bytes = line.size === null ? size(line.arrived) : size(line.size);
    this.set(this.words, line.stage === "ready" ? bytes : broken ? "The connection is lost; it goes on by itself" : words);
    this.bar.hidden = !live || line.stage === "ready";
    if (done === null) this.bar.removeAttribute("value");
    else this.bar.value = done;
    this.bar.setAttribute("aria-label", `${line.title}: ${words}`);
    this.watch.hidden = line.stage !== "ready" || line.stream === null;
    if (line.stream !== null) this.watch.href = `/?watch=${path(line.stream)}`;
    this.watch.setAttribute("aria-label", `Watch ${line.title}`);
    this.rename.hidden = !line.mine || line.stage === "failed";
    this.rename.setAttribute("aria-label", `Rename ${line.title}`);
    this.remove_.hidden = !line.mine;
    this.set(this.remove_, line.stage === "ready" ? "Remove" : line.stage === "failed" ? "Dismiss" : "Cancel");
    this.remove_.setAttribute("aria-label", `${this.remove_.textContent} ${line.title}`);
  }

  /** @param {HTMLElement} where @param {string} what */
  set(where, what) {
    if (where.textContent !== what) where.textContent = what;
  }

  edit() {
    this.form.hidden = !this.form.hidden;
    if (this.form.hidden) return;
    this.field.value = this.line?.title ?? "";
    this.field.focus();
    this.field.select();
  }

  /** @param {Event} event */
  async save(event) {
    event.preventDefault();
    try {
      await ask(`/films/${this.line?.id}`, json({ title: this.field.value }));
      this.form.hidden = true;
      this.rename.focus();
    } catch (error) {
      this.say(String(error instanceof Error ? error.message : error));
    }
    this.look();
  }

  async drop() {
    const ready = this.line?.stage === "ready";
    if (ready && !confirm(`Remove “${this.line?.title}” for everybody?`)) return;
    this.upload?.end();
    try {
      await ask(`/films/${this.line?.id}`, { method: "DELETE" });
    } catch (error) {
      this.say(String(error instanceof Error ? error.message : error));
    }
    this.look();
  }
}

customElements.define("film-row", Row);

/** <add-films>: the button and its dialog; hidden where the relay takes no films. */
export class AddFilms extends HTMLElement {
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** @type {Map<string, Row>} */
  others = new Map();
  button = element("button", { type: "button", className: "plain", onclick: () => this.open() }, "Add a film");
  input = element("input", { type: "file", multiple: true, hidden: true, accept: "video/*,audio/*,.mkv,.ts,.m2ts,.vob,.ogm",
    onchange: () => this.take(this.input.files) });
  choose = element("button", { type: "button", className: "button", onclick: () => this.input.click() }, "Choose files");
  most = element("span", { className: "quiet" });
  drop = element("div", { className: "drop" }, element("p", {}, "Drop films here"), this.choose, this.input, this.most);
  url = element("input", { type: "url", required: true, placeholder: "https://example.org/film.mp4", "aria-label": "Address of a film", autocomplete: "off" });
  fetcher = element("form", { className: "fetch", onsubmit: (/** @type {Event} */ event) => this.fetch(event) },
    this.url, element("button", { type: "submit", className: "plain" }, "Fetch"));
  note = element("p", { role: "status", className: "quiet" });
  list = element("div", { className: "films" });
  dialog = element("dialog", { className: "add", "aria-labelledby": "add-films", onclose: () => this.schedule() },
    element("header", {}, element("h2", { id: "add-films" }, "Add a film"),
      element("button", { type: "button", className: "plain", onclick: () => this.dialog.close() }, "Close")),
    this.drop, element("p", { className: "quiet" }, "or have the relay fetch one from its address"), this.fetcher, this.note, this.list);
  /** What others add; the start page has a place for it. */
  underway = element("section", { hidden: true, "aria-label": "Being added" }, element("h2", {}, "Being added"));
  news = () => this.schedule(0);
  /** @param {DragEvent} event */
  over = (event) => {
    if (this.hidden || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (event.type === "drop") this.take(event.dataTransfer.files);
    if (!this.dialog.open) this.open();
  };

  connectedCallback() {
    this.hidden = true;
    this.replaceChildren(this.button, this.dialog);
    for (const kind of /** @type {const} */ (["dragover", "drop"])) document.addEventListener(kind, this.over);
    for (const upload of uploads) upload.addEventListener("change", this.news);
    void this.look();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    for (const kind of /** @type {const} */ (["dragover", "drop"])) document.removeEventListener(kind, this.over);
    for (const upload of uploads) upload.removeEventListener("change", this.news);
  }

  open() {
    this.dialog.showModal();
    void this.look();
  }

  /** @param {string} sentence */
  say(sentence) {
    this.note.textContent = sentence;
  }

  /** @param {FileList | null} files */
  take(files) {
    this.say("");
    for (const file of files ?? []) {
      const upload = new Upload(file, overHttp);
      uploads.add(upload);
      upload.addEventListener("change", this.news);
      void upload.run().then(() => {
        uploads.delete(upload);
        if (upload.stage === "refused") this.say(`“${file.name}” is not added: ${upload.why}.`.replace(/\.\.$/, "."));
        void this.look();
      });
    }
    this.input.value = "";
  }

  /** @param {Event} event */
  async fetch(event) {
    event.preventDefault();
    this.say("");
    try {
      await ask("/films", json({ url: this.url.value }));
      this.url.value = "";
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
    void this.look();
  }

  /** Looks again soon, if anything goes on. @param {number} [pause] */
  schedule(pause) {
    if (pause === 0 && this.timer !== undefined && this.soon) return;
    clearTimeout(this.timer);
    const busy = this.dialog.open || this.rows.size + this.others.size > 0 || uploads.size > 0;
    this.soon = busy;
    this.timer = setTimeout(() => void this.look(), busy ? SOON : LATER);
  }

  async look() {
    try {
      const answer = account.heard(await fetch("/films.json"));
      this.hidden = !answer.ok;
      if (answer.ok) {
        const { most, films } = await answer.json();
        this.most.textContent = `Up to ${size(most)} each`;
        this.show(films);
      }
    } catch {
      // The start page says that the relay is away.
    }
    if (this.isConnected) this.schedule();
  }

  /** @param {Line[]} lines */
  show(lines) {
    const underway = lines.filter(({ stage }) => stage !== "ready" && stage !== "failed");
    this.fill(this.rows, lines.filter(({ mine }) => mine), this.list);
    this.fill(this.others, underway, this.underway);
    this.underway.hidden = underway.length === 0;
  }

  /** @param {Map<string, Row>} rows @param {Line[]} lines @param {HTMLElement} place */
  fill(rows, lines, place) {
    const there = new Set(lines.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (there.has(id)) continue;
      row.remove();
      rows.delete(id);
    }
    for (const line of lines) {
      let row = rows.get(line.id);
      if (!row) {
        row = new Row((sentence) => this.say(sentence), () => void this.look());
        rows.set(line.id, row);
        place.append(row);
      }
      row.show(line, [...uploads].find(({ id }) => id === line.id));
    }
  }
}

customElements.define("add-films", AddFilms);
