// The rooms of who is logged in, on the start page.
import { account } from "./account.js";
import { element } from "./text.js";

/** How often they are asked for, milliseconds. */
const LOOK = 5_000;

/**
 * A line of /account/rooms.json.
 * @typedef {{ code: string, stream: string, members: string[] }} OwnRoom
 */

/** <own-rooms>: what belongs to one, with a way in and a way to close it. */
export class OwnRooms extends HTMLElement {
  list = element("ul", { className: "own" });
  shown = "";

  constructor() {
    super();
    this.hidden = true;
    this.look = () => void this.ask();
  }

  connectedCallback() {
    this.replaceChildren(element("section", { "aria-label": "Your rooms" }, element("h2", {}, "Your rooms"), this.list));
    account.addEventListener("changed", this.look);
    this.timer = setInterval(() => {
      if (!document.hidden) this.look();
    }, LOOK);
    this.look();
  }

  async ask() {
    if (account.name === null) return this.show([]);
    try {
      const answer = account.heard(await fetch("/account/rooms.json"));
      this.show(answer.ok ? await answer.json() : []);
    } catch {
      // Asked again by and by.
    }
  }

  /** @param {OwnRoom[]} rooms */
  show(rooms) {
    const now = JSON.stringify(rooms);
    // What has the focus stays, unless something changed.
    if (now === this.shown) return;
    this.shown = now;
    this.hidden = rooms.length === 0;
    this.list.replaceChildren(...rooms.map(({ code, stream, members }) => element("li", {},
      element("a", { href: `/?room=${code}` }, code),
      element("span", { className: "quiet" }, ` ${stream} · ${members.length === 0 ? "nobody is there" : members.join(", ")}`),
      element("button", { type: "button", className: "plain", "aria-label": `Close room ${code}`,
        onclick: () => void this.end(code) }, "Close"))));
  }

  /** @param {string} room */
  async end(room) {
    try {
      await account.ask("close-room", { room });
    } catch {
      // What is there now, the list says.
    }
    await this.ask();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    account.removeEventListener("changed", this.look);
  }
}

customElements.define("own-rooms", OwnRooms);
