// Which page is shown, and in which colours.
import { CataloguePage } from "./catalogue.js";
import { element } from "./text.js";
import { WatchPage } from "./watch.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {CataloguePage | WatchPage | undefined} */
let page;

async function go() {
  page?.close();
  page = undefined;
  const name = new URLSearchParams(location.search).get("watch");
  if (name === null) {
    document.title = "instep";
    const catalogue = new CataloguePage();
    page = catalogue;
    main.replaceChildren(catalogue);
    catalogue.open();
  } else {
    await watch(name);
  }
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
    const why = error instanceof Error ? error.message : String(error);
    main.replaceChildren(element("h1", { className: "unseen" }, "Nothing to watch"),
      element("p", { className: "note", role: "alert" }, `${why} `, element("a", { href: "/" }, "See what there is.")));
  }
}

/** Links within the page load nothing anew. */
document.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("a");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!link || !plain || link.origin !== location.origin || link.pathname !== "/" || link.hash) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  scrollTo(0, 0);
  void go().then(() => main.focus({ preventScroll: true }));
});
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

void go();
