"""Names and texts that mean harm: nothing leaves the output folder, nothing enters the report."""

import json
import os
from html.parser import HTMLParser

import pytest
import uproot
import yaml
from outputs import contents

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


def test_a_hostile_manifest_and_ntuples(chain, tmp_path):
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
    pages = (one / "output" / "report.html" for one in (source, folder))
    good, page = (Structure(path.read_text()) for path in pages)
    assert page.tags.count("script") == good.tags.count("script")
    assert set(page.tags) <= set(good.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.loaded <= good.loaded
    assert "alert(1)" in page.text


@pytest.mark.parametrize("name", ["../../outside", "/etc", "a/../../..", "n" * 5000, "<b>"])
def test_a_hostile_name_of_a_network(chain, tmp_path, name):
    folder = chain.before("select", tmp_path)
    before = contents(folder / "output")
    assert "network" in chain.refused(folder, "select", "--network", name)
    assert contents(folder / "output") == before
