# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one host migrate the database before any host starts the code that needs it."""

from __future__ import annotations

import contextlib
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ..plugin_utils._operator import operator
from ..plugin_utils._turn import Turn

Args = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Run the module; where it says that migrations are due, see to it that one host of this run does that."""

    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the module's result."""
        result: Args = super().run(tmp, task_vars)
        args = {**self._task.args, "by": operator(), "fleet": True}
        answer = self._call(args, task_vars)
        due = answer.pop("migrations", [])
        if due and not answer.get("failed"):
            answer = self._migrate_first(args, {one["name"]: one["key"] for one in due}, task_vars)
        result.update(answer)
        return result

    def _call(self, args: Args, task_vars: Args | None) -> Args:
        # By its name: the task may be one that builds, and hands over by this plugin.
        return t.cast(Args, self._execute_module("flaskops.stack.gunicorn_service", args, task_vars=task_vars))

    def _migrate_first(self, args: Args, due: dict[str, str], task_vars: Args | None) -> Args:
        """Migrate, unless another host has done it, and run those services that are migrated."""
        ran, errors = self._migrate(args, due, task_vars)
        services = [service for service in args["services"] if service.get("name") not in errors]
        answer: Args = {"changed": bool(ran), "services": []}
        if services:
            done = [name for name in due if name not in errors]
            answer = self._call({**args, "services": services, "migrated": done}, task_vars)
        for service in answer.get("services", []):
            service["hooks"] = ran.get(service["name"], []) + service.get("hooks", [])
        if errors:
            said = [f"{name}: {error}" for name, error in errors.items()]
            messages = [*said, *([answer["msg"]] if answer.get("failed") else [])]
            answer = {**answer, "failed": True, "msg": "\n".join(messages)}
        return answer

    def _migrate(
        self, args: Args, due: dict[str, str], task_vars: Args | None
    ) -> tuple[dict[str, t.Any], dict[str, str]]:
        """Return what has run here, and why services cannot be started, both by name."""
        host = str((task_vars or {}).get("inventory_hostname", "another host"))
        with contextlib.ExitStack() as stack:
            turns = {
                # Always in the same order, so that two hosts never wait for each other; one at a time for each
                # application, also where hosts have different databases as far as can be seen from here.
                name: stack.enter_context(Turn(constants.DEFAULT_LOCAL_TMP, f"migrate {name}"))
                for name in sorted(due)
            }
            ours = [name for name, turn in turns.items() if due[name] not in turn.outcomes]
            answer: Args = {}
            try:
                answer = self._call({**args, "migrate": ours}, task_vars) if ours else {}
            finally:
                # Also when the host is lost: it may be at it still, and no other may begin.
                for name in ours:
                    turns[name].finish(due[name], {"host": host, "error": _error(answer, name)})
            outcomes = {name: turn.outcomes[due[name]] for name, turn in turns.items()}
        failed = {name: _explain(outcome, host) for name, outcome in outcomes.items() if outcome["error"]}
        return answer.get("migrated", {}), failed


def _error(answer: Args, name: str) -> str:
    """Return why a migration did not succeed, empty when it did."""
    unmigrated = answer.get("unmigrated", {})
    if name in unmigrated or name in answer.get("migrated", {}):
        return str(unmigrated.get(name, ""))
    return str(answer.get("msg") or "the host could not be reached while it migrated")


def _explain(outcome: Args, host: str) -> str:
    if outcome["host"] == host:
        return str(outcome["error"])
    first = str(outcome["error"]).splitlines()[0].partition(". It said:")[0]
    return f"not started here, because its migration failed on {outcome['host']}, whose output has the cause: {first}"
