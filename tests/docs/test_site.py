"""The documentation builds without a warning, and holds what it promises."""

import html
import re
from importlib import import_module

import pytest
from commands import run_python
from pages import ROOT
from pydantic import BaseModel

from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import OBSERVABLES
from punzinet.stages import CHAIN

DOCS = ROOT / "docs"


def settings(model):
    """Names and descriptions of all settings of a section, and of the sections inside."""
    for name, field in model.model_fields.items():
        yield name, field.description or ""
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation)


@pytest.mark.parametrize("command", [*CHAIN, "shape", "paper", "predict", "export"])
def test_every_stage_has_a_page(command):
    pages = [path.read_text() for path in (DOCS / "stages").glob("*.md")]
    assert [page for page in pages if f"\npunzinet {command}" in page]


def test_every_module_has_its_place_in_the_api():
    pages = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    listed = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    whole = re.findall(r"^::: (\S+)\n +options: {show_submodules: true}", pages, re.MULTILINE)
    for folder in ("analysis", "processors", "plots"):
        for path in (ROOT / folder).rglob("[a-z]*.py"):
            module = ".".join(["punzinet", *path.relative_to(ROOT).with_suffix("").parts])
            assert module in listed or module.startswith(tuple(f"{name}." for name in whole))


def rows(page, pattern):
    return re.findall(rf"^\| {pattern} \|", (DOCS / page).read_text(), re.MULTILINE)


def test_every_observable_is_described():
    described = re.findall(r"`(\w+)`", " ".join(rows("other_searches.md", r"(`[^|]*)")))
    assert set(described) >= OBSERVABLES.keys()


def test_the_names_to_learn_are_there_and_twenty():
    names = rows("names.md", r"`(\w+)` \| `([\w.]+)`")
    assert len(names) == 20
    for name, module in names:
        assert hasattr(import_module(f"punzinet.{module}"), name), (name, module)


@pytest.mark.slow
def test_the_site_builds_and_shows_every_setting(tmp_path):
    build = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path)
    done = run_python(*build, folder=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, timeout=None)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = " ".join(path.read_text() for path in tmp_path.glob("api/*/index.html"))
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", pages)))
    for name, description in (*settings(Manifest), *settings(Dataset)):
        assert re.sub(r"\s+", " ", description.replace("`", "")) in words, name
