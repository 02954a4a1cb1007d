# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download one file whose checksum is known. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import typing as t
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import (
    BaseHandler,
    HTTPBasicAuthHandler,
    HTTPHandler,
    HTTPPasswordMgrWithPriorAuth,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

from .._app.source import SourceError, SourceLocation, split_credentials
from .._input.redact import mask_urls
from .._system.deadline import Deadline, TimedConnection, TimedTlsConnection

# For one read of a download.
_STEP = 60.0
# Errors of OpenSSL's strict mode (X509_V_FLAG_X509_STRICT), which ssl turns on from Python 3.13 on.
_AGAINST_RFC_5280 = range(80, 94)


def download(
    source: str, checksum: str, path: str, ca_bundle: str = "", timeout: float = 1800, max_mib: int = 4096
) -> None:
    """Download C(source) within C(timeout) seconds to C(path).

    Raise SourceError for another SHA-256 and for more than C(max_mib), which a server could send without end.
    """
    location = split_credentials(source)
    deadline = Deadline(timeout, _STEP)
    with _explained(location.url), _opener(location, ca_bundle, deadline).open(location.url, timeout=_STEP) as answer:
        found = _save(answer, path, location.url, max_mib)
    if found != checksum:
        os.unlink(path)
        raise SourceError(
            f"{location.url} has the checksum sha256:{found}, not sha256:{checksum}: it has changed, or is not what "
            "you mean; correct 'checksum' after you have made sure which"
        )


class _Http(HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **_options: object) -> HTTPConnection:
        return TimedConnection(host, self._deadline)


class _Https(HTTPSHandler):
    def __init__(self, deadline: Deadline, ca_bundle: str) -> None:
        super().__init__()
        self._deadline = deadline
        self._tls = ssl.create_default_context(cafile=ca_bundle or None)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **_options: object) -> HTTPConnection:
        return TimedTlsConnection(host, self._deadline, self._tls)


def _opener(location: SourceLocation, ca_bundle: str, deadline: Deadline) -> OpenerDirector:
    """Return an opener that sends the credentials to that server, and to no target of a redirect."""
    # With Python's own means: Ansible's are a tenth of all that the module brings to a host.
    handlers: list[BaseHandler] = [_Http(deadline), _Https(deadline, ca_bundle)]
    if location.username:
        known = HTTPPasswordMgrWithPriorAuth()
        server = urlunsplit((*urlsplit(location.url)[:2], "/", "", ""))
        known.add_password(None, server, location.username, location.password, is_authenticated=True)
        handlers += [HTTPBasicAuthHandler(known), _Confidential()]
    opener = build_opener(*handlers)
    opener.addheaders = [("User-Agent", "flaskops.stack")]
    return opener


class _Confidential(HTTPRedirectHandler):
    """Follow a server to others, but not out of TLS: the credentials would be read on the way."""

    def redirect_request(
        self, req: Request, fp: t.IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type == "https" and newurl.lower().startswith("http:"):
            fp.close()
            raise URLError(f"it leads to {mask_urls(newurl)}, and its credentials are not sent without TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _explained(url: str) -> t.Iterator[None]:
    """Add the way out to the error of a failed download; errors of this host's disk are not changed."""
    try:
        yield
    except HTTPError as exc:
        exc.close()
        raise SourceError(f"{url} answers {exc.code} {exc.reason}: correct 'source' or the credentials in it") from exc
    except (URLError, ConnectionError, socket.timeout, HTTPException) as exc:
        cause = getattr(exc, "reason", exc)
        if isinstance(cause, ssl.SSLCertVerificationError):
            problem = f"the certificate of {url} is not trusted on this host ({cause.verify_message})"
            raise SourceError(f"{problem}: {_way_out(cause.verify_code)}") from exc
        reason = mask_urls(str(cause))
        raise SourceError(f"{url} cannot be reached from this host: {reason}: check address, proxy, firewall") from exc


def _way_out(verify_code: int) -> str:
    """Return what helps against an error of OpenSSL about a certificate."""
    if verify_code in _AGAINST_RFC_5280:
        return (
            "from Python 3.13 on, it and the certificate of its CA must be as RFC 5280 says, also one in 'ca_bundle': "
            "have them issued anew, or download the archive and name its path on the controller"
        )
    return "set 'ca_bundle'"


def _save(answer: t.IO[bytes], path: str, url: str, max_mib: int) -> str:
    total, remaining = hashlib.sha256(), max_mib << 20
    with open(path, "wb") as stream:
        for block in iter(lambda: answer.read(1024 * 1024), b""):
            total.update(block)
            remaining -= len(block)
            if remaining < 0:
                raise SourceError(
                    f"{url} sends more than {max_mib} MiB: make sure that it is what you mean, and set "
                    "'source_max_mib' higher (flask_source_max_mib for all applications)"
                )
            stream.write(block)
    # Of a file that is cut short read(3) tells nothing.
    missing = getattr(answer, "length", 0)
    if missing:
        raise URLError(f"it ended {missing} bytes too early")
    return total.hexdigest()
