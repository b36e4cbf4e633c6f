// What lies under the pointer, in a few words beside it.

import { element } from "./server.js";

const OFFSET_PIXELS = 14;

export class Tip {
  /** sources: each answers `at(latlng)` with lines of text or null; the first that knows is shown. */
  constructor(map, sources) {
    this.map = map;
    this.sources = sources;
    this.node = element("div", { className: "mm-tip mm-card", hidden: true });
    map.on("mousemove", (event) => this.soon(event));
    map.on("mouseout movestart zoomstart mousedown", () => this.hide());
  }

  /** Once a frame is often enough. */
  soon(event) {
    this.event = event;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.event) this.show(this.event);
    });
  }

  show({ latlng, containerPoint }) {
    const lines = this.sources.reduce((found, source) => found ?? source.at(latlng), null);
    this.node.hidden = !lines;
    if (!lines) return;
    this.node.replaceChildren(
      ...lines.map((text, i) => element(i ? "small" : "b", { textContent: text })),
    );
    const room = this.map.getSize();
    const { offsetWidth, offsetHeight } = this.node;
    const x = Math.min(containerPoint.x + OFFSET_PIXELS, room.x - offsetWidth - 4);
    const below = containerPoint.y + OFFSET_PIXELS;
    const y = below + offsetHeight < room.y ? below : containerPoint.y - OFFSET_PIXELS - offsetHeight;
    this.node.style.transform = `translate(${x}px, ${y}px)`;
  }

  hide() {
    this.event = undefined;
    this.node.hidden = true;
  }
}
