"""Files on servers: a real HTTP server with range requests that fails in several ways."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import make_manifest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.executors import Execution
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.runs.features import run_features


class Server(ThreadingHTTPServer):
    """Serves files; every request first asks `trouble`, a function of the path, what to do."""

    daemon_threads = True
    files: dict[str, bytes]
    trouble: Callable[[str], str]
    requests = 0
    openings = 0


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET with ranges."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.server.openings += self.headers.get("Range", "").startswith("bytes=0-")
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.requests += 1
        trouble = self.server.trouble(self.path)
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        if trouble == "503":
            self.send_error(503)
            return
        if trouble == "silent":
            time.sleep(3)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, len(data)
        if match:
            start = int(match[1])
            stop = min(int(match[2]) + 1, stop) if match[2] else stop
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if not body:
            return
        if trouble == "reset":
            self.wfile.write(data[start : (start + stop) // 2])
            self.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # close() sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        self.wfile.write(data[start:stop])


@pytest.fixture
def server(
    monkeypatch: pytest.MonkeyPatch, ntuples: dict[str, Path]
) -> Iterator[tuple[Server, str]]:
    """A server with a background file, and the file's URL."""
    monkeypatch.setattr("punzinet.processors.ntuples.opening.BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr("punzinet.processors.ntuples.opening.ANSWER_SECONDS", 1)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files = {"/data/tautau.root": ntuples["tautau"].read_bytes()}
        running.trouble = lambda _: ""
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running, f"http://127.0.0.1:{running.server_port}/data/tautau.root"
        running.shutdown()


def tensors_of(manifest: Manifest, folder: Path) -> dict[str, bytes]:
    run_features(manifest, OutputFolder(folder), Execution())
    return {path.name: path.read_bytes() for path in (folder / "tensors").rglob("*.parquet")}


def test_a_url_gives_the_same_tensors_whatever_happens_on_the_way(
    server: tuple[Server, str], tmp_path: Path, ntuples: dict[str, Path]
) -> None:
    running, url = server
    rng = np.random.default_rng(1)
    troubles: list[str] = []

    def sometimes(_: str) -> str:
        trouble = str(rng.choice(["", "503", "reset"], p=[0.9, 0.05, 0.05]))
        troubles.append(trouble)
        return trouble

    local = tensors_of(make_manifest(ntuples), tmp_path / "local")
    manifest = make_manifest({**ntuples, "tautau": url})
    assert tensors_of(manifest, tmp_path / "remote") == local
    running.trouble = sometimes
    assert tensors_of(manifest, tmp_path / "troubled") == local
    assert {"503", "reset"} <= set(troubles)


@pytest.mark.parametrize("trouble", ["503", "reset", "silent"])
def test_a_server_that_never_works_ends_in_one_sentence(
    trouble: str, server: tuple[Server, str], ntuples: dict[str, Path]
) -> None:
    running, url = server
    running.trouble = lambda _: trouble
    manifest = make_manifest({**ntuples, "tautau": url})
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"tautau\.root cannot be opened.*tried 4 times\.$"):
        preflight(manifest)
    assert time.monotonic() - begin < 60


def test_a_url_that_leads_nowhere_is_not_tried_again(
    server: tuple[Server, str], ntuples: dict[str, Path]
) -> None:
    running, url = server
    manifest = make_manifest({**ntuples, "tautau": url.replace("tautau", "gone")})
    with pytest.raises(InputError, match=r"gone\.root is not there"):
        preflight(manifest)
    assert running.requests < 4


def test_a_server_that_dies_after_the_first_look_is_named(
    server: tuple[Server, str], tmp_path: Path, ntuples: dict[str, Path]
) -> None:
    running, url = server
    manifest = make_manifest({**ntuples, "tautau": url})
    files = preflight(manifest)
    looks = running.requests
    running.trouble = lambda _: "503" if running.requests > 2 * looks else ""
    with pytest.raises(InputError, match=r"tautau\.root.*tried 4 times"):
        run_features(manifest, OutputFolder(tmp_path), Execution())
    assert files[1].path == url


def test_a_server_whose_disk_is_damaged_is_asked_as_often_as_is_said(
    server: tuple[Server, str], tmp_path: Path, ntuples: dict[str, Path]
) -> None:
    running, url = server
    manifest = make_manifest({**ntuples, "tautau": url}, features={"chunk_size": 10**6})
    data = bytearray(running.files["/data/tautau.root"])
    preflight(manifest)
    looks = running.openings
    # What describes the file is at its end, the columns are before.
    middle = slice(len(data) // 4, len(data) // 2)
    data[middle] = bytes(len(data[middle]))
    running.files["/data/tautau.root"] = bytes(data)
    with pytest.raises(InputError, match=r"its server fails or it is damaged.*tried 4 times"):
        run_features(manifest, OutputFolder(tmp_path), Execution())
    assert running.openings == 2 * looks + 4
