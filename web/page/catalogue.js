// The start page: what there is.
import { account } from "./account.js";
import { OwnRooms } from "./own-rooms.js";
import { AddFilms } from "./add.js";
import { OpenRooms } from "./door.js";
import { clock, element, path } from "./text.js";

/** How often the catalogue is asked for, and pictures of what runs and what stands, milliseconds. */
const LOOK = 3_000;
const MOVING = 5_000;
const STANDING = 60_000;

/** <stream-card>: one stream. */
class Card extends HTMLElement {
  image = element("img", { alt: "", width: 320, height: 180, decoding: "async", loading: "lazy" });
  badge = element("span", { className: "badge" });
  heading = element("span", { className: "title" });
  summary = element("span", { className: "quiet" });
  viewers = element("span", { className: "quiet", hidden: true });
  visible = false;
  missing = false;

  /** @param {import("./text.js").Info} info */
  constructor(info) {
    super();
    this.info = info;
    this.image.addEventListener("error", () => this.came(false));
    this.image.addEventListener("load", () => this.came(true));
    this.seen = new IntersectionObserver(([entry]) => {
      this.visible = Boolean(entry?.isIntersecting);
      this.refresh();
    });
    const link = element("a", { href: `/?watch=${path(info.name)}` },
      element("span", { className: "picture" }, this.image, this.badge), this.heading, this.summary, this.viewers);
    this.append(link);
  }

  connectedCallback() {
    this.seen.observe(this);
    this.timer = setInterval(() => this.refresh(), 1_000);
  }

  /** Whether the picture did. @param {boolean} did */
  came(did) {
    this.image.classList.toggle("none", !did);
    this.missing = !did;
  }

  /** @param {import("./text.js").Info} info */
  show(info) {
    this.info = info;
    const { name, title, summary, recording, live, state, viewers } = info;
    this.set(this.heading, title || name);
    this.set(this.summary, title && title !== name ? `${name} · ${summary}` : summary);
    const label = state === "held" ? "Away" : "Live";
    this.set(this.badge, live ? label : clock(recording?.seconds ?? 0));
    this.badge.className = live ? `badge live ${state}` : "badge";
    const watching = viewers === 1 ? "1 is watching" : `${viewers} are watching`;
    this.set(this.viewers, viewers > 0 ? watching : "");
  }

  /** @param {HTMLElement} where @param {string} what */
  set(where, what) {
    if (where.textContent === what) return;
    where.textContent = what;
    where.hidden = what === "";
  }

  /** A new picture, if somebody can see it and it is due. */
  refresh() {
    if (!this.visible || document.hidden) return;
    const { name, live, state, recording } = this.info;
    const now = performance.now();
    const moves = live && state === "running";
    const due = moves ? MOVING : live || this.missing ? STANDING : Number.POSITIVE_INFINITY;
    if (this.taken !== undefined && now - this.taken < due) return;
    if (!live && !recording?.poster) return;
    this.taken = now;
    this.image.src = live ? `/streams/${path(name)}.jpg?at=${Math.round(now)}` : `/movies/${path(name)}.jpg`;
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    this.seen.disconnect();
  }
}

customElements.define("stream-card", Card);

/** <catalogue-page>: all streams, live ones first. */
export class CataloguePage extends HTMLElement {
  /** @type {Map<string, Card>} */
  cards = new Map();
  search = element("input", { type: "search", placeholder: "Search", "aria-label": "Search",
    autocomplete: "off", oninput: () => this.filter() });
  add = new AddFilms();
  rooms = new OpenRooms();
  live = element("div", { className: "cards" });
  library = element("div", { className: "cards" });
  note = element("p", { className: "note", role: "status" }, "Looking what there is …");

  open() {
    const section = (/** @type {string} */ name, /** @type {HTMLElement} */ cards) =>
      element("section", { hidden: true, "aria-label": name }, element("h2", {}, name), cards);
    this.replaceChildren(element("h1", { className: "unseen" }, "What there is to watch"),
      element("div", { className: "search" }, this.search, this.add), this.note, new OwnRooms(), this.rooms,
      section("Live", this.live), this.add.underway, section("Library", this.library));
    void this.look();
    this.timer = setInterval(() => {
      if (!document.hidden) void this.look();
    }, LOOK);
  }

  async look() {
    try {
      const answer = account.heard(await fetch("/streams.json"));
      if (!answer.ok) throw new Error();
      this.show(await answer.json());
      await this.rooms.look();
    } catch {
      this.note.hidden = false;
      this.note.textContent = "The relay does not answer; trying again.";
    }
  }

  /** @param {import("./text.js").Info[]} streams */
  show(streams) {
    const { cards } = this;
    const there = new Set(streams.map((info) => info.name));
    for (const [name, card] of cards) {
      if (!there.has(name)) {
        card.remove();
        cards.delete(name);
      }
    }
    for (const info of streams) {
      let card = cards.get(info.name);
      if (!card) {
        card = new Card(info);
        cards.set(info.name, card);
      }
      card.show(info);
      const place = info.live ? this.live : this.library;
      if (card.parentElement !== place) place.append(card);
    }
    this.filter();
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of this.cards.values()) {
      const text = `${card.info.name} ${card.info.title} ${card.info.summary}`.toLowerCase();
      card.hidden = !words.every((word) => text.includes(word));
      shown += card.hidden ? 0 : 1;
    }
    for (const cards of [this.live, this.library]) {
      const section = /** @type {HTMLElement} */ (cards.parentElement);
      section.hidden = !cards.querySelector("stream-card:not([hidden])");
    }
    this.note.hidden = shown > 0;
    this.note.textContent = words.length > 0 ? "Nothing has that in its name." : "There is nothing to watch yet.";
  }

  close() {
    clearInterval(this.timer);
  }
}

customElements.define("catalogue-page", CataloguePage);
