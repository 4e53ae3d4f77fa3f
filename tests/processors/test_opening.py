"""Files on servers: a real HTTP server with range requests that fails in several ways."""

import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from outputs import contents
from small_data import make_manifest
from small_runs import make_features

from punzinet.analysis.io.files import InputError
from punzinet.processors.preflight import preflight


class Server(ThreadingHTTPServer):
    """Serves a file, and counts requests; each of them asks `trouble` what to do."""

    daemon_threads = True
    requests = openings = 0


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET with ranges."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Print nothing."""

    def do_GET(self):
        body = self.command == "GET"
        self.server.openings += body and self.headers.get("Range", "").startswith("bytes=0-")
        self.server.requests += 1
        trouble, data = self.server.trouble(), self.server.data
        if self.path != "/data/tautau.root" or trouble == "503":
            self.send_error(503 if trouble == "503" else 404)
            return
        if trouble == "silent":
            time.sleep(3)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        start, stop = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if body and trouble == "reset":
            self.wfile.write(data[start : (start + stop) // 2])
            self.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # close() sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif body:
            self.wfile.write(data[start:stop])

    do_HEAD = do_GET


@pytest.fixture
def server(monkeypatch, ntuples):
    monkeypatch.setattr("punzinet.processors.opening.BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr("punzinet.processors.opening.ANSWER_SECONDS", 1)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.data, running.trouble = ntuples["tautau"].read_bytes(), lambda: ""
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def served(server, ntuples, name="tautau", **changes):
    """A manifest of the small files, with the background from a server."""
    url = f"http://127.0.0.1:{server.server_port}/data/{name}.root"
    return make_manifest({**ntuples, "tautau": url}, **changes)


@pytest.fixture
def manifest(server, ntuples):
    return served(server, ntuples)


def tensors_of(manifest, folder):
    return contents(make_features(manifest, folder).tensors)


def test_a_url_gives_the_same_tensors_whatever_happens(server, manifest, tmp_path, ntuples):
    rng, troubles = np.random.default_rng(1), []

    def sometimes():
        troubles.append(str(rng.choice(["", "503", "reset"], p=[0.9, 0.05, 0.05])))
        return troubles[-1]

    local = tensors_of(make_manifest(ntuples), tmp_path / "local")
    server.trouble = sometimes
    assert tensors_of(manifest, tmp_path / "troubled") == local
    assert {"503", "reset"} <= set(troubles)


@pytest.mark.parametrize("trouble", ["503", "reset", "silent"])
def test_a_server_that_never_works_ends_in_one_sentence(trouble, server, manifest):
    server.trouble = lambda: trouble
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"tautau\.root cannot be opened.*tried 4 times\.$"):
        preflight(manifest)
    assert time.monotonic() - begin < 60


def test_a_url_that_leads_nowhere_is_not_tried_again(server, ntuples):
    with pytest.raises(InputError, match=r"gone\.root is not there"):
        preflight(served(server, ntuples, "gone"))
    assert server.requests < 4


def test_a_server_that_dies_after_the_first_look_is_named(server, manifest, tmp_path):
    preflight(manifest)
    looks = server.requests
    server.trouble = lambda: "503" if server.requests > 2 * looks else ""
    with pytest.raises(InputError, match=r"tautau\.root.*tried 4 times"):
        make_features(manifest, tmp_path)


def test_a_server_whose_disk_is_damaged_is_asked_as_often_as_is_said(server, ntuples, tmp_path):
    manifest = served(server, ntuples, features={"chunk_size": 10**6})
    preflight(manifest)
    looks = server.openings
    # What describes the file is at its end, the columns are before.
    data = bytearray(server.data)
    middle = slice(len(data) // 4, len(data) // 2)
    data[middle] = bytes(len(data[middle]))
    server.data = bytes(data)
    with pytest.raises(InputError, match=r"its server fails or it is damaged.*tried 4 times"):
        make_features(manifest, tmp_path)
    assert server.openings == 2 * looks + 4
