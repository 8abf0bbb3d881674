// How values are written, and tables of them. Every text goes in as text, never as HTML.
"use strict";

const byId = (id) => document.getElementById(id);
const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const percent = (part, whole) => (whole ? (100 * part) / whole : null);
const said = (share) => (share === null ? "–" : `${share < 10 ? share.toFixed(1) : Math.round(share)} %`);
const daysBefore = (iso, days) => new Date(Date.parse(iso) - days * 864e5).toISOString().slice(0, 10);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// a day as people say it; the year only where it is not that of the newest day
function day(iso, newest, weekday) {
  if (!iso) return "–";
  const options = { day: "numeric", month: "short", timeZone: "UTC" };
  if (weekday) options.weekday = "short";
  if (!newest || iso.slice(0, 4) !== newest.slice(0, 4)) options.year = "numeric";
  return element("time", { datetime: iso }, new Date(iso).toLocaleDateString("en-GB", options));
}

// columns: [heading, cell(row), "number", "long" or "", "optional" or ""]; the last is left out on a phone
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

// a table's name, which may break after its dots and underscores
const tableName = (name) => element("span", {},
  ...name.split(/(?<=[._])/).flatMap((part) => [part, element("wbr")]));

const speciesName = (row) => element("span", {},
  element("a", { href: `#species/${row.species_code}` }, row.com_name), " ", element("i", {}, row.sci_name));

function fillOptions(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) =>
    element("option", { value, ...(value === chosen ? { selected: "" } : {}) }, text)));
}
