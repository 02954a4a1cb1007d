# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download one file whose checksum is known. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import socket
import typing as t
from contextlib import contextmanager
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import SSLValidationError, open_url

from ._mask import mask_urls
from ._source_spec import SourceError, split_credentials


def download(source: str, checksum: str, path: str, ca_bundle: str = "", timeout: float = 60) -> None:
    """Write what C(source) delivers to C(path); raise SourceError unless its SHA-256 is C(checksum)."""
    location = split_credentials(source)
    with _explained(location.url):
        answer = open_url(
            location.url,
            timeout=timeout,
            url_username=location.username or None,
            url_password=location.password or None,
            force_basic_auth=bool(location.username),
            ca_path=ca_bundle or None,
            http_agent="flaskops.stack",
        )
        found = _save(answer, path)
    if found != checksum:
        os.unlink(path)
        raise SourceError(
            f"{location.url} has the checksum sha256:{found}, not sha256:{checksum}: it has changed, or is not what "
            "you mean; correct 'checksum' after you have made sure which"
        )


@contextmanager
def _explained(url: str) -> t.Iterator[None]:
    """Say of a failed download what to do about it; what fails on this host's disk is no matter of the download."""
    try:
        yield
    except HTTPError as exc:
        raise SourceError(f"{url} answers {exc.code} {exc.reason}: correct 'source' or the credentials in it") from exc
    except SSLValidationError as exc:
        raise SourceError(f"the certificate of {url} is not trusted on this host: set 'ca_bundle'") from exc
    except (URLError, ConnectionError, socket.timeout, HTTPException) as exc:
        reason = mask_urls(str(getattr(exc, "reason", exc)))
        raise SourceError(f"{url} cannot be reached from this host: {reason}: check address, proxy, firewall") from exc


def _save(answer: t.IO[bytes], path: str) -> str:
    total = hashlib.sha256()
    with open(path, "wb") as stream:
        for block in iter(lambda: answer.read(1024 * 1024), b""):
            total.update(block)
            stream.write(block)
    return total.hexdigest()


def file_checksum(path: str) -> str:
    """Return the SHA-256 of a file."""
    total = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1024 * 1024), b""):
            total.update(block)
    return total.hexdigest()
