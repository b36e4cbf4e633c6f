// "Go to": a named feature or a coordinate, with suggestions from the gazetteer.

import { formatLatitude, formatLongitude } from "./mars.js";
import { ask, element } from "./server.js";

const TYPING_REST_MS = 120;

export class Places {
  /** go: called with `{name, kind, lon, lat, diameter_km}`; notice: shows one sentence. */
  constructor(go, preferences, notice) {
    this.go = go;
    this.preferences = preferences;
    this.notice = notice;
    this.found = [];
    this.active = -1;
    this.input = element("input", {
      type: "search",
      placeholder: "Go to a feature or lon, lat",
      title: 'A named feature such as "Gale", or coordinates such as "137.8 E, 5.4 S"',
      autocomplete: "off",
      spellcheck: false,
      maxLength: 80,
      oninput: () => this.typed(),
      onkeydown: (event) => this.key(event),
      onblur: () => setTimeout(() => this.close(), 150),
    });
    this.input.setAttribute("aria-label", "Go to a feature or a coordinate");
    this.list = element("ul", { className: "mm-suggestions mm-card", hidden: true });
    this.node = element("div", { className: "mm-places" }, [this.input, this.list]);
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.suggest(), TYPING_REST_MS);
  }

  async suggest() {
    const text = this.input.value.trim();
    this.found = [];
    if (text) {
      try {
        const places = (await ask("places", new URLSearchParams({ text }))).places;
        if (this.input.value.trim() !== text) return false;
        this.found = places;
      } catch (error) {
        this.notice(error.message);
        return false;
      }
    }
    this.show();
    return true;
  }

  show() {
    this.active = -1;
    this.list.replaceChildren(...this.found.map((place) => this.row(place)));
    this.list.hidden = this.found.length === 0;
  }

  row(place) {
    return element("li", { onmousedown: () => this.take(place) }, [
      element("span", { textContent: this.nameOf(place) }),
      element("small", { textContent: place.kind }),
    ]);
  }

  /** A point without a name is called by its coordinates, in the style that the visitor chose. */
  nameOf({ name, kind, lon, lat }) {
    if (kind !== "point") return name;
    return `${formatLatitude(lat)}, ${formatLongitude(lon, this.preferences.lon)}`;
  }

  async key(event) {
    event.stopPropagation();
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      event.preventDefault();
      const n = this.found.length;
      if (n) this.active = (this.active + moves[event.key] + n) % n;
      [...this.list.children].forEach((li, i) => li.classList.toggle("mm-active", i === this.active));
    } else if (event.key === "Escape") {
      this.close();
      this.input.blur();
    } else if (event.key === "Enter") {
      clearTimeout(this.timer);
      if (this.active < 0 && !(await this.suggest())) return;
      const place = this.found[Math.max(this.active, 0)];
      if (place) this.take(place);
      else if (this.input.value.trim()) this.notice("The gazetteer has no feature of that name.");
    }
  }

  take(place) {
    this.input.value = this.nameOf(place);
    this.close();
    this.go(place);
  }

  close() {
    this.list.hidden = true;
  }
}
