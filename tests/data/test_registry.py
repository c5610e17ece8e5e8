"""Downloads against a local server: good ones, and every way in which one can fail."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deblur_core.data import registry
from deblur_core.errors import DeblurError

CONTENT = bytes(range(256)) * 800
GOOD, MISSING = "set/good.bin", "set/missing.bin"
TRUNCATED, WRONG, DROPPED = "set/truncated.bin", "set/wrong.bin", "set/dropped.bin"


class Server(BaseHTTPRequestHandler):
    requests: list[str] = []  # noqa: RUF012

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        Server.requests.append(name)
        if name == "missing.bin":
            return self.send_error(404)
        self.send_response(200)
        if name != "dropped.bin":  # whose end is then the end of the connection
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        half = CONTENT[: len(CONTENT) // 2]
        self.wfile.write({"good.bin": CONTENT, "wrong.bin": CONTENT[::-1]}.get(name, half))
        if name == "slow.bin":
            time.sleep(30)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    Server.requests.clear()
    point_to(monkeypatch, httpd.server_port)
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def point_to(monkeypatch, port):
    expected = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(registry, "_SOURCES", {"set/": f"http://127.0.0.1:{port}/"})
    paths = (GOOD, MISSING, TRUNCATED, WRONG, DROPPED, "local/only.bin")
    monkeypatch.setattr(registry, "checksums", lambda: dict.fromkeys(paths, expected))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_good_file_is_downloaded_once(server, home):
    path = registry.fetch(GOOD)
    assert path == home / "data" / GOOD and path.read_bytes() == CONTENT
    assert registry.fetch(GOOD) == path and len(Server.requests) == 1
    assert files_in(home) == [path]


def test_a_damaged_download_is_replaced(server, home):
    registry.fetch(GOOD).write_bytes(CONTENT[:100])
    assert registry.fetch(GOOD).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (MISSING, "answered 404"),
        (TRUNCATED, "stopped half-way"),
        (DROPPED, "does not match its checksum"),
        (WRONG, "does not match its checksum"),
    ],
)
def test_a_failed_download_says_why_and_leaves_nothing(server, home, path, reason):
    with pytest.raises(DeblurError, match=reason) as caught:
        registry.fetch(path)
    assert "set DEBLUR_DATA" in str(caught.value) and "\n" not in str(caught.value)
    assert files_in(home) == []


def test_offline_says_so_and_leaves_nothing(server, home, monkeypatch):
    server.shutdown()
    server.server_close()  # nobody listens at this port any more
    with pytest.raises(DeblurError, match="cannot be reached"):
        registry.fetch(GOOD)
    assert files_in(home) == []


def test_a_killed_download_leaves_nothing(server, home):
    code = (
        "from deblur_core.data import registry\n"
        f"registry._SOURCES = {{'set/': 'http://127.0.0.1:{server.server_port}/'}}\n"
        "registry.fetch('set/slow.bin')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "NO_PROXY": "127.0.0.1"})
    deadline = time.monotonic() + 60
    while "slow.bin" not in Server.requests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, "the download was to be under way"
    time.sleep(0.2)
    process.kill()
    process.wait()
    assert files_in(home) == []


def test_a_file_without_source_is_asked_for_by_name(server, home):
    with pytest.raises(DeblurError, match=r"local/only\.bin cannot be downloaded: set DEBLUR_DATA"):
        registry.fetch("local/only.bin")


def test_the_data_folder_comes_first_and_needs_no_network(server, home, tmp_path, monkeypatch):
    provided = tmp_path / "data" / GOOD
    provided.parent.mkdir(parents=True)
    provided.write_bytes(CONTENT)
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path / "data"))
    assert registry.fetch(GOOD) == provided and Server.requests == [] and not home.exists()
    (home / "data" / GOOD).parent.mkdir(parents=True)
    (home / "data" / GOOD).write_bytes(CONTENT)
    assert registry.fetch(GOOD) == provided
    provided.write_bytes(CONTENT[1:])
    with pytest.raises(DeblurError, match="does not match its checksum: restore it"):
        registry.fetch(GOOD)


def test_what_the_data_folder_lacks_is_downloaded(server, home, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    assert registry.fetch(GOOD) == home / "data" / GOOD


def test_a_home_that_cannot_be_written_to_is_one_sentence(server, home):
    home.touch()  # a file where the folder should be
    with pytest.raises(DeblurError, match="Cannot write"):
        registry.fetch(GOOD)


def test_the_packaged_checksums_are_well_formed_and_pinned():
    checksums = registry.checksums()
    assert len(checksums) == 32 + 4 + 8 + 10 + 40 + 1 + 12 + 36 + 68 + 24 + 3 + 4
    for path, sha256 in checksums.items():
        assert len(bytes.fromhex(sha256)) == 32
        source = registry.url(path)
        if path.startswith(("lai2016/kernels_estimated/", "weights/alexnet_features")):
            assert source is None
        else:
            assert source.startswith("https://") and source.endswith(path.rpartition("/")[2])
            commit = any(len(part) == 40 for part in source.split("/"))
            assert commit or sha256[:8] in source, "pinned neither to a commit nor by its name"
