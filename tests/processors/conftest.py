"""Processors in coffea's own runner, as anybody would run them."""

import pytest
from coffea.nanoevents import BaseSchema
from coffea.processor import IterativeExecutor, Runner


def _run(processor, files, chunk_size=100_000):
    runner = Runner(
        IterativeExecutor(status=False), schema=BaseSchema, chunksize=chunk_size, metadata_cache={}
    )
    fileset = {name: [str(path)] for name, path in files.items()}
    return runner(fileset, processor_instance=processor, treename="variables")


@pytest.fixture(scope="session")
def run_processor():
    """Function (processor, file by dataset, chunk_size) that runs it in coffea's runner."""
    return _run


@pytest.fixture
def broken(tmp_path, ntuples):
    """A background: 3000 entries of a good file, and 7000 of another that was cut off."""
    bad = tmp_path / "bad.root"
    bad.write_bytes(ntuples["tautau"].read_bytes()[:100_000])
    return {"process": "tautau", "files": [str(ntuples["eemumu"]), str(bad)]}
