# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: records what a change replaces until nginx is verified to have loaded it. Private to flaskops.stack.

It exists exactly as long as nginx may run another configuration than the one on disk. A run that finds a journal has
to reload nginx, and can revert the change.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from dataclasses import dataclass

from .._system.files import read_file, remove_file, write_file
from .._system.paths import NGINX_PASSWORDS, NGINX_STATE
from .links import OldDirectory, discard_old
from .model import NginxSiteError, Node, Swap, version_id
from .tree import list_directory, read_node, write_nodes

_SCHEMA = 1


def instance_id(config: str) -> str:
    """Return the name under which the state of one nginx is kept; its main configuration file tells it from others."""
    return hashlib.sha256(os.path.realpath(config).encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True)
class JournalStep:
    """One path of an unfinished change: what it was and what it becomes."""

    path: str
    old: Node
    new: Node


def _same(one: Node, other: Node) -> bool:
    """Tell whether two nodes are the same to nginx."""
    return (one.kind, one.target) == (other.kind, other.target) and (
        one.kind != "file" or (one.content, one.mode) == (other.content, other.mode)
    )


class Journal:
    """The journal of one nginx, with the earlier contents that are needed to go back."""

    def __init__(self, config: str, keep: int, state: str = NGINX_STATE) -> None:
        """Name the nginx; nothing is read or written."""
        self._config = config
        self._keep = keep
        self._directory = os.path.join(state, instance_id(config))
        self.path = self._directory + ".json"

    @property
    def exists(self) -> bool:
        """Tell whether a reload is pending."""
        return os.path.exists(self.path)

    def read(self) -> list[JournalStep]:
        """Return the steps of an unfinished change; none when there is none."""
        data = read_file(self.path)
        if data is None:
            return []
        try:
            paths = json.loads(data)["paths"]
            return [
                JournalStep(path, self._node(path, item["old"]), self._node(path, item["new"])) for path, item in paths
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise NginxSiteError(
                f"{self.path} cannot be read ({exc}): it records a change whose reload is pending; "
                "look at nginx's configuration, reload nginx and remove that file"
            ) from exc

    def write(self, steps: t.Sequence[JournalStep]) -> None:
        """Record a change before it is made."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        for step in steps:
            for node in (step.old, step.new):
                if node.kind == "file" and node.content is not None:
                    path = self._saved(step.path, version_id(node.content))
                    if read_file(path) != node.content:
                        write_file(path, node.content, 0o600)
        paths = [[step.path, {"old": _record(step.old), "new": _record(step.new)}] for step in steps]
        document = {"schema": _SCHEMA, "config": self._config, "paths": paths}
        write_file(self.path, json.dumps(document, indent=1).encode("ascii"), 0o600)

    def close(self) -> None:
        """Forget the change: nginx runs what is on disk. Earlier contents of files are kept, up to a bound."""
        remove_file(self.path)
        kept: dict[str, list[tuple[int, str]]] = {}
        for base in list_directory(self._directory):
            path = os.path.join(self._directory, base)
            kept.setdefault(base.rpartition("@")[0], []).append((os.lstat(path).st_mtime_ns, path))
        for name, saved in kept.items():
            # Former passwords are never restored.
            most = 0 if name.startswith(_file_name(NGINX_PASSWORDS + "/")) else self._keep + 1
            for _time, path in sorted(saved, reverse=True)[most:]:
                remove_file(path, sync=False)

    def _saved(self, path: str, version: str) -> str:
        return os.path.join(self._directory, f"{_file_name(path)[-200:]}@{version}")

    def _node(self, path: str, record: t.Mapping[str, t.Any]) -> Node:
        content = None
        if record["kind"] == "file":
            saved = self._saved(path, record["version"])
            content = read_file(saved)
            if content is None:
                raise KeyError(f"{saved} is gone")
        return Node(record["kind"], record["target"], content, record["mode"], record["uid"], record["gid"])


def _file_name(path: str) -> str:
    return path.lstrip("/").replace("%", "%25").replace("/", "%2F")


def _record(node: Node) -> dict[str, str | int]:
    version = version_id(node.content) if node.kind == "file" and node.content is not None else ""
    return {
        "kind": node.kind,
        "target": node.target,
        "mode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
        "version": version,
    }


def resolve_interrupted(steps: t.Sequence[JournalStep]) -> list[JournalStep]:
    """Complete or undo an interrupted change, so that all or none of it is on disk; return the steps to verify.

    A path that was changed since is left as it is.
    """
    now = {step.path: read_node(step.path) for step in steps}
    if all(_same(now[step.path], step.new) for step in steps):
        return list(steps)
    discard_old(undo(steps))
    return []


def undo(steps: t.Sequence[JournalStep]) -> list[OldDirectory]:
    """Restore each path that still is as the change made it; return the old directories to remove."""
    return write_nodes([(step.path, step.old) for step in reversed(steps) if _same(read_node(step.path), step.new)])


def merge_steps(pending: t.Sequence[JournalStep], swaps: t.Sequence[Swap]) -> list[JournalStep]:
    """Return the steps of a change that continues one whose reload is pending."""
    first = {step.path: step for step in pending}
    steps = [
        JournalStep(item.path, first.pop(item.path).old if item.path in first else item.before, item.after)
        for item in swaps
    ]
    return [*first.values(), *steps]
