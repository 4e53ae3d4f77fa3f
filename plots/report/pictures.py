"""Figures inside of the page with their captions."""

import base64
import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import yaml

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.observables import Quantity

CAPTIONS = Path(__file__).parent / "templates" / "captions.yaml"


class Picture(NamedTuple):
    """A figure of the report: file name without suffix, title, caption, and address of its data.

    As an image, a vector graphic runs nothing, loads nothing and cannot clash with another one.
    """

    name: str
    title: str
    caption: str
    data: str


def read_captions(mass: Quantity) -> dict[str, dict[str, list[str]]]:
    """Title and caption of each figure by its name, by section of the page.

    Args:
        mass: The mass whose spectrum is drawn, which names that figure.
    """
    sections: dict[str, dict[str, list[str]]] = yaml.safe_load(CAPTIONS.read_text("utf-8"))
    title, caption = sections["run"].pop("mass")
    spectrum = [title.format(title=mass.title.capitalize()), caption]
    sections["run"] = {mass.file_name: spectrum, **sections["run"]}
    return sections


def read_pictures(folder: Path, captions: dict[str, list[str]]) -> list[Picture]:
    """Read all figures of a folder, vector graphics where there are some, else pixels.

    Args:
        folder: Where they lie; it may be absent.
        captions: Titles and captions of the figures, in their order; others follow by name.

    Raises:
        InputError: If a figure is damaged.
    """
    found = {path.stem: path for kind in ("png", "svg") for path in folder.glob(f"*.{kind}")}
    pictures = []
    for name in [*(name for name in captions if name in found), *sorted({*found} - {*captions})]:
        words = re.sub(r"[_-]+", " ", name).strip().capitalize()
        title, caption = captions.get(name, (words, ""))
        pictures.append(Picture(name, title, caption, _address(found[name])))
    return pictures


def _address(path: Path) -> str:
    """The content of a picture as an address.

    Raises:
        InputError: If it cannot be read, or is no vector graphic although it is called one.
    """
    problem: Exception | str = ""
    try:
        content = path.read_bytes()
        if path.suffix == ".svg" and not ET.fromstring(content).tag.endswith("svg"):  # noqa: S314
            problem = "something else"
    except (OSError, ET.ParseError) as error:
        problem = error
    if problem:
        raise InputError(
            f"{path} is no vector graphic ({problem}); run `punzinet plot --force` again."
        )
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
