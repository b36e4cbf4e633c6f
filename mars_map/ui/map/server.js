// Questions to our own server, and what both components of the page share.

const ROOT = new URL("..", import.meta.url);

/** Address of one of our routes, such as `route("heat.png", "q=dunes")`, on the page's index. */
export function route(path, query = "") {
  const address = new URL(path, ROOT);
  address.search = query;
  const index = new URLSearchParams(location.search).get("index");
  if (index && !address.searchParams.has("index")) address.searchParams.append("index", index);
  return address.href;
}

/** The same with places for Leaflet to fill, `{z}` and the like, in the path. */
export function template(path, query = "") {
  const [place, ...rest] = route(path, query).split("?");
  return [decodeURI(place), ...rest].join("?");
}

/** JSON from one of our routes; throws an Error with the server's sentence. */
export async function ask(path, query = "", signal = undefined) {
  let response;
  try {
    response = await fetch(route(path, query), { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; check that mars_map is still running.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
}

let description;

/** What is being searched: grid, model and basemaps. Asked once a page. */
export function describeIndex() {
  description ??= ask("index");
  return description;
}

const answers = new Map();
const pending = new Map();
const KEPT_ANSWERS = 8;

/** The hits of a query: `{tiles, scores, low, high, colours}`, best first. The last few are kept. */
export function footprints(query) {
  if (!answers.has(query)) {
    const stop = new AbortController();
    const asked = ask("footprints", query, stop.signal);
    pending.set(query, stop);
    asked.catch(() => answers.delete(query)).finally(() => pending.delete(query));
    answers.set(query, asked);
    if (answers.size > KEPT_ANSWERS) answers.delete(answers.keys().next().value);
  }
  return answers.get(query);
}

/**
 * A query as address parameters with another cut of the hits, in the order in which the page has them:
 * `{k, min}`, each left out where it is not given.
 */
export function withCut(query, cut = {}) {
  const others = query.split("&").filter((one) => !/^(k|min)=/.test(one));
  return [...others, ...Object.entries(cut).map(([name, value]) => `${name}=${value}`)].join("&");
}

/** Give up waiting for an answer that nobody wants any more: the server stops searching for it. */
export function abandon(query) {
  pending.get(query)?.abort();
}

/** Whether an error only says that an answer was given up. */
export function isAbandoned(error) {
  return error.name === "AbortError";
}

/**
 * Carries "goto" and "hover" from the gallery to the map, "walk" from keys to the gallery, and "cut"
 * from the histogram to the map.
 */
export const bus = new EventTarget();

export function tell(kind, detail) {
  bus.dispatchEvent(new CustomEvent(kind, { detail }));
}

/** A new element; text is set as text, never as HTML. */
export function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
