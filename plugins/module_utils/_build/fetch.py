# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the revision of a source, and fetch it into a release. Private to flaskops.stack."""

from __future__ import annotations

import os
import shutil
import typing as t
from contextlib import suppress
from dataclasses import dataclass

from .._app.application import App
from .._app.requirements import decode
from .._app.source import (
    PATH,
    SourceError,
    check_checksum,
    git_url,
    is_commit,
    is_remote,
    resolve_ref,
    split_credentials,
)
from .._app.source_left import explain_left, explain_pointers
from .._input.redact import mask_urls
from .._release.model import Layout, digest
from .._system.command import CommandError
from .._system.paths import RUN
from .._system.planted import read_below
from .git import Repository, archive_commit, describe_commit, list_refs, list_tree, refresh


@dataclass(frozen=True)
class UploadedSource:
    """A source on the controller: its revision, and the uploaded file on this host if it was needed."""

    type: str = ""
    revision: str = ""
    version: str = ""
    description: str = ""
    payload: str = ""
    warnings: t.Sequence[str] = ()
    # Why the controller, or an earlier call of the module in this task, could not use it.
    error: str = ""


@dataclass(frozen=True)
class Revision:
    """A resolved source, and how to fetch it."""

    type: str
    location: str
    version: str
    revision: str
    reference: str = ""
    # On the controller: this host cannot fetch it.
    sent: bool = False
    payload: str = ""
    description: str = ""
    # The version and commit that the controller has read from it.
    warnings: t.Sequence[str] = ()

    def describe(self) -> dict[str, str]:
        """Return its entry in the manifest."""
        return {"type": self.type, "location": self.location, "version": self.version, "revision": self.revision}


def find_revision(
    app: App,
    sent: UploadedSource | None,
    layout: Layout,
    ca_bundle: str,
    check_mode: bool = False,
    expect_new: bool = False,
) -> Revision:
    """Return the revision that is wanted now; only for a git branch or tag anybody is asked.

    In check mode the host may be bare: without git the name of the branch has to do. With C(expect_new) what is new is
    fetched at once, which costs more where nothing is.
    """
    location = mask_urls(split_credentials(app.source).url)
    if sent is not None:
        return Revision(
            sent.type,
            location,
            sent.version,
            sent.revision,
            sent=True,
            payload=sent.payload,
            description=sent.description,
            warnings=sent.warnings,
        )
    if app.source_type == "pypi":
        return Revision("pypi", mask_urls(app.source), "", mask_urls(app.source) + _fingerprint(app.source))
    if app.source_type == "archive" and is_remote(app.source):
        return Revision("archive", location, "", check_checksum(app.checksum))
    if app.source_type in ("git", PATH):
        if check_mode and shutil.which("git") is None:
            return Revision("git", location, app.version, app.version or "HEAD")
        return _find_commit(app, layout, location, ca_bundle, expect_new and not check_mode)
    raise SourceError(
        f"source '{location}' was not found on the controller: correct the path (relative paths begin at the "
        "playbook, or else at the inventory)"
    )


def _fingerprint(source: str) -> str:
    """Tell requirements apart that differ in their credentials only, as the id must."""
    return "" if mask_urls(source) == source else f"#{digest(source)[:12]}"


def _find_commit(app: App, layout: Layout, location: str, ca_bundle: str, expect_new: bool) -> Revision:
    if app.source_type == PATH and not os.path.exists(app.source):
        raise SourceError(f"source '{location}' is neither on the controller nor on this host: correct the path")
    if is_commit(app.version):
        return Revision("git", location, app.version, app.version)
    # Private to root and gone after a reboot: deploy keys are there as long as git needs them.
    repository, scratch = repository_of(app, layout, ca_bundle), os.path.join(RUN, app.name)
    known = refresh(repository, mirror_of(layout), scratch) if expect_new else {}
    try:
        commit = resolve_ref(known, app.version, location)
    except SourceError:
        # The server may have more than branches and tags.
        commit = resolve_ref(list_refs(repository, scratch), app.version, location)
    return Revision("git", location, app.version, commit, reference=app.version)


def mirror_of(layout: Layout) -> str:
    """Return the bare repository in which the application's history is kept."""
    return os.path.join(layout.cache, "git")


def repository_of(app: App, layout: Layout, ca_bundle: str) -> Repository:
    """Return how to reach the application's repository."""
    own = os.path.join(layout.cache, "known_hosts")
    return Repository(git_url(app.source), app.deploy_key, app.known_hosts, own, ca_bundle)


def fetch(app: App, revision: Revision, layout: Layout, ca_bundle: str, destination: str) -> list[str]:
    """Write the files of the revision into the empty directory C(destination), and return warnings about them."""
    if revision.type == "pypi":
        return []
    # Most runs build nothing, and need not wait for what only a build imports (a tenth of a second).
    from .archive import extract

    temporary = os.path.join(layout.cache, "source")
    try:
        path = _obtain(app, revision, layout, ca_bundle, temporary)
        is_archive = revision.type == "archive"
        written = extract(path, destination, revision.location, is_archive, app.subdirectory, app.source_max_mib)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
    warnings = [*revision.warnings, *explain_pointers(written.pointers)]
    # The controller has compared the checksum of an uploaded archive itself.
    if revision.type == "git" and not revision.sent:
        with suppress(CommandError):
            tree = list_tree(mirror_of(layout), revision.revision)
            warnings += explain_left(tree, written.names, app.subdirectory)
    return warnings


def _obtain(app: App, revision: Revision, layout: Layout, ca_bundle: str, temporary: str) -> str:
    if revision.sent:
        if not revision.payload:
            raise SourceError(
                f"source '{revision.location}' was not sent by the controller: run flask_release as a task of Ansible"
            )
        return revision.payload
    if revision.type == "archive":
        from .download import download

        download(app.source, revision.revision, temporary, ca_bundle, app.build_timeout, app.source_max_mib)
        return temporary
    mirror = mirror_of(layout)
    scratch = os.path.join(RUN, app.name)
    repository = repository_of(app, layout, ca_bundle)
    archive_commit(repository, revision.revision, revision.reference, mirror, scratch, temporary)
    return temporary


def describe(revision: Revision, layout: Layout) -> str:
    """Return how git describes the commit, for packages whose version comes from their tags."""
    if revision.type != "git" or revision.sent:
        return revision.description
    try:
        return describe_commit(mirror_of(layout), revision.revision)
    except CommandError:
        return ""


def package_files(top: str) -> set[str]:
    """Return the files at the top of a source that was just fetched, and those in directories of requirements."""
    names: set[str] = set()
    with os.scandir(top) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False):
                names.add(entry.name)
            elif "requirement" in entry.name and entry.is_dir(follow_symlinks=False):
                names.update(f"{entry.name}/{name}" for name in os.listdir(entry.path))
    return names


def text_reader(top: str) -> t.Callable[[str], t.Optional[str]]:
    """Return a function that reads the files of a source by their paths in it."""

    def read(path: str) -> str | None:
        # Once a build has run, its user may have put anything there.
        data = read_below(top, path)
        return None if data is None else decode(data)

    return read
