"""The model hub, through huggingface_hub: what a repository holds, and its files.

Its own downloader begins anew after a power cut, and keeps up to 10 MB to itself; so its client,
headers and errors are used here on a partial file that stays.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brain.models.catalog import Model
from brain.models.errors import ModelsError, Refused, Spoiled, Stopped, Unreachable

_PATIENCE_S = 30.0
"""Without a byte; then it counts as broken off."""
_BLOCK = 1 << 18
_PARTIAL_CONTENT = 206


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: bytes, SHA-256 ("" where the hub has none), git blob id."""

    source: str
    size: int
    sha256: str = ""
    blob: str = ""

    @property
    def key(self) -> str:
        """Names the content, so that two revisions are never put together."""
        return f"{(self.sha256 or self.blob)[:16]}.{Path(self.source).name}"


@dataclass(frozen=True)
class Listing:
    """A repository as it was at `revision`, a commit."""

    revision: str
    files: tuple[RemoteFile, ...]


class Hub:
    """The hub at `endpoint` (HF_ENDPOINT, else Hugging Face's). Raises `ModelsError`.

    `token` is shown to it and, by the library's rule, to no other host that it sends one to.
    """

    def __init__(self, token: str = "", endpoint: str | None = None) -> None:
        try:
            import huggingface_hub
            from huggingface_hub.utils import logging
        except ImportError as error:
            raise ModelsError(
                "The package huggingface-hub isn't installed: install the brain with its extra stt."
            ) from error
        # What it says of a retry would be written into the bars that people look at.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        self._token = token or None
        self._endpoint = endpoint
        self._api = huggingface_hub.HfApi(endpoint=endpoint, token=self._token)

    def listing(self, model: Model) -> Listing:
        """What the repository of `model` holds now. Raises `Refused`, `Unreachable`."""
        try:
            info = self._api.model_info(model.repository, files_metadata=True, timeout=_PATIENCE_S)
        except Exception as error:
            raise self._meaning(error, model.repository) from error
        files = tuple(
            RemoteFile(
                file.rfilename,
                file.size or 0,
                file.lfs.sha256 if file.lfs is not None else "",
                file.blob_id or "",
            )
            for file in info.siblings or ()
        )
        if not info.sha:
            raise Refused(f"The hub doesn't say which commit of {model.repository} it has.")
        return Listing(info.sha, files)

    def fetch(
        self, repository: str, revision: str, file: RemoteFile, into: Path,
        tell: Callable[[int], None], stop: threading.Event,
    ) -> None:  # fmt: skip
        """Fetch what `into` still lacks of a file; it keeps what came, whatever happens.

        Raises `Refused`, `Unreachable`, `Spoiled` (another size), `Stopped`, and `ModelsError` for
        a disk that takes no more. Whether the content is right, is for the caller to see.
        """
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            hf_raise_for_status,
        )

        url = hf_hub_url(repository, file.source, revision=revision, endpoint=self._endpoint)
        headers = build_hf_headers(token=self._token)
        # Compressed on its way, a file has no ranges.
        headers["Accept-Encoding"] = "identity"
        try:
            with into.open("ab") as partial:
                have = partial.tell()
                if have:
                    headers["Range"] = f"bytes={have}-"
                # httpx shows the token to no other host that it is sent on to.
                with get_session().stream(
                    "GET", url, headers=headers, timeout=_PATIENCE_S, follow_redirects=True
                ) as answer:
                    hf_raise_for_status(answer)
                    if have and answer.status_code != _PARTIAL_CONTENT:
                        tell(-have)  # it began anew
                        have = partial.truncate(0)
                    for block in answer.iter_bytes(_BLOCK):
                        if stop.is_set():
                            raise Stopped("Stopped. What came so far is kept.")
                        have += partial.write(block)
                        tell(len(block))
                        if have > file.size:
                            break
        except Exception as error:
            raise self._meaning(error, repository) from error
        if have != file.size:
            raise Spoiled(f"{file.source} came with another size than the hub says.")

    def _meaning(self, error: Exception, repository: str) -> ModelsError:
        from huggingface_hub import errors as hub

        page = f"https://huggingface.co/{repository}"
        if isinstance(error, ModelsError):
            return error
        if isinstance(error, hub.OfflineModeIsEnabled):
            return Unreachable("HF_HUB_OFFLINE=1 is set: unset it for this command.")
        if isinstance(error, hub.GatedRepoError):
            return Refused(self._how_to_be_let_in(repository, page))
        if isinstance(error, hub.RepositoryNotFoundError):
            return Refused(
                f"The hub has no repository {repository}, or not for everybody: look at {page}"
                + (", and whether HF_TOKEN is still valid." if self._token else ".")
            )
        if isinstance(error, hub.RevisionNotFoundError | hub.EntryNotFoundError):
            return Refused(
                f"{repository} no longer has what is pinned here: `brain models pull --update` "
                "takes what it has now."
            )
        if isinstance(error, hub.HfHubHTTPError):
            status = error.response.status_code
            text = f"The hub answered {status} for {repository}"
            if status == 429 or status >= 500:
                return Unreachable(f"{text}: try again later.")
            return Refused(f"{text}: look at {page}, and at HF_TOKEN.")
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2"):
            return Unreachable(
                f"The hub can't be reached ({type(error).__name__}): connect to the internet, or "
                "bring the models on a stick (brain models import)."
            )
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return ModelsError("The disk is full. What came so far is kept.")
        return ModelsError(f"{repository}: {error or type(error).__name__}")

    def _how_to_be_let_in(self, repository: str, page: str) -> str:
        if self._token:
            return (
                f"HF_TOKEN has no access to {repository}: accept its licence at {page} with the "
                "account that the token is of."
            )
        return (
            f"{repository} is gated: accept its licence at {page}, make a token at "
            "https://huggingface.co/settings/tokens, and set HF_TOKEN to it."
        )
