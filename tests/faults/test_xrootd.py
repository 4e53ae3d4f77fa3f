"""An ntuple is read from an XRootD server that goes away and comes back.

The test runs this file in a network of its own, where port 1094 is free: FOLDER holds manifest.json
(all files local) and the folder `served`.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import run_in_private_network, wait_for
from outputs import contents
from small_data import make_manifest
from small_runs import make_features

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors import opening

pytestmark = pytest.mark.faults
URL = "root://127.0.0.1//served/tautau.root"
CONFIGURATION = """
all.export /served r/o
oss.localroot {folder}
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrd.port 1094
"""


class Server:
    """An XRootD server of the files in a folder."""

    def __init__(self, folder):
        (folder / "xrootd.cfg").write_text(CONFIGURATION.format(folder=folder))
        (folder / "admin").mkdir()
        (folder / "admin").chmod(0o777)
        self._command = [shutil.which("xrootd") or "", "-c", str(folder / "xrootd.cfg")]
        if os.getuid() == 0:
            self._command += ["-R", "nobody"]
        self._log = folder / "xrootd.log"

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

        def answers():
            assert self._process.poll() is None, self._log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 1094)):
                return True

        wait_for(answers, 30)

    def kill(self):
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def away_after(records, folder, server, seconds):
    """Kill the server once there are so many records of its file, and start it again later."""

    def watch():
        while len(list(folder.glob(".ledger/*/features/tautau/*"))) < records:
            time.sleep(0.002)
        server.kill()
        time.sleep(seconds)
        if seconds < 60:
            server.start()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    if seconds < 60:
        watcher.join()


def main(folder):
    """Read the same file from the disk, from a server, and from one that is away for a while."""
    opening.ANSWER_SECONDS, opening.BACK_OFF_SECONDS = 4, 0.2
    os.environ |= {"XRD_CONNECTIONWINDOW": "1", "XRD_STREAMERRORWINDOW": "1"}
    content = json.loads((folder / "manifest.json").read_text())

    def features(name):
        return contents(make_features(Manifest.model_validate(content), folder / name).tensors)

    expected = features("local")
    content["datasets"]["tautau"]["files"] = [URL]
    server = Server(folder)
    server.start()
    try:
        assert features("remote") == expected
        with away_after(2, folder / "short", server, seconds=2):
            assert features("short") == expected
        for_ever = away_after(4, folder / "long", server, seconds=1e9)
        with for_ever, pytest.raises(InputError, match=rf"{URL}.* tried 4 times\.$"):
            features("long")
        done = list((folder / "long").glob(".ledger/*/features/tautau/*.safetensors"))
        assert 4 <= len(done) < 7
        server.start()
        assert features("long") == expected
        content["datasets"]["tautau"]["files"] = [URL.replace("tautau", "gone")]
        not_there = r"gone\.root is not there; check `files` in the manifest\.$"
        with pytest.raises(InputError, match=not_there):
            features("gone")
    finally:
        server.kill()


def test_a_server_that_dies_is_waited_for_and_then_named(tmp_path, ntuples):
    if shutil.which("xrootd") is None:
        pytest.skip("there is no xrootd on the PATH (Debian: xrootd-server)")
    if find_spec("fsspec_xrootd") is None:
        pytest.skip("there is no fsspec-xrootd (pip install 'punzinet[xrootd]')")
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(ntuples["tautau"], served)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # the server runs as nobody
    files = {**ntuples, "tautau": served / "tautau.root"}
    manifest = make_manifest(files, features={"chunk_size": 1000})
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json(exclude_unset=True))
    done = run_in_private_network(__file__, tmp_path)
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]))
