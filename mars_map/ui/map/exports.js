// Formats to take the result away in. Our own route makes the file; progress and errors stay here.

import { element, route } from "./server.js";

const lists = new WeakMap();

/** Called by Streamlit with every change of the component's data. */
export function render({ data, parentElement }) {
  let node = lists.get(parentElement);
  if (!node) {
    node = element("div", { className: "mm-exports" });
    parentElement.append(node);
    lists.set(parentElement, node);
  }
  const wanted = JSON.stringify(data);
  if (node.dataset.shown !== wanted) {
    node.dataset.shown = wanted;
    node.replaceChildren(...data.formats.map((format) => row(format, data.query)));
  }
  return () => lists.delete(parentElement);
}

/** format: `{key, title, use, name}`; with `text` the file is here already, but for the view. The
 * format "link" is no file: it is copied. */
function row(format, query) {
  const said = element("small", { textContent: format.use });
  said.setAttribute("role", "status");
  const isLink = format.key === "link";
  const button = element("button", { type: "button", textContent: isLink ? "Copy" : "Save" });
  button.setAttribute("aria-label", `${isLink ? "Copy" : "Save as"} ${format.title}`);
  button.onclick = () => (isLink ? copyAddress(said) : save(format, query, button, said));
  const text = element("div", {}, [element("b", { textContent: format.title }), said]);
  const node = element("div", { className: "mm-export" }, [text, button]);
  node.dataset.format = format.key;
  return node;
}

async function save(format, query, button, said) {
  button.disabled = true;
  said.classList.remove("mm-error");
  said.textContent = "Making the file…";
  try {
    const file = format.text ? sessionFile(format.text) : await made(format, query);
    download(file, format.name);
    said.textContent = `${format.name}, ${sizeOf(file.size)}`;
  } catch (error) {
    said.classList.add("mm-error");
    said.textContent = error.message || "The server does not answer; check that it still runs.";
  }
  button.disabled = false;
}

/** Without a secure connection a page may not copy: then the address stands there to be taken. */
async function copyAddress(said) {
  try {
    await navigator.clipboard.writeText(location.href);
    said.textContent = "The link is copied.";
  } catch {
    said.textContent = location.href;
  }
}

async function made(format, query) {
  const response = await fetch(route(`export/${format.key}`, query));
  if (!response.ok) throw new Error((await response.json()).error);
  return response.blob();
}

/** A session with what only the browser knows: where the map looks and how it is drawn. */
function sessionFile(text) {
  const session = { ...JSON.parse(text), view: location.hash.slice(1) };
  return new Blob([JSON.stringify(session, null, 1)], { type: "application/json" });
}

function download(file, name) {
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  // The browser has taken the file over by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function sizeOf(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
