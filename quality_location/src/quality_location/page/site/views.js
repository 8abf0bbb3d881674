// The six views: what each of them counts, says, draws and lists.
"use strict";

const data = window.DATABOX;
const status = window.DATABOX_STATUS || null;
const regions = [...new Set(data.days.map((row) => row.region_code))].sort();
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// a share of fewer complete checklists is drawn pale
const FEW = 20;
const COMPLETE = 0.98;
const state = { region: busiestRegion(data.days), species: "", period: "" };

// the region with the most checklists on the newest 30 days, on which the page opens
function busiestRegion(days) {
  const newest = Math.max(...days.map((row) => Date.parse(row.obs_date)));
  const since = newest - 30 * 24 * 3600 * 1000;
  const checklists = {};
  for (const row of days) {
    const here = Date.parse(row.obs_date) > since ? row.num_checklists : 0;
    checklists[row.region_code] = (checklists[row.region_code] || 0) + here;
  }
  const [first, ...others] = Object.keys(checklists).sort();
  return others.reduce((best, code) => (checklists[code] > checklists[best] ? code : best), first || "");
}

const ofRegion = (rows) => rows.filter((row) => row.region_code === state.region);
const newestDay = () => {
  const days = ofRegion(data.days);
  return days.length ? days[days.length - 1].obs_date : "";
};

// ---- being seen
// change in percentage points, and whether it is more than chance: two standard errors
function change(row) {
  const [n, m] = [row.complete_now, row.complete_before];
  if (!n || !m) return null;
  const pooled = (row.reporting_now + row.reporting_before) / (n + m);
  const points = 100 * (row.reporting_now / n - row.reporting_before / m);
  const error = 100 * Math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m));
  return { points, isReal: Math.abs(points) > 2 * error };
}

function changeCell(row) {
  const found = change(row);
  if (found === null) return "–";
  const rounded = Math.round(found.points);
  const sign = rounded > 0 ? "+" : rounded < 0 ? "−" : "±";
  const word = found.isReal && rounded ? (rounded > 0 ? "up" : "down") : "";
  const arrow = { up: "▲ ", down: "▼ ", "": "" }[word];
  return element("span", { class: word || "soft" }, `${arrow}${sign}${Math.abs(rounded)}`);
}

function shareCell(row) {
  const share = percent(row.reporting_now, row.complete_now);
  const bar = element("span", { class: "bar", style: `width:${share || 0}%` });
  return element("span", { class: "share" }, element("span", { class: "track" }, bar), element("b", {}, said(share)));
}

const ORDERS = {
  most: (a, b) => b.reporting_now - a.reporting_now,
  rise: (a, b) => (change(b)?.points ?? -999) - (change(a)?.points ?? -999),
  fall: (a, b) => (change(a)?.points ?? 999) - (change(b)?.points ?? 999),
  name: (a, b) => a.com_name.localeCompare(b.com_name),
};

function drawSeen() {
  const rows = ofRegion(data.species).filter((row) => row.checklists_now > 0);
  const days = ofRegion(data.days).slice(-7);
  const newest = newestDay();
  const sum = (name) => days.reduce((total, row) => total + (row[name] || 0), 0);
  const tile = (value, name) => element("div", { class: "tile" }, element("b", {}, value), element("span", {}, name));
  byId("tiles").replaceChildren(
    tile(number(rows.length), "species in 7 days"),
    tile(number(sum("num_checklists")), "checklists in 7 days"),
    tile(said(percent(sum("num_checklists"), sum("stats_checklists"))), "of eBird's checklists loaded"),
    tile(day(newest, newest, true), "newest day"));
  const wanted = byId("seen-filter").value.trim().toLowerCase();
  const found = rows.filter((row) => `${row.com_name} ${row.sci_name}`.toLowerCase().includes(wanted));
  found.sort(ORDERS[byId("seen-order").value]);
  fill(byId("seen-table"), [
    ["Species", speciesName, ""],
    ["Frequency", shareCell, "number"],
    ["Change", changeCell, "number"],
    ["Checklists", (row) => number(row.checklists_now), "number", "optional"],
    ["Birds counted", (row) => number(row.birds_now), "number", "optional"],
    ["Last seen", (row) => day(row.last_seen, newest), "number", "optional"],
  ], found, wanted ? `No species with “${wanted}” in its name.` : "Nothing was reported.");
}

// ---- rarities
function drawRare() {
  const newest = newestDay();
  const after = daysBefore(newest || "1970-01-01", Number(byId("rare-days").value));
  const rows = ofRegion(data.rarities).filter((row) => row.obs_date > after)
    .sort((a, b) => (a.obs_date === b.obs_date ? a.com_name.localeCompare(b.com_name) : a.obs_date < b.obs_date ? 1 : -1));
  const species = [...new Set(rows.map((row) => row.com_name))];
  byId("rare-said").textContent = rows.length
    ? `${species.length} rare species, ${rows.length} reports by place and day: ${species.slice(0, 5).join(", ")}${species.length > 5 ? " and more" : ""}.`
    : "No rare bird was reported at a public hotspot.";
  byId("rare-chart").setAttribute("aria-label", `Map. ${byId("rare-said").textContent}`);
  const spots = ofRegion(data.hotspots).filter((row) => row.period === "all");
  const numbered = new Map();
  for (const row of rows) {
    if (!numbered.has(row.loc_name)) numbered.set(row.loc_name, { ...row, label: String(numbered.size + 1) });
  }
  const tooltip = [{ field: "com_name", title: "Bird" }, { field: "loc_name", title: "Hotspot" },
    { field: "obs_date", title: "Day" }, { field: "status", title: "Status" }];
  draw("rare-chart", (width, colour) => {
    const all = [...rows, ...spots];
    const size = mapSize(all, width);
    return { ...size, layer: [
      { data: { values: spots }, mark: { type: "circle", color: colour.line, size: 22, opacity: 1 }, encoding: place },
      { data: { values: [...rows].reverse() }, mark: { type: "circle", size: 300, opacity: 1, stroke: colour.card },
        encoding: { ...place, tooltip,
          color: { field: "status", type: "nominal", title: null, legend: legendAbove(width, colour),
            scale: { domain: ["confirmed", "unconfirmed", "withdrawn"], range: [colour.leaf, colour.warn, colour.soft] } } } },
      numbers(apart([...numbered.values()], all, size), colour, tooltip),
    ] };
  });
  fill(byId("rare-table"), [
    ["Day", (row) => day(row.obs_date, newest, true), ""],
    ["Bird and hotspot", (row) => element("span", {}, element("b", {}, row.com_name), element("br"),
      element("span", { class: "pin" }, numbered.get(row.loc_name).label), " ", row.loc_name), "long"],
    ["Status", (row) => element("span", { class: `status ${row.status}` }, row.status), ""],
    ["There since", (row) => day(row.first_seen, newest), "number", "optional"],
  ], rows, "No rare bird was reported at a public hotspot.");
}

// ---- through the year
const quarterName = (quarter) =>
  `${MONTHS[Math.floor(quarter / 4)]} ${["1–7", "8–14", "15–21", "22–end"][quarter % 4]}`;

function quarterRows(species) {
  const region = data.quarters[state.region];
  if (!region || !species) return null;
  const reporting = new Map(region.reporting[species.species_code] || []);
  return region.complete.map((complete, quarter) => ({
    quarter, name: quarterName(quarter), complete, reporting: reporting.get(quarter) || 0,
    share: percent(reporting.get(quarter) || 0, complete),
  }));
}

function drawSpecies() {
  const all = ofRegion(data.species);
  byId("species-names").replaceChildren(...all.map((row) => row.com_name).sort().map((name) => element("option", { value: name })));
  const species = all.find((row) => row.species_code === state.species) || all[0];
  state.species = species ? species.species_code : "";
  byId("species-name").value = species ? species.com_name : "";
  const rows = quarterRows(species);
  const known = rows ? rows.filter((row) => row.complete) : [];
  const best = known.reduce((most, row) => (row.share > (most ? most.share : 0) ? row : most), null);
  byId("species-said").textContent = !species ? "Nothing is known yet." : best
    ? `${species.com_name}: on ${said(best.share)} of ${number(best.complete)} complete checklists at its best, ${best.name}.`
    : `${species.com_name}: on no complete checklist so far.`;
  byId("species-chart").setAttribute("aria-label", byId("species-said").textContent);
  const x = (months) => ({
    field: "quarter", type: "ordinal", title: null, scale: { domain: [...Array(48).keys()], paddingInner: 0.15 },
    axis: months && { values: [...Array(12).keys()].map((month) => 4 * month + 1), labelAngle: 0, ticks: false,
      labelExpr: `${JSON.stringify(months)}[floor(datum.value / 4)]` },
  });
  const tooltip = [{ field: "name", title: "Quarter" }, { field: "share", title: "% of checklists", format: ".1f" },
    { field: "reporting", title: "Reporting" }, { field: "complete", title: "Complete checklists" }];
  draw("species-chart", (width, colour) => ({
    data: { values: known }, spacing: 10,
    vconcat: [
      { width: width - 64, height: 210, mark: { type: "bar" },
        encoding: { x: x(null), tooltip,
          y: { field: "share", type: "quantitative", title: "% of checklists", axis: { tickCount: 5 } },
          color: { condition: { test: `datum.complete < ${FEW}`, value: colour.pale }, value: colour.leaf } } },
      { width: width - 64, height: 56, mark: { type: "bar", color: colour.soft },
        encoding: { x: x(width < 420 ? MONTHS.map((month) => month[0]) : MONTHS), y: { field: "complete", type: "quantitative", title: "sample", axis: { tickCount: 2 } }, tooltip } },
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
  const newest = newestDay();
  const weekAgo = newest ? daysBefore(newest, 7) : "";
  byId("moving-hint").replaceChildren(...(newest
    ? ["An arrival is the first report after at least 21 loaded days without one. A departure was seen on at least 3 of 21 loaded days, and on none of the 7 after them. They need 22 loaded days of 29, and 28 of 35: what came or went while days were not loaded is not known. The records of this region begin on ", day(data.begins[state.region], ""), "."]
    : ["No day is loaded yet."]));
  const none = (nothing, needed, of) => {
    const loaded = newest ? ofRegion(data.days).filter((row) => row.obs_date > daysBefore(newest, of)).length : 0;
    return loaded < needed ? `Not known: ${loaded} of the last ${of} days are loaded, and ${needed} are needed.` : nothing;
  };
  const latest = (name) => (a, b) => (a[name] < b[name] ? 1 : -1);
  fill(byId("arrived"), [["Species", speciesName, ""],
    ["Away for", (row) => (row.days_away ? `${number(row.days_away)} loaded days` : "new here"), "number"],
    ["First seen", (row) => day(row.arrived, newest), "number"]],
  rows.filter((row) => row.arrived && row.arrived > weekAgo).sort(latest("arrived")), none("No arrivals.", 22, 29));
  fill(byId("departed"), [["Species", speciesName, ""], ["Last seen", (row) => day(row.last_seen, newest), "number"]],
    rows.filter((row) => row.departed).sort(latest("last_seen")), none("No departures.", 28, 35));
  fill(byId("seldom"), [["Species", speciesName, ""],
    ["Checklists", (row) => number(row.checklists_now), "number"],
    ["Last seen", (row) => day(row.last_seen, newest), "number"]],
  rows.filter((row) => row.checklists_now > 0 && row.checklists_now <= 2).sort(latest("last_seen")), "None.");
}

// ---- hotspots
function drawHotspots() {
  const all = ofRegion(data.hotspots);
  const newest = newestDay();
  const periods = [...new Set(all.map((row) => row.period))];
  if (!periods.includes(state.period)) state.period = periods[0] || "";
  fillOptions(byId("period"), periods.map((period) => [period, period === "all" ? "all loaded days" : `last ${period}`]), state.period);
  const rows = all.filter((row) => row.period === state.period).sort((a, b) => a.ranking - b.ranking);
  const top = rows.slice(0, 3).map((row) => `${row.loc_name} (${row.num_species})`).join(", ");
  byId("hotspot-chart").setAttribute("aria-label", rows.length
    ? `Map of ${rows.length} hotspots. Most species: ${top}.` : "No hotspot was visited.");
  const best = rows.filter((row) => row.ranking <= 5).map((row) => ({ ...row, label: String(row.ranking) }));
  const tooltip = [{ field: "loc_name", title: "Hotspot" }, { field: "num_species", title: "Species" },
    { field: "num_checklists", title: "Checklists" }, { field: "last_visit", title: "Last visit" }];
  draw("hotspot-chart", (width, colour) => {
    const size = mapSize(rows, width);
    return { ...size, layer: [
      { data: { values: [...rows].reverse() }, mark: { type: "circle", color: colour.leaf, stroke: colour.card },
        encoding: { ...place, tooltip,
          size: { field: "num_species", type: "quantitative", scale: { range: [30, 500] }, legend: null },
          opacity: { condition: { test: "datum.ranking <= 5", value: 1 }, value: 0.5 } } },
      numbers(apart(best, rows, size), colour, tooltip),
    ] };
  });
  fill(byId("hotspot-table"), [
    ["Rank", (row) => number(row.ranking), "number"],
    ["Hotspot", (row) => row.loc_name, ""],
    ["Species", (row) => number(row.num_species), "number"],
    ["Checklists", (row) => number(row.num_checklists), "number"],
    ["Species per list", (row) => number(row.species_per_checklist), "number", "optional"],
    ["Last visit", (row) => day(row.last_visit, newest), "number", "optional"],
  ], rows, "No hotspot was visited.");
}

// ---- data quality
const isShort = (row) => row.completeness !== null && row.completeness < COMPLETE;
const checkColumns = [
  ["Table", (row) => tableName(row.table), ""], ["Check", (row) => row.name, ""],
  ["Outcome", (row) => element("span", { class: `status ${row.outcome}` }, row.outcome), ""],
  ["What was found", (row) => row.reason, "long"], ["Owner", (row) => row.owner, "", "optional"],
];

function drawQuality() {
  const days = ofRegion(data.days);
  byId("day-chart").setAttribute("aria-label",
    `${days.length} days are shown; ${days.filter(isShort).length} of them are less than 98 % complete.`);
  const states = ["loaded", "loaded, less than 98 %", "missing"];
  const bars = days.flatMap((row) => [
    { ...row, state: isShort(row) ? states[1] : states[0], count: row.num_checklists, order: 0 },
    { ...row, state: states[2], count: Math.max((row.stats_checklists || 0) - row.num_checklists, 0), order: 1 },
  ]);
  draw("day-chart", (width, colour) => ({
    width, height: 200, data: { values: bars }, mark: { type: "bar", width: { band: 0.8 } },
    encoding: {
      x: { field: "obs_date", type: "temporal", timeUnit: "utcyearmonthdate", title: null,
        axis: { format: "%d %b", grid: false, labelOverlap: true, tickCount: Math.min(days.length, 8) } },
      y: { field: "count", type: "quantitative", title: "checklists" }, order: { field: "order" },
      color: { field: "state", type: "nominal", title: null, legend: legendAbove(width, colour),
        scale: { domain: states, range: [colour.leaf, colour.warn, colour.line] } },
      tooltip: [{ field: "obs_date", title: "Day" }, { field: "num_checklists", title: "Loaded" },
        { field: "stats_checklists", title: "eBird counts" }],
    },
  }));
  fill(byId("day-table"), [
    ["Day", (row) => row.obs_date, ""],
    ["Loaded", (row) => number(row.num_checklists), "number"],
    ["eBird counts", (row) => number(row.stats_checklists), "number"],
    ["Complete", (row) => said(row.completeness === null ? null : 100 * row.completeness), "number"],
    ["List cut at the cap", (row) => (row.is_capped ? "yes" : "no"), "", "optional"],
  ], [...days].reverse(), "No day is loaded yet.");
  const checks = status ? status.checks : [];
  const unknown = "Not known: status.js is not beside this page.";
  fill(byId("check-table"), checkColumns, checks.filter((check) => check.outcome !== "passed"),
    status ? "None: every check passed." : unknown);
  fill(byId("passed-table"), checkColumns, checks.filter((check) => check.outcome === "passed"), unknown);
  fill(byId("fresh-table"), [
    ["Table", (row) => tableName(row.table), ""],
    ["State", (row) => element("span", { class: `status ${row.outcome}` }, row.outcome === "passed" ? "fresh" : "old"), ""],
    ["What was found", (row) => row.reason, "long"],
  ], checks.filter((check) => check.is_freshness), unknown);
  fill(byId("score-table"), [
    ["Table", (row) => tableName(`${row.schema_name}.${row.table_name}`), ""], ["Owner", (row) => row.owner, "", "optional"],
    ["Checks", (row) => number(row.checks), "number"], ["Warned", (row) => number(row.warned), "number"],
    ["Failed", (row) => number(row.failed), "number"],
    ["Runs without a failure", (row) => `${row.runs_passed} of ${row.runs}`, "number", "optional"],
  ], status ? status.scorecard : [], unknown);
  fill(byId("correction-table"), [
    ["Table", (row) => tableName(row.table), ""], ["Day", (row) => row.day, ""],
    ["Rows added", (row) => number(row.added), "number"], ["changed", (row) => number(row.changed), "number"],
    ["removed", (row) => number(row.removed), "number"],
  ], data.corrections.rows, data.corrections.unknown ? `Not known: ${data.corrections.unknown}`
    : `Nothing: no day that release ${data.corrections.before} had has changed.`);
  byId("correction-hint").replaceChildren(...(data.corrections.unknown ? []
    : [`Compared with release ${data.corrections.before}, by day: ${data.corrections.tables.join(", ")}. Tables without days are not compared.`]));
  byId("checked").textContent = status
    ? `Last checked ${status.checked_at.replace("T", " ").slice(0, 16)} UTC: ${status.tally.passed} checks passed, ${status.tally.warned} warned, ${status.tally.failed} failed.`
    : "";
}
