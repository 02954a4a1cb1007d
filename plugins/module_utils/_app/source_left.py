# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git leaves out of an archive, as warnings. read by the action plugin, too. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

_SUBMODULE = "160000"
_SHOWN = 5


def explain_left(tree: str, names: t.Iterable[str], subdirectory: str = "") -> list[str]:
    """Return a warning for each kind of file that a commit has and its archive has not.

    C(tree) is what C(git ls-tree -r -z) or C(git ls-files --stage -z) prints, and C(names) are the members of the
    archive.
    """
    rows = [row.partition("\t") for row in tree.split("\0") if row]
    prefix = f"{subdirectory}/" if subdirectory else ""
    wanted = [(head.split(" ")[0], path) for head, _tab, path in rows if path.startswith(prefix)]
    here = {_printable(name.strip("/")) for name in names}
    modules = [path for mode, path in wanted if mode == _SUBMODULE and not _holds(here, path)]
    ignored = [path for mode, path in wanted if mode != _SUBMODULE and path not in here]
    return [*_of_submodules(modules), *_of_ignored(ignored)]


def _holds(names: t.Collection[str], directory: str) -> bool:
    return any(name.startswith(f"{directory}/") for name in names)


def _printable(name: str) -> str:
    """Return a name as C(git)'s output is decoded."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _of_submodules(paths: t.Sequence[str]) -> list[str]:
    said = (
        f"git submodules are empty in this release: {some(paths)}. An archive of git does not hold them: deploy a "
        "directory on the controller where 'git submodule update --init --recursive' has run ('source' is its path, "
        "without 'version'), or install them as packages"
    )
    return [said] if paths else []


def _of_ignored(paths: t.Sequence[str]) -> list[str]:
    said = (
        f"files of the repository are not in this release: {some(paths)}. They have the attribute export-ignore: "
        "if the application needs them, remove that line from .gitattributes"
    )
    return [said] if paths else []


def explain_sparse(paths: t.Sequence[str]) -> list[str]:
    """Return a warning about files that a sparse checkout leaves out."""
    said = (
        f"files of the repository are not in this release: {some(paths)}. The work tree is a sparse checkout without "
        "them: if the application needs them, run 'git sparse-checkout disable' there, or set 'version' to deploy a "
        "commit"
    )
    return [said] if paths else []


def explain_pointers(paths: t.Sequence[str]) -> list[str]:
    """Return a warning about files whose content is in Git LFS."""
    said = (
        f"files in this release are pointers of Git LFS, without their content: {some(paths)}. Deploy a directory "
        "on the controller where 'git lfs pull' has run ('source' is its path, without 'version'), or let a command "
        "of 'hooks.build' download them"
    )
    return [said] if paths else []


def some(paths: t.Sequence[str]) -> str:
    """Return the first of the paths, and how many there are besides, in a form that a terminal can show."""
    shown = ", ".join(repr(path)[1:-1] for path in sorted(paths)[:_SHOWN])
    return f"{shown} and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else shown
