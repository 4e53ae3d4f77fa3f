"""Compiled code is kept apart by the sources that it was compiled from."""

import pytest

from punzinet.analysis.io.compiled import cache_folder, compiled_sources

SOURCES = {
    "kernels": "from punzinet.analysis.io.compiled import njit\n"
    "from punzinet.analysis.deep import (\n    helper,\n)\n",
    "deep/helper": "import punzinet.analysis.constants as natural\n",
    "constants": "PI = 3.14\n",
    "manifest": "from punzinet.analysis import kernels\n",
}


def test_compiled_functions_depend_on_all_they_import_and_nothing_else(tmp_path):
    for name, content in SOURCES.items():
        path = tmp_path / "analysis" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    found = {name.split(".")[-1] for name in compiled_sources(tmp_path)}
    assert found == {"kernels", "helper", "constants"}


@pytest.mark.parametrize("writable", ["given", "package", "home", ""])
def test_compiled_code_goes_where_something_can_be_written(tmp_path, monkeypatch, writable):
    places = {name: tmp_path / name for name in ("given", "package", "home")}
    for name, place in places.items():
        place.mkdir() if writable in {name, "given"} else place.write_text("in the way")
    monkeypatch.setenv("HOME", str(places["home"]))
    folder = cache_folder(places["package"], str(places["given"]))
    assert folder.is_relative_to(places.get(writable, "/"))
    assert folder.is_relative_to(tmp_path) == bool(writable)
    assert cache_folder(places["package"], str(folder)) == folder  # in a worker
