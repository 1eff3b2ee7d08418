"""A hub on this machine, as much of its protocol as huggingface_hub speaks to push and to fetch."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from dlm_core.bundle import EMBEDDED

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_right"
Files = dict[str, bytes]


class Hub:
    """Repositories in memory: branches that point to commits, commits that hold files.

    Attributes:
        status: what every request is answered with, if not 0.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, str]] = {}
        self.commits: dict[str, Files] = {}
        self.objects: dict[str, bytes] = {}
        self.status = 0
        self.lfs: set[str] = set()
        """Paths that came through LFS."""
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def commit(self, repo: str, branch: str, files: Files) -> str:
        content = repr((repo, len(self.commits), sorted(files.items()))).encode()
        name = hashlib.sha1(content).hexdigest()
        self.commits[name] = files
        self.repos[repo][branch] = name
        return name


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, data: Any, status: int = 200, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def go(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        if self.hub.status:
            return self.answer({"error": "down"}, self.hub.status)
        writes = self.command in ("POST", "PUT") and "validate-yaml" not in path
        if writes and "/objects/" not in path and not self.authorised():
            return self.answer({"error": "Invalid username or password."}, 401)
        for pattern, method in _ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                return method(self, body, *found.groups())
        return self.refuse(404, "EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = go  # noqa: N815

    def authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.hub.repos:
            return self.answer({"error": "there", "url": f"{self.hub.url}/{repo}"}, 409)
        self.hub.repos[repo] = {}
        self.hub.commit(repo, "main", {".gitattributes": b""})
        return self.answer({"url": f"{self.hub.url}/{repo}"})

    def branch(self, body: bytes, repo: str, name: str) -> None:
        refs = self.hub.repos[repo]
        status = 409 if name in refs else 200
        refs.setdefault(name, refs["main"])
        self.answer({}, status)

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        mode = {True: "lfs", False: "regular"}
        files = [
            {
                "path": f["path"],
                "uploadMode": mode[f["path"].endswith(".safetensors")],
                "shouldIgnore": False,
            }
            for f in json.loads(body)["files"]
        ]
        self.answer({"files": files})

    def lfs_batch(self, body: bytes, repo: str) -> None:
        objects = [
            {**o, "actions": {"upload": {"href": f"{self.hub.url}/objects/{o['oid']}"}}}
            for o in json.loads(body)["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def put_object(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.objects[oid] = body
        self.answer({})

    def take_commit(self, body: bytes, repo: str, branch: str) -> None:
        files = dict(self.hub.commits[self.hub.repos[repo][branch]])
        for line in body.splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
                self.hub.lfs.add(value["path"])
            elif key == "deletedFile":
                del files[value["path"]]
        name = self.hub.commit(repo, branch, files)
        url = f"{self.hub.url}/{repo}/commit/{name}"
        self.answer({"commitUrl": url, "commitOid": name, "success": True})

    def files(self, repo: str, revision: str) -> tuple[str, Files] | None:
        refs = self.hub.repos.get(repo)
        hidden = repo.startswith("hidden/") and not self.authorised()
        if refs is None or hidden:
            self.refuse(401, "RepoNotFound")
            return None
        name = refs.get(revision, revision)
        if name not in self.hub.commits:
            self.refuse(404, "RevisionNotFound")
            return None
        return name, self.hub.commits[name]

    def info(self, body: bytes, repo: str, revision: str | None = None) -> None:
        if found := self.files(repo, revision or "main"):
            siblings = [{"rfilename": path} for path in found[1]]
            self.answer({"id": repo, "sha": found[0], "siblings": siblings, "tags": []})

    def refs(self, body: bytes, repo: str) -> None:
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
            for name, commit in self.hub.repos[repo].items()
        ]
        self.answer({"branches": branches, "tags": [], "converts": []})

    def tree(self, body: bytes, repo: str, revision: str) -> None:
        if found := self.files(repo, revision):
            self.answer(
                [
                    {"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for p, c in found[1].items()
                ]
            )

    def resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        if found := self.files(repo, revision):
            if path not in found[1]:
                return self.refuse(404, "EntryNotFound")
            content = found[1][path]
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            return self.answer(content, ETag=etag, X_Repo_Commit=found[0])
        return None


_REPO = "([^/]+/[^/]+)"
_ROUTES: list[tuple[str, Callable[..., None]]] = [
    ("POST /api/repos/create", _Handler.create),
    ("POST /api/validate-yaml", lambda self, body: self.answer({"errors": [], "warnings": []})),
    (f"POST /api/models/{_REPO}/branch/(.+)", _Handler.branch),
    (f"POST /api/models/{_REPO}/preupload/(.+)", _Handler.preupload),
    (f"POST /{_REPO}.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT /objects/(.+)", _Handler.put_object),
    (f"POST /api/models/{_REPO}/commit/(.+)", _Handler.take_commit),
    (f"GET /api/models/{_REPO}", _Handler.info),
    (f"GET /api/models/{_REPO}/revision/(.+)", _Handler.info),
    (f"GET /api/models/{_REPO}/refs", _Handler.refs),
    (f"GET /api/models/{_REPO}/tree/([^/]+)", _Handler.tree),
    (f"(?:GET|HEAD) /{_REPO}/resolve/([^/]+)/(.+)", _Handler.resolve),
]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty hub."""
    hub = Hub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


RunWith = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def there(hub: Hub, tmp_path: Path) -> RunWith:
    """`dlm` in a process of its own, before this hub and with a cache of its own."""

    def run(*argv: object, **variables: str) -> subprocess.CompletedProcess[str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "DLM_"))}
        own = {
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": TOKEN,
            "DLM_PLUGINS": "off",
            "DLM_SETTINGS": "off",
        }
        return subprocess.run(
            [sys.executable, "-m", "dlm_cli", *map(str, argv)],
            env={**keep, **own, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def bundle_copy(tmp_path: Path) -> Path:
    """A copy of the embedded bundle, to be changed."""
    return Path(shutil.copytree(EMBEDDED / "e2e", tmp_path / "bundle"))
