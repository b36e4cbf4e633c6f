// What every map shows besides answers: graticule, catalogues and names, as the preferences say.

import { toggle } from "./frame.js";
import { Graticule } from "./graticule.js";
import { Names } from "./names.js";
import { Overlays } from "./overlays.js";

const SWITCHED = ["graticule", "names"];

export class Context {
  constructor(leaflet, preferences, notice) {
    this.leaflet = leaflet;
    this.preferences = preferences;
    this.graticule = new Graticule(preferences);
    this.overlays = new Overlays(leaflet, preferences, notice);
    this.names = new Names();
    for (const name of SWITCHED) toggle(leaflet, this[name], preferences[name]);
    preferences.watch((changes) => this.preferenceChanged(changes));
  }

  preferenceChanged(changes) {
    for (const name of SWITCHED) if (name in changes) toggle(this.leaflet, this[name], changes[name]);
    if ("lon" in changes && this.preferences.graticule) this.graticule.draw();
  }

  /** Draw anew, in the projection that the map has now. */
  project() {
    this.overlays.project();
    this.names.project();
    if (this.preferences.graticule) this.graticule.draw();
  }
}
