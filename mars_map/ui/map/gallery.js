// The hits as pictures: rank, score, coordinates, yes and no, "find similar", "go to". It scrolls
// without asking Python; pictures load as they come into view. Above them, once there are labels,
// the tiles whose answers would tell most.

import { answerButtons, labelsOf, withoutLabels } from "./answers.js";
import { Grid, formatLatitude, formatLongitude } from "./mars.js";
import { longitudeStyle } from "./preferences.js";
import { bus, describeIndex, element, footprints, isAbandoned, route, tell } from "./server.js";

const PAGE = 24;
const galleries = new WeakMap();

/** Called by Streamlit with every change of the component's data. */
export function render({ data, parentElement, setTriggerValue }) {
  let gallery = galleries.get(parentElement);
  if (!gallery) {
    gallery = new Gallery(parentElement);
    galleries.set(parentElement, gallery);
  }
  gallery.update(data, setTriggerValue);
  return () => {
    galleries.delete(parentElement);
    gallery.close();
  };
}

class Gallery {
  constructor(parent) {
    this.asked = element("div", { className: "mm-asked", hidden: true });
    this.list = element("div", { className: "mm-gallery" });
    this.more = element("div", { className: "mm-more" });
    this.node = element("div", {}, [this.asked, this.list, this.more]);
    parent.append(this.node);
    this.watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && this.addPage());
    this.watcher.observe(this.more);
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    bus.addEventListener("walk", (event) => this.walk(event.detail), options);
    bus.addEventListener("longitudes", () => this.writePlaces(), options);
  }

  close() {
    this.ends.abort();
    this.watcher.disconnect();
    this.node.remove();
  }

  /**
   * data: `{query, selected, asked, only}`; asked: numbers of the tiles to be told about; only: those
   * to show instead of the hits.
   */
  async update({ query, selected, asked = [], only }, send) {
    this.send = send;
    if (query !== this.query) {
      // After an answer the place stays where somebody has scrolled to.
      const stays = withoutLabels(query) === withoutLabels(this.query ?? "");
      this.query = query;
      this.labels = labelsOf(query);
      try {
        const tiles = only ? { tiles: only } : footprints(query);
        const [{ grid }, found] = await Promise.all([describeIndex(), tiles]);
        if (this.query !== query) return;
        this.grid = new Grid(grid);
        this.found = found;
        this.ask(asked);
        this.fill(stays ? this.list.children.length : 0);
      } catch (error) {
        if (this.query !== query) return;
        if (isAbandoned(error)) return void (this.query = undefined);
        this.list.replaceChildren(element("p", { textContent: error.message }));
      }
    }
    this.mark(selected);
  }

  /** Show the first hits, at least a page of them, in the place of those that were there. */
  fill(count) {
    const first = this.found.tiles.slice(0, Math.max(count, PAGE));
    this.list.replaceChildren(...first.map((tile, i) => this.card(tile, i)));
  }

  addPage() {
    if (!this.found) return;
    const shown = this.list.children.length;
    const next = this.found.tiles.slice(shown, shown + PAGE);
    this.list.append(...next.map((tile, i) => this.card(tile, shown + i)));
    this.mark(this.selected);
  }

  ask(tiles) {
    this.asked.hidden = tiles.length === 0;
    const cards = tiles.map((tile) => this.figure(tile, [this.answers(tile)]));
    this.asked.replaceChildren(
      element("h4", { textContent: "Tell me about these" }),
      element("div", { className: "mm-gallery mm-small" }, cards),
    );
  }

  /** A hit, or without scores a tile that was called right or wrong. */
  card(tile, i) {
    const where = element("small", { textContent: this.placeOf(tile) });
    if (!this.found.scores) return this.figure(tile, [where, this.answers(tile)]);
    const score = this.found.scores[i].toFixed(3);
    return this.figure(tile, [
      element("b", { textContent: `${i + 1}` }),
      element("span", { textContent: score, title: "Cosine similarity" }),
      where,
      this.answers(tile),
      element("button", {
        type: "button",
        className: "mm-similar",
        textContent: "Find similar",
        onclick: () => this.send("similar", this.grid.name(tile)),
      }),
    ]);
  }

  placeOf(tile) {
    const [lon, lat] = this.grid.center(tile);
    return `${formatLatitude(lat, 1)} ${formatLongitude(lon, longitudeStyle(), 1)}`;
  }

  /** Write longitudes anew, in the way that somebody has just chosen. */
  writePlaces() {
    for (const card of this.list.children)
      card.querySelector("small").textContent = this.placeOf(Number(card.dataset.tile));
  }

  /** A tile's picture, which leads there, with what stands below it. */
  figure(tile, caption) {
    const name = this.grid.name(tile);
    const picture = element("img", {
      src: route(`thumb/${name}.jpg`),
      alt: `Tile ${name}`,
      loading: "lazy",
      width: 148,
      height: 148,
    });
    const onclick = () => this.goTo(tile);
    const node = element("figure", { className: "mm-hit" }, [
      element("button", { type: "button", title: "Go to this tile", onclick }, [picture]),
      element("figcaption", {}, caption),
    ]);
    node.dataset.tile = tile;
    const answer = this.labels.get(name);
    if (answer) node.classList.add(`mm-called-${answer}`);
    return node;
  }

  answers(tile) {
    return answerButtons(this.grid.name(tile), this.labels, (called) => this.send("call", called));
  }

  goTo(tile) {
    this.mark(tile);
    tell("goto", tile);
    this.send("pick", this.grid.name(tile));
  }

  /** The next or previous hit, from the keyboard. */
  walk(step) {
    if (!this.found?.tiles.length) return;
    const at = this.found.tiles.indexOf(this.selected);
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), this.found.tiles.length - 1);
    while (this.list.children.length <= next) this.addPage();
    this.goTo(this.found.tiles[next]);
    this.list.children[next].scrollIntoView({ block: "nearest" });
  }

  mark(tile) {
    this.selected = tile;
    for (const card of this.node.querySelectorAll(".mm-hit"))
      card.classList.toggle("mm-active", Number(card.dataset.tile) === tile);
  }
}
