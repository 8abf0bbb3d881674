// What the reader does: views by their name in the address (#seen, #species/norcar), and filters.
"use strict";

const DRAW = { seen: drawSeen, rare: drawRare, species: drawSpecies, moving: drawMoving, hotspots: drawHotspots, quality: drawQuality };
const VIEWS = Object.keys(DRAW);
// quality runs each day
const HOURS_UNCHECKED = 36;

function show() {
  const [wanted, code] = location.hash.slice(1).split("/");
  const shown = VIEWS.includes(wanted) ? wanted : VIEWS[0];
  if (code) state.species = code;
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== shown;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${shown}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${byId(`${shown}-h`).textContent} – Databox`;
  DRAW[shown]();
}

// a run that crashed, or never came, tells nobody: only the reader's clock can
function tooOld(now) {
  const made = data.release.created_at;
  const checked = status && status.checked_at > made ? status.checked_at : made;
  if (now - Date.parse(checked) <= HOURS_UNCHECKED * 36e5) return "";
  const age = Math.floor((now - Date.parse(made)) / 864e5);
  const since = status ? `quality has not run since ${checked.replace("T", " ").slice(0, 16)} UTC, and newer birds are not here.`
    : "status.js is not beside this page, so it does not know of newer ones.";
  return `This release is ${age} ${age === 1 ? "day" : "days"} old: ${since}`;
}

function drawNotice() {
  const notice = byId("notice");
  notice.replaceChildren();
  const old = tooOld(Date.now());
  if (old) notice.append(element("p", { class: "bad" }, old));
  if (!status) return;
  if (status.withheld) {
    notice.append(element("p", { class: "bad" },
      `This data is of ${data.release.created_at.slice(0, 10)}. Newer data was withheld on ${status.checked_at.slice(0, 10)}: ${status.withheld}`));
  } else if (status.release_id > data.release.id) {
    notice.append(element("p", {}, "This is an older release; a newer one has been made since."));
  }
}

// eBird ends a region's name with the land it lies in
const regionName = (code) => (data.regions[code] || code).replace(/, [^,]+$/, "");
fillOptions(byId("region"), regions.map((code) => [code, regionName(code)]), state.region);
byId("region").closest("label").hidden = regions.length < 2;
byId("title").textContent = regions.length === 1 ? `What birds are being seen in ${regionName(regions[0])}` : "What birds are being seen";
byId("region").addEventListener("change", (event) => { state.region = event.target.value; show(); });
byId("period").addEventListener("change", (event) => { state.period = event.target.value; drawHotspots(); });
byId("rare-days").addEventListener("change", drawRare);
byId("seen-filter").addEventListener("input", drawSeen);
byId("seen-order").addEventListener("change", drawSeen);
byId("species-name").addEventListener("change", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  const found = ofRegion(data.species).find((row) => row.com_name.toLowerCase() === wanted);
  if (found) location.hash = `species/${found.species_code}`;
  else byId("species-said").textContent = `No species is called “${event.target.value}” here.`;
});
window.addEventListener("hashchange", () => { show(); window.scrollTo(0, 0); });
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
drawNotice();
show();
