// The page of a room: before its door, within, and after.
import { RoomDoor } from "./door.js";
import { forPage, readable } from "./lines.js";
import { RoomPanel } from "./panel.js";
import { Seat } from "./seat.js";
import { element } from "./text.js";
import { RoomStage } from "./together.js";
import { videoOf } from "./youtube.js";

/** Where it is kept how one comes back: as long as the tab is there.
 * @param {string} code */
const place = (code) => `room ${code}`;

const UNREACHED = "The relay does not answer; trying again.";

/** <room-page>. */
export class RoomPage extends HTMLElement {
  /** @type {Seat | undefined} */
  seat = undefined;
  /** @type {RoomStage | undefined} */
  stage = undefined;
  /** @type {RoomPanel | undefined} */
  panel = undefined;
  /** @type {RoomDoor | undefined} */
  door = undefined;
  /** @type {File | undefined} */
  own = undefined;
  /** What one came in with. @type {string | undefined} */
  token = undefined;

  /** @param {{ code: string } | { stream: string, title: string }} to */
  constructor(to) {
    super();
    this.to = to;
  }

  open() {
    const kept = "code" in this.to ? sessionStorage.getItem(place(this.to.code)) : null;
    if (kept && "code" in this.to) {
      const { token, name } = JSON.parse(kept);
      this.token = token;
      this.go({ say: "enter", code: this.to.code, name, token });
    } else {
      this.knock();
    }
  }

  /** Shows the door.
   * @param {string} [reason] why one is before it */
  knock(reason = "") {
    this.door = new RoomDoor(this.to, (errand, own, key) => {
      this.own = own;
      this.go(errand, key);
    });
    if (reason) this.door.refuse(reason);
    this.replaceChildren(this.door);
    this.door.focusFirst();
  }

  /** @param {import("./seat.js").Errand} errand @param {import("./sealed.js").Key} [key] */
  go(errand, key) {
    this.seat?.end();
    const seat = new Seat(errand);
    seat.key = key;
    this.seat = seat;
    seat.addEventListener("standing", () => {
      if (this.seat === seat) void this.stand(seat);
    });
    if (!this.door) this.note("Going in …");
  }

  /** @param {Seat} seat */
  async stand(seat) {
    if (seat.standing === "knocking") this.wait(seat);
    else if (seat.standing === "inside") await this.enter(seat);
    else if (seat.standing === "gone") this.gone(seat);
    else if (!seat.socket && this.door) this.door.say(UNREACHED);
    else if (!seat.socket) this.note(UNREACHED);
  }

  /** @param {string} words @param {...Node} more */
  note(words, ...more) {
    this.replaceChildren(element("p", { className: "note", role: "status" }, words, " ", ...more));
  }

  /** @param {Seat} seat */
  wait(seat) {
    const away = element("button", { type: "button", className: "plain", onclick: () => seat.leave() }, "Go away");
    this.note(seat.here || seat.socket ? "You have knocked. The host is asked to let you in." : "The connection is lost; knocking again.", away);
  }

  /** @param {Seat} seat */
  async enter(seat) {
    const { room } = seat;
    if (!room || !seat.here) return;
    sessionStorage.setItem(place(room.code), JSON.stringify({ token: room.token, name: seat.errand.name }));
    this.to = { code: room.code };
    history.replaceState(null, "", `/?room=${room.code}`);
    document.title = `Room ${readable(room.code)} - instep`;
    // Coming back one goes on as one was.
    if (this.stage) return;
    const info = await this.stream(room.stream);
    if (this.stage || this.seat !== seat) return;
    this.door = undefined;
    const stage = new RoomStage(info, seat, this.own);
    this.stage = stage;
    this.panel = new RoomPanel(seat, stage, (own) => stage.bring(own));
    this.replaceChildren(element("div", { className: "room" }, stage, this.panel));
    stage.open();
  }

  /** @param {string} name @returns {Promise<import("./text.js").Info>} */
  async stream(name) {
    const nothing = { name, title: videoOf(name) ? "A video on YouTube" : "", live: false, state: /** @type {const} */ ("idle"), viewers: 0, summary: "", links: [], recording: null };
    try {
      const streams = await (await fetch("/streams.json")).json();
      return streams.find((/** @type {{ name: string }} */ stream) => stream.name === name) ?? nothing;
    } catch {
      return nothing;
    }
  }

  /** @param {Seat} seat */
  gone(seat) {
    const { reason, why } = seat;
    const code = seat.room?.code ?? ("code" in this.to ? this.to.code : undefined);
    if (code) sessionStorage.removeItem(place(code));
    this.leave();
    if (why === "left" && seat.room) {
      const back = element("a", { href: "/" }, "See what there is.");
      this.note(reason ? forPage(reason) : "You have left the room.", back);
    } else if (this.token) {
      // The place is lost; one may come in anew.
      this.token = undefined;
      this.knock(why === "unknown_room" ? reason : "");
    } else if (this.door?.isConnected) {
      this.door.refuse(reason);
    } else {
      this.knock(reason);
    }
  }

  leave() {
    this.stage?.close();
    this.panel?.close();
    this.stage = this.panel = undefined;
  }

  close() {
    this.seat?.end();
    this.leave();
  }
}

customElements.define("room-page", RoomPage);
