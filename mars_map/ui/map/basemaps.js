// Basemaps: the embedded ones from our own server, and NASA Trek's where there is a network.

import * as L from "../leaflet/leaflet-src.esm.js";
import { PLANET } from "./layers.js";
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

  make(layer) {
    const address = layer.online ? layer.url : decodeURI(route(layer.url));
    const tiles = L.tileLayer(address, {
      bounds: PLANET,
      noWrap: true,
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
      const home = this.layers.find((other) => !other.online);
      tiles.remove();
      this.notice(`${layer.title} cannot be reached; ${home.title} is shown instead.`);
      this.preferences.set({ base: home.id });
    });
  }
}
