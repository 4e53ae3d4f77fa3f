"""Compiled code is kept apart by the sources that it was compiled from."""

from pathlib import Path

from analysis import _compiled_sources

PACKAGE = {
    "kernels.py": "import numba\nfrom {0}.deep import (\n    helper,\n)\n",
    "deep/__init__.py": "",
    "deep/helper.py": "from {0}.constants import PI\n",
    "constants.py": "PI = 3.14\n",
    "manifest.py": "from {0} import kernels\n",
}


def test_compiled_functions_depend_on_all_they_import_and_nothing_else(tmp_path: Path) -> None:
    for name, content in PACKAGE.items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.format("package"))
    found = {path.name for path in _compiled_sources(tmp_path / "package")}
    assert found == {"kernels.py", "helper.py", "constants.py"}
