// The card in the corner of the map: what the colours mean, and which layers are drawn.

import { GEOLOGY, swatch } from "./overlays.js";
import { element } from "./server.js";

const THINNED = "Thinned out: only the largest are drawn, one in so many. Zoom in for the others.";
const RANKS = "The best quarter of all tiles has a colour; the brightest, one tile in a thousand.";

export class Legend {
  constructor(description, preferences, overlays) {
    this.preferences = preferences;
    this.overlays = overlays;
    this.body = element("div", { className: "mm-legend-body" }, [
      this.heatScale(),
      this.toggle("hits", "Footprints of the hits", element("i", { className: "mm-hit-swatch" })),
      this.labels(),
      this.basemap(description.layers),
      this.over(),
    ]);
    this.fold = element("button", { type: "button", className: "mm-fold" });
    this.fold.onclick = () => preferences.set({ legend: !preferences.legend });
    this.node = element("section", { className: "mm-legend mm-card" }, [this.fold, this.body]);
    this.node.setAttribute("aria-label", "Legend and layers");
    preferences.watch((changes) => "legend" in changes && this.unfold());
    this.unfold();
  }

  unfold() {
    const { legend } = this.preferences;
    this.body.hidden = !legend;
    this.fold.textContent = "Legend and layers";
    this.fold.title = legend ? "Fold the legend away" : "Show the legend and the layers";
    this.fold.setAttribute("aria-expanded", legend);
  }

  heatScale() {
    this.low = element("span");
    this.high = element("span");
    this.ramp = element("div", { className: "mm-ramp" });
    const ends = element("div", { className: "mm-ends", title: RANKS }, [this.low, this.high]);
    const title = element("div", { className: "mm-title", textContent: "Cosine similarity" });
    const parts = [title, this.ramp, ends, this.slider()];
    this.scale = element("div", { className: "mm-heat-scale", hidden: true, title: RANKS }, parts);
    return this.scale;
  }

  /** found: `{low, high, colours}`, the colours and the scores at both ends; null for no heat map. */
  show(found) {
    this.scale.hidden = !found;
    if (!found) return;
    this.ramp.style.background = `linear-gradient(to right, ${found.colours.join(", ")})`;
    this.low.textContent = found.low.toFixed(3);
    this.high.textContent = found.high.toFixed(3);
  }

  labels() {
    this.layers = element("div", { className: "mm-layers", hidden: true });
    this.layers.setAttribute("role", "group");
    this.layers.setAttribute("aria-label", "Layers of labels");
    return this.layers;
  }

  /**
   * layers: layers of labels, as mars_map.ui.map.Layer has them; choose: called with
   * `{number, shown}`.
   */
  showLabels(layers, choose) {
    const said = layers.map(({ name, colour, shown, open }) => ({ name, colour, shown, open }));
    const wanted = JSON.stringify(said);
    if (wanted === this.labelled) return;
    this.labelled = wanted;
    this.layers.hidden = layers.length === 0;
    this.layers.replaceChildren(...layers.map((layer) => this.layer(layer, choose)));
  }

  layer({ number, name, colour, shown, open }, choose) {
    const input = element("input", {
      type: "checkbox",
      checked: shown,
      onchange: () => choose({ number, shown: input.checked }),
    });
    const mark = element("i", { className: "mm-layer-swatch" });
    mark.style.borderColor = colour;
    const title = open ? `${name}: the labels that the query uses` : `${name}: labels`;
    return element("label", { title }, [input, mark, element("span", { textContent: name })]);
  }

  slider() {
    const input = element("input", {
      type: "range",
      min: 0,
      max: 100,
      value: this.preferences.heat,
      oninput: () => this.preferences.set({ heat: +input.value }),
    });
    return element("label", { className: "mm-row" }, ["Opacity", input]);
  }

  basemap(layers) {
    const options = layers.map(({ id, title }) => element("option", { value: id, textContent: title }));
    const select = element("select", {
      className: "mm-basemap",
      onchange: () => this.preferences.set({ base: select.value }),
    }, options);
    select.value = this.preferences.base || layers[0].id;
    this.preferences.watch((changes) => {
      if ("base" in changes) select.value = changes.base;
    });
    return element("label", { className: "mm-row" }, ["Basemap", select]);
  }

  /** What can be laid over the map; the list is folded until somebody wants it. */
  over() {
    this.rows = element("div", { className: "mm-overlays" }, [
      this.toggle("names", "Names of features"),
      this.toggle("graticule", "Graticule"),
    ]);
    this.count = element("small");
    const summary = element("summary", {}, ["Overlays ", this.count]);
    this.thinned = element("p", { className: "mm-hint", hidden: true, textContent: THINNED });
    this.sources = element("p", { className: "mm-hint" });
    const details = element("details", {}, [summary, this.rows, this.thinned, this.sources]);
    details.open = this.preferences.over.length > 0;
    this.overlays.listed.then((listed) => this.list([...listed, GEOLOGY]));
    return details;
  }

  list(entries) {
    this.entries = entries;
    this.rows.append(...entries.map((entry) => this.overlay(entry)));
    this.preferences.watch((changes) => "over" in changes && this.tellSources());
    this.overlays.watch(() => this.tellShares());
    this.tellSources();
    this.tellShares();
  }

  overlay(entry) {
    const { key, title } = entry;
    const input = element("input", {
      type: "checkbox",
      checked: this.preferences.over.includes(key),
      onchange: () => this.choose(key, input.checked),
    });
    input.dataset.overlay = key;
    const mark = entry.geometry ? swatch(entry) : element("i", { className: "mm-geology-swatch" });
    const share = element("small", { className: "mm-share" });
    return element("label", { title: sourceOf(entry) }, [input, mark, title, share]);
  }

  /** Say which catalogues are thinned out, and how much. */
  tellShares() {
    let any = false;
    for (const input of this.rows.querySelectorAll("[data-overlay]")) {
      const many = this.overlays.oneIn(input.dataset.overlay);
      any ||= many > 1;
      input.parentElement.querySelector(".mm-share").textContent = shareOf(many);
    }
    this.thinned.hidden = !any;
  }

  choose(key, on) {
    const others = this.preferences.over.filter((other) => other !== key);
    this.preferences.set({ over: on ? [...others, key] : others });
  }

  /** Whoever's work is shown is named. */
  tellSources() {
    const shown = this.entries.filter(({ key }) => this.preferences.over.includes(key));
    const credits = [...new Set(shown.map(({ credit, licence }) => creditOf(credit, licence)))];
    const cares = shown.filter(({ care }) => care).map(({ title, care }) => `${title}: ${care}`);
    this.sources.textContent = [credits.join("; "), ...cares].filter(Boolean).join(". ");
    this.count.textContent = shown.length ? `(${shown.length} on)` : "";
  }

  toggle(name, title, mark = "") {
    const input = element("input", {
      type: "checkbox",
      checked: this.preferences[name],
      onchange: () => this.preferences.set({ [name]: input.checked }),
    });
    return element("label", { className: "mm-toggle" }, [input, mark, title]);
  }
}

/** "1 in 7", or in tenths where that says more; nothing where all are drawn. */
function shareOf(many) {
  if (many <= 1) return "";
  if (many >= 1.9) return `1 in ${Math.round(many)}`;
  return `${Math.min(Math.round(10 / many), 9)} in 10`;
}

/** Only a licence that asks to be named is named beside the authors. */
const creditOf = (credit, licence) => (licence.startsWith("CC") ? `${credit}, ${licence}` : credit);

function sourceOf({ count, source, doi, licence, care }) {
  const parts = [
    count ? `${count.toLocaleString("en")} features.` : "",
    `${source}${doi ? `, doi ${doi}` : ""}.`,
    `Terms: ${licence}.`,
    care ? `${care[0].toUpperCase()}${care.slice(1)}.` : "",
  ];
  return parts.filter(Boolean).join(" ");
}
