"""Figures inside of the page: vector graphics that cannot clash with it or with each other."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from markupsafe import Markup

from punzinet.analysis.io.errors import InputError

#: What is let through: matplotlib's figures need no more, and nothing of it runs or loads.
ELEMENTS = {
    "svg", "g", "defs", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "use",
    "image", "text", "tspan", "clipPath", "mask", "pattern", "linearGradient", "radialGradient",
    "stop", "title", "desc", "symbol", "marker",
}  # fmt: skip
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LOADED = re.compile(r"url\((?!#)|javascript:|expression", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: Its file name without suffix.
        title: The same in words.
        caption: What it shows; empty where that is not known.
        markup: The figure as HTML.
    """

    name: str
    title: str
    caption: str
    markup: Markup


def read_pictures(folder: Path, captions: dict[str, tuple[str, str]]) -> list[Picture]:
    """Read all figures of a folder, vector graphics where there are some, else pixels.

    Args:
        folder: Where they lie; it may be absent.
        captions: Titles and captions by name, in the order in which figures are shown; others
            follow by name.

    Raises:
        InputError: If a figure is damaged.
    """
    names = {path.stem for kind in ("svg", "png") for path in folder.glob(f"*.{kind}")}
    order = [name for name in captions if name in names]
    pictures = []
    for name in [*order, *sorted(names - set(order))]:
        title, caption = captions.get(name, (_words(name), ""))
        vector = folder / f"{name}.svg"
        if vector.is_file():
            markup = inline_svg(vector, f"{folder.name}-{name}", title)
        else:
            markup = _inline_png(vector.with_suffix(".png"), title)
        pictures.append(Picture(name, title, caption, markup))
    return pictures


def inline_svg(path: Path, prefix: str, title: str) -> Markup:
    """Read a vector graphic as part of a page.

    Identifiers get a prefix, so that those of two figures never meet; identifiers that nothing
    refers to are left out. So are comments, style sheets (they would apply to the whole page),
    scripts and everything that would be loaded from elsewhere.

    Args:
        path: The file.
        prefix: What tells its identifiers from those of other figures.
        title: What a screen reader says.

    Raises:
        InputError: If it is no vector graphic.
    """
    try:
        root = ET.fromstring(path.read_bytes())  # noqa: S314 - expat refuses exploding entities
    except (OSError, ET.ParseError) as error:
        raise InputError(
            f"{path} is no vector graphic ({error}); run `punzinet plot --force` again."
        ) from error
    if _local(root.tag) != "svg":
        raise InputError(f"{path} is no vector graphic; run `punzinet plot --force` again.")
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", prefix)
    clean = _clean(root, prefix)
    used = _references(clean)
    for element in clean.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    for size in ("width", "height"):
        clean.attrib.pop(size, None)
    clean.set("role", "img")
    clean.set("aria-label", title)
    # The bytes are made of allowed elements and attributes only, escaped by the serialiser.
    return Markup(ET.tostring(clean, encoding="unicode"))  # noqa: S704


def _inline_png(path: Path, title: str) -> Markup:
    """A picture of pixels as part of a page."""
    content = base64.b64encode(path.read_bytes()).decode()
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, content)


def _clean(element: ET.Element, prefix: str) -> ET.Element:
    """Copy an element and what is inside of it, as far as both are allowed."""
    attributes = {}
    for key, value in element.attrib.items():
        name = _local(key)
        if name == "id":
            attributes[name] = f"{prefix}-{value}"
        elif name == "href":
            if value.startswith("#"):
                attributes[name] = f"#{prefix}-{value[1:]}"
            elif value.startswith("data:image/png;base64,"):
                attributes[name] = value
        elif not name.lower().startswith("on") and not _LOADED.search(value):
            attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    copy = ET.Element(_local(element.tag), attributes)
    if (element.text or "").strip():
        copy.text = element.text
    for child in element:
        if _local(child.tag) in ELEMENTS:
            copy.append(_clean(child, prefix))
    return copy


def _references(root: ET.Element) -> set[str]:
    """Identifiers that something in a graphic refers to."""
    used = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                used.add(value[1:])
            used.update(_REFERENCE.findall(value))
    return used


def _local(name: str) -> str:
    """Name of an element or attribute without its namespace."""
    return name.rpartition("}")[2]


def _words(name: str) -> str:
    """A file name as a title."""
    return re.sub(r"[_-]+", " ", name).strip().capitalize()
