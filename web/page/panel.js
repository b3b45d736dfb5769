// Beside the picture of a room: who is there, who wants in, what is said.
import { SIGNS, forPage, lateness, readable, wordsOf } from "./lines.js";
import { lengthOf } from "./own.js";
import { unlock } from "./sealed.js";
import { element } from "./text.js";
import { videoOf } from "./youtube.js";

/** Lines that are shown; the oldest go. */
const SHOWN = 500;
/** Longest line, bytes of UTF-8. */
const LINE = 512;
/** As far off as the meter goes, milliseconds. */
const METER = 100;

/** What is said of one's own copy of the film. */
const COPY = {
  stream: "",
  same: "It plays from this device.",
  other: "It plays from this device. It is as long as the room's film; a browser cannot compare more.",
  other_cut: "It plays from this device, but is not as long as the room's film: it is another cut, scenes will not match.",
};

/** @param {string} label @param {() => void} act @param {string} [more] what a voice says besides */
function button(label, act, more) {
  return element("button", { type: "button", className: "plain", onclick: act, ...(more ? { "aria-label": `${label}: ${more}` } : {}) }, label);
}

/** <room-panel>. */
export class RoomPanel extends HTMLElement {
  log = element("ol", { className: "log", role: "log", tabIndex: 0, "aria-label": "What is said" });
  line = element("input", { type: "text", maxLength: LINE, autocomplete: "off", placeholder: "Say something", "aria-label": "Say something" });
  members = element("ul", { className: "members" });
  knocks = element("ul", { className: "knocks", "aria-label": "Before the door" });
  deeds = element("div", { className: "deeds" });
  needle = element("i");
  meter = element("div", { className: "meter", "aria-hidden": "true" }, this.needle);
  off = element("p", { className: "quiet off" });
  copy = element("p", { className: "quiet", role: "status" });
  own = element("input", { type: "file", accept: "video/*,audio/*,.mkv", "aria-label": "Play a file of your own" });
  kept = "";
  /** Open until somebody has come. @type {HTMLDetailsElement | undefined} */
  inviting = undefined;
  /** Lines that are shown and could not be read. @type {Map<import("./lines.js").Line, HTMLElement>} */
  closed = new Map();

  /** @param {import("./seat.js").Seat} seat @param {import("./together.js").RoomStage} stage
   * @param {(own: File | undefined) => void} bring */
  constructor(seat, stage, bring) {
    super();
    this.seat = seat;
    this.stage = stage;
    this.bring = bring;
    const { room } = seat;
    this.append(
      element("section", { "aria-label": "Room" },
        element("h2", {}, `Room ${readable(room?.code ?? "")}`), this.invitation(), this.knocks,
        this.members, this.meter, this.off),
      this.talk(), this.deeds, this.more());
    this.onchange = () => this.show();
    this.onword = (/** @type {Event} */ event) => this.add(forPage(/** @type {CustomEvent} */ (event).detail), "note");
    for (const kind of ["members", "knocks", "standing"]) seat.addEventListener(kind, this.onchange);
    seat.addEventListener("word", this.onword);
    this.timer = setInterval(() => this.refresh(), 250);
    this.show();
  }

  /** The link that others come in by, also to be photographed. */
  invitation() {
    const link = `${location.origin}/?room=${this.seat.room?.code}`;
    const text = element("input", { type: "text", readOnly: true, value: link, "aria-label": "Link to this room", onfocus: () => text.select() });
    const copy = button("Copy link", () => {
      text.select();
      // The clipboard of today exists on https alone.
      const done = document.execCommand("copy");
      copy.textContent = done ? "Copied" : "Copy it by hand";
    });
    const code = element("img", { alt: `QR code of ${link}`, width: 200, height: 200, loading: "lazy" });
    const details = element("details", { className: "invitation", ontoggle: () => {
      if (details.open) code.src = `/qr.svg?text=${encodeURIComponent(link)}`;
    } }, element("summary", {}, "Invite others"), element("div", { className: "row-of" }, text, copy));
    const alone = /^(localhost|127\.|\[::1\])/.test(location.host);
    const hint = alone ? "This address leads here from this machine alone; others open this page by the relay's." : "";
    details.append(...(hint ? [element("p", { className: "quiet" }, hint)] : []), code);
    // Who is alone wants others.
    details.open = true;
    this.inviting = details;
    return details;
  }

  talk() {
    const { seat } = this;
    const place = () => this.stage.place() ?? 0;
    const signs = Object.entries(SIGNS).map(([sign, [drawn, words]]) =>
      element("button", { type: "button", className: "sign", title: words, "aria-label": words, onclick: () => seat.talk({ sign }, place()) }, drawn));
    const form = element("form", { className: "row-of", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.say();
    } }, this.line, element("button", { type: "submit", className: "plain" }, "Send"));
    form.hidden = Boolean(seat.room?.secret && !seat.key);
    return element("section", { className: "talk", "aria-label": "Talk" }, this.log,
      element("div", { className: "signs" }, ...signs), form, ...(form.hidden ? [this.unlocking(form)] : []));
  }

  /** Asks for the passphrase with which the talk is sealed.
   * @param {HTMLElement} form shown in its place then */
  unlocking(form) {
    const words = element("input", { type: "password", autocomplete: "off", "aria-label": "Passphrase of this room", placeholder: "Passphrase" });
    const open = element("button", { type: "submit", className: "plain" }, "Read");
    const note = element("p", { className: "quiet", role: "status" }, "What is said here is sealed: the relay cannot read it.");
    const asking = element("form", { className: "row-of", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      const secret = this.seat.room?.secret;
      if (!secret) return;
      open.disabled = true;
      note.textContent = "Making the key …";
      const key = await unlock(words.value, secret);
      open.disabled = false;
      if (!key) {
        note.textContent = "That is not its passphrase: ask whoever made the room.";
        words.select();
        return;
      }
      this.seat.unlock(key);
      both.remove();
      form.hidden = false;
      this.line.focus();
      this.reveal();
    } }, words, open);
    const both = element("div", {}, note, asking);
    return both;
  }

  /** What was shown sealed is shown in plain words. */
  reveal() {
    for (const [line, item] of this.closed) item.lastChild?.replaceWith(wordsOf(line));
    this.closed.clear();
  }

  say() {
    const text = this.line.value.trim();
    if (text === "") return;
    if (new TextEncoder().encode(text).length > LINE) this.add(`A line has at most ${LINE} letters.`, "note");
    else if (this.seat.talk({ text }, this.stage.place() ?? 0)) this.line.value = "";
    else this.add("The connection to the room is lost; say it again in a moment.", "note");
  }

  more() {
    if (this.stage.info.live || videoOf(this.stage.info.name)) return "";
    this.own.addEventListener("change", () => void this.choose());
    this.back = button("Watch the room's stream again", () => {
      this.own.value = "";
      this.bring(undefined);
      this.seat.film(undefined);
    });
    return element("details", { className: "own" }, element("summary", {}, "A copy of your own"),
      element("p", { className: "quiet" }, "It plays from this device and is not sent anywhere; pausing, playing and seeking is shared."),
      this.own, this.back, this.copy);
  }

  async choose() {
    const file = this.own.files?.[0];
    if (!file) return;
    try {
      const length = await lengthOf(file);
      this.bring(file);
      this.seat.film(length);
    } catch (error) {
      this.copy.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** Draws anew what has changed; buttons that are there stay, or they could not be pressed. */
  show() {
    const { seat } = this;
    const host = seat.isHost();
    const news = JSON.stringify([seat.host, host, seat.here, seat.knocks, seat.members.map(({ report, ...rest }) => rest)]);
    if (news !== this.kept) {
      this.kept = news;
      // Once: who opens it again keeps it.
      if (this.inviting && seat.members.length > 1) {
        this.inviting.open = false;
        this.inviting = undefined;
      }
      this.members.replaceChildren(...seat.members.map((member) => this.member(member, host)));
      this.knocks.replaceChildren(...(host ? seat.knocks : []).map((knock) => this.knock(knock)));
      this.deeds.replaceChildren(...this.mine(host));
    }
    this.refresh();
  }

  /** @param {{ id: number, name: string }} knock */
  knock({ id, name }) {
    return element("li", {}, element("span", {}, `${name} wants to come in`),
      button("Let in", () => this.seat.act("admit", id), name), button("Turn away", () => this.seat.act("turnaway", id), name));
  }

  /** @param {import("./seat.js").Member} member @param {boolean} host */
  member(member, host) {
    const { seat } = this;
    const { id, name } = member;
    const you = id === seat.room?.you;
    const badges = [you && "you", id === seat.host && "host", !member.here && "away", member.copy !== "stream" && "own copy", member.asks && "asks to be host"].filter(Boolean);
    const line = element("li", {}, element("span", { className: "who" }, name),
      element("span", { className: "quiet" }, badges.join(", ")), element("span", { className: "quiet how", "data-id": id }));
    if (host && !you) line.append(this.handle(member));
    return line;
  }

  /** What a host does with a member.
   * @param {import("./seat.js").Member} member */
  handle({ id, name, asks }) {
    const { seat } = this;
    const deeds = [
      button("Make host", () => seat.act("hand", id), name),
      ...(asks ? [button("Not now", () => seat.act("deny", id), name)] : []),
      button("Send out", () => seat.act("kick", id), name),
      button("Ban", () => {
        if (confirm(`Keep ${name} out for good?`)) seat.act("ban", id);
      }, name),
    ];
    return element("details", { open: asks }, element("summary", { "aria-label": `What to do with ${name}` }, "⋯"), ...deeds);
  }

  /** @param {boolean} host */
  mine(host) {
    const { seat } = this;
    const deeds = [];
    if (!host && seat.owner === seat.room?.you) deeds.push(button("Be host again", () => seat.act("takeback")));
    else if (!host && !seat.you()?.asks) deeds.push(button("Ask to be host", () => seat.act("ask")));
    deeds.push(button("Leave", () => seat.leave()));
    if (host) {
      deeds.push(button("Close the room", () => {
        if (confirm("End the room for all?")) seat.act("close");
      }));
    }
    return deeds;
  }

  refresh() {
    const { seat, stage } = this;
    for (const place of this.members.querySelectorAll(".how")) {
      const member = seat.members.find(({ id }) => String(id) === place.getAttribute("data-id"));
      const words = member ? this.how(member) : "";
      if (place.textContent !== words) place.textContent = words;
    }
    const late = stage.follower.late * 1000;
    const near = Math.abs(late) < 10;
    const words = stage.ready ? (near ? `In step (${lateness(late)})` : `You are ${lateness(late)}`) : "Not playing yet";
    if (this.off.textContent !== words) this.off.textContent = words;
    this.needle.style.left = `${50 + (50 * Math.max(-METER, Math.min(METER, late))) / METER}%`;
    this.meter.classList.toggle("near", near);
    const { copy } = seat.room ?? { copy: /** @type {const} */ ("stream") };
    if (this.back) this.back.hidden = copy === "stream";
    if (COPY[copy] || !this.own.value) this.copy.textContent = COPY[copy];
    for (const line of seat.lines.due(stage.place())) this.said(line);
  }

  /** @param {import("./seat.js").Member} member */
  how({ report, awaited, here }) {
    if (!here) return "";
    const waits = this.seat.timelines?.newest().going === "waiting";
    const words = [];
    if (awaited) words.push(waits ? "waited for" : "catching up");
    if (report) words.push(lateness(report.off_us / 1000), `${Math.floor(report.buffered_us / 1e6)} s buffered`);
    return words.join(", ");
  }

  /** @param {import("./lines.js").Line} line */
  said(line) {
    const words = wordsOf(line);
    const talk = line.what === "said" || line.what === "sealed";
    if (talk) {
      const item = this.add(words, "said", line.who);
      if (line.sealed && !this.seat.key) this.closed.set(line, item);
    } else this.add(`${line.who} ${words}`, "event");
    this.stage.pop(talk ? `${line.who}: ${words}` : `${line.who} ${words}`);
  }

  /** @param {string} words @param {string} kind @param {string} [who] */
  add(words, kind, who) {
    const { log } = this;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const item = element("li", { className: kind }, ...(who ? [element("b", {}, who), " "] : []), words);
    log.append(item);
    while (log.children.length > SHOWN) log.firstElementChild?.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
    return item;
  }

  close() {
    clearInterval(this.timer);
    for (const kind of ["members", "knocks", "standing"]) this.seat.removeEventListener(kind, this.onchange);
    this.seat.removeEventListener("word", this.onword);
  }
}

customElements.define("room-panel", RoomPanel);
