// The hits as pictures: rank, score, coordinates, "find similar", "go to". It scrolls without
// asking Python; pictures load as they come into view.

import { Grid, formatLatitude, formatLongitude } from "./mars.js";
import { bus, describeIndex, element, footprints, route, tell } from "./server.js";

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
    this.list = element("div", { className: "mm-gallery" });
    this.more = element("div", { className: "mm-more" });
    this.node = element("div", {}, [this.list, this.more]);
    parent.append(this.node);
    this.watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && this.addPage());
    this.watcher.observe(this.more);
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    bus.addEventListener("walk", (event) => this.walk(event.detail), options);
  }

  close() {
    this.ends.abort();
    this.watcher.disconnect();
    this.node.remove();
  }

  /** data: `{query, selected}`. */
  async update({ query, selected }, send) {
    this.send = send;
    if (query !== this.query) {
      this.query = query;
      try {
        const [{ grid }, found] = await Promise.all([describeIndex(), footprints(query)]);
        if (this.query !== query) return;
        this.grid = new Grid(grid);
        this.found = found;
        this.list.replaceChildren();
        this.addPage();
      } catch (error) {
        this.list.replaceChildren(element("p", { textContent: error.message }));
      }
    }
    this.mark(selected);
  }

  addPage() {
    if (!this.found) return;
    const shown = this.list.children.length;
    const next = this.found.tiles.slice(shown, shown + PAGE);
    this.list.append(...next.map((tile, i) => this.card(tile, shown + i)));
    this.mark(this.selected);
  }

  card(tile, i) {
    const name = this.grid.name(tile);
    const [lon, lat] = this.grid.center(tile);
    const picture = element("img", {
      src: route(`thumb/${name}.jpg`),
      alt: `Tile ${name}`,
      loading: "lazy",
      width: 148,
      height: 148,
    });
    const score = this.found.scores[i].toFixed(3);
    const place = `${formatLatitude(lat, 1)} ${formatLongitude(lon, "180", 1)}`;
    const node = element("figure", { className: "mm-hit" }, [
      element("button", { type: "button", title: "Go to this tile", onclick: () => this.pick(i) }, [
        picture,
      ]),
      element("figcaption", {}, [
        element("b", { textContent: `${i + 1}` }),
        element("span", { textContent: score, title: "Cosine similarity" }),
        element("small", { textContent: place }),
        element("button", {
          type: "button",
          className: "mm-similar",
          textContent: "Find similar",
          onclick: () => this.send("similar", name),
        }),
      ]),
    ]);
    node.dataset.tile = tile;
    return node;
  }

  pick(i) {
    const tile = this.found.tiles[i];
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
    this.pick(next);
    this.list.children[next].scrollIntoView({ block: "nearest" });
  }

  mark(tile) {
    this.selected = tile;
    for (const card of this.list.children)
      card.classList.toggle("mm-active", Number(card.dataset.tile) === tile);
  }
}
