"""The page at ``/``: what this is, which world it shows, and where to begin.

One self-contained page without scripts. This module must never show a key.
"""

from html import escape

from ebird_sandbox.areas import Area
from ebird_sandbox.endpoints import Endpoint
from ebird_sandbox.regions import Regions
from ebird_sandbox.world import World

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2a26; --soft: #5c6b65; --paper: #fbfaf6;
  --line: #e3e0d6; --card: #fff; --leaf: #1f6f54; --tint: #e8f1ec }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebe8; --soft: #9aa8a2; --paper: #141a18;
  --line: #2b3531; --card: #1b2320; --leaf: #6cc3a0; --tint: #20302a } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans CJK JP", sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 3rem 1.5rem 4rem }
h1 { font-size: 2.1rem; line-height: 1.15; margin: 0 0 .5rem; letter-spacing: -.02em }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem }
p { margin: 0 0 1rem; max-width: 44rem }
.lead { font-size: 1.1rem; color: var(--soft) }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.75rem 0 0 }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .75rem 1rem }
.facts dt { color: var(--soft); font-size: .8rem }
.facts dd { margin: 0; font-size: 1.15rem; font-weight: 600 }
table { width: 100%; border-collapse: collapse; background: var(--card); font-size: .95rem;
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden }
th, td { text-align: left; padding: .5rem 1rem; border-top: 1px solid var(--line) }
tr:first-child th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .8rem }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
code, pre { font: .9em ui-monospace, "DejaVu Sans Mono", monospace }
pre { background: var(--tint); border-radius: .6rem; padding: .9rem 1rem; overflow-x: auto;
  margin: 0 }
ul { list-style: none; margin: 0; padding: 0; columns: 2 24rem; column-gap: 2rem }
li { break-inside: avoid; padding: .3rem 0 }
li span { display: block; color: var(--soft); font-size: .85rem }
a { color: var(--leaf); text-underline-offset: .15em; overflow-wrap: anywhere }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .85rem }
@media (max-width: 40rem) { main { padding-top: 1.75rem } .wide { display: none } }
"""
_EXAMPLE_BIRD = "norcar"


def home_page(world: World, regions: Regions, endpoints: tuple[Endpoint, ...], url: str) -> str:
    """The page, for a server whose API is at ``url``."""
    base = escape(url)
    # The plain ones first: the table of routes has to begin with the special ones.
    ordered = sorted(endpoints, key=lambda e: (e.path.split("/")[1], "geo" in e.path, e.path))
    links = "".join(_link(endpoint, world) for endpoint in ordered)
    rows = "".join(_row(here.area, regions) for here in world.areas.values())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>eBird sandbox</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>eBird sandbox</h1>
<p class="lead">This server speaks the eBird API 2.0. Its birds are generated: no checklist, place
or person here is real, and nothing you ask leaves this machine.</p>
<dl class="facts">
<div><dt>Today is</dt><dd>{world.today}</dd></div>
<div><dt>Time</dt><dd>{world.now:%H:%M}</dd></div>
<div><dt>Seed</dt><dd>{world.seed}</dd></div>
<div><dt>Taxonomy</dt><dd>{world.taxonomy.version:g}</dd></div>
</dl>
<h2>Ask it</h2>
<p>Send any key, in the header or as <code>?key=</code>. The address takes the place of
<code>https://api.ebird.org/v2</code>; <code>/ws2.0</code> works too.</p>
<pre>curl -H 'X-eBirdApiToken: any' {base}/product/lists/US-DC</pre>
<h2>Regions with birds</h2>
<table>
<tr><th>Region</th><th>Name</th><th class="n">Checklists a day</th><th class="n">Hotspots</th>
<th class="n wide">Counties</th></tr>
{rows}</table>
<h2>Every endpoint, with an example</h2>
<ul>{links}</ul>
<footer>Described in <a href="/openapi.json">openapi.json</a>. Names and codes of birds are those of
the eBird/Clements checklist, 2025 edition (Clements et al., Cornell Lab of Ornithology). Not made
by or connected with eBird.</footer>
</main>
</body>
</html>
"""


def _row(area: Area, regions: Regions) -> str:
    region = regions.by_code[area.code]
    country = regions.by_code[area.country]
    name = region.name if region.name == country.name else f"{region.name}, {country.name}"
    counties = sum(bool(county.code) for county in area.counties)
    numbers = (f"{area.checklists_per_day:g}", str(area.hotspots))
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    cells += f'<td class="n wide">{counties or "none"}</td>'
    return f"<tr><td><code>{escape(area.code)}</code></td><td>{escape(name)}</td>{cells}</tr>\n"


def _link(endpoint: Endpoint, world: World) -> str:
    yesterday = world.yesterday
    checklists = world.day("US-DC", yesterday).checklists if "US-DC" in world.areas else []
    values = {
        "r": "US-DC",
        "speciesCode": _EXAMPLE_BIRD,
        "subId": checklists[0].sub_id if checklists else "S1",
        "locId": "L1000000",
        "regionType": "subnational1",
        "parent": "US",
        "grouping": "merlin",
        "y": yesterday.year,
        "m": yesterday.month,
        "d": yesterday.day,
    }
    path = endpoint.path.format_map(values)
    query = ["lat=38.9", "lng=-77.03"] if "geo" in path.split("/") else []
    query += ["fmt=json"] if endpoint.name in ("hotspots", "hotspots_nearby", "taxonomy") else []
    query += ["key=any"] if endpoint.needs_key else []
    shown = escape(endpoint.path)
    href = escape(f"/v2{path}" + (f"?{'&'.join(query)}" if query else ""))
    summary = escape((endpoint.handler.__doc__ or "").strip())
    return f'<li><a href="{href}"><code>{shown}</code></a><span>{summary}</span></li>\n'
