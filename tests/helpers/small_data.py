"""Small events, ROOT files and manifests for tests of everything that reads data."""

import numpy as np
import uproot
import vector
import yaml

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.windows import Windows

MASSES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)  # of the small manifest, GeV
GENERATED = 2000  # signal events for each of them


def windows_of(mass, sigma, training=True):
    """Windows that are all fitted, and trained unless said otherwise."""
    every, none = np.ones(len(mass), dtype=bool), (None,) * len(mass)
    mass, sigma = (np.array(values, dtype=float) for values in (mass, sigma))
    return Windows(mass, sigma, every & training, every, none)


def random_muons(n, seed=1):
    """Two (3, n) momenta in all directions, from soft to the kinematic limit."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((2, 3, n))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    p1, p2 = direction * rng.uniform(0.05, 5.0, (2, 1, n))
    return p1, p2


def _momentum(total, m1, m2):
    """Momentum (n,) of the daughters of a mass `total` at rest."""
    return np.sqrt((total**2 - (m1 + m2) ** 2) * (total**2 - (m1 - m2) ** 2)) / (2 * total)


def _vectors(vectors):
    return vector.array(dict(zip("xyz", vectors.T, strict=True)))


def make_events(seed, n, mass=None, resolution=0.004, *, of_pair=False):
    """Muon pairs by phase space that recoil against something, by canonical column.

    The generated `mass` (GeV) is that recoiled against, of the pair if `of_pair` (which then
    recoils against a photon), or None for all of the spectrum; `resolution` is that of momenta.
    """
    rng, beams = np.random.default_rng(seed), Beams()
    recoil = rng.uniform(0.05, 9.0, n) if mass is None else np.broadcast_to(mass, n)
    pair = rng.uniform(2 * MUON_MASS + 0.01, beams.sqrt_s - recoil - 0.01, n)
    if mass is not None and of_pair:
        pair, recoil = recoil, np.zeros(n)
    k = _momentum(np.full(n, beams.sqrt_s), pair, recoil)
    muon_mass = np.full(n, MUON_MASS)
    muon = _momentum(pair, muon_mass, muon_mass)
    flight, direction = (_vectors(rng.standard_normal((n, 3))).unit() for _ in range(2))
    lab = vector.obj(**dict(zip("xyz", beams.total[1:] / beams.total[0], strict=True)))
    columns = {}
    for number, sign in ((1, 1), (2, -1)):
        at_rest = (direction * (sign * muon)).to_Vector4D(tau=muon_mass)
        momentum = at_rest.boost_beta3(flight * (k / np.hypot(k, pair))).boost_beta3(lab)
        smeared = momentum.to_Vector3D() * (1 + resolution * rng.standard_normal(n))
        columns |= {f"p{axis}{number}": getattr(smeared, axis) for axis in "xyz"}
    columns |= {
        "experiment": np.full(n, 1003, dtype=np.int32),
        "run": np.zeros(n, dtype=np.int32),
        "event": np.arange(n, dtype=np.uint32),
        "production": np.full(n, seed, dtype=np.int32),
    }
    if mass is not None:
        columns["generated_mass"] = np.array(np.broadcast_to(mass, n))
    return columns


def make_signal(seed, each=GENERATED, masses=MASSES, **how):
    """So many events of each mass."""
    return make_events(seed, each * len(masses), np.repeat(masses, each), **how)


def kinematics_of(events, beam=None):
    """Features and M²_rec of events, in nominal beams if no others are given."""
    muons = [[events[f"p{axis}{number}"] for axis in "xyz"] for number in (1, 2)]
    beam = Beams().total if beam is None else beam
    return dimuon_kinematics(*muons, beam, Beams().electron_direction)


def with_beams(events, beams=None):
    """Events with the beams of each of them, (n, 4) or (4,), or the nominal ones."""
    shape = (len(events["event"]), 4)
    parts = np.broadcast_to(Beams().total if beams is None else beams, shape).T
    names = ("beam_E", "beam_px", "beam_py", "beam_pz")
    return events | {name: part.copy() for name, part in zip(names, parts, strict=True)}


def to_cms(events, beams):
    """The same events with momenta in the CMS of beams (n, 4), z along the electron."""
    n = len(events["px1"])
    total = vector.array(dict(zip(("E", "px", "py", "pz"), beams.T, strict=True)))

    def boosted(momenta, mass):
        named = dict(zip(("px", "py", "pz"), momenta, strict=True))
        of_mass = vector.array({**named, "mass": np.full(n, mass)})
        return of_mass.boostCM_of_p4(total).to_Vector3D()

    electron = boosted(np.tile(Beams().electron_direction, (n, 1)).T, 0.0)
    found = dict(events)
    for i in (1, 2):
        muon = boosted(np.array([events[f"p{x}{i}"] for x in "xyz"]), MUON_MASS)
        turned = muon.rotateZ(-electron.phi).rotateY(-electron.theta)
        found |= {f"p{x}{i}": np.asarray(getattr(turned, x)) for x in "xyz"}
    return found


def write_ntuple(path, columns, tree="variables", names=None, *, basket=10**9, kind="mktree"):
    """Write columns as a flat tree; `names` are those of branches that differ from basf2's."""
    branches = {**BRANCHES, **(names or {})}
    renamed = {branches.get(name, name): values for name, values in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        types = {name: values.dtype for name, values in renamed.items()}
        target = getattr(file, kind)(tree, types)
        for start in range(0, max(map(len, renamed.values())), basket) or [0]:
            target.extend({of: values[start : start + basket] for of, values in renamed.items()})
    return path


class InMemory(dict):
    """A chunk of columns by branch, as coffea hands it over; it may hold less than it should."""

    def __init__(self, columns, start=0, stop=None):
        super().__init__(columns)
        (length, *_) = map(len, columns.values())
        self.fields, where = list(columns), (start, start + length if stop is None else stop)
        names = ("dataset", "filename", "entrystart", "entrystop")
        self.metadata = dict(zip(names, ("d", "x.root", *where), strict=True))

    def __len__(self):
        return self.metadata["entrystop"] - self.metadata["entrystart"]


def broken(ntuples, folder):
    """A background: 3000 entries of a good file, and 7000 of another that was cut off."""
    bad = folder / "bad.root"
    bad.write_bytes(ntuples["tautau"].read_bytes()[:100_000])
    return dataset("tautau", ntuples["eemumu"], bad)


def damage(path, size=20_000):
    """Overwrite the middle of a file; by default, one of ROOT can be opened and not all be read."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle] ^= 1  # all that a size of 1 does
    data[middle + 1 : middle + size] = bytes(size - 1)
    path.write_bytes(data)


def make_manifest(files, **changes):
    """A manifest of files by dataset name; a dictionary instead of a file gives more settings."""
    datasets = {}
    for name, file in files.items():
        settings = file if isinstance(file, dict) else {"files": [str(file)]}
        signal = settings.get("process", name) == "signal"
        extra = {"generated": GENERATED} if signal else {"luminosity": 100.0}
        datasets[name] = {"process": name, **extra, **settings}
    content = {
        "luminosity": 50.0,
        "corrections": {"trigger_efficiency": 0.9},
        "hypotheses": {"masses": MASSES},
        "datasets": datasets,
        "features": {"chunk_size": 4000},
    }
    return Manifest.model_validate({**content, **changes})


def dataset(process, /, *files, **settings):
    """A dataset of a manifest."""
    return {"process": process, "files": [*map(str, files)], **settings}


def varied(of, file, **settings):
    """A dataset of a manifest that is a variation of another one."""
    return dataset(of, file, variation_of=of, **settings)


def simulated(epochs):
    """A small version of the default manifest: its processes, and some of the published masses."""
    names = ("signal", "mumugamma", "tautau", "eemumu")
    return {
        "luminosity": 50,
        "corrections": {"trigger_efficiency": 0.9},
        "hypotheses": {"masses": {"start": 0.9, "stop": 7.3, "step": 1.6}},
        "datasets": {name: {"process": name, "simulate": name} for name in names},
        "simulation": {"scales": {"default": {"luminosity": 1.0, "signal_events": 2000}}},
        "training": {"finish": 5, "pretraining": {"epochs": 15}, "punzi": {"epochs": epochs}},
    }


def write_manifest(path, manifest):
    """Write a manifest as its author would have."""
    content = manifest.model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        del dataset["name"]
    path.write_text(yaml.safe_dump(content))
