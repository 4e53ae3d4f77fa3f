"""Contexts of stages: a manifest, options and an output folder."""

import pytest

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import Context, Options

DATASETS = {name: {"process": name, "simulate": name} for name in ("signal", "tautau")}


@pytest.fixture
def context(tmp_path):
    """Function (options, further datasets, **sections of the manifest) that makes a context."""

    def make(options=None, datasets=None, **sections):
        known = {"datasets": DATASETS | (datasets or {})}
        manifest = Manifest.model_validate(known | sections)
        return Context(Options(**{"output": tmp_path, **(options or {})}), lambda: manifest)

    return make
