// Pictures that are dropped anywhere on the page become parts of the query. Without this the browser
// would leave the page and show the picture.

import { element, route } from "./server.js";

const BOX = "[data-testid=stFileUploaderDropzone]";
const MOST = 10;
let send = null;
let veil = null;

/** data: `{hint}`. What was dropped is sent as `dropped`: `{parts}`, `{problem}` or both. */
export function render({ data, setTriggerValue }) {
  send = setTriggerValue;
  if (veil) return;
  veil = element("div", { className: "mm-drop", textContent: data.hint, hidden: true });
  document.body.append(veil);
  addEventListener("dragover", over);
  addEventListener("dragleave", (event) => event.relatedTarget || (veil.hidden = true));
  addEventListener("drop", drop);
}

function isOurs(event) {
  return event.dataTransfer?.types.includes("Files") && !event.target.closest?.(BOX);
}

function over(event) {
  veil.hidden = !isOurs(event);
  if (!veil.hidden) event.preventDefault();
}

async function drop(event) {
  veil.hidden = true;
  if (!isOurs(event)) return;
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const parts = [];
  try {
    if (files.length > MOST) throw new Error(`Drop at most ${MOST} pictures at a time.`);
    for (const file of files) parts.push(await partOf(file));
    send("dropped", { parts });
  } catch (error) {
    send("dropped", { parts, problem: error.message });
  }
}

async function partOf(file) {
  let reply;
  try {
    const name = `name=${encodeURIComponent(file.name)}`;
    reply = await fetch(route("picture", name), { method: "POST", body: file });
  } catch {
    throw new Error("The server does not answer; check that mars_map is still running.");
  }
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(answer.error ?? `The server answered ${reply.status}.`);
  return answer.part;
}
