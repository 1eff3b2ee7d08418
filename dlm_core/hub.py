"""Bundles on the Hugging Face hub: fetched into its cache, pushed to it. Imports no torch."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import cast

from dlm_core.errors import DLMError, MissingError, UsageError, did_you_mean

_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(\S+))?")
_FILES = [
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "sampling.json",
    "README.md",
    "controls/*",
]
"""What a bundle is made of; `*` goes into folders, too."""
_LOGIN = "a token that may do so: 'hf auth login', or HF_TOKEN"
_log = logging.getLogger("dlm.hub")


class _AwayError(MissingError):
    """The hub cannot be asked now; what is cached may do."""


def split_id(name: str) -> tuple[str, str | None] | None:
    """Repository and revision of a hub id, `owner/name[@revision]`; None for what is none."""
    found = _ID.fullmatch(name)
    return (found[1], found[2]) if found else None


@cache
def fetch(repo: str, revision: str | None = None) -> Path:
    """The folder of a bundle in the hub's cache, brought up to date where the hub can be asked.

    Asked once a process, so that all files are of one revision. Where the hub is out of reach the
    cached revision is used, and told by a warning of the logger `dlm.hub`.

    Args:
        repo: owner/name.
        revision: a branch, a tag or a commit; `main` if omitted.

    Raises:
        MissingError: no such model or revision, none you may see, or neither network nor cache.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    name = repo if revision is None else f"{repo}@{revision}"
    try:
        with _as_ours(repo, revision):
            HfApi().model_info(repo, revision=revision, timeout=10)
            path = Path(snapshot_download(repo, revision=revision, allow_patterns=_FILES))
    except _AwayError as away:
        try:
            found = snapshot_download(
                repo, revision=revision, allow_patterns=_FILES, local_files_only=True
            )
        except LocalEntryNotFoundError as error:
            raise MissingError(
                f"model '{name}': {away.message}, and it is not in the cache",
                "check the network, or give the path of a bundle",
            ) from error
        path = Path(found)
        _log.warning("model '%s': %s; the cached revision %s is used", name, away, path.name[:12])
    else:
        _log.debug("model '%s' is revision %s", name, path.name[:12])
    return path


def push(
    folder: Path, repo: str, revision: str | None = None, *, private: bool = False, message: str
) -> str:
    """Make a bundle's folder the content of a repository, which is created if it is not there.

    Args:
        folder: a bundle; heads that it lacks are removed from the repository.
        repo: owner/name.
        revision: a branch, created if it is not there; `main` if omitted.
        private: of a new repository, nobody else may see it.
        message: of the commit.

    Returns:
        the address of the commit.

    Raises:
        MissingError: the hub cannot be reached, or does not let you.
        UsageError: no name of a repository.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with _as_ours(repo, revision):
        api.create_repo(repo, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            revision=revision,
            commit_message=message,
            allow_patterns=_FILES,
            delete_patterns=["controls/*"],
        )
    return str(commit.commit_url)


def cached_ids() -> list[str]:
    """Hub ids of the bundles in the cache, for completion; read from the folders' names alone."""
    from huggingface_hub.constants import HF_HUB_CACHE

    found = set()
    for path in Path(HF_HUB_CACHE).glob("models--*--*/snapshots/*/config.json"):
        if b'"dlm-bundle-' in path.read_bytes()[:200]:
            found.add(path.parents[2].name.removeprefix("models--").replace("--", "/", 1))
    return sorted(found)


@contextmanager
def _as_ours(repo: str, revision: str | None) -> Iterator[None]:
    """What the hub refuses, and that it is out of reach, as errors of ours."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    # an error of the HTTP library, whichever huggingface_hub uses, or of the system
    transport = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise _AwayError("HF_HUB_OFFLINE is set") from error
    except HfHubHTTPError as error:
        raise _refused(error, repo, revision) from error
    except HFValidationError as error:
        raise UsageError(f"'{repo}' is no name: {_first(error)}", "OWNER/NAME") from error
    except transport as error:
        raise _AwayError(f"the hub cannot be reached ({_first(error)})") from error


def _refused(error: Exception, repo: str, revision: str | None) -> DLMError:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{repo}"
        return MissingError(f"'{repo}' is gated", f"ask for access at {page}; 'hf auth login'")
    if isinstance(error, errors.RepositoryNotFoundError):
        return MissingError(
            f"'{repo}' is no folder here, and no model of the hub that you may see",
            f"look at its spelling; a private one needs {_LOGIN}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        hint = did_you_mean(str(revision), _revisions(repo))
        return MissingError(f"'{repo}' has no revision '{revision}'", hint)
    assert isinstance(error, errors.HfHubHTTPError)
    status = error.response.status_code
    if status in (401, 403):
        return MissingError(f"the hub does not let you into '{repo}' ({status})", _LOGIN)
    if status == 429 or status >= 500:
        return _AwayError(f"the hub cannot be asked now (it answered {status})")
    return MissingError(f"the hub refused '{repo}' ({_first(error)})")


def _revisions(repo: str) -> list[str]:
    """Branches and tags, for a hint; none where they cannot be read."""
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(repo)
    except Exception:
        return []
    return [ref.name for ref in [*refs.branches, *refs.tags]]


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
