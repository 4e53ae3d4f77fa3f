"""Ntuples on a real XRootD server, which dies while they are read."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from punzinet.analysis.manifest.manifest import Manifest

pytestmark = pytest.mark.faults
NOT_ALLOWED = 77


def test_a_server_that_dies_is_waited_for_and_then_named(
    tmp_path: Path,
    ntuples: dict[str, Path],
    make_manifest: Callable[..., Manifest],
    record_property: Callable[[str, object], None],
) -> None:
    if shutil.which("xrootd") is None:
        pytest.skip("there is no xrootd on the PATH (Debian: xrootd-server)")
    if find_spec("fsspec_xrootd") is None:
        pytest.skip("there is no fsspec-xrootd (pip install 'punzinet[xrootd]')")
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(ntuples["tautau"], served)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # the server runs as nobody
    manifest = make_manifest(
        {**ntuples, "tautau": served / "tautau.root"}, features={"chunk_size": 1000}
    )
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json(exclude_unset=True))
    here = Path(__file__).parent
    command = [sys.executable, str(here / "private_network.py"), sys.executable]
    done = subprocess.run(
        [*command, str(here / "read_from_xrootd.py"), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    if done.returncode == NOT_ALLOWED:
        pytest.skip(f"the system allows no private network: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    died, _, before, gone = done.stdout.splitlines()
    assert "root://127.0.0.1//served/tautau.root" in died
    assert died.endswith("tried 4 times.")
    assert 4 <= int(before.split()[0]) < 7
    assert gone.endswith("gone.root is not there; check `files` in the manifest.")
    assert "Traceback" not in done.stderr
    record_property("faults", 3)
