// The forms of an account: log in, register, another password, delete.
import { element } from "./text.js";

/** @typedef {"log-in" | "register" | "password" | "delete"} Kind */

/**
 * `fill`: what a password manager is to put there.
 * @typedef {{ name: string, label: string, fill: string, hint?: string }} Field
 */

/**
 * What each asks for.
 * @type {Record<Kind, { title: string, note: string, deed: string, fields: Field[] }>}
 */
const FORMS = {
  "log-in": {
    title: "Log in", note: "", deed: "Log in",
    fields: [
      { name: "name", label: "Name", fill: "username" },
      { name: "password", label: "Password", fill: "current-password" },
    ],
  },
  register: {
    title: "Make an account", note: "", deed: "Make it",
    fields: [
      { name: "name", label: "Name", fill: "username", hint: "Others see it." },
      { name: "password", label: "Password", fill: "new-password", hint: "At least 8 characters." },
    ],
  },
  password: {
    title: "Change the password", note: "You stay logged in here, and nowhere else.", deed: "Change it",
    fields: [
      { name: "password", label: "Password so far", fill: "current-password" },
      { name: "new", label: "New password", fill: "new-password", hint: "At least 8 characters." },
    ],
  },
  delete: {
    title: "Delete the account", note: "Your rooms and films stay, and belong to nobody. This cannot be undone.",
    deed: "Delete it",
    fields: [{ name: "password", label: "Password", fill: "current-password" }],
  },
};

/** The other way in. @type {Partial<Record<Kind, [Kind, string]>>} */
const OTHER = { "log-in": ["register", "Make an account"], register: ["log-in", "I have an account"] };

/** <account-form>. Events: `done`. */
export class AccountForm extends HTMLElement {
  /** @type {HTMLInputElement[]} */
  inputs = [];
  deed = element("button", { type: "submit", className: "deed" });
  wrong = element("p", { className: "wrong", role: "alert", hidden: true });

  /** @param {Kind} kind @param {import("./account.js").account} account */
  constructor(kind, account) {
    super();
    this.kind = kind;
    this.account = account;
    this.build();
  }

  build() {
    const { title, note, deed, fields } = FORMS[this.kind];
    this.inputs = [];
    const rows = fields.flatMap((field) => this.row(field));
    this.deed.textContent = deed;
    const form = element("form", { noValidate: true }, element("h2", {}, title),
      element("p", { className: "quiet", hidden: note === "" }, note), ...this.whose(), ...rows, this.wrong, this.deed);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    this.replaceChildren(form, ...this.other());
  }

  /** @param {Field} field */
  row({ name, label, fill, hint = "" }) {
    const id = `account-${name}`;
    const secret = fill !== "username";
    const input = element("input", {
      name, id, type: secret ? "password" : "text", autocomplete: fill, required: true,
      maxLength: secret ? 256 : 40, autocapitalize: "none", spellcheck: false, "aria-describedby": `${id}-hint`,
    });
    this.inputs.push(input);
    return [element("label", { htmlFor: id }, label), input,
      element("p", { className: "quiet", id: `${id}-hint`, hidden: hint === "" }, hint)];
  }

  /** A password manager wants to know whose password it is. */
  whose() {
    const { name } = this.account;
    if (name === null || this.kind === "log-in" || this.kind === "register") return [];
    return [element("input", { type: "text", name: "who", autocomplete: "username", value: name, readOnly: true, hidden: true })];
  }

  other() {
    const other = OTHER[this.kind];
    if (!other) return [];
    const [kind, label] = other;
    return [element("button", { type: "button", className: "plain", onclick: () => this.become(kind) }, label)];
  }

  /** @param {Kind} kind */
  become(kind) {
    const name = this.inputs[0]?.value ?? "";
    this.kind = kind;
    this.say("");
    this.build();
    this.begin();
    if (this.inputs[0]) this.inputs[0].value = name;
  }

  begin() {
    this.inputs[0]?.focus();
  }

  async send() {
    const { inputs } = this;
    const empty = inputs.find((input) => input.value === "");
    if (empty) {
      this.say(`${empty.labels?.[0]?.textContent ?? "Something"} is missing.`);
      empty.focus();
      return;
    }
    const words = Object.fromEntries(inputs.map((input) => [input.name, input.value]));
    this.deed.disabled = true;
    try {
      const me = await this.account.ask(this.kind, words);
      this.dispatchEvent(new Event("done"));
      this.account.is(me);
    } catch (error) {
      this.say(sentence(error));
      inputs.at(-1)?.focus();
    } finally {
      this.deed.disabled = false;
    }
  }

  /** @param {string} what */
  say(what) {
    this.wrong.textContent = what;
    this.wrong.hidden = what === "";
  }
}

/** @param {unknown} error */
function sentence(error) {
  if (error instanceof TypeError) return "The relay does not answer; try again.";
  const text = error instanceof Error ? error.message : String(error);
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

customElements.define("account-form", AccountForm);
