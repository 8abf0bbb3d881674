"""Made-up names of places and people, in the languages of the areas.

None of them is meant to be a real hotspot or a real person. This module must never hold a name
taken from eBird.
"""
# ruff: noqa: SIM905 - lists of words are read more easily as text
# ruff: noqa: PLR2004 - chances are said where they are used

from random import Random

_ENGLISH_FIRST = (
    "Alder Aspen Beech Birch Cedar Chestnut Clover Cooper Cypress Dogwood Eagle Elm Fern Fisher "
    "Foxglove Granite Hawthorn Hazel Hemlock Heron Hickory Holly Iron Ivy Juniper Kestrel Larch "
    "Laurel Linden Locust Magnolia Maple Mason Meadow Miller Mulberry Oak Old Otter Pebble Pine "
    "Poplar Quail Quarry Redbud Robin Rowan Sandy Sassafras Shepherd Spruce Stony Sumac Sycamore "
    "Thistle Turkey Walnut Willow Winter Wren"
).split()
_ENGLISH_LAST = {
    "w": ("Lake", "Pond", "Reservoir", "Landing", "Harbor", "River Overlook", "Dam"),
    "m": ("Marsh", "Wetlands", "Flats", "Bog", "Swamp Boardwalk", "Creek Mouth"),
    "f": ("Woods", "Forest Preserve", "Ridge Trail", "Hollow", "Glen", "State Park"),
    "u": ("Park", "Cemetery", "Gardens", "Campus", "Square", "Arboretum"),
    "o": ("Meadows", "Fields", "Farm", "Grasslands", "Airfield", "Hill"),
}
_ENGLISH_PART = (
    "North End,South End,East Loop,West Loop,Boardwalk,Overlook,Visitor Center,Picnic Area,"
    "Boat Ramp,Upper Trail,Lower Trail,Old Bridge,Parking Lot,Tower"
).split(",")
_JAPANESE_FIRST = (
    "若葉 緑が丘 桜台 清水 松原 青葉 富士見 柳沢 泉 月見 竹林 梅園 鷺沼 鶴巻 雲雀 翡翠 椿 楓 "
    "朝日 夕陽 星川 白鳥 千草 葦原"
).split()
_JAPANESE_LAST = {
    "w": ("池", "貯水池", "運河", "湖畔"),
    "m": ("湿地", "干潟", "葦原", "水辺公園"),
    "f": ("の森", "緑地", "自然教育林", "丘陵"),
    "u": ("公園", "神社", "庭園", "霊園"),
    "o": ("河川敷", "広場", "農園", "草地"),
}
_JAPANESE_PART = "北口 南口 東側 西側 展望台 野鳥園 中央 橋".split()
_ITALIAN_FIRST = ("Giardino", "Bosco", "Fontana", "Viale", "Piazzale", "Belvedere")
_ITALIAN_LAST = ("delle Rose", "dei Lecci", "dell'Ulivo", "dei Cedri", "della Civetta", "dei Merli")
_STREETS = ("St", "Ave", "Rd", "Ln", "Ct", "Dr", "Way")

_PEOPLE = {
    "english": (
        "Ada Aiden Alma Amir Anna Ben Blair Carla Carmen Chidi Clara Dana Dev Elena Eli Emma Ethan "
        "Fatima Felix Gail Grace Hana Henry Ida Imani Ivan Jack Jada Jonas June Kai Kim Lena Leo "
        "Lucy Luis Mae Marcus Maya Mina Nadia Nell Nico Nora Omar Opal Owen Pavel Priya Quinn Rosa "
        "Ruth Sam Sana Silas Tara Theo Uma Vera Walt Wren Yara Zoe".split(),
        "Abbott Adeyemi Alvarez Banks Barlow Becker Bright Calloway Carver Castillo Chen Cole "
        "Cruz Dalton Diaz Drake Ellery Farrow Fields Finch Flores Foster Garza Grady Green Haas "
        "Hale Hart Hayes Holt Ibarra Ito Jansen Jarvis Keene Khan Kowalski Lane Larkin Lowe "
        "Marsh Mercer Moreno Nash Novak O'Dell Okafor Ortiz Page Park Patel Quigley Reyes Rowe "
        "Russo Sato Shaw Silva Stone Tate Thorne Underhill Vance Vega Walsh Webb Wilder Wu "
        "Young Zimmer".split(),
    ),
    "japanese": (
        "Akira Aoi Haruka Hiroshi Kaito Kenji Mei Naoki Rin Sakura Sora Takumi Yui Yuki 葵 陽菜 蓮 "
        "結衣 大和".split(),
        "Aoki Fujita Hayashi Inoue Ishida Kato Kimura Mori Nakano Ono Shimizu Takeda Ueda Yamane "
        "佐藤 鈴木 高橋".split(),
    ),
    "italian": (
        "Bruno Chiara Elisa Fabio Giulia Luca Marta Nicolò Paola Tommaso".split(),
        "Bianchi Conti D'Amico Ferri Gallo Leone Marini Ricci Serra Villa".split(),
    ),
}


def place_name(rng: Random, naming: str, habitat: str, taken: set[str]) -> str:
    """A hotspot's name that no other hotspot of the area has."""
    name = ""
    for attempt in range(50):
        match naming:
            case "japanese":
                name = rng.choice(_JAPANESE_FIRST) + rng.choice(_JAPANESE_LAST[habitat])
                name += f" {rng.choice(_JAPANESE_PART)}" if attempt else ""
            case "italian":
                name = f"{rng.choice(_ITALIAN_FIRST)} {rng.choice(_ITALIAN_LAST)}"
            case _:
                name = f"{rng.choice(_ENGLISH_FIRST)} {rng.choice(_ENGLISH_LAST[habitat])}"
                name += f"--{rng.choice(_ENGLISH_PART)}" if attempt else ""
        if name not in taken:
            break
    taken.add(name)
    return name


def private_name(rng: Random, naming: str, first_name: str, where: str) -> str:
    """The name that somebody gives to a place of their own, as telling as such names are."""
    roll = rng.random()
    if naming == "japanese":
        return rng.choice(("自宅", "自宅の庭", "家の近く", "Home", "散歩道")) + f", {where}"
    if naming == "italian":
        return rng.choice(("Casa", "Terrazza", "Cortile", "Giardino di casa"))
    if roll < 0.35:
        street = f"{rng.choice(_ENGLISH_FIRST)} {rng.choice(_STREETS)}"
        return f"{rng.randint(1, 4999)} {street}, {where}"
    if roll < 0.6:
        return f"{first_name}'s {rng.choice(('yard', 'house', 'feeders', 'balcony'))}"
    return rng.choice(
        ("Home", "Yard", "Backyard", "My patch", "Neighborhood walk", "Auto selected")
    )


def person(rng: Random, naming: str) -> tuple[str, str]:
    """First and last name of an observer."""
    first, last = _PEOPLE[naming]
    return rng.choice(first), rng.choice(last)
