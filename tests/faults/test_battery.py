"""Inputs as real samples bring them, by the hundred: refused, or read as numpy alone reads them."""

import itertools
import json
import re
import shutil
import struct
import sys
from collections import Counter
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from outputs import contents, datasets_of
from small_data import make_events, to_cms, with_beams, write_ntuple
from typer.testing import CliRunner

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import CMS_BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.cli import app

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

MASSES, SIZES = [2.0, 4.0, 6.0], {"signal": 1200, "tautau": 500, "eemumu": 300}
IDENTITY = ["experiment", "run", "event", "production"]
FEATURES = ["pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu"]
ROW = [*IDENTITY, "window_start", "window_stop", "weight", "m2_recoil", *FEATURES]
TYPES = {"experiment": "hilqd", "run": "hild", "event": "IiQqd", "production": "ilQd",
         "weight": "?fdiB", "generated_mass": "fd"}  # fmt: skip
#: Odd names, and others that they would match as patterns.
WORDS = {"tt[12]": "tt1", "[!a]": "b", "a*b": "axb", "w?t": "wxt", "{a,b}": "a",
         **dict.fromkeys(("x:y", "a b", "~", "50%", "a#b", "µ", "-f", "$x"), "x")}  # fmt: skip
#: What is right: None where it has to be read, or what is said by the refusal or at the end.
EITHER, TWICE = ".*", "twice|double|repeat|copies|a file of dataset"


def full(value):
    return lambda v: np.full(len(v), value)


def some(value, every=7):
    return lambda v: np.where(np.arange(len(v)) % every == 3, value, v.astype(float))


def count(first, kind="d"):
    return lambda v: first + np.arange(len(v)).astype(kind)


#: Columns of a process and how their values change, and what is right.
COLUMNS = [
    *(("tautau", "weight", change, None) for change in
      (full(2.5), full(2), some(0), some(np.nan), some(np.inf), some(1e-310))),
    *(("tautau", "weight", full(n), "weight") for n in (0, np.nan, 1e308, np.inf, -1)),
    *(("tautau", "weight", some(n), EITHER) for n in (-1, 1e30, 1e300)),
    *(("signal", "weight", change, None) for change in (full(0.9), some(0), some(np.nan))),
    *(("signal", "weight", full(n), "weight|generated") for n in (3, 0, np.nan, -1)),
    *(("signal", "weight", change, EITHER) for change in (some(-1), full(1e-310), full(1.3))),
    *(("signal", "generated_mass", change, "generated mass|peak of") for change in
      (some(5.0), some(np.nan), full(6.0), lambda v: v + 0.01 * (v > 5))),
    ("signal", "generated_mass", lambda v: v + 1e-8, None),
    *(("tautau", "event", change, "event") for change in (some(np.nan), some(np.inf), some(1e30),
      lambda v: v + 0.5, count(2**24, "f"), full(0))),
    *(("tautau", "event", change, EITHER) for change in
      (some(-999), count(-(10**6), "q"), count(2**53), count(np.uint64(2**63), "Q"))),
    *(("tautau", "event", change, None) for change in (count(2**62, "q"), count(0, "f"))),
    *(("eemumu", "px1", some(n, 11), None) for n in (np.nan, -np.inf, 1e200, 1e-310, 0)),
    *((name, "py2", some(-999.0), right) for name in SIZES for right in (None, "-999|−999")),
]  # fmt: skip
#: Settings that are spelt otherwise, and what is right.
SETTINGS = [
    *(("generated: 9", f"generated: {n}", "generated") for n in
      (300, 350, 1, 0, -3, 2.5, 10**300, "x")),
    *(("generated: 454", f"generated: {n}", EITHER) for n in
      (454, "0454", "4_54", "0x1c6", "454e0")),
    *(("luminosity: 77", f"luminosity: {n}", "luminosity|is read as") for n in
      ("1e-320", 0, -1, ".nan", "1e400", "50:30", "fb", "true")),
    *(("luminosity: 77", f"luminosity: {n}", EITHER) for n in ("7.7e1", "7.7e+1", "077.0", "'77'")),
    *(("luminosity: 50", f"luminosity: {n}", "luminosity|is read as") for n in
      ("1e308", 0, "50:30", "1e-320")),
    *((f"{good}:", f"{bad}:", rf"\b{good}\b") for good, bad in (("luminosity", "luminosty"),
      ("generated", "genrated"), ("masses", "mases"), ("process", "proces"), ("files", "file"))),
]  # fmt: skip


class Case:
    """A manifest as its author means it, and the columns of all files by dataset and path."""

    def __init__(self, folder, seed, kind):
        self.folder, self.rng, self.spelt, self.names = folder, np.random.default_rng(seed), {}, {}
        self.files, self.datasets, self.tree = {}, {}, "variables"
        for name, n in SIZES.items():
            mass = np.repeat(MASSES, 400) if name == "signal" else None
            size = {"luminosity": 77} if mass is None else {"generated": 454}
            self.files[name] = {f"{name}.root": make_events(seed + n, n, mass, 0.02)}
            self.datasets[name] = {"process": name, **size}
        self.features = {"chunk_size": self.some(40, 249, 250, 251, 499, 500, 10**6)}
        for vary in (self.types, self.split, self.beams, self.charges):
            if self.rng.random() < 0.4:
                vary()
        self.right = kind(self, seed)

    def some(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def every(self, *names):
        return [file for name in names or self.files for file in self.files[name].values()]

    def types(self):
        for name in self.files:
            kinds = {column: self.some(*of) for column, of in TYPES.items()}
            for file in self.every(name):
                file.setdefault("weight", np.ones(len(file["event"])))
                file |= {column: v.astype(kinds.get(column, v.dtype)) for column, v in file.items()}

    def split(self):
        """Several files, one of them of a single entry and one without any."""
        for name, (file,) in [(name, self.every(name)) for name in self.files]:
            cut, size = self.rng.integers(1, 290), len(file["event"])
            edges = itertools.pairwise([0, cut, cut + 1, size, size])
            parts = [{k: v[i:j] for k, v in file.items()} for i, j in edges]
            self.files[name] = {f"{n}/{name}.root": part for n, part in enumerate(parts)}

    def beams(self):
        for name, dataset in self.datasets.items():
            in_cms, varies = self.some(True, False), self.some(0, 0.01)
            self.names[name] = CMS_BRANCHES if in_cms else {}
            dataset["frame"] = "cms" if in_cms else "laboratory"
            for file in self.every(name):
                vary = 1 + varies * self.rng.standard_normal((len(file["event"]), 1))
                beams = Beams().total * vary
                file.update((to_cms if in_cms else with_beams)(with_beams(file, beams), beams))

    def charges(self):
        for file in self.every():
            one, two = self.rng.choice([-1] * 40 + [1, 0], (2, len(file["event"])))
            file |= {"charge1": one, "charge2": -two}

    def write(self):
        """Write files and manifest, and return the path of that."""
        datasets = {}
        for name, dataset in self.datasets.items():
            for path, columns in self.files[name].items():
                self.put(name, path, columns)
            given = {"files": [*self.files[name]], "branches": self.names.get(name, {})}
            datasets[name] = {**given, "tree": self.tree, **dataset}
        content = {"luminosity": 50, "corrections": {"trigger": 0.9}, "features": self.features,
                   "hypotheses": {"masses": MASSES}, "datasets": datasets, "training":
                   {"finish": 3, "pretraining": {"epochs": 5}, "punzi": {"epochs": 5}}}  # fmt: skip
        text = yaml.safe_dump(content, width=999, allow_unicode=True)
        for meant, spelt in self.spelt.items():
            assert meant in text
            text = text.replace(meant, spelt, 1)
        (self.folder / "m.yaml").write_text(text)
        return self.folder / "m.yaml"

    def link(self, path, columns):
        """Another path to the same file, or to a copy."""
        self.put("tautau", path, columns)
        copy, source = self.folder / "sub" / "copy.root", self.folder / path
        copy.parent.mkdir()
        make = copy.symlink_to, copy.hardlink_to, partial(shutil.copy, dst=copy)
        self.some(*make, lambda _: None)(source)
        other = f"./{path}", f"{source}", f"sub/../{path}", f"file://{source}"
        return "sub/copy.root" if copy.exists() else self.some(*other)

    def put(self, name, path, columns):
        if not (self.folder / path).exists():  # no library takes its name for something else
            new = write_ntuple(self.folder / "new", columns, self.tree, self.names.get(name))
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            new.rename(self.folder / path)


def numbers(case, seed):
    process, column, change, right = COLUMNS[seed % len(COLUMNS)]
    for file in case.every(process):
        file[column] = change(file.get(column, np.ones(len(file["event"]))))
    if column == "py2" and right is None:
        case.datasets[process]["missing"] = [-999]
    return right


def settings(case, seed):
    meant, spelt, right = SETTINGS[seed % len(SETTINGS)]
    if meant == "generated: 9":
        case.datasets["signal"]["generated"] = 9
    case.spelt[meant] = spelt
    return right


def names(case, seed):
    """Odd names of files, folders, trees and branches, beside what they match as patterns."""
    form = ["{}.root", "{}/x.root", "a{0}/{0}.root", "{}/tautau.root"][seed % 4]
    word = case.some(*WORDS)
    other, name = WORDS[word], case.some(*case.files)
    case.put("tautau", form.format(other), make_events(99, 40))
    path, file = case.files["tautau"].popitem()
    if seed % 4 < 2:
        case.files["tautau"][case.some("", f"{case.folder}/") + form.format(word)] = file
    elif seed % 4 == 2:
        case.files["tautau"][f"{word}/1.root"] = file
        shown = [*case.files["tautau"]][:-1]
        case.datasets["tautau"]["files"] = [*shown, f"{word}/{case.some(*'*?')}.root"]
    else:
        case.files["tautau"][path] = file
        case.folder /= word
        case.folder.mkdir()
    case.tree = case.some("variables", *WORDS, "tree/of/mine")
    if not {*"[]!,"} & {*word}:
        case.names[name] = {**case.names.get(name, {}), "event": word}
        for file in case.every(name):
            file[f" {other}"] = np.zeros(len(file["event"]))


def branches(case, seed):
    """One branch has other entries than its tree: the second number behind its title."""
    name = case.some(*case.files)
    case.names[name] = {**case.names.get(name, {}), case.some("px1", "event"): "mine"}
    (path, file), *_ = case.files[name].items()
    size = len(file["event"])
    wrong = [0, size // 2, size - 1, size + 1][seed % 4]
    case.put(name, path, file)
    content, place = bytearray((case.folder / path).read_bytes()), 0
    for found in (b"mine/", struct.pack(">q", size), struct.pack(">q", size)):
        place = content.index(found, place + 1)
    content[place : place + 8] = struct.pack(">q", wrong)
    (case.folder / path).write_bytes(content)
    return None if wrong == size else rf"\b{wrong}\b.*\b{size}\b"


def twice(case, seed):
    """The same file or the same events once more, somewhere; or candidates, which may be."""
    path, file = case.some(*[one for one in case.files["tautau"].items() if len(one[1]["event"])])
    if seed % 4 < 2:
        name, process = case.some(("tautau", "tautau"), ("tau2", "tautau"), ("measured", "data"))
        case.datasets.setdefault(name, {**case.datasets["tautau"], "process": process})
        case.names[name] = case.names.get("tautau", {})
        path, file = (case.link(path, file), file) if seed % 4 else ("again.root", dict(file))
        case.files[name] = {**case.files.get(name, {}), path: file}
        return EITHER if seed % 4 == 0 and process == "data" else TWICE
    case.features["candidates"] = case.some("all", "first", "single") if seed % 2 else "all"
    for file in case.every("tautau"):
        order = np.concatenate([np.arange(n := len(file["event"])), np.arange(0, n - 1, 3)])
        order = np.sort(order) if seed % 2 else order
        file |= {name: values[order] for name, values in file.items()}
    return None if seed % 2 else TWICE


def kinematics(a, in_cms):
    """M²_rec (n,) and features (n, 4), by scalar products of four-vectors (n, 4) alone."""
    n, metric = len(a["px1"]), [1, -1, -1, -1]
    beam, electron = np.tile(Beams().total, (n, 1)), [1, *Beams().electron_direction]
    if "beam_E" in a:
        beam = np.column_stack([a[f"beam_{x}"] for x in ("E", "px", "py", "pz")])
    if in_cms:
        beam, electron = np.sqrt(beam**2 @ metric)[:, None] * [1, 0, 0, 0], [1, 0, 0, 1]
    p, q = (np.column_stack([a[f"p{x}{i}"] for x in "xyz"]) for i in (1, 2))
    p, q = (np.column_stack([np.sqrt(MUON_MASS**2 + (k**2).sum(1)), k]) for k in (p, q))
    vectors = np.stack([p, q, np.tile(electron, (n, 1))])
    energy = (vectors * beam) @ metric / np.sqrt(beam**2 @ metric)  # (3, n), in the CMS
    # Three-vectors there: (3, 3, n) scalar products.
    dot = energy[:, None] * energy - (vectors[:, None] * vectors) @ metric
    pp, qq, pq = dot[0, 0], dot[1, 1], dot[0, 1]
    area, small = np.sqrt(np.maximum(pp * qq - pq**2, 0)), np.sqrt(np.minimum(pp, qq))
    along, thrust = (dot[0, 2] + dot[1, 2]) / energy[2], np.sqrt(pp + qq + 2 * np.abs(pq))
    across = np.sqrt(np.maximum(pp + qq + 2 * pq - along**2, 0))
    features = np.column_stack([area / thrust, area / small, pq / small, across])
    return (beam - p - q) ** 2 @ metric, features


def reading(case, name, low, high):
    """Entries by step, rows of the tensor, numbers of the hypotheses, and identities."""
    dataset, files = case.datasets[name], case.every(name)
    signal = dataset["process"] == "signal"
    raw = {c: np.concatenate([file[c] for file in files]) for c in files[0]}
    identity = np.column_stack([raw[c].astype(np.int64) for c in IDENTITY])
    first = np.append(True, (identity[1:] != identity[:-1]).any(1))
    first[np.cumsum([0, *(len(file["event"]) for file in files)])[:-1] % len(first)] = True
    a = {c: np.array(v, dtype=float) for c, v in raw.items()}
    a = {c: np.where(np.isin(v, dataset.get("missing", [])), np.nan, v) for c, v in a.items()}
    m2, features = kinematics(a, dataset.get("frame") == "cms")
    none, weight = np.zeros(len(m2)), a.get("weight", np.ones(len(m2)))
    near = np.abs(a.get("generated_mass", none)[:, None] - MASSES) < 1e-6
    own = np.where(signal & near.any(1), near.argmax(1), -1)
    if signal:
        weight = np.where(own >= 0, 0.9 * weight / dataset["generated"], 0.0)
    elif dataset["process"] != "data":
        weight = 0.9 * weight * 50 / dataset["luminosity"]
    inside = (m2[:, None] > low) & (m2[:, None] < high)
    policy = case.features.get("candidates", "all")
    charge = a["charge1"] * a["charge2"] if "charge1" in a else none - 1
    steps = {
        "not the first candidate": first | (policy != "first"),
        "one of several": first & np.append(first[1:], True) | (policy != "single"),
        "no finite number": np.isfinite(np.column_stack([m2, features, weight])).all(1),
        "opposite charges": ~(charge >= 0),
        "no hypothesis": (own >= 0) | (not signal),
        "in no window": inside.any(1),
        "window of the generated mass": inside[np.arange(len(own)), own] | (not signal),
    }
    alive, lines = np.ones(len(m2), dtype=bool), [len(m2)]
    for step, mask in steps.items():
        if step == "in no window":
            usable = np.bincount(own[alive & (own >= 0)], minlength=3)
        lines.append(int((alive & ~mask).sum()))
        alive &= mask
    start, stop = (own, own + 1) if signal else (inside.argmax(1), inside.argmax(1) + inside.sum(1))
    rows = np.column_stack([identity, start, stop, weight, m2, features])[alive]
    sums = [np.bincount(own[alive], w, 3) for w in (None, weight[alive])] if signal else []
    lines = [n for n in (*lines, alive.sum()) if n]
    hypotheses = np.column_stack([usable, *sums]) if signal else []
    return lines, rows, hypotheses, np.column_stack([identity, own])[first]


def equal(one, two):
    one, two = (np.asarray(values, dtype=float) for values in (one, two))
    return one.shape == two.shape and np.allclose(one, two, 2e-6, 1e-6 * np.abs(two).max(initial=0))


def differences(case, output):
    """Whatever is other than in the independent reading."""
    rows = json.loads((output / "windows.json").read_text())["hypotheses"]
    mass, sigma, *edges = (np.array([h[k] for h in rows]) for k in ("mass", "sigma", "low", "high"))
    low, high = mass**2 - 2 * sigma, mass**2 + 2 * sigma
    seen, again, yields = {}, Counter(), Counter()
    expected = {"windows": ([mass, *edges], [MASSES, low, high])}
    for name, dataset in case.datasets.items():
        place = "data" if dataset["process"] == "data" else "features"
        results = (output / place / f"{one}.json" for one in ("cutflow", "completeness"))
        told, complete = (datasets_of(path)[name] for path in results)
        usable = ("usable", "in_own_window", "efficiency")
        ours = [[h[k] for k in usable] for h in told.get("hypotheses", [])]
        lines, rows, hypotheses, identities = reading(case, name, low, high)
        seen.setdefault(dataset["process"], []).append(identities)
        inside = (rows[:, 4:5] <= range(3)) & (rows[:, 5:6] > range(3))
        yields[dataset["process"]] = (inside * rows[:, 6:7]).sum(0) + yields[dataset["process"]]
        again[dataset["process"]] += complete["duplicates"]["events"]
        folder = output / place.replace("features", ".") / "tensors" / name
        tables = [pq.ParquetFile(path).read_row_group(0) for path in folder.glob("*.parquet")]
        found = [np.column_stack([t[c].to_numpy() for c in ROW]) for t in tables]
        found = np.concatenate(found or [np.empty((0, len(ROW)))])
        found, rows = (r[np.lexsort(np.round(r[:, [0, 1, 2, 3, 7]].T, 4))] for r in (found, rows))
        expected |= {
            f"{name}: entries": ([n["entries"] for n in told["cutflow"] if n["entries"]], lines),
            f"{name}: sum of weights": (told["cutflow"][-1]["weight"], rows[:, 6].sum()),
            f"{name}: hypotheses": (ours, hypotheses),
            f"{name}: identities, windows": (np.array_equal(found[:, :6], rows[:, :6]), True),
            **{f"{name}: {ROW[i]}": (found[:, i], rows[:, i]) for i in range(6, len(ROW))},
        }
    for process, identities in seen.items():
        every = np.concatenate(identities)
        expected[f"{process}: again"] = again[process], len(every) - len(np.unique(every, axis=0))
    if (selected := output / "selection" / "cutflow.json").exists():
        before = [row["before"] for row in json.loads(selected.read_text())["hypotheses"]]
        for process in yields.keys() - {"data"}:
            expected[f"{process}: yields"] = [row[process] for row in before], yields[process]
    return [what for what, both in expected.items() if not equal(*both)]


def judged(case, output, *, further=False):
    """What became of an input, in capitals if that is wrong, and more about it."""
    right, options = case.right, ["-m", str(case.write()), "-o", str(output)]
    unblind = ["--unblind"] if "measured" in case.datasets else []
    run = partial(CliRunner().invoke, app)
    done = run(["features", "--executor", "iterative", *unblind, *options])
    text, refusal = " ".join(done.output.split()), done.exception
    for stage in ["train", "select", "limits"] if further and refusal is None else []:
        later = run([stage, *(unblind if stage == "select" else []), *options]).exception
        if isinstance(later, InputError):
            break
        refusal = refusal or later
    if refusal is None:
        if right is not None and not re.search(right, text):
            return "WRONG WITHOUT A WORD", right
        other = differences(case, output)
        return ("OTHER NUMBERS", other) if other else ("read", text)
    if not isinstance(refusal, InputError):
        return "TRACEBACK", repr(refusal)
    if contents(output):
        return "HALF WRITTEN", str(refusal)
    if right is None or not re.search(right, str(refusal)):
        return "REFUSED FOR ANOTHER REASON", str(refusal)
    return "refused", str(refusal)


@pytest.mark.parametrize("kind", [numbers, settings, names, branches, twice])
def test_battery(kind, tmp_path):
    results = []
    for seed in range(len(COLUMNS) + 10):
        (folder := tmp_path / f"{seed}").mkdir()
        further = seed % 5 == 0 and kind in {numbers, twice}
        output = tmp_path / f"{seed}.output"
        results.append((*judged(Case(folder, seed, kind), output, further=further), seed))
    sys.stdout.write(f"{kind.__name__}: {Counter(outcome for outcome, *_ in results)}\n")
    assert not [result for result in results if result[0].isupper()]
