// Before a room: who makes one or comes in says its name, and what else is asked for.
import { account } from "./account.js";
import { codeIn, forPage, readable } from "./lines.js";
import { lengthOf } from "./own.js";
import { make } from "./sealed.js";
import { element } from "./text.js";
import { streamOf, videoOf } from "./youtube.js";

/** Longest name and PIN, bytes of UTF-8; shortest PIN. */
const NAME = 40;
const PIN = { least: 4, most: 64 };

/**
 * A field with its label.
 * @param {string} label @param {HTMLElement} field @param {string} [hint]
 */
export function field(label, field, hint) {
  return element("label", { className: "field" }, element("span", {}, label), field,
    ...(hint ? [element("span", { className: "quiet" }, hint)] : []));
}

/** A box to be ticked with its label.
 * @param {string} label @param {HTMLInputElement} box */
function tick(label, box) {
  return element("label", { className: "tick" }, box, element("span", {}, label));
}

/** @param {string} text */
const bytes = (text) => new TextEncoder().encode(text).length;

/**
 * What is typed, or what is wrong with it.
 * @param {string} name @param {string} pin @returns {string | undefined}
 */
export function wrong(name, pin) {
  if (name === "") return "Say what the others should call you.";
  if (bytes(name) > NAME || /[/\\\p{Cc}]/u.test(name)) return `A name has at most ${NAME} letters, and no slashes.`;
  if (pin && (bytes(pin) < PIN.least || bytes(pin) > PIN.most)) return `A PIN has ${PIN.least} to ${PIN.most} characters.`;
  return undefined;
}

/**
 * <room-door>. `ready` is given the errand and the film of one's own, if there is one.
 */
export class RoomDoor extends HTMLElement {
  name = element("input", { type: "text", autocomplete: "nickname", maxLength: NAME, required: true,
    value: account.name ?? localStorage.getItem("name") ?? "" });
  pin = element("input", { type: "text", autocomplete: "off", maxLength: PIN.most, inputMode: "text" });
  own = element("input", { type: "file", accept: "video/*,audio/*,.mkv" });
  control = element("select", {},
    element("option", { value: "everyone" }, "Everyone"), element("option", { value: "host" }, "The host alone"));
  secret = element("input", { type: "password", autocomplete: "off" });
  approve = element("input", { type: "checkbox" });
  hidden_ = element("input", { type: "checkbox" });
  send = element("button", { type: "submit", className: "main" });
  note = element("p", { className: "wrong", role: "alert", hidden: true });

  /** @param {{ stream: string, title: string } | { code: string }} to
   * @param {(errand: import("./seat.js").Errand, own: File | undefined, key?: import("./sealed.js").Key) => void} ready */
  constructor(to, ready) {
    super();
    this.to = to;
    this.ready = ready;
    const makes = "stream" in to;
    const heading = makes ? "Watch together" : `Room ${readable(to.code)}`;
    this.send.textContent = makes ? "Make a room" : "Come in";
    const form = element("form", { className: "door", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.submit();
    } },
    element("h1", {}, heading),
    ...(makes ? [element("p", { className: "quiet" }, videoOf(to.stream) ? "A video on YouTube" : to.title || to.stream)] : []),
    field("Your name", this.name),
    field("PIN", this.pin, makes ? "Who comes in has to know it. Leave it empty to need none." : "If the room has one."),
    ...(makes ? this.settings() : []),
    ...(makes && videoOf(to.stream) ? [] : [this.ownCopy()]),
    this.note, this.send);
    this.append(form);
  }

  settings() {
    return [
      field("Who may pause, play and seek", this.control),
      field("Passphrase for the talk", this.secret, "What is said is sealed with it, and even the relay cannot read it. Tell it the others yourself; leave it empty to seal nothing."),
      tick("Who wants in knocks, and the host opens", this.approve),
      tick("Not in the list of open rooms", this.hidden_),
    ];
  }

  ownCopy() {
    return element("details", {}, element("summary", {}, "Play a copy of your own"),
      field("A file on this device", this.own, "It is not sent anywhere: it plays from here, and only pausing, playing and seeking is shared."));
  }

  focusFirst() {
    (this.name.value === "" ? this.name : this.pin).focus();
  }

  /** @param {string} words */
  say(words) {
    this.note.textContent = words;
    this.note.hidden = words === "";
  }

  /** @param {string} reason */
  refuse(reason) {
    this.say(reason === "" ? "" : forPage(reason));
    this.send.disabled = false;
  }

  async submit() {
    const [name, pin] = [this.name.value.trim(), this.pin.value];
    const reason = wrong(name, pin);
    if (reason) {
      this.refuse(reason);
      return;
    }
    localStorage.setItem("name", name);
    const own = this.own.files?.[0];
    this.send.disabled = true;
    try {
      const film_us = own ? Math.round((await lengthOf(own)) * 1e6) : undefined;
      this.refuse("");
      this.send.disabled = true;
      const errand = this.errand(name, pin || undefined, film_us);
      const sealed = errand.say === "create" && this.secret.value !== "" ? await make(this.secret.value) : undefined;
      this.ready(sealed ? /** @type {any} */ ({ ...errand, secret: sealed.secret }) : errand, own, sealed?.key);
    } catch (error) {
      this.refuse(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} name @param {string | undefined} pin @param {number | undefined} film_us
   * @returns {import("./seat.js").Errand} */
  errand(name, pin, film_us) {
    if ("code" in this.to) return { say: "enter", code: this.to.code, name, pin, film_us };
    return {
      say: "create", stream: this.to.stream, name, pin, film_us, control: this.control.value,
      approve: this.approve.checked, private: this.hidden_.checked,
    };
  }
}

customElements.define("room-door", RoomDoor);

/** The open rooms, and the way into one by its code: a section of the start page. */
export class OpenRooms extends HTMLElement {
  code = element("input", { type: "text", placeholder: "Code or link", "aria-label": "Code or link of a room", autocomplete: "off",
    autocapitalize: "characters", spellcheck: false, maxLength: 300 });
  link = element("input", { type: "url", placeholder: "Link of a video on YouTube", "aria-label": "Link of a video on YouTube", autocomplete: "off",
    spellcheck: false, maxLength: 300 });
  note = element("p", { className: "wrong", role: "alert", hidden: true });
  rooms = element("ul", { className: "rooms" });
  kept = "";

  constructor() {
    super();
    const form = element("form", { className: "by-code", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.enter();
    } }, this.code, element("button", { type: "submit", className: "plain" }, "Join a room"));
    const video = element("form", { className: "by-code", noValidate: true, onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.make();
    } }, this.link, element("button", { type: "submit", className: "plain" }, "Watch it together"));
    this.append(element("section", { "aria-label": "Rooms" }, element("h2", {}, "Watch together"), form, video, this.note, this.rooms));
    this.hidden = true;
  }

  enter() {
    const code = codeIn(this.code.value);
    this.note.hidden = code !== undefined;
    this.note.textContent = "A code has 10 letters and digits, such as K7XW2-M9QPD.";
    if (code) this.dispatchEvent(new CustomEvent("go", { bubbles: true, detail: `/?room=${code}` }));
  }

  /** A room for a video. */
  make() {
    const stream = streamOf(this.link.value);
    this.note.hidden = stream !== undefined;
    this.note.textContent = "A link is as it stands in the browser's address, such as https://www.youtube.com/watch?v=… or https://youtu.be/…";
    if (stream) this.dispatchEvent(new CustomEvent("go", { bubbles: true, detail: `/?together=${encodeURIComponent(stream)}` }));
  }

  async look() {
    const answer = await fetch("/rooms.json");
    if (answer.ok) this.show(await answer.json());
  }

  /** @typedef {{ code: string, stream: string, pin: boolean, approve: boolean, members: string[],
   *   live: boolean, playing: boolean, position_s: number }} OpenRoom
   * @param {OpenRoom[] | null} rooms */
  show(rooms) {
    this.hidden = rooms === null;
    // The focus stays where it is as long as nothing has changed.
    const lines = (rooms ?? []).map(({ position_s, ...line }) => line);
    const news = JSON.stringify(lines);
    if (news === this.kept) return;
    this.kept = news;
    this.rooms.replaceChildren(...lines.map((line) => this.line(line)));
  }

  /** @param {Omit<OpenRoom, "position_s">} room */
  line(room) {
    const state = room.live ? "live" : room.playing ? "playing" : "paused";
    const door = [room.pin && "with a PIN", room.approve && "the host opens"].filter(Boolean);
    return element("li", {}, element("a", { href: `/?room=${room.code}` },
      element("span", { className: "title" }, videoOf(room.stream) ? "A video on YouTube" : room.stream),
      element("span", {}, room.members.join(", ")),
      element("span", { className: "quiet" }, [state, ...door, readable(room.code)].join(" · "))));
  }
}

customElements.define("open-rooms", OpenRooms);
