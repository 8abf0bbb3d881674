// Charts, drawn by Vega-Lite, which is loaded when the first of them is needed. What a chart shows
// is also said in words (its aria-label) and in a table.
"use strict";

let vegaLoaded = null;

function loadVega() {
  const load = (name) => new Promise((done, failed) => {
    const script = element("script", { src: `vendor/${name}` });
    script.onload = done;
    script.onerror = () => failed(new Error(`${name} is not beside this page`));
    document.head.append(script);
  });
  vegaLoaded = vegaLoaded || load("vega.min.js").then(() => load("vega-lite.min.js"));
  return vegaLoaded;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "soft", "line", "leaf", "pale", "card", "warn"].map((name) =>
    [name, style.getPropertyValue(`--${name}`).trim()]));
}

// specification(width, colours) → Vega-Lite; only the newest call for a picture draws
async function draw(id, specification) {
  const picture = byId(id);
  const turn = String(Number(picture.dataset.turn || 0) + 1);
  picture.dataset.turn = turn;
  await loadVega();
  if (!picture.clientWidth || picture.dataset.turn !== turn) return;
  const container = element("div");
  const colour = colours();
  const axis = { labelColor: colour.soft, titleColor: colour.soft, gridColor: colour.line,
    domainColor: colour.line, tickColor: colour.line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 };
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", background: null, autosize: { type: "fit-x", contains: "padding" },
    config: { aria: false, font: "system-ui, sans-serif", view: { stroke: null }, axis, legend: { labelFontSize: 12 } },
    ...specification(Math.max(picture.clientWidth - 26, 220), colour),
  };
  if (spec.vconcat) delete spec.autosize;
  picture.replaceChildren(container);
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: "svg", container, hover: false });
  await view.runAsync();
  // the picture says in words what it shows; its parts have nothing to add
  for (const part of picture.querySelectorAll("[role], [aria-label], [aria-roledescription]")) {
    for (const name of ["role", "aria-label", "aria-roledescription"]) part.removeAttribute(name);
  }
}

// a legend in one line, or in lines of its own where that is too long
const legendAbove = (width, colour) =>
  ({ orient: "top", labelColor: colour.ink, direction: width < 400 ? "vertical" : "horizontal" });

// ---- maps: places by their coordinates; without a request there is no picture of the land
const degrees = (positive, negative) =>
  `format(abs(datum.value), '.2f') + '° ' + (datum.value < 0 ? '${negative}' : '${positive}')`;
const EDGE = 24;
const AXIS = 60;
const place = {
  x: { field: "longitude", type: "quantitative", title: null, scale: { zero: false, nice: false, padding: EDGE },
    axis: { labelExpr: degrees("E", "W"), tickCount: 4, labelOverlap: true, labelSeparation: 10 } },
  y: { field: "latitude", type: "quantitative", title: null, scale: { zero: false, nice: false, padding: EDGE },
    axis: { labelExpr: degrees("N", "S"), tickCount: 4 } },
};

function span(rows, name) {
  const values = rows.map((row) => row[name]);
  return Math.max(0.02, Math.max(...values) - Math.min(...values));
}

function mapSize(rows, available) {
  if (!rows.length) return { width: available, height: 120 };
  const middle = rows.reduce((total, row) => total + row.latitude, 0) / rows.length;
  // a degree of longitude is shorter than one of latitude
  const ratio = span(rows, "latitude") / (span(rows, "longitude") * Math.cos((middle * Math.PI) / 180));
  const height = Math.min(Math.max(available * ratio, 220), 480);
  return { width: Math.round(Math.min(available, height / ratio + AXIS)), height: Math.round(height) };
}

// the places whose numbers are neither touched nor covered by an earlier one on the map of all rows
function apart(places, rows, { width, height }) {
  const [across, down] = [
    (width - AXIS - 2 * EDGE) / span(rows, "longitude"), (height - 2 * EDGE) / span(rows, "latitude")];
  return places.filter((spot, index) => places.slice(0, index).every((earlier) => Math.hypot(
    (spot.longitude - earlier.longitude) * across, (spot.latitude - earlier.latitude) * down) > 20));
}

// numbers on the points of a map; the list beside it has the names
const numbers = (places, colour, tooltip) => ({
  data: { values: places }, mark: { type: "text", fontSize: 11, fontWeight: 700, color: colour.card },
  encoding: { ...place, text: { field: "label" }, tooltip },
});
