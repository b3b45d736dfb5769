// Who is logged in here, and the way in and out.
import { AccountForm } from "./account-form.js";
import { element } from "./text.js";

/**
 * What /account.json says: whether this relay has accounts, and whose this browser is logged in to.
 * @typedef {{ accounts: "off" | "optional" | "required", name: string | null }} Me
 */

/** Events: `changed`. */
class Account extends EventTarget {
  /** @type {Me} */
  me = { accounts: "off", name: null };

  /** The name of who is logged in, or null. */
  get name() {
    return this.me.name;
  }

  /** Nothing is to be seen before somebody logs in. */
  get mustLogIn() {
    return this.me.accounts === "required" && this.me.name === null;
  }

  /** Asks who is logged in. */
  async look() {
    const answer = await fetch("/account.json");
    if (answer.ok) this.is(await answer.json());
  }

  /** @param {Me} me */
  is(me) {
    const { accounts, name } = this.me;
    this.me = me;
    if (me.accounts !== accounts || me.name !== name) this.dispatchEvent(new Event("changed"));
  }

  /** To be called with answers: one that says that nobody is logged in is news.
   * @param {Response} answer */
  heard(answer) {
    if (answer.status === 401) void this.look();
    return answer;
  }

  /**
   * Asks for a change. What is wrong is thrown as a sentence.
   * @param {string} what the end of the address @param {Record<string, string>} words
   */
  async ask(what, words = {}) {
    const answer = this.heard(await fetch(`/account/${what}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(words),
    }));
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer.json();
  }
}

/** Who is logged in in this browser. */
export const account = new Account();

/** <account-menu>: in the header. */
class AccountMenu extends HTMLElement {
  button = element("button", { type: "button", className: "plain", "aria-haspopup": "dialog", onclick: () => this.open() });
  dialog = element("dialog", { className: "account", "aria-label": "Account" });

  connectedCallback() {
    this.replaceChildren(this.button, this.dialog);
    // Its keys are not the player's.
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
    // A click beside it closes it.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => {
      // It may be open again already.
      if (!this.dialog.open) this.dialog.replaceChildren();
    });
    account.addEventListener("changed", () => this.show());
    this.show();
  }

  show() {
    const { accounts, name } = account.me;
    this.hidden = accounts === "off" || account.mustLogIn;
    this.button.textContent = name ?? "Log in";
    this.button.setAttribute("aria-label", name === null ? "Log in" : `Account of ${name}`);
  }

  open() {
    const { name } = account;
    if (name === null) return this.form("log-in");
    const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) =>
      element("button", { type: "button", className: "plain", onclick }, label);
    this.dialog.replaceChildren(element("h2", {}, name),
      element("div", { className: "choices" },
        button("Log out", () => void this.leave()),
        button("Change the password", () => this.form("password")),
        button("Delete the account", () => this.form("delete")),
        button("Cancel", () => this.dialog.close())));
    this.present();
  }

  /** @param {import("./account-form.js").Kind} kind */
  form(kind) {
    const form = new AccountForm(kind, account);
    form.addEventListener("done", () => this.dialog.close());
    const cancel = element("button", { type: "button", className: "plain", onclick: () => this.dialog.close() }, "Cancel");
    this.dialog.replaceChildren(form, cancel);
    this.present();
    form.begin();
  }

  present() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  async leave() {
    try {
      account.is(await account.ask("log-out"));
      this.dialog.close();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.dialog.append(element("p", { className: "wrong", role: "alert" }, why));
    }
  }
}

customElements.define("account-menu", AccountMenu);

/** <log-in-page>: what is shown where nothing else is before one is logged in. */
export class LogInPage extends HTMLElement {
  form = new AccountForm("log-in", account);

  open() {
    this.replaceChildren(element("h1", { className: "unseen" }, "instep"), this.form);
    this.form.begin();
  }

  close() {}
}

customElements.define("log-in-page", LogInPage);
