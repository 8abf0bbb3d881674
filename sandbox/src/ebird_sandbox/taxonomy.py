"""The taxa: names, codes, order and roll-up, and how a yearly update relabels them.

The facts come from ``data/taxa.csv`` (the eBird/Clements checklist, 2025 edition). This module
must never invent a name for a real bird; only the codes that follow from a name by rule are
derived here.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files

CATEGORIES = ("species", "slash", "issf", "spuh", "hybrid", "domestic", "form", "intergrade")
VERSIONS = (2025.0, 2024.0, 2023.0, 2022.0, 2021.0, 2019.0, 2018.0, 2017.0, 2016.0, 2015.0)
ROLLOVER_VERSION = 2026.0


@dataclass(frozen=True, slots=True, eq=False)
class Taxon:
    """One line of the taxonomy. Compared by identity: there is one object for each line."""

    code: str
    com_name: str
    sci_name: str
    category: str
    taxon_order: int
    order: str
    family_sci_name: str
    family_com_name: str
    report_as: str | None
    extinct_year: int | None = None

    @property
    def species_code(self) -> str | None:
        """The species it counts as, if it counts as one at all."""
        return self.code if self.category == "species" else self.report_as

    @property
    def family_code(self) -> str:
        """The family's code: six letters of its name and a digit."""
        return f"{self.family_sci_name[:6].lower()}1" if self.family_sci_name else ""

    @property
    def com_name_codes(self) -> list[str]:
        """The four-letter code that birders make of the common name."""
        words = self.com_name.replace("-", " ").replace("/", " ").replace("'", "").split()
        words = [word for word in words if word[0].isalpha() and word != "sp."]
        match words:
            case []:
                return []
            case [one]:
                return [one[:4].upper()]
            case [one, two]:
                return [(one[:2] + two[:2]).upper()]
            case [one, two, three]:
                return [(one[0] + two[0] + three[:2]).upper()]
            case _:
                return ["".join(word[0] for word in words[:4]).upper()]

    @property
    def sci_name_codes(self) -> list[str]:
        """The four-letter code of the scientific name."""
        words = [word for word in self.sci_name.split() if word[0].isalpha()]
        return [(words[0][:2] + words[1][:2]).upper()] if len(words) > 1 else []

    @property
    def banding_codes(self) -> list[str]:
        """The banding code; only species have one here."""
        return self.com_name_codes if self.category == "species" else []


@dataclass(frozen=True)
class Taxonomy:
    """One version of the taxonomy, in taxonomic order."""

    version: float
    taxa: tuple[Taxon, ...]

    @cached_property
    def by_code(self) -> dict[str, Taxon]:
        """Every taxon by its code."""
        return {taxon.code: taxon for taxon in self.taxa}

    @cached_property
    def forms(self) -> dict[str, list[Taxon]]:
        """The subspecies groups, forms and domestic types that roll up to each species."""
        found: dict[str, list[Taxon]] = {}
        for taxon in self.taxa:
            if taxon.report_as:
                found.setdefault(taxon.report_as, []).append(taxon)
        return found

    def rolled_over(self) -> "Taxonomy":
        """Next year's taxonomy: one split, one lump and one new code, as every autumn brings.

        The split follows a real proposal (Yellow-rumped Warbler into Myrtle and Audubon's); the
        lump and the renumbered code are made up for the sandbox.
        """
        taxa = tuple(replace(taxon, **_UPDATE.get(taxon.code, {})) for taxon in self.taxa)
        renamed = tuple(
            replace(taxon, report_as=RELABELLED[taxon.report_as])
            if taxon.report_as in RELABELLED
            else taxon
            for taxon in taxa
        )
        return Taxonomy(ROLLOVER_VERSION, renamed)


_UPDATE: dict[str, dict[str, str | None]] = {
    "yerwar": {"com_name": "Myrtle/Audubon's Warbler", "category": "slash"},
    "myrwar": {
        "com_name": "Myrtle Warbler",
        "sci_name": "Setophaga coronata",
        "category": "species",
        "report_as": None,
    },
    "audwar": {
        "com_name": "Audubon's Warbler",
        "sci_name": "Setophaga auduboni",
        "category": "species",
        "report_as": None,
    },
    "yerwar1": {"com_name": "Audubon's Warbler (West Mexico)", "report_as": "audwar"},
    "yerwar2": {"com_name": "Audubon's Warbler (Goldman's)", "report_as": "audwar"},
    "cacgoo1": {"category": "issf", "report_as": "cangoo"},
    "norcar": {"code": "norcar3"},
}

# What the update makes of an observation that was made under an old code. Every region of the
# sandbox lies where the split leaves only one of the two new species.
RELABELLED = {"yerwar": "myrwar", "norcar": "norcar3"}

# Nobody reports it any more. Its place among the pigeons is right; its number is not eBird's.
_EXTINCT = Taxon(
    code="paspig",
    com_name="Passenger Pigeon",
    sci_name="Ectopistes migratorius",
    category="species",
    taxon_order=2_000,
    order="Columbiformes",
    family_sci_name="Columbidae",
    family_com_name="Pigeons and Doves",
    report_as=None,
    extinct_year=1914,
)


@cache
def load() -> Taxonomy:
    """The 2025 taxonomy, of the taxa that the sandbox knows."""
    text = files("ebird_sandbox").joinpath("data/taxa.csv").read_text(encoding="utf-8")
    taxa = tuple(
        Taxon(
            code=row["speciesCode"],
            com_name=row["comName"],
            sci_name=row["sciName"],
            category=row["category"],
            taxon_order=int(row["taxonOrder"]),
            order=row["order"],
            family_sci_name=row["familySciName"],
            family_com_name=row["familyComName"],
            report_as=row["reportAs"] or None,
        )
        for row in csv.DictReader(text.splitlines())
    )
    return Taxonomy(
        VERSIONS[0], tuple(sorted((*taxa, _EXTINCT), key=lambda taxon: taxon.taxon_order))
    )
