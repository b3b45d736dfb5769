// The start page: what there is.
import { clock, element, path } from "./text.js";

/** How often the catalogue is asked for, and pictures of what runs and what stands, milliseconds. */
const LOOK = 3_000;
const MOVING = 5_000;
const STANDING = 60_000;

/** <stream-card>: one stream. */
class Card extends HTMLElement {
  /** @param {Record<string, any>} info */
  show(info) {
    this.info = info;
    if (!this.link) this.build();
    const { name, title, summary, recording, live, state, viewers } = info;
    this.set(this.heading, title || name);
    this.set(this.summary, title && title !== name ? `${name} · ${summary}` : summary);
    const label = live ? { running: "Live", held: "Away", idle: "Live" }[/** @type {"idle"} */ (state)] : "";
    this.set(this.badge, live ? label : clock(recording?.seconds ?? 0));
    if (this.badge) this.badge.className = live ? `badge live ${state}` : "badge";
    const watching = viewers === 1 ? "1 is watching" : `${viewers} are watching`;
    this.set(this.viewers, viewers > 0 ? watching : "");
  }

  /** @param {HTMLElement | undefined} where @param {string} what */
  set(where, what) {
    if (!where || where.textContent === what) return;
    where.textContent = what;
    where.hidden = what === "";
  }

  build() {
    const { name } = this.info;
    this.image = element("img", { alt: "", width: 320, height: 180, decoding: "async", loading: "lazy" });
    this.image.addEventListener("error", () => this.image?.classList.add("none"));
    this.image.addEventListener("load", () => this.image?.classList.remove("none"));
    this.badge = element("span", { className: "badge" });
    this.heading = element("span", { className: "title" });
    this.summary = element("span", { className: "quiet" });
    this.viewers = element("span", { className: "quiet", hidden: true });
    this.link = element("a", { href: `/?watch=${path(name)}` },
      element("span", { className: "picture" }, this.image, this.badge), this.heading, this.summary, this.viewers);
    this.append(this.link);
    this.seen = new IntersectionObserver(([entry]) => {
      this.visible = entry?.isIntersecting;
      this.refresh();
    });
    this.seen.observe(this);
    this.timer = setInterval(() => this.refresh(), 1_000);
  }

  /** A new picture, if somebody can see it and it is due. */
  refresh() {
    if (!this.visible || document.hidden || !this.image) return;
    const { name, live, state, recording } = this.info;
    const now = performance.now();
    const due = live ? (state === "running" ? MOVING : STANDING) : Number.POSITIVE_INFINITY;
    if (this.taken !== undefined && now - this.taken < due) return;
    if (!live && !recording?.poster) return;
    this.taken = now;
    this.image.src = live ? `/streams/${path(name)}.jpg?at=${Math.round(now)}` : `/movies/${path(name)}.jpg`;
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    this.seen?.disconnect();
  }
}

customElements.define("stream-card", Card);

/** <catalogue-page>: all streams, live ones first. */
export class CataloguePage extends HTMLElement {
  open() {
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    this.search = element("input", { type: "search", placeholder: "Search", "aria-label": "Search",
      autocomplete: "off", oninput: () => this.filter() });
    this.live = element("section", { hidden: true, "aria-label": "Live" }, element("h2", {}, "Live"), element("div", { className: "cards" }));
    this.library = element("section", { hidden: true, "aria-label": "Library" }, element("h2", {}, "Library"), element("div", { className: "cards" }));
    this.note = element("p", { className: "note", role: "status" }, "Looking what there is …");
    this.replaceChildren(element("div", { className: "search" }, this.search), this.note, this.live, this.library);
    void this.look();
    this.timer = setInterval(() => {
      if (!document.hidden) void this.look();
    }, LOOK);
  }

  async look() {
    try {
      const answer = await fetch("/streams.json");
      this.show(await answer.json());
    } catch {
      if (this.note) {
        this.note.hidden = false;
        this.note.textContent = "The relay does not answer; trying again.";
      }
    }
  }

  /** @param {Record<string, any>[]} streams */
  show(streams) {
    const { cards } = this;
    if (!cards || !this.live || !this.library) return;
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
        card = /** @type {Card} */ (document.createElement("stream-card"));
        cards.set(info.name, card);
      }
      card.show(info);
      const place = (info.live ? this.live : this.library).lastElementChild;
      if (card.parentElement !== place) place?.append(card);
    }
    this.filter();
  }

  filter() {
    const words = (this.search?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of this.cards?.values() ?? []) {
      const text = `${card.info.name} ${card.info.title} ${card.info.summary}`.toLowerCase();
      card.hidden = !words.every((word) => text.includes(word));
      shown += card.hidden ? 0 : 1;
    }
    for (const section of [this.live, this.library]) {
      if (section) section.hidden = !section.querySelector("stream-card:not([hidden])");
    }
    if (!this.note) return;
    this.note.hidden = shown > 0;
    this.note.textContent = words.length > 0 ? "Nothing has that in its name." : "There is nothing to watch yet.";
  }

  close() {
    clearInterval(this.timer);
  }
}

customElements.define("catalogue-page", CataloguePage);
