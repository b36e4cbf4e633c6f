// The card in the corner of the map: what the colours mean, and which layers are drawn.

import { element } from "./server.js";

export class Legend {
  constructor(description, preferences) {
    this.preferences = preferences;
    this.low = element("span");
    this.high = element("span");
    this.ramp = element("div", { className: "mm-ramp" });
    this.scale = element("div", { className: "mm-heat-scale", hidden: true }, [
      element("div", { className: "mm-title", textContent: "Cosine similarity" }),
      this.ramp,
      element("div", { className: "mm-ends" }, [this.low, this.high]),
      element("div", {
        className: "mm-hint",
        textContent: "The best quarter of all tiles has a colour; the brightest, one tile in a thousand.",
      }),
      this.slider(),
    ]);
    this.node = element("div", { className: "mm-legend mm-card" }, [
      this.scale,
      this.basemap(description.layers),
      element("div", { className: "mm-toggles" }, [
        this.toggle("graticule", "Graticule"),
        this.toggle("hits", "Footprints"),
      ]),
    ]);
  }

  /** found: `{low, high, colours}`, the colours and the scores at both ends; null for no heat map. */
  show(found) {
    this.scale.hidden = !found;
    if (!found) return;
    this.ramp.style.background = `linear-gradient(to right, ${found.colours.join(", ")})`;
    this.low.textContent = found.low.toFixed(3);
    this.high.textContent = found.high.toFixed(3);
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

  toggle(name, title) {
    const input = element("input", {
      type: "checkbox",
      checked: this.preferences[name],
      onchange: () => this.preferences.set({ [name]: input.checked }),
    });
    return element("label", {}, [input, title]);
  }
}
