"""Reading a picture of `databox_shared.plots` as a person does: what it says, and what it shows."""

import re
from base64 import b64decode
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: object) -> tuple[str, ET.Element]:
    """What the picture of a Markdown image says in words, and the picture."""
    image = re.fullmatch(r"!\[([^]]*)\]\(data:image/svg\+xml;base64,([^)]+)\)", str(markdown))
    assert image, markdown
    return image[1], ET.fromstring(b64decode(image[2]))
