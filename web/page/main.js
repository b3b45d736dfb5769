// Which page is shown, and in which colours.
import { LogInPage, account } from "./account.js";
import { CataloguePage } from "./catalogue.js";
import { codeIn } from "./lines.js";
import { RoomPage } from "./room.js";
import { element } from "./text.js";
import { WatchPage } from "./watch.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {CataloguePage | LogInPage | WatchPage | RoomPage | undefined} */
let page;

async function go() {
  page?.close();
  page = undefined;
  if (account.mustLogIn) return logIn();
  const asked = new URLSearchParams(location.search);
  const name = asked.get("watch");
  const room = asked.get("room") ?? asked.get("together");
  if (room !== null) {
    await together(room, asked.has("room"));
  } else if (name === null) {
    document.title = "instep";
    const catalogue = new CataloguePage();
    page = catalogue;
    main.replaceChildren(catalogue);
    catalogue.open();
  } else {
    await watch(name);
  }
}

/** Where the address leads is shown afterwards. */
function logIn() {
  document.title = "Log in - instep";
  const asking = new LogInPage();
  page = asking;
  main.replaceChildren(asking);
  asking.open();
}

/** A room by its code, or one that is to be made for a stream.
 * @param {string} what @param {boolean} there */
async function together(what, there) {
  const code = codeIn(what);
  if (there && !code) {
    complain(`“${what}” is no code of a room: they have 10 letters and digits.`);
    return;
  }
  document.title = "Watch together - instep";
  const inside = new RoomPage(code && there ? { code } : { stream: what, title: "" });
  page = inside;
  main.replaceChildren(inside);
  inside.open();
}

/** @param {string} why */
function complain(why) {
  main.replaceChildren(element("h1", { className: "unseen" }, "Nothing to watch"),
    element("p", { className: "note", role: "alert" }, `${why} `, element("a", { href: "/" }, "See what there is.")));
}

/** @param {string} name */
async function watch(name) {
  document.title = `${name} - instep`;
  try {
    const streams = await (await fetch("/streams.json")).json();
    const info = streams.find((/** @type {{ name: string }} */ stream) => stream.name === name);
    if (!info) throw new Error(`There is no “${name}” here.`);
    document.title = `${info.title || name} - instep`;
    const watching = new WatchPage(info);
    page = watching;
    main.replaceChildren(watching);
    watching.open();
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
  }
}

/** Links within the page load nothing anew. */
document.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("a");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!link || !plain || link.origin !== location.origin || link.pathname !== "/" || link.hash) return;
  event.preventDefault();
  visit(link.href);
});
addEventListener("go", (event) => visit(/** @type {CustomEvent} */ (event).detail));

/** @param {string} address within the page */
function visit(address) {
  history.pushState(null, "", address);
  scrollTo(0, 0);
  void go().then(() => main.focus({ preventScroll: true }));
}
addEventListener("popstate", () => void go());

const theme = /** @type {HTMLButtonElement} */ (document.getElementById("theme"));
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const LABEL = { auto: "Auto", light: "Light", dark: "Dark" };

/** @param {keyof typeof NEXT} which */
function colour(which) {
  document.documentElement.dataset.theme = which;
  theme.textContent = LABEL[which];
  theme.setAttribute("aria-label", `Colours: ${LABEL[which]}`);
  localStorage.setItem("theme", which);
}

const kept = localStorage.getItem("theme");
colour(kept === "light" || kept === "dark" ? kept : "auto");
theme.onclick = () => {
  const now = /** @type {keyof typeof NEXT} */ (document.documentElement.dataset.theme);
  colour(/** @type {keyof typeof NEXT} */ (NEXT[now]));
};

// What is shown depends on who looks where one must be logged in; where not, only what is theirs does.
let closed = false;
account.addEventListener("changed", () => {
  if (account.mustLogIn === closed) return;
  closed = account.mustLogIn;
  void go().then(() => {
    if (!closed) main.focus({ preventScroll: true });
  });
});
void account.look().catch(() => {}).finally(() => {
  if (!page) void go();
});
