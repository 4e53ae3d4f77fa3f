"""The documentation builds without a warning, and holds what it promises."""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import OBSERVABLES
from punzinet.stages import CHAIN

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def settings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Names and descriptions of all settings of a section, and of the sections inside."""
    for name, field in model.model_fields.items():
        yield name, field.description or ""
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation)


@pytest.mark.parametrize("command", [*CHAIN, "paper", "predict", "export"])
def test_every_stage_has_a_page(command: str) -> None:
    pages = [path.read_text() for path in (DOCS / "stages").glob("*.md")]
    assert [page for page in pages if f"\npunzinet {command}" in page]


def test_every_module_has_its_place_in_the_api() -> None:
    pages = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    listed = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    whole = re.findall(r"^::: (\S+)\n +options: {show_submodules: true}", pages, re.MULTILINE)
    for folder in ("analysis", "processors", "plots"):
        for path in (ROOT / folder).rglob("[a-z]*.py"):
            module = ".".join(["punzinet", *path.relative_to(ROOT).with_suffix("").parts])
            assert module in listed or module.startswith(tuple(f"{name}." for name in whole))


def rows(page: str, pattern: str) -> list[Any]:
    return re.findall(rf"^\| {pattern} \|", (DOCS / page).read_text(), re.MULTILINE)


def test_every_observable_is_described() -> None:
    described = re.findall(r"`(\w+)`", " ".join(rows("other_searches.md", r"(`[^|]*)")))
    assert set(described) >= OBSERVABLES.keys()


def test_the_names_to_learn_are_there_and_twenty() -> None:
    names = rows("names.md", r"`(\w+)` \| `([\w.]+)`")
    assert len(names) == 20
    for name, module in names:
        assert hasattr(import_module(f"punzinet.{module}"), name), (name, module)


@pytest.mark.slow
def test_the_site_builds_and_shows_every_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pages = " ".join(path.read_text() for path in tmp_path.glob("api/*/index.html"))
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", pages)))
    for name, description in (*settings(Manifest), *settings(Dataset)):
        assert re.sub(r"\s+", " ", description.replace("`", "")) in words, name
