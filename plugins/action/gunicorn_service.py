# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one host migrate the database before any host starts the code that needs it."""

from __future__ import annotations

import contextlib
import posixpath
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._input.printable import printable, short_reason
from ..plugin_utils._host_code import execute
from ..plugin_utils._operator import operator, run_id
from ..plugin_utils._rollback_hook import decide, describe_lost_amid
from ..plugin_utils._rollback_report import describe, explain_unnamed
from ..plugin_utils._run_once import RunOnceLock
from ..plugin_utils._run_record import (
    followed,
    is_recorded,
    note_failure,
    note_lost,
    note_services,
    serving_at_start,
)
from ..plugin_utils._say import say
from ..plugin_utils._vaulted import vaulted_faults

Args = t.Dict[str, t.Any]


class ActionModule(Action):
    """Run the module; migrations that are due run on one host of this run, before the deploy."""

    @followed("deploy")
    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the module's result."""
        result: Args = super().run(tmp, task_vars)
        variables = task_vars or {}
        services = self._task.args.get("services")
        faults = vaulted_faults("gunicorn_services", services, variables)
        faults += self._unquoted(services, variables)
        if faults:
            return {**result, "failed": True, "msg": "\n".join(faults)}
        args = {
            "expected": serving_at_start(variables),
            **self._task.args,
            "by": operator(),
            "run": run_id(),
            "fleet": True,
        }
        # In playbook rollback; each task of its own would cost its users time.
        going_back = _going_back(args) if is_recorded(variables) else []
        stage = "rollback" if going_back else "deploy"
        unnamed = [fault for service in going_back if (fault := explain_unnamed(service.get("name")))]
        if unnamed:
            return {**result, "failed": True, "msg": unnamed[0]}
        try:
            answer = self._deploy(args, task_vars)
        except AnsibleConnectionFailure as exc:
            note_lost(variables, stage, str(exc))
            raise
        secret = bool(self._task.no_log)
        if not (secret or answer.get("failed")):
            self._show(going_back, answer, variables)
        note_services(variables, answer, secret, _rolled_back(args))
        if not answer.get("services"):
            note_failure(variables, stage, answer, secret)
        result.update(answer)
        return result

    def _unquoted(self, services: object, variables: Args) -> list[str]:
        """Return which texts are other ones because they have no quotes; the first task of site.yml has looked."""
        if variables.get("__stack_looks"):
            return []
        # Ansible compiles what it loads in each run.
        from ..plugin_utils._input_check import load_schema
        from ..plugin_utils._unquoted import unquoted_faults

        return unquoted_faults({"gunicorn_services": services}, load_schema())

    def _show(self, going_back: t.Sequence[Args], answer: Args, variables: Args) -> None:
        """Show what serves after a rollback."""
        hooks = {service["name"]: str(service.get("hook") or "") for service in going_back}
        host = str(variables.get("inventory_hostname", ""))
        for service in answer.get("services") or []:
            if service["name"] in hooks:
                text = describe(service, host, hooks[service["name"]], bool(self._task.check_mode))
                say(printable(text))

    def _deploy(self, args: Args, task_vars: Args | None) -> Args:
        """Run the module, and first the migrations that this host runs for all."""
        asked = {} if self._task.check_mode else _asked_hooks(args)
        answer = self._run_services(args, asked, task_vars or {})
        due = answer.pop("migrations", [])
        if due and not answer.get("failed"):
            answer = self._migrate_first(args, {one["name"]: one for one in due}, task_vars)
        return answer

    def _run_services(self, args: Args, asked: dict[str, str], task_vars: Args) -> Args:
        """Run the module, and the rollback hooks if this host is the last one."""
        try:
            answer = self._call(args, task_vars)
        except BaseException as exc:
            # No down-migration while a lost host may still use the newer schema.
            said = self._run_rollback_hooks(args, asked, {}, task_vars).get("msg", "")
            if said and isinstance(exc, AnsibleConnectionFailure):
                raise AnsibleConnectionFailure(f"{exc}\n{said}") from None
            raise
        return self._run_rollback_hooks(args, asked, answer, task_vars)

    def _call(self, args: Args, task_vars: Args | None) -> Args:
        # By its name: the task may be one that builds, and hands over by this plugin.
        return execute(self, "flaskops.stack.gunicorn_service", args, task_vars)

    def _run_rollback_hooks(self, args: Args, asked: dict[str, str], answer: Args, task_vars: Args) -> Args:
        """Run the rollback hooks of the releases that were rolled back, if this host is the last one."""
        due = {one["name"]: one for one in answer.pop("left", [])}
        lost = not answer
        for name, hook in asked.items():
            error = self._run_rollback_hook(args, name, hook, due.get(name), answer, lost, task_vars)
            if error:
                messages = [answer["msg"]] if answer.get("failed") else []
                answer = {**answer, "failed": True, "msg": "\n".join([*messages, f"{name}: {error}"])}
        return answer

    def _run_rollback_hook(
        self, args: Args, name: str, hook: str, due: Args | None, answer: Args, lost: bool, task_vars: Args
    ) -> str:
        """Return why the hook of one release did not run; its output is in the answer."""
        host = str(task_vars.get("inventory_hostname", ""))
        with RunOnceLock(constants.DEFAULT_LOCAL_TMP, f"hook {name} {hook}") as turn:
            turn.finish(host, {"error": not due, "key": due["key"] if due else "", "lost": lost})
            hosts, each = task_vars.get("ansible_play_hosts_all", [host]), bool(due and due["each_host"])
            decision = decide(hook, host, hosts, turn.outcomes, each)
            if not decision.run or not due or lost:
                return decision.error
            back = next(service for service in answer["services"] if service["name"] == name)
            service = {"name": name, "state": "rolled_back", "release": back["release"], "hook": hook}
            try:
                ran = self._call({**args, "services": [service], "left": {name: due["left"]}}, task_vars)
            except AnsibleConnectionFailure as exc:
                said = describe_lost_amid(name, hook, host)
                raise AnsibleConnectionFailure(f"{exc}\n{name}: {said}") from None
        back["hooks"] = back.get("hooks", []) + ran.get("ran", {}).get(name, [])
        answer["changed"] = True
        return _joined(ran.get("unsuccessful", {}).get(name, ran.get("msg", "")), decision.error)

    def _migrate_first(self, args: Args, due: dict[str, Args], task_vars: Args | None) -> Args:
        """Migrate, unless another host has done it, and run those services that are migrated."""
        ran, refused = self._migrate(args, due, task_vars)
        errors = {name: str(service["error"]) for name, service in refused.items()}
        services = [service for service in args["services"] if service.get("name") not in errors]
        answer: Args = {"changed": bool(ran), "services": []}
        if services:
            done = [name for name in due if name not in errors]
            answer = self._call({**args, "services": services, "migrated": done}, task_vars)
        for service in answer.get("services", []):
            service["hooks"] = ran.get(service["name"], []) + service.get("hooks", [])
        described = answer.get("services", [])
        if errors and answer.get("failed") and not described:
            # The module has refused all of them, and the summary goes by services where there are any.
            described = [{**_undeployed(args, one["name"]), "error": str(answer["msg"])} for one in services]
        answer["services"] = [*described, *refused.values()]
        if errors:
            said = [f"{name}: {error}" for name, error in errors.items()]
            messages = [*said, *([answer["msg"]] if answer.get("failed") else [])]
            answer = {**answer, "failed": True, "msg": "\n".join(messages)}
        return answer

    def _migrate(
        self, args: Args, due: dict[str, Args], task_vars: Args | None
    ) -> tuple[dict[str, t.Any], dict[str, Args]]:
        """Return the migrations that ran here, and the results of services that cannot be deployed, both by name."""
        host = str((task_vars or {}).get("inventory_hostname", "another host"))
        keys = {name: one["key"] for name, one in due.items()}
        with contextlib.ExitStack() as stack:
            turns = {
                # Always in the same order, so that two hosts never wait for each other; one at a time for each
                # application, also where hosts have different databases as far as can be seen from here.
                name: stack.enter_context(RunOnceLock(constants.DEFAULT_LOCAL_TMP, f"migrate {name}"))
                for name in sorted(due)
            }
            ours = [name for name, turn in turns.items() if keys[name] not in turn.outcomes]
            answer: Args = {}
            try:
                seen = {name: due[name]["seen"] for name in ours}
                answer = self._call({**args, "migrate": seen}, task_vars) if ours else {}
            finally:
                # Also when the host is lost: it may be at it still, and no other may begin.
                for name in ours:
                    turns[name].finish(keys[name], {"host": host, "error": _error(answer, name)})
            outcomes = {name: turn.outcomes[keys[name]] for name, turn in turns.items()}
        described = {service["name"]: service for service in answer.get("services", [])}
        failed = {
            name: {**(described.get(name) or _undeployed(args, name)), "error": _explain(outcome, host)}
            for name, outcome in outcomes.items()
            if outcome["error"]
        }
        return answer.get("migrated", {}), failed


def _asked_hooks(args: Args) -> dict[str, str]:
    """Return the requested rollback hooks, by service; malformed values are left to the module."""
    services = args.get("services")
    named = [service for service in services if isinstance(service, dict)] if isinstance(services, list) else []
    asked = [service for service in named if service.get("hook") and service.get("state") == "rolled_back"]
    return {str(service.get("name")): str(service["hook"]) for service in asked}


def _rolled_back(args: Args) -> set[str]:
    """Return the names of the services that are to go back to an earlier release."""
    return {str(service.get("name")) for service in _going_back(args)}


def _going_back(args: Args) -> list[Args]:
    """Return the services that are to go back to an earlier release."""
    services = args.get("services")
    named = [service for service in services if isinstance(service, dict)] if isinstance(services, list) else []
    return [service for service in named if service.get("state") == "rolled_back"]


def _joined(*errors: str) -> str:
    return "\n".join(error for error in errors if error)


def _undeployed(args: Args, name: str) -> Args:
    """Return the result of a service that this host has not begun to deploy."""
    # Loaded for errors only.
    from ..module_utils._deploy.service_result import ServiceResult

    wanted = next(service for service in args["services"] if service.get("name") == name)
    release = posixpath.basename(str(wanted.get("release") or ""))
    return ServiceResult(name, release, previous=args.get("expected", {}).get(name, "")).to_json()


def _error(answer: Args, name: str) -> str:
    """Return why a migration did not succeed, empty when it did."""
    unmigrated = answer.get("unmigrated", {})
    if name in unmigrated or name in answer.get("migrated", {}):
        return str(unmigrated.get(name, ""))
    return str(answer.get("msg") or "the host could not be reached while it migrated")


def _explain(outcome: Args, host: str) -> str:
    if outcome["host"] == host:
        return str(outcome["error"])
    reason = short_reason(str(outcome["error"]))
    return f"not started here, because its migration failed on {outcome['host']}, whose output has the cause: {reason}"
