"""Compiled code is kept apart by the sources that it was compiled from."""

import pytest

from punzinet.analysis.io.compiled import cache_folder


def test_compiled_functions_depend_on_all_sources(tmp_path):
    (tmp_path / "analysis").mkdir()
    found = set()
    for content in ("PI = 3.14", "PI = 3.14159", "PI = 3.14"):
        (tmp_path / "analysis" / "constants.py").write_text(content)
        found.add(cache_folder(tmp_path, ""))
    assert len(found) == 2


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
