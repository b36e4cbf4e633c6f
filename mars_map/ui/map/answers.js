// Yes and no to a tile, as the map and the gallery offer them: a tick on blue, a cross on orange.
// The shapes say it as well as the colours, for eyes that see no difference between these.

import { element } from "./server.js";

export const MARKS = { yes: "✓", no: "✕" };
const TITLES = {
  yes: "Yes, this is it (y): the hits become more like it",
  no: "No, this is not it (x): the hits become less like it",
};

/** The labels that a query carries: a Map from tile names to "yes" or "no". */
export function labelsOf(query) {
  const labels = new Map();
  const params = new URLSearchParams(query);
  for (const answer of Object.keys(MARKS))
    for (const name of (params.get(answer) ?? "").split(",")) if (name) labels.set(name, answer);
  return labels;
}

/** A query as address parameters, whatever was called right and wrong. */
export function withoutLabels(query) {
  const params = new URLSearchParams(query);
  for (const answer of Object.keys(MARKS)) params.delete(answer);
  return params.toString();
}

/**
 * Two buttons that call a tile right or wrong; a second press takes it back.
 * call: called with `{tiles: [name], answer}`, where an empty answer takes the label back.
 */
export function answerButtons(name, labels, call) {
  const buttons = ["yes", "no"].map((answer) => {
    const button = element("button", {
      type: "button",
      className: `mm-answer mm-${answer}`,
      textContent: MARKS[answer],
      title: TITLES[answer],
      onclick: () => call(toggled(name, answer, labels)),
    });
    button.setAttribute("aria-label", `${answer === "yes" ? "Yes" : "No"}: ${name}`);
    button.setAttribute("aria-pressed", String(labels.get(name) === answer));
    return button;
  });
  return element("span", { className: "mm-answers" }, buttons);
}

/** What to send when an answer to a tile is pressed. */
export function toggled(name, answer, labels) {
  return { tiles: [name], answer: labels.get(name) === answer ? "" : answer };
}
