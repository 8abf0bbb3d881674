// Draws the views from data.js (this release) and status.js (how things stand now).
// Every text goes in as text, never as HTML.
"use strict";

const data = window.DATABOX;
const status = window.DATABOX_STATUS || null;
const byId = (id) => document.getElementById(id);
const regions = [...new Set(data.days.map((day) => day.region_code))].sort();
const VIEWS = ["seen", "rare", "species", "moving", "hotspots", "quality"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const state = { region: regions[0] || "", species: "", period: "" };

const ofRegion = (rows) => rows.filter((row) => row.region_code === state.region);
const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const percent = (part, whole) => (whole ? (100 * part) / whole : null);
const said = (share) => (share === null ? "–" : `${share < 10 ? share.toFixed(1) : Math.round(share)} %`);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// columns: [heading, cell(row), "number" or "", "optional" or ""]
function fill(table, columns, rows, nothing) {
  const classes = ([, , kind, optional]) => {
    const names = [kind, optional].filter(Boolean).join(" ");
    return names ? { class: names } : {};
  };
  table.replaceChildren();
  if (!rows.length) {
    table.append(element("tbody", {}, element("tr", {}, element("td", {}, nothing))));
    return;
  }
  const head = columns.map((column) => element("th", { scope: "col", ...classes(column) }, column[0]));
  const body = rows.map((row) =>
    element("tr", {}, ...columns.map((column) => element("td", classes(column), column[1](row)))));
  table.append(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

const speciesName = (row) => element("span", {}, `${row.com_name} `, element("i", {}, row.sci_name));

// ---- being seen
function change(row) {
  const now = percent(row.reporting_now, row.complete_now);
  const before = percent(row.reporting_before, row.complete_before);
  return now === null || before === null ? null : now - before;
}

function changeCell(row) {
  const points = change(row);
  if (points === null) return "–";
  const rounded = Math.round(points);
  const word = rounded > 0 ? "up" : rounded < 0 ? "down" : "";
  const arrow = { up: "▲ +", down: "▼ −", "": "± " }[word];
  return element("span", word ? { class: word } : {}, `${arrow}${Math.abs(rounded)}`);
}

function shareCell(row) {
  const share = percent(row.reporting_now, row.complete_now);
  const bar = element("span", { class: "bar", style: `width:${(share || 0) * 1.2}px` });
  return element("span", {}, bar, said(share));
}

function drawSeen() {
  const rows = ofRegion(data.species).filter((row) => row.checklists_now > 0);
  const days = ofRegion(data.days).slice(-7);
  const sum = (name) => days.reduce((total, day) => total + (day[name] || 0), 0);
  const tile = (value, name) => element("div", { class: "tile" }, element("b", {}, value), element("span", {}, name));
  byId("tiles").replaceChildren(
    tile(number(rows.length), "species in 7 days"),
    tile(number(sum("num_checklists")), "checklists in 7 days"),
    tile(said(percent(sum("num_checklists"), sum("stats_checklists"))), "of eBird's checklists loaded"),
    tile(days.length ? days[days.length - 1].obs_date : "–", "newest day"));
  const wanted = byId("seen-filter").value.trim().toLowerCase();
  const found = rows.filter((row) => `${row.com_name} ${row.sci_name}`.toLowerCase().includes(wanted));
  fill(byId("seen-table"), [
    ["Species", speciesName, ""],
    ["Complete checklists with it", shareCell, "number"],
    ["Change", changeCell, "number"],
    ["Checklists", (row) => number(row.checklists_now), "number", "optional"],
    ["Birds counted", (row) => number(row.birds_now), "number", "optional"],
    ["Last seen", (row) => row.last_seen, "number", "optional"],
  ], found, wanted ? `No species with “${wanted}” in its name.` : "Nothing was reported.");
}

// ---- through the year
const quarterName = (quarter) =>
  `${MONTHS[Math.floor(quarter / 4)]} ${["1–7", "8–14", "15–21", "22–end"][quarter % 4]}`;

function quarterRows() {
  const region = data.quarters[state.region];
  const species = ofRegion(data.species).find((row) => row.com_name === state.species);
  if (!region || !species) return null;
  const reporting = new Map(region.reporting[species.species_code] || []);
  return region.complete.map((complete, quarter) => ({
    quarter, name: quarterName(quarter), complete, reporting: reporting.get(quarter) || 0,
    share: percent(reporting.get(quarter) || 0, complete),
  }));
}

function drawSpecies() {
  const names = ofRegion(data.species).map((row) => row.com_name);
  byId("species-names").replaceChildren(...[...names].sort().map((name) => element("option", { value: name })));
  if (!names.includes(state.species)) {
    state.species = names[0] || "";
    byId("species-name").value = state.species;
  }
  const rows = quarterRows();
  if (!rows) return;
  const known = rows.filter((row) => row.complete > 0);
  const best = known.reduce((top, row) => (row.share > top.share ? row : top), { share: -1 });
  byId("species-said").textContent = best.share > 0
    ? `${state.species}: on ${said(best.share)} of ${number(best.complete)} complete checklists at its best, ${best.name}.`
    : `${state.species}: on no complete checklist so far.`;
  byId("species-chart").setAttribute("aria-label", byId("species-said").textContent);
  const x = {
    field: "quarter", type: "ordinal", title: null, scale: { domain: [...Array(48).keys()], paddingInner: 0.15 },
    axis: { values: [...Array(12).keys()].map((month) => 4 * month + 1), labelAngle: 0, ticks: false,
      labelExpr: `${JSON.stringify(MONTHS)}[floor(datum.value / 4)]` },
  };
  const tooltip = [{ field: "name", title: "Quarter" }, { field: "reporting", title: "Reporting" },
    { field: "complete", title: "Complete checklists" }];
  draw("species-chart", (width, colour) => ({
    data: { values: known }, spacing: 12,
    vconcat: [
      { width: width - 64, height: 190, mark: { type: "bar", color: colour.leaf },
        encoding: { x, y: { field: "share", type: "quantitative", title: "% of checklists" }, tooltip } },
      { width: width - 64, height: 60, mark: { type: "bar", color: colour.soft },
        encoding: { x, y: { field: "complete", type: "quantitative", title: "sample", axis: { tickCount: 2 } }, tooltip } },
    ],
  }));
  fill(byId("species-table"), [
    ["Quarter", (row) => row.name, ""],
    ["Share", (row) => said(row.share), "number"],
    ["Reporting", (row) => number(row.reporting), "number"],
    ["Complete checklists", (row) => number(row.complete), "number"],
  ], known, "No complete checklist yet.");
}

// ---- arrivals and departures
function drawMoving() {
  const rows = ofRegion(data.species);
  const days = ofRegion(data.days);
  const newest = days.length ? days[days.length - 1].obs_date : "";
  const weekAgo = newest ? new Date(Date.parse(newest) - 7 * 864e5).toISOString().slice(0, 10) : "";
  const begin = data.begins[state.region];
  byId("moving-hint").textContent = days.length
    ? `An arrival is the first report after at least 21 days without one. A departure was seen on at least 3 days of the 3 weeks before. Both need 28 loaded days; the records of this region begin on ${begin}.`
    : "No day is loaded yet.";
  const latest = (name) => (a, b) => (a[name] < b[name] ? 1 : -1);
  fill(byId("arrived"), [["Species", speciesName, ""], ["First seen", (row) => row.arrived, "number"]],
    rows.filter((row) => row.arrived && row.arrived > weekAgo).sort(latest("arrived")), "No arrivals.");
  fill(byId("departed"), [["Species", speciesName, ""], ["Last seen", (row) => row.last_seen, "number"]],
    rows.filter((row) => row.departed).sort(latest("last_seen")), "No departures.");
  fill(byId("seldom"), [["Species", speciesName, ""],
    ["Checklists", (row) => number(row.checklists_now), "number"], ["Last seen", (row) => row.last_seen, "number"]],
  rows.filter((row) => row.checklists_now > 0 && row.checklists_now <= 2).sort(latest("last_seen")), "None.");
}

// ---- maps
const place = (padding) => ({
  x: { field: "longitude", type: "quantitative", title: "longitude", scale: { zero: false, padding },
    axis: { format: ".2f", tickCount: 4 } },
  y: { field: "latitude", type: "quantitative", title: "latitude", scale: { zero: false, padding },
    axis: { format: ".2f", tickCount: 4 } },
});

function mapSize(rows, available) {
  if (!rows.length) return { width: available, height: 120 };
  const span = (name) => {
    const values = rows.map((row) => row[name]);
    return Math.max(0.02, Math.max(...values) - Math.min(...values));
  };
  const middle = rows.reduce((total, row) => total + row.latitude, 0) / rows.length;
  // a degree of longitude is shorter than one of latitude
  const ratio = span("latitude") / (span("longitude") * Math.cos((middle * Math.PI) / 180));
  const height = Math.min(Math.max(available * ratio, 220), 480);
  const axis = 60;
  return { width: Math.round(Math.min(available, height / ratio + axis)), height: Math.round(height) };
}

// ---- rarities
function drawRare() {
  const days = ofRegion(data.days);
  const newest = days.length ? days[days.length - 1].obs_date : "1970-01-01";
  const many = Number(byId("rare-days").value);
  const after = new Date(Date.parse(newest) - many * 864e5).toISOString().slice(0, 10);
  const rows = ofRegion(data.rarities).filter((row) => row.obs_date > after)
    .sort((a, b) => (a.obs_date === b.obs_date ? a.com_name.localeCompare(b.com_name) : a.obs_date < b.obs_date ? 1 : -1));
  const species = [...new Set(rows.map((row) => row.com_name))];
  byId("rare-said").textContent = rows.length
    ? `${species.length} rare species, ${rows.length} reports by place and day: ${species.slice(0, 5).join(", ")}${species.length > 5 ? " and more" : ""}.`
    : "No rare bird was reported at a public hotspot.";
  byId("rare-chart").setAttribute("aria-label", `Map. ${byId("rare-said").textContent}`);
  const spots = ofRegion(data.hotspots).filter((row) => row.period === "all");
  const all = [...rows, ...spots];
  draw("rare-chart", (width, colour) => ({
    ...mapSize(all, width),
    layer: [
      { data: { values: spots }, mark: { type: "circle", color: colour.line, size: 18, opacity: 1 }, encoding: place(24) },
      { data: { values: rows }, mark: { type: "circle", size: 130, opacity: 0.9, stroke: colour.card },
        encoding: { ...place(24),
          color: { field: "status", type: "nominal", title: null, legend: { orient: "top", labelColor: colour.ink },
            scale: { domain: ["confirmed", "unconfirmed", "withdrawn"], range: [colour.leaf, colour.warn, colour.soft] } },
          tooltip: [{ field: "com_name", title: "Bird" }, { field: "loc_name", title: "Hotspot" },
            { field: "obs_date", title: "Day" }, { field: "status", title: "Status" }] } },
    ],
  }));
  fill(byId("rare-table"), [
    ["Day", (row) => row.obs_date, ""], ["Bird", (row) => row.com_name, ""],
    ["Hotspot", (row) => row.loc_name, ""], ["Status", (row) => row.status, ""],
    ["Checklists", (row) => number(row.num_checklists), "number", "optional"],
    ["There since", (row) => row.first_seen || "–", "number", "optional"],
  ], rows, "No rare bird was reported at a public hotspot.");
}

// ---- hotspots
function drawHotspots() {
  const all = ofRegion(data.hotspots);
  const periods = [...new Set(all.map((row) => row.period))];
  if (!periods.includes(state.period)) state.period = periods[0] || "";
  byId("period").replaceChildren(...periods.map((period) =>
    element("option", { value: period, ...(period === state.period ? { selected: "" } : {}) },
      period === "all" ? "all loaded days" : `last ${period}`)));
  const rows = all.filter((row) => row.period === state.period).sort((a, b) => a.ranking - b.ranking);
  const top = rows.slice(0, 3).map((row) => `${row.loc_name} (${row.num_species})`).join(", ");
  byId("hotspot-chart").setAttribute("aria-label", rows.length
    ? `Map of ${rows.length} hotspots. Most species: ${top}.` : "No hotspot was visited.");
  draw("hotspot-chart", (width, colour) => ({
      ...mapSize(rows, width),
      data: { values: rows },
      layer: [
        { mark: { type: "circle", color: colour.leaf, opacity: 0.65, stroke: colour.card },
          encoding: { ...place(24), size: { field: "num_species", type: "quantitative", scale: { range: [30, 500] }, legend: null },
            tooltip: [{ field: "loc_name", title: "Hotspot" }, { field: "num_species", title: "Species" },
              { field: "num_checklists", title: "Checklists" }, { field: "last_visit", title: "Last visit" }] } },
        { transform: [{ filter: "datum.ranking <= 5" }],
          mark: { type: "text", dy: -14, color: colour.ink, fontSize: 11, limit: 160 },
          encoding: { ...place(24), text: { field: "loc_name" } } },
      ],
  }));
  fill(byId("hotspot-table"), [
    ["", (row) => number(row.ranking), "number"],
    ["Hotspot", (row) => row.loc_name, ""],
    ["Species", (row) => number(row.num_species), "number"],
    ["Checklists", (row) => number(row.num_checklists), "number"],
    ["Species per complete checklist", (row) => number(row.species_per_checklist), "number", "optional"],
    ["Last visit", (row) => row.last_visit, "number", "optional"],
  ].map((column, index) => (index ? column : ["Rank", ...column.slice(1)])), rows, "No hotspot was visited.");
}

// ---- data quality
function drawQuality() {
  const days = ofRegion(data.days);
  const short = days.filter((day) => day.completeness !== null && day.completeness < 0.98);
  byId("day-chart").setAttribute("aria-label",
    `${days.length} days are shown; ${short.length} of them are less than 98 % complete.`);
  draw("day-chart", (width, colour) => ({
    width, height: 180, data: { values: days },
    encoding: { x: { field: "obs_date", type: "temporal", timeUnit: "utcyearmonthdate", title: null,
      axis: { format: "%d %b", labelOverlap: true, tickCount: Math.min(days.length, 8) } } },
    layer: [
      { mark: { type: "bar", color: colour.line, width: { band: 0.9 } },
        encoding: { y: { field: "stats_checklists", type: "quantitative", title: "checklists" } } },
      { mark: { type: "bar", color: colour.leaf, width: { band: 0.6 } },
        encoding: { y: { field: "num_checklists", type: "quantitative" },
          tooltip: [{ field: "obs_date", title: "Day" }, { field: "num_checklists", title: "Loaded" },
            { field: "stats_checklists", title: "eBird counts" }] } },
    ],
  }));
  fill(byId("day-table"), [
    ["Day", (row) => row.obs_date, ""],
    ["Loaded", (row) => number(row.num_checklists), "number"],
    ["eBird counts", (row) => number(row.stats_checklists), "number"],
    ["Complete", (row) => said(row.completeness === null ? null : 100 * row.completeness), "number"],
    ["List cut at the cap", (row) => (row.is_capped ? "yes" : "no"), "", "optional"],
  ], [...days].reverse(), "No day is loaded yet.");
  const checks = status ? status.checks.filter((check) => check.outcome !== "passed") : [];
  fill(byId("check-table"), [
    ["Table", (row) => row.table, ""], ["Check", (row) => row.name, ""],
    ["Outcome", (row) => row.outcome, ""],
    ["What was found", (row) => row.reason, ""], ["Owner", (row) => row.owner, "", "optional"],
  ], checks, status ? "None: every check passed." : "Not known: status.js is not beside this page.");
  fill(byId("score-table"), [
    ["Table", (row) => `${row.schema_name}.${row.table_name}`, ""], ["Owner", (row) => row.owner, ""],
    ["Checks", (row) => number(row.checks), "number"], ["Warned", (row) => number(row.warned), "number"],
    ["Failed", (row) => number(row.failed), "number"],
    ["Runs without a failure", (row) => `${row.runs_passed} of ${row.runs}`, "number", "optional"],
  ], status ? status.scorecard : [], "Not known.");
  fill(byId("correction-table"), [
    ["Table", (row) => row.table, ""], ["Day", (row) => row.day, ""],
    ["Rows added", (row) => number(row.added), "number"], ["changed", (row) => number(row.changed), "number"],
    ["removed", (row) => number(row.removed), "number"],
  ], data.corrections, "Nothing: no day that was already released has changed.");
  byId("checked").textContent = status
    ? `Last checked ${status.checked_at.replace("T", " ").slice(0, 16)} UTC: ${status.tally.passed} checks passed, ${status.tally.warned} warned, ${status.tally.failed} failed.`
    : "";
}

function drawNotice() {
  const notice = byId("notice");
  notice.replaceChildren();
  if (!status) return;
  if (status.withheld) {
    notice.append(element("p", { class: "bad" },
      `This data is of ${data.release.created_at.slice(0, 10)}. Newer data was withheld on ${status.checked_at.slice(0, 10)}: ${status.withheld}`));
  } else if (status.release_id > data.release.id) {
    notice.append(element("p", {}, "This is an older release; a newer one has been made since."));
  }
}

// ---- charts
function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "soft", "line", "leaf", "card", "warn"].map((name) =>
    [name, style.getPropertyValue(`--${name}`).trim()]));
}

function draw(id, specification) {
  const picture = byId(id);
  if (!picture.clientWidth) return;
  const container = element("div");
  picture.replaceChildren(container);
  const colour = colours();
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", background: null, autosize: { type: "fit-x", contains: "padding" },
    config: { aria: false, font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: colour.soft, titleColor: colour.soft, gridColor: colour.line, domainColor: colour.line, tickColor: colour.line } },
    ...specification(Math.max(picture.clientWidth - 26, 220), colour),
  };
  if (spec.vconcat) delete spec.autosize;
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: "svg", container, hover: false });
  // the picture says in words what it shows; its parts have nothing to add
  view.runAsync().then(() => {
    for (const part of picture.querySelectorAll("[role], [aria-label], [aria-roledescription]")) {
      for (const name of ["role", "aria-label", "aria-roledescription"]) part.removeAttribute(name);
    }
  });
}

// ---- what the reader does
const DRAW = { seen: drawSeen, rare: drawRare, species: drawSpecies, moving: drawMoving, hotspots: drawHotspots, quality: drawQuality };

function view() {
  const wanted = location.hash.slice(1);
  return VIEWS.includes(wanted) ? wanted : VIEWS[0];
}

function show() {
  const shown = view();
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== shown;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${shown}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${byId(`${shown}-h`).textContent} – Databox`;
  DRAW[shown]();
}

byId("region").replaceChildren(...regions.map((region) => element("option", { value: region }, region)));
byId("region").closest("label").hidden = regions.length < 2;
byId("title").textContent = regions.length === 1 ? `What birds are being seen in ${regions[0]}` : "What birds are being seen";
byId("region").addEventListener("change", (event) => { state.region = event.target.value; show(); });
byId("period").addEventListener("change", (event) => { state.period = event.target.value; drawHotspots(); });
byId("rare-days").addEventListener("change", drawRare);
byId("seen-filter").addEventListener("input", drawSeen);
byId("species-name").addEventListener("change", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  const found = ofRegion(data.species).find((row) => row.com_name.toLowerCase() === wanted);
  if (found) { state.species = found.com_name; drawSpecies(); }
  else byId("species-said").textContent = `No species is called “${event.target.value}” here.`;
});
window.addEventListener("hashchange", show);
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
drawNotice();
show();
