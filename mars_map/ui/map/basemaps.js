// Basemaps: the embedded ones from our own server, and NASA Trek's where there is a network.

import * as L from "../leaflet/leaflet-src.esm.js";
import { poleOf } from "./polar.js";
import { route } from "./server.js";

const FAILURES_BEFORE_GIVING_UP = 4;

export class Basemaps {
  /** layers: `{id, title, url, max_zoom, online, credit}` each; notice: shows one sentence. */
  constructor(map, layers, preferences, notice) {
    this.map = map;
    this.layers = layers;
    this.preferences = preferences;
    this.notice = notice;
    preferences.watch((changes) => "base" in changes && this.show(changes.base));
    this.show(preferences.base || layers[0].id);
  }

  get home() {
    return this.layers.find((layer) => !layer.online);
  }

  show(id) {
    const chosen = this.layers.find((layer) => layer.id === id);
    if (!chosen) {
      this.notice("The address names no basemap that is here; the first one is shown.");
      this.preferences.set({ base: this.layers[0].id });
      return;
    }
    if (chosen === this.chosen) return;
    const previous = this.tiles;
    this.chosen = chosen;
    this.tiles = this.make(chosen);
    // The old picture stays below until the new one has come.
    this.tiles.once("load", () => previous?.remove());
    this.tiles.addTo(this.map);
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.tiles.remove();
    this.tiles = this.make(this.chosen).addTo(this.map);
  }

  /** Address of the tiles of a layer, with {z}, {x} and {y}, in the map's projection. */
  address(layer) {
    const pole = poleOf(this.map);
    if (!pole && layer.online) return layer.url;
    const path = pole ? `polar/${pole}/${layer.id}/{z}/{x}/{y}.jpg` : layer.url;
    return decodeURI(route(path));
  }

  make(chosen) {
    const layer = poleOf(this.map) && chosen.online ? this.home : chosen;
    if (layer !== chosen)
      this.notice(`${chosen.title} has no polar map; ${layer.title} is shown instead.`);
    const tiles = L.tileLayer(this.address(layer), {
      maxNativeZoom: layer.max_zoom,
      maxZoom: this.map.getMaxZoom(),
      attribution: "",
      keepBuffer: 3,
    });
    if (layer.online) this.watchNetwork(layer, tiles);
    return tiles;
  }

  watchNetwork(layer, tiles) {
    let failures = 0;
    let loaded = 0;
    tiles.on("tileload", () => (loaded += 1));
    tiles.on("tileerror", () => {
      failures += 1;
      if (loaded || failures !== FAILURES_BEFORE_GIVING_UP || this.chosen !== layer) return;
      const { home } = this;
      tiles.remove();
      this.notice(`${layer.title} cannot be reached; ${home.title} is shown instead.`);
      this.preferences.set({ base: home.id });
    });
  }
}
