"""Imports run one way: plots and processors on analysis, stages and command line on top of all."""

import ast
import re

import pytest
from pages import ROOT

BARE = re.compile(r"^\s*(from|import) (analysis|processors|plots)\b", re.MULTILINE)
FORBIDDEN = {
    "analysis": {"processors", "plots", "coffea", "matplotlib", "mplhep"},
    "plots": {"processors", "coffea"},
    "processors": {"plots", "matplotlib", "mplhep"},
}


def imported(path):
    """Top-level packages that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.removeprefix("punzinet.").split(".")[0] for name in names}


def modules(*packages):
    found = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    assert found
    return found


def test_there_is_one_importable_name():
    for path in modules("analysis", "processors", "plots", "tests", "docs"):
        assert not BARE.search(path.read_text()), path


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package):
    for path in modules(package):
        assert not imported(path) & FORBIDDEN[package], path


def test_nothing_imports_stages_and_command_line_or_unpickles():
    for path in modules(*FORBIDDEN):
        text = path.read_text()
        assert not re.search(r"punzinet[.](cli|stages)\b", text), path
        assert not re.search(r"(?<!safetensors\.)torch\.load", text), path
        assert not imported(path) & {"pickle", "cloudpickle", "dill", "joblib"}, path


def test_the_simulation_is_a_house_of_its_own():
    house = ROOT / "analysis" / "simulation"
    for path in modules("analysis"):
        other = "paper" if house in path.parents else "simulation"
        assert not re.search(rf"punzinet[.]analysis[.]{other}\b", path.read_text()), path
