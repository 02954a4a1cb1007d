# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files in shared directories, which the application may read and nginx not. Private to flaskops.stack.

An application decides on the modes of the files that it writes, and tempfile gives them 0600, so that no group and no
ACL opens them to nginx. So C(wsgi.py) of the release answers for these paths, as the user whose files they are.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from .._input.values import InputError

# URL path, shared directory, and path in it.
Place = t.Tuple[str, str, str]

# Links in a release to directories of distributions in its virtualenv.
PACKAGES = "packages"
# The directory of a package that is served unless another one is named.
_STATIC = "static"
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# The link in a release to the packages of its virtualenv, whose own place names the version of Python.
SITE_PACKAGES = "site-packages"
_PLACES = {
    "{release}": "current",
    "{shared}": "shared",
    "{venv}": "current/venv",
    "{site_packages}": f"current/{SITE_PACKAGES}",
}
# Shared directories by default.
SHARED = ("instance",)


def shared_places(static: object, shared: t.Sequence[str] | None, base: str) -> tuple[Place, ...]:
    """Return which of the static directories are, or hold, shared ones; the longest URL comes first.

    C(base) is the application's directory on the host. Malformed entries are refused elsewhere.
    """
    listed = static if isinstance(static, (list, tuple)) else []
    # The path of all requests would leave nothing for the application.
    entries = [entry for entry in listed if isinstance(entry, t.Mapping) and _url(entry) != "//"]
    names = [str(name).strip("/") for name in (SHARED if shared is None else shared)]
    found = [place for entry in entries for name in names for place in _places(_url(entry), _inside(entry, base), name)]
    return tuple(sorted(set(found), key=lambda place: (-len(place[0]), place)))


def _url(entry: t.Mapping[str, t.Any]) -> str:
    return f"/{str(entry.get('url') or '').strip('/')}/"


def code_directories(static: object, base: str) -> tuple[str, ...]:
    """Return the static directories that are in the code of a release. Malformed entries are refused elsewhere."""
    listed = static if isinstance(static, (list, tuple)) else []
    paths = {_inside(entry, base) for entry in listed if isinstance(entry, t.Mapping)}
    return tuple(sorted(path for path in paths if not path.startswith(("/", "..")) and path != "."))


def served_by(static: object, path: str, base: str) -> str:
    """Return the URL at which nginx serves a file of the code; an empty text when it does not."""
    listed = static if isinstance(static, (list, tuple)) else []
    for entry in listed:
        place = _inside(entry, base) if isinstance(entry, t.Mapping) else "/"
        if place == "." or path.startswith(f"{place}/"):
            return _url(entry)
    return ""


def located(entry: t.Mapping[str, t.Any], base: str) -> str:
    """Return a static path with the place on the host that its placeholder stands for; nginx follows the switch."""
    if entry.get("package"):
        return f"{base}/current/{package_link(*_of_package(entry))}"
    path = str(entry.get("path") or "/")
    for placeholder, place in _PLACES.items():
        if path.startswith(placeholder):
            return f"{base}/{place}{path[len(placeholder) :]}"
    return path


def served_directories(static: object) -> tuple[tuple[str, str], ...]:
    """Return the distributions and their directories that nginx serves; an empty name stands for all packages.

    Raise InputError for what cannot be a distribution or a directory of one.
    """
    listed = static if isinstance(static, (list, tuple)) else []
    entries = [entry for entry in listed if isinstance(entry, t.Mapping)]
    for name, path in (_of_package(entry) for entry in entries if entry.get("package")):
        if not _DISTRIBUTION.fullmatch(name):
            raise InputError(
                f"nginx.static: package '{name}' must be the name of a distribution, such as 'flask-admin'"
            )
        if path.startswith("/") or "{" in path or ".." in path.split("/"):
            raise InputError(
                f"nginx.static: path '{path}' must be a directory of package '{name}', such as '{_STATIC}'; leave "
                "package out for another path"
            )
    whole = any(str(entry.get("path")).startswith("{site_packages}") for entry in entries)
    found = {_of_package(entry) for entry in entries if entry.get("package")}
    return (*((("", ""),) if whole else ()), *sorted(found))


def package_link(name: str, path: str) -> str:
    """Return the place in a release of the link to a directory of a distribution."""
    slug = "--".join([re.sub(r"[-_.]+", "-", name).lower(), *path.split("/")])
    return f"{PACKAGES}/{slug}"


def _of_package(entry: t.Mapping[str, t.Any]) -> tuple[str, str]:
    given = str(entry.get("path") or _STATIC)
    return str(entry["package"]), posixpath.normpath(given)


def covers(entry: t.Mapping[str, t.Any], place: Place) -> bool:
    """Tell whether a place is, or lies below, a static entry."""
    return place[0].startswith(_url(entry))


def _inside(entry: t.Mapping[str, t.Any], base: str) -> str:
    """Return the path of an entry below the code; a shared directory may be named by its own place, too."""
    path = posixpath.normpath(located(entry, base))
    for top in (f"{base}/current/app/", f"{base}/shared/"):
        if path.startswith(top):
            return path[len(top) :]
    return path


def _places(url: str, path: str, shared: str) -> list[Place]:
    if path == shared:
        return [(url, shared, "")]
    if path.startswith(f"{shared}/"):
        return [(url, shared, path[len(shared) + 1 :])]
    if shared.startswith(f"{path}/"):
        return [(f"{url}{shared[len(path) + 1 :]}/", shared, "")]
    return []


def is_shared(entry: t.Mapping[str, t.Any], places: t.Sequence[Place]) -> bool:
    """Tell whether a static entry as a whole is in a shared directory, so that nginx has nothing to serve of it."""
    return any(url == _url(entry) for url, _shared, _path in places)


def render_files(places: t.Sequence[Place]) -> str:
    """Return the part of C(wsgi.py) that answers for the places."""
    return _FILES.replace("= PLACES", f"= {[[url, shared, path] for url, shared, path in places]!r}") if places else ""


_FILES = '''\
import email.utils
import mimetypes
import re
import stat


class _File:
    """Part of an open file, as the body of an answer."""

    def __init__(self, stream, size):
        self._stream, self._left = stream, size

    def __iter__(self):
        while self._left > 0:
            block = self._stream.read(min(self._left, 65536))
            if not block:
                return
            self._left -= len(block)
            yield block

    def close(self):
        self._stream.close()


class _Files:
    """Answer with files of shared directories, which nginx itself may not read. No link below them is followed."""

    _PLACES = PLACES

    def __init__(self, app):
        self._app = app
        self._code = os.path.join(os.path.dirname(os.path.realpath(__file__)), "app")

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace")
        for url, shared, inner in self._PLACES:
            if path.startswith(url.encode()):
                names = [*filter(None, inner.encode().split(b"/")), *path[len(url.encode()) :].split(b"/")]
                return self._answer(shared, names, environ, start_response)
        return self._app(environ, start_response)

    def _answer(self, shared, names, environ, start_response):
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._refuse("405 Method Not Allowed", [("Allow", "GET, HEAD")], start_response)
        stream = self._open(shared, names)
        if stream is None:
            return self._refuse("404 Not Found", [], start_response)
        status = os.fstat(stream.fileno())
        etag = '"%x-%x"' % (status.st_mtime_ns, status.st_size)
        modified = email.utils.formatdate(int(status.st_mtime), usegmt=True)
        headers = [("ETag", etag), ("Last-Modified", modified), ("Accept-Ranges", "bytes")]
        if self._is_known(environ, etag, modified):
            stream.close()
            start_response("304 Not Modified", headers)
            return []
        first, last, partial = self._range(environ, status.st_size, etag, modified)
        if first is None:
            stream.close()
            return self._refuse(
                "416 Range Not Satisfiable", [("Content-Range", "bytes */%d" % status.st_size)], start_response
            )
        kind, packed = mimetypes.guess_type(names[-1].decode("utf-8", "replace"))
        headers.append(("Content-Type", "application/octet-stream" if packed or not kind else kind))
        headers.append(("Content-Length", str(last + 1 - first)))
        if partial:
            headers.append(("Content-Range", "bytes %d-%d/%d" % (first, last, status.st_size)))
        start_response("206 Partial Content" if partial else "200 OK", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            stream.close()
            return []
        stream.seek(first)
        return _File(stream, last + 1 - first)

    def _open(self, shared, names):
        if any(not name or name.startswith(b".") or b"\\0" in name for name in names):
            return None
        opened = []
        try:
            # This one is a link, which root has made.
            opened.append(os.open(os.path.join(self._code, shared), os.O_RDONLY | os.O_DIRECTORY))
            for name in names[:-1]:
                opened.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
            found = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1])
            if stat.S_ISREG(os.fstat(found).st_mode):
                return os.fdopen(found, "rb")
            os.close(found)
        except OSError:
            pass
        finally:
            for descriptor in opened:
                os.close(descriptor)
        return None

    @staticmethod
    def _is_known(environ, etag, modified):
        if "HTTP_IF_NONE_MATCH" in environ:
            known = [part.strip() for part in environ["HTTP_IF_NONE_MATCH"].split(",")]
            return "*" in known or etag in known or "W/" + etag in known
        return environ.get("HTTP_IF_MODIFIED_SINCE") == modified

    @staticmethod
    def _range(environ, size, etag, modified):
        """Return the first and last byte, and whether that is less than all; no first one when it cannot be."""
        whole = (0, size - 1, False)
        asked = re.fullmatch(r"bytes=(\\d{0,18})-(\\d{0,18})", environ.get("HTTP_RANGE", "").replace(" ", ""))
        if not asked or environ.get("HTTP_IF_RANGE", etag) not in (etag, modified) or asked.group() == "bytes=-":
            return whole
        first, last = asked.groups()
        begin = int(first) if first else max(size - int(last), 0)
        end = min(int(last), size - 1) if first and last else size - 1
        if begin > end:
            return (None, None, False)
        return (begin, end, True)

    @staticmethod
    def _refuse(status, headers, start_response):
        body = status.encode() + b"\\n"
        start_response(status, [*headers, ("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]


'''
