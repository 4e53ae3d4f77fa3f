"""Single damages to any file of a finished output folder, and which stages find them out."""

import itertools
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from commands import run_here
from nonsense import attempt
from outputs import contents

from punzinet.analysis.io.files import _file_digest, read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.stages import CHAIN, STAGES
from punzinet.stages.options import Context, Options
from punzinet.stages.plot import REPORT
from punzinet.stages.stage import out_of_date, reasons
from punzinet.stages.validate import PUBLISHED

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
EACH, FOR_REAL = 63, 3  # damages of a kind, and those after which commands run
ASKED = [*(stage for stage in STAGES if stage.name in CHAIN), *REPORT.parts(None)]
MADE_ANEW = {stage.name for stage in REPORT.parts(None)}  # by `punzinet report --force`
#: A stage and those that stand on it: all that come later, but for these.
LATER = {stage.name: {one.name for one in ASKED[i:]} for i, stage in enumerate(ASKED)}
for _stage, _others in {"select": {"limits", PUBLISHED.name}, "limits": {PUBLISHED.name},
                        "plot": {PUBLISHED.name}}.items():  # fmt: skip
    LATER[_stage] -= _others
#: Results that stages find by their names, whatever else has one like these.
FOUND = {"tensors/*/*.parquet": "features", "networks/*/network.json": "train"}


def one_byte(path, rng):
    content = bytearray(path.read_bytes() or b" ")
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    return bytes(content)


def delete(path, *_):
    path.unlink()


def add(path, rng, _):
    shutil.copy(path, path.with_name(f"{rng.integers(10**6)}{path.name}"))


def add_folder(path, *_):
    shutil.copytree(path.parent, path.parent.with_name("mine"), dirs_exist_ok=True)


def swap(path, rng, files):
    others = [one for one in files if one.suffix == path.suffix]
    other = others[rng.integers(len(others))]
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def truncate(path, rng, _):
    os.truncate(path, rng.integers(path.stat().st_size + 1))


def edit(path, rng, _):
    path.write_bytes(one_byte(path, rng))


def edit_unseen(path, rng, _):
    status = path.stat()
    path.write_bytes(one_byte(path, rng))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(path, rng, _):
    elsewhere = Path(f"{path}.elsewhere")
    elsewhere.write_bytes(path.read_bytes() if rng.random() < 0.3 else one_byte(path, rng))
    path.unlink()
    path.symlink_to(elsewhere)


def everything(folder):
    """The bytes of all files, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def finished(chain, tmp_path_factory):
    """A copy of a finished output folder, each file of which some record names, and whose it is."""
    folder = Path(shutil.copytree(chain.finished, tmp_path_factory.mktemp("damaged") / "run"))
    owner = {}
    for stage in ASKED:
        record = f".stages/{stage.name}.json"
        named = read_json(folder / "output" / record, "")["outputs"]
        owner |= dict.fromkeys([record, *named], stage.name)
    assert {name for name in owner if name[0] != "."} == contents(folder / "output").keys()
    return folder, owner


def affected(before, after, owner):
    """Stages that stand on a file that is not as it was, by its name and content alone."""
    changed = {owner.get(name) for name in before if after.get(name) != before[name]}
    for name, (pattern, stage) in itertools.product(after.keys() - before, FOUND.items()):
        changed |= {stage} if fnmatch(name, pattern) and name.count("/") == 2 else set()
    return set().union(*(LATER[stage] for stage in changed - {None}))


def refuse(stage, context):
    said, refusal = attempt(lambda: [*out_of_date(stage, context), *reasons(stage, context)])
    return said or refusal


@pytest.mark.parametrize(
    "damage", [delete, add, add_folder, swap, truncate, edit, edit_unseen, link]
)
def test_a_damage_is_found_out_or_has_no_effect(finished, tmp_path, damage, monkeypatch):
    """By all stages that stand on the file, and no others; commands do as they say."""
    (good, owner), rng = finished, np.random.default_rng([23, len(damage.__name__)])
    folder = Path(shutil.copytree(good, tmp_path / "run")) / "output"
    monkeypatch.chdir(folder.parent)
    output, before = OutputFolder(folder), everything(folder)
    manifest = load_manifest(Path("data_manifest.yaml"), output)
    context = Context(Options(output=folder), lambda: manifest)
    page = contents(folder)["report.html"]
    for number in range(EACH):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        damage(files[rng.integers(len(files))], rng, files)
        _file_digest.cache_clear()  # a damage follows another within a tick of the clock
        expected = affected(before, everything(folder), owner)
        for stage in ASKED:
            found = refuse(stage, context)
            assert bool(found) == (stage.name in expected), (stage.name, found)
        if number < FOR_REAL:
            _, refusal = attempt(lambda: run_here("report", "--force"))
            assert refusal or not expected - MADE_ANEW
            assert refusal or contents(folder)["report.html"] == page
        shutil.rmtree(folder)
        shutil.copytree(good / "output", folder)


def test_nothing_of_the_user_is_removed(finished, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(finished[0], tmp_path / "run")) / "output"
    for place in [*folder.rglob("*/"), folder]:
        (place / "mine").mkdir()
        for name in ("mine.txt", ".mine.partial.txt", "mine.json", "mine.svg"):
            if place.name != ".stages":
                (place / name).write_text("mine")
    before = everything(folder)
    monkeypatch.chdir(folder.parent)
    for stage in ("features", "train", "limits", "plot", "report"):
        run_here(stage, "--force")
    after = everything(folder)
    assert {name for name in before if "mine" in name} == {name for name in after if "mine" in name}
    assert all(path.is_dir() for path in folder.rglob("mine"))
    # The report shows when stages ran.
    assert {name for name in contents(folder) if after[name] != before[name]} <= {"report.html"}
