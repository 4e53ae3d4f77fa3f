"""Compiled code is kept apart by the sources that it was compiled from."""

from punzinet.analysis.compiled import compiled_sources

SOURCES = {
    "kernels": "from punzinet.analysis.compiled import njit\n"
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
