// Shows the description of the API.
import { element } from "./text.js";

const description = await (await fetch("/page/api.json")).json();
const rows = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { summary, responses }]) =>
    element("tr", {},
      element("td", {}, element("code", {}, `${method === "get" ? "" : `${method.toUpperCase()} `}${path}`)),
      element("td", {}, summary),
      element("td", {}, Object.entries(responses).map(([code, { description: what }]) => `${code} ${what}`).join("; ")))));
const head = element("tr", {}, ...["Address", "What it is", "Answers"].map((name) => element("th", {}, name)));
document.getElementById("paths")?.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
