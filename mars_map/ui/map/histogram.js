// The scores of all tiles as a histogram, with a slider that cuts the hits. Count and area follow
// the slider without asking the server; the hits are cut when it is released.

import { ask, element, tell, withCut } from "./server.js";

const SIZE = { width: 240, height: 56 };
const REST_MS = 250;
/** As mars_map.search.query has it; the address leaves it out. */
const DEFAULT_TOP_K = 500;
const histograms = new WeakMap();

/** Called by Streamlit with every change of the component's data. */
export function render({ data, parentElement, setTriggerValue }) {
  let histogram = histograms.get(parentElement);
  if (!histogram) {
    histogram = new Histogram(parentElement);
    histograms.set(parentElement, histogram);
  }
  histogram.update(data, setTriggerValue);
  return () => {
    histograms.delete(parentElement);
    histogram.close();
  };
}

class Histogram {
  constructor(parent) {
    this.said = element("div", { className: "mm-cut" });
    this.said.setAttribute("role", "status");
    this.chart = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}` });
    this.chart.setAttribute("preserveAspectRatio", "none");
    this.chart.setAttribute("aria-hidden", "true");
    this.slider = element("input", { type: "range", min: 0, step: 1 });
    this.slider.setAttribute("aria-label", "Least score of a hit");
    this.marks = element("div", { className: "mm-marks" });
    this.note = element("div", { className: "mm-hint" });
    const plot = element("div", { className: "mm-plot" }, [this.chart, this.slider]);
    this.node = element("div", { className: "mm-histogram", hidden: true }, [
      this.said,
      this.note,
      plot,
      this.marks,
    ]);
    parent.append(this.node);
    this.slider.addEventListener("input", () => this.moved());
    // Keys held down release the slider many times over; a pointer does so once.
    this.slider.addEventListener("keydown", () => (this.byKey = true));
    this.slider.addEventListener("pointerdown", () => (this.byKey = false));
    this.slider.addEventListener("change", () => this.released(this.byKey ? REST_MS : 0));
    this.listenToChart();
  }

  close() {
    clearTimeout(this.timer);
    this.node.remove();
  }

  /** data: `{query}`. */
  async update({ query }, send) {
    this.send = send;
    if (query === this.query) return;
    this.query = query;
    try {
      const found = await ask("histogram", query);
      if (this.query !== query) return;
      this.found = found;
      this.draw();
    } catch (error) {
      if (this.query !== query) return;
      this.node.hidden = false;
      this.said.textContent = error.message;
    }
  }

  /** A press on the chart takes the slider there, and a drag takes it along. */
  listenToChart() {
    let held = false;
    const follow = (event) => {
      const { left, width } = this.chart.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - left) / width, 0), 1);
      this.slider.value = Math.round(share * this.slider.max);
      this.moved();
    };
    this.chart.addEventListener("pointerdown", (event) => {
      held = true;
      this.chart.setPointerCapture(event.pointerId);
      this.slider.focus();
      event.preventDefault();
      follow(event);
    });
    this.chart.addEventListener("pointermove", (event) => held && follow(event));
    for (const kind of ["pointerup", "pointercancel"])
      this.chart.addEventListener(kind, () => {
        if (held) this.released(0);
        held = false;
      });
  }

  draw() {
    const { edges, cut, threshold } = this.found;
    this.node.hidden = false;
    this.slider.max = edges.length - 1;
    // Where the hits end, which without a threshold is the last of the top-k.
    const end = cut ? edges.findIndex((edge) => edge >= cut.threshold - 1e-7) : -1;
    this.slider.value = end < 0 ? edges.length - 1 : end;
    const path = outline(this.found.counts);
    const clip = svg("clipPath", { id: "mm-histogram-cut" });
    this.kept = svg("rect", { y: 0, height: SIZE.height });
    clip.append(this.kept);
    this.chart.replaceChildren(
      clip,
      svg("path", { d: path, class: "mm-all" }),
      svg("path", { d: path, class: "mm-kept", "clip-path": "url(#mm-histogram-cut)" }),
      ...this.lines(),
    );
    this.marks.replaceChildren(...this.choices());
    this.show(cut ?? { threshold: threshold ?? edges.at(-1), tiles: 0, km2: 0 });
  }

  lines() {
    const { edges, knee, even } = this.found;
    const span = edges.at(-1) - edges[0];
    const at = ({ threshold }) => ((threshold - edges[0]) / span) * SIZE.width;
    const line = (mark, name) =>
      svg("line", { x1: at(mark), x2: at(mark), y1: 0, y2: SIZE.height, class: name });
    return [knee && line(knee, "mm-knee"), even && line(even, "mm-even")].filter(Boolean);
  }

  /** The marked cuts as buttons, and the way back to the best few. */
  choices() {
    const { knee, even, threshold } = this.found;
    const found = [];
    if (even) found.push(this.choice("Half right", "mm-even", even, EVEN_HELP));
    if (knee) found.push(this.choice("Knee", "mm-knee", knee, KNEE_HELP));
    if (threshold !== null) {
      const onclick = () => this.send("cut", { threshold: null });
      const title = "Take the threshold away: the best hits by number again";
      found.push(element("button", { type: "button", textContent: "No threshold", title, onclick }));
    }
    return found;
  }

  choice(text, className, cut, help) {
    const onclick = () => this.cut(cut.threshold, cut.tiles);
    const title = `${help} ${describe(cut)}.`;
    const node = element("button", { type: "button", title, onclick });
    node.append(element("i", { className }), text);
    return node;
  }

  moved() {
    const at = +this.slider.value;
    const { edges, tiles, km2 } = this.found;
    this.show({ threshold: edges[at], tiles: tiles[at], km2: km2[at] });
  }

  released(rest) {
    clearTimeout(this.timer);
    // Taken now: an answer that comes meanwhile puts the slider back.
    const at = +this.slider.value;
    const [threshold, tiles] = [this.found.edges[at], this.found.tiles[at]];
    this.timer = setTimeout(() => {
      if (threshold !== this.found.threshold) this.cut(threshold, tiles);
    }, rest);
  }

  /** Cut the hits at a score; the map need not wait until Python has asked for them. */
  cut(threshold, tiles) {
    this.send("cut", { threshold });
    const k = Math.min(Math.max(tiles, this.topK()), this.found.most);
    const cut = k === DEFAULT_TOP_K ? { min: threshold } : { k, min: threshold };
    tell("cut", withCut(this.query, cut));
  }

  /** The top-k without a threshold: what an earlier one had raised falls back to the default. */
  topK() {
    const k = Number(new URLSearchParams(this.query).get("k") ?? DEFAULT_TOP_K);
    return this.found.threshold === null ? k : Math.min(k, DEFAULT_TOP_K);
  }

  show(cut) {
    const { edges, expected, most } = this.found;
    const place = (cut.threshold - edges[0]) / (edges.at(-1) - edges[0]);
    const x = Math.min(Math.max(place, 0), 1) * SIZE.width;
    this.kept.setAttribute("x", x);
    this.kept.setAttribute("width", SIZE.width - x);
    const share = expectedAt(expected, cut.tiles);
    this.said.replaceChildren(
      element("b", { textContent: `${count(cut.tiles)} ${cut.tiles === 1 ? "tile" : "tiles"}` }),
      ` · ${area(cut.km2)}`,
    );
    const said = [`score ≥ ${cut.threshold.toFixed(3)}`];
    if (cut.tiles > most) said.push(`only the best ${count(most)} become hits`);
    else if (share !== null) said.push(`about ${Math.round(share * 100)} % right`);
    this.note.textContent = said.join(", ");
    this.slider.setAttribute("aria-valuetext", `${this.said.textContent}, ${said.join(", ")}`);
  }
}

const EVEN_HELP = "The lowest score at which half of the hits are expected to be right:";
const KNEE_HELP = "Where the ranking levels off into common ground (Kneedle):";

function describe({ threshold, tiles, km2 }) {
  return `${threshold.toFixed(3)}: ${count(tiles)} tiles, ${area(km2)}`;
}

/**
 * The expected share of right hits among the best `tiles`, between the numbers for which it is
 * known; null beyond them.
 */
export function expectedAt(expected, tiles) {
  if (!expected.length || tiles < 1 || tiles > expected.at(-1).tiles) return null;
  const after = expected.findIndex((one) => one.tiles >= tiles);
  const [b, a] = [expected[after], expected[Math.max(after - 1, 0)]];
  if (a.tiles === b.tiles) return b.value;
  const part = Math.log(tiles / a.tiles) / Math.log(b.tiles / a.tiles);
  return a.value + part * (b.value - a.value);
}

/** The bins as one shape. Heights follow the logarithm, or the few best would not be seen. */
function outline(counts) {
  const top = Math.log1p(Math.max(...counts));
  const width = SIZE.width / counts.length;
  const points = counts.map((n, i) => {
    const y = SIZE.height - (Math.log1p(n) / (top || 1)) * (SIZE.height - 2);
    return `V${y.toFixed(2)}H${((i + 1) * width).toFixed(2)}`;
  });
  return `M0 ${SIZE.height}${points.join("")}V${SIZE.height}Z`;
}

function count(n) {
  return n.toLocaleString("en");
}

function area(km2) {
  if (km2 >= 1e6) return `${(km2 / 1e6).toPrecision(3)} million km²`;
  return `${count(Number(km2.toPrecision(3)))} km²`;
}

function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
