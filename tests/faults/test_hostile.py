"""Names and texts that mean harm: nothing leaves the output folder, nothing enters the report."""

import contextlib
import json
import os
import re
import shutil
from html.parser import HTMLParser

import pytest
import uproot
import yaml
from outputs import contents

from punzinet.analysis.io.files import InputError, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.plots.report.page import make_report

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'><b>"
FILES = {
    "signal": "<img src=x onerror=alert(1)>.root",
    "mumugamma": "..%2f..%2f..%2foutside.root",
    "tautau": "$(touch outside);-rf ~.root",
    "eemumu": "\\..\\outside\n\u202e'\"&lt;.root",
}


class Structure(HTMLParser):
    """The elements of a page and its text, as a browser sees them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.loaded, self.text = [], set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        links = [value or "" for name, value in attrs if name in {"src", "href"}]
        self.loaded |= {link.partition(":")[0][:1] for link in links}

    def handle_data(self, data):
        self.text += data


def assert_harmless(page, good):
    """Compare a page with one that nobody tampered with."""
    found = Structure(page)
    assert found.tags.count("script") == good.tags.count("script")
    assert set(found.tags) <= set(good.tags)
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.loaded <= good.loaded
    return found


def test_a_hostile_manifest_and_ntuples(chain, tmp_path, record_property):
    folder, scratch = tmp_path / "a" / "b" / "run", tmp_path / "scratch"
    (folder / "input").mkdir(parents=True)
    scratch.mkdir()
    source = chain.finished
    manifest = yaml.safe_load((source / "data_manifest.yaml").read_text())
    record = json.loads((source / "output" / "ntuples" / "simulation.json").read_text())
    for name, file in FILES.items():
        with uproot.open(source / "output" / "ntuples" / f"{name}.root") as there:
            columns = there["variables"].arrays(library="np")
        with uproot.recreate(folder / "input" / file) as here:
            here.mktree("<b>", {key: array.dtype for key, array in columns.items()}, title=MARKUP)
            here["<b>"].extend(columns)
        dataset = {"process": name, "files": [f"input/{file}"], "tree": "<b>", "luminosity": 1.0}
        manifest["datasets"][name] = dataset
    del manifest["datasets"]["signal"]["luminosity"]
    manifest["datasets"]["signal"]["generated"] = record["datasets"]["signal"]["generated"]
    manifest["processes"] = dict.fromkeys(FILES, MARKUP)
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump(manifest))
    before = {path for path in tmp_path.rglob("*") if scratch not in path.parents}
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("TMPDIR", "MPLCONFIGDIR", "HOME"), str(scratch))
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)  # torch of this process sets it for others
    log = scratch / "log"
    for stage in chain.stages[1:]:
        done = chain.watched(folder, stage, log, env=environment)
        assert done.returncode == 0, done.stderr
        places = {line.partition(" ")[2] for line in log.read_text().splitlines()}
        allowed = (str(folder / "output"), str(scratch), "/dev/")
        outside = {place for place in places if not place.startswith(allowed)}
        assert not {place for place in outside if "__pycache__" not in place}  # of numba
    after = {path for path in tmp_path.rglob("*") if scratch not in path.parents}
    new = {path for path in after - before if folder / "output" not in path.parents}
    assert new == {folder / "output"}
    good = Structure((source / "output" / "report.html").read_text())
    page = assert_harmless((folder / "output" / "report.html").read_text(), good)
    assert "alert(1)" in page.text
    record_property("faults", len(chain.stages) - 1)


STUDIES = {
    "paper/claims.json": {"one": {"text": "in words", "value": 1.0, "error": 0.1,
                                  "target": "more", "met": False}, "provenance": {}},
    "baselines/methods.json": {
        "figure_of_merit": {}, "hypotheses": [{"mass": 1.0, "role": "training"}],
        "baselines": {"a": {"label": "A", "sigma_min": [1.0], "mean_error": 0.1,
                            "effective": [1.0]}},
    },
    "baselines/ranks.json": {"what": [{"name": "first", "gain": 0.3}]},
}  # fmt: skip


def test_a_report_of_hostile_results(chain, tmp_path, record_property):
    """Every text and every key in turn is shown as it is, or refused."""
    folder = chain.before("report", tmp_path / "run")
    output = OutputFolder(folder / "output")
    shutil.rmtree(output.plots)
    for name, content in STUDIES.items():
        write_json(output.root / name, content)
    manifest = load_manifest(folder / "data_manifest.yaml", output)
    (page,) = make_report(output, manifest, "punzi-00")
    good, count, shown = Structure(page.read_text()), 0, set()
    for path in sorted(output.root.rglob("*.json")):
        if {".ledger", "workspaces"} & {*path.parts}:
            continue
        content = path.read_text()
        for word in dict.fromkeys(re.findall(r'"([^"\\]+)"', content)):
            path.write_text(content.replace(f'"{word}"', json.dumps(word + MARKUP)))
            count += 1
            with contextlib.suppress(InputError):
                (page,) = make_report(output, manifest, "punzi-00")
                if "alert(1)" in assert_harmless(page.read_text(), good).text:
                    shown.add(str(path.relative_to(output.root)))
        path.write_text(content)
    assert shown >= {
        "features/completeness.json", "features/cutflow.json", "ntuples/simulation.json",
        "paper/claims.json", "baselines/methods.json", "selection/cutflow.json", "windows.json",
    }  # fmt: skip
    record_property("fuzzed", count)


@pytest.mark.parametrize("name", ["../../outside", "/etc", "a/../../..", "n" * 5000, "<b>"])
def test_a_hostile_name_of_a_network(chain, tmp_path, name):
    folder = chain.before("select", tmp_path)
    before = contents(folder / "output")
    assert "network" in chain.refused(folder, "select", "--network", name)
    assert contents(folder / "output") == before
