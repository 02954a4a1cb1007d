# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of one of our playbooks has done on each host, and its summary at the end. Private to flaskops.stack.

Each host's task is a process of its own, and a run that stops early reaches no task that could say what it left. So
each action plugin appends lines to a file in the directory that this run of Ansible has for itself, and the main
process, which loads the plugins, shows the summary when it ends. That costs no task.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shlex
import threading
import time
import typing as t
from contextlib import suppress
from importlib import import_module

from ansible import constants, context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..module_utils._input.printable import short_reason
from ._run_summary import render
from ._say import say
from ._task_process import freeze_gc

Args = t.Dict[str, t.Any]

# Defined by our playbooks: a role in a playbook of a user says nothing of its own.
VARIABLE = "__stack_run"
# Who gets a notice of the run, if anybody (_notice.py).
NOTICES = "flask_notify"
# How many percent of a batch may fail; Ansible warns of the second one, which has the name of its keyword.
ACCEPTED_FAILURES = ("max_failed_percentage", "max_fail_percentage")
# How a deploy that was reverted ends its error.
_REVERTED = " serves again"
_HIDDEN = "see its error above"


def _path() -> str:
    return os.path.join(constants.DEFAULT_LOCAL_TMP, "flaskops-run.jsonl")


def is_recorded(variables: t.Mapping[str, t.Any]) -> bool:
    """Tell whether the task belongs to a playbook of ours."""
    return bool(variables.get(VARIABLE))


def note(variables: t.Mapping[str, t.Any], kind: str, **values: t.Any) -> None:
    """Append a line about the task's host."""
    if not is_recorded(variables):
        return
    entry = {"kind": kind, "host": str(variables.get("inventory_hostname", "")), **values}
    data = (json.dumps(entry) + "\n").encode()
    # One write with O_APPEND: other hosts write at the same time.
    descriptor = os.open(_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def read() -> list[Args]:
    """Return all lines of this run."""
    try:
        with open(_path(), encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except FileNotFoundError:
        return []


def note_services(
    variables: t.Mapping[str, t.Any], answer: Args, secret: bool, rolled_back: t.Collection[str] = ()
) -> None:
    """Record what became of services; why one was refused is not shown when C(secret).

    Those in C(rolled_back) were to go back to an earlier release.
    """
    keys = ("name", "release", "previous", "version", "changed", "seconds", "gap", "room", "threads")
    for service in answer.get("services") or []:
        known = {key: service.get(key) for key in keys}
        for key in ("error", "warning"):
            known[key] = _shown(str(service.get(key) or ""), secret)
        known["rollback"] = service.get("name") in rolled_back
        known["reverted"] = _REVERTED in str(service.get("error") or "")
        note(variables, "service", **known)


def note_apps(variables: t.Mapping[str, t.Any], apps: t.Sequence[Args], args: Args, answer: Args, secret: bool) -> None:
    """Record of each application where visitors find it, and why it could not be built."""
    if not is_recorded(variables):
        return
    errors, serving = answer.get("errors") or {}, answer.get("serving") or {}
    root, defaults = str(args.get("root") or "/srv"), args.get("site_defaults") or {}
    for app in apps:
        name = str(app.get("name"))
        error = _shown(str(errors.get(name) or ""), secret)
        settings = app.get("gunicorn")
        chosen = isinstance(settings, dict) and settings.get("overlap") is not None
        note(
            variables,
            "app",
            name=name,
            url=address_of(app, root, defaults, apps),
            error=error,
            overlap=chosen,
            serving=serving.get(name),
        )


def note_unlisted(variables: t.Mapping[str, t.Any], answer: Args) -> None:
    """Record the applications that serve on the host and are in no list."""
    if answer.get("unlisted"):
        note(variables, "unlisted", names=list(answer["unlisted"]))


def address_of(app: Args, root: str, defaults: Args, apps: t.Sequence[Args] = ()) -> str:
    """Return where visitors find an application; C(apps) are those whose sites may lead to it, too."""
    if not app.get("domains") and not app.get("mount"):
        sockets = f"unix:{root}/{app.get('name')}/current/run/"
        through = next((other for other in apps if other.get("domains") and sockets in str(other.get("nginx"))), None)
        return f"published by the site of {through['name']}" if through else "not published, because it has no domains"
    # Ansible compiles what it loads in each run; read_ahead does that while the host is at work.
    from ..module_utils._app.derive import derive_chain
    from ..module_utils._site.forwarded import ForwardedChain

    site = derive_chain(app, root, defaults, apps).get("site")
    if not site:
        return ""
    return f"{'https' if site['tls'] else 'http'}://{ForwardedChain(**site).authority}{site.get('prefix', '')}/"


def read_ahead(variables: t.Mapping[str, t.Any]) -> None:
    """Load what C(note_apps) needs while the task waits for its host."""
    if is_recorded(variables):
        # A controller without room for a thread loads it later.
        with suppress(RuntimeError):
            threading.Thread(
                target=import_module, args=("..module_utils._app.derive", __package__), daemon=True
            ).start()


def serving_at_start(variables: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the releases that this host served when the playbook began; nothing where that was not looked at."""
    if not is_recorded(variables):
        return {}
    host = variables.get("inventory_hostname")
    found = [entry["serving"] for entry in read() if entry["kind"] == "reached" and entry["host"] == host]
    # Several of our playbooks may be imported in one run, such as a deploy and a rollback: each has looked itself.
    return dict(found[-1]) if found else {}


def refuse_after_loss(variables: t.Mapping[str, t.Any]) -> None:
    """Raise AnsibleActionFail for a batch that begins after a host was lost; Ansible stops for hosts that failed."""
    if not is_recorded(variables) or _accepted_percentage(variables) > 0:
        return
    accepted = {entry["host"] for entry in read() if entry["kind"] == "lost" and entry["stage"] == "reach"}
    playing = set(variables.get("ansible_play_hosts", [])) | accepted
    gone = [host for host in variables.get("ansible_play_hosts_all", []) if host not in playing]
    if gone:
        raise AnsibleActionFail(
            f"{', '.join(gone)} failed, or was lost, in an earlier batch: nothing was changed here. Mend it and run "
            "again; to accept hosts that fail: -e max_failed_percentage=N"
        )


def _accepted_percentage(variables: t.Mapping[str, t.Any]) -> float:
    """Return how many percent of a batch may fail: what Ansible itself goes by in our plays."""
    name = next((name for name in ACCEPTED_FAILURES if variables.get(name)), "")
    value = variables.get(name) or 0
    try:
        # Ansible takes a percentage with its sign, too.
        return float(str(value).replace("%", ""))
    except ValueError:
        raise AnsibleActionFail(f"{name} must be a number of percent, not {str(value)!r}") from None


def note_failure(variables: t.Mapping[str, t.Any], stage: str, answer: Args, secret: bool = False) -> None:
    """Record that a task failed whose services say nothing of it."""
    if answer.get("failed"):
        note(variables, "failed", stage=stage, error=_shown(str(answer.get("msg") or ""), secret))


def note_plain_sites(variables: t.Mapping[str, t.Any], names: t.Sequence[str]) -> None:
    """Record the sites that visitors reach by plain HTTP only."""
    if names:
        note(variables, "plain", names=list(names))


def note_lost(variables: t.Mapping[str, t.Any], stage: str, error: str, accepted: bool = False) -> None:
    """Record that a host could not be reached any more; C(accepted) when the run continues without it as was asked."""
    note(variables, "lost", stage=stage, error=_shown(error, secret=False), accepted=accepted)


def followed(stage: str) -> t.Callable[[t.Callable[..., Args]], t.Callable[..., Args]]:
    """Decorate C(run) of an action plugin: notices of the run are sent also when the task fails."""

    def decorate(run: t.Callable[..., Args]) -> t.Callable[..., Args]:
        @functools.wraps(run)
        def wrapped(action: t.Any, tmp: str | None = None, task_vars: Args | None = None) -> Args:
            variables = task_vars or {}
            if not is_recorded(variables) or not variables.get(NOTICES) or context.CLIARGS.get("check"):
                return run(action, tmp, task_vars)
            _note_notices(action, variables)
            # All that is left of a task whose run was stopped, or whose process was killed.
            note(variables, "begun", stage=stage)
            try:
                answer = run(action, tmp, task_vars)
            except AnsibleError as exc:
                note(variables, "stopped", stage=stage, error=_shown(str(exc), bool(action._task.no_log)))
                raise
            if answer.get("failed"):
                error = _shown(str(answer.get("msg") or ""), bool(action._task.no_log))
                note(variables, "stopped", stage=stage, error=error)
            else:
                note(variables, "ended", stage=stage)
            return answer

        return wrapped

    return decorate


def _note_notices(action: t.Any, variables: Args) -> None:
    """Record who gets notices of what becomes of this host, in a file that only its owner can read."""
    # Loaded for those who want notices.
    from ..module_utils._input.values import InputError, to_plain
    from ._notice import read_notices

    try:
        notices = read_notices(to_plain(action._templar.template(variables[NOTICES])))
    except (AnsibleError, InputError):
        # The first task of site.yml and deploy.yml refuses it. A rollback is not refused for want of a notice.
        note(variables, "notices", notices=[], unreadable=True)
        return
    note(variables, "notices", notices=[{"url": one.url, "on": one.on, "apps": one.apps} for one in notices])


def notice_faults(variables: t.Mapping[str, t.Any], action: t.Any) -> list[str]:
    """Return what is wrong with who gets notices."""
    if not variables.get(NOTICES):
        return []
    from ..module_utils._input.values import InputError, to_plain
    from ._notice import read_notices

    try:
        read_notices(to_plain(action._templar.template(variables[NOTICES])))
    except InputError as exc:
        return [str(exc)]
    return []


def _shown(error: str, secret: bool) -> str:
    if not error.strip():
        return ""
    return _HIDDEN if secret else short_reason(error.strip())


def _command() -> str:
    """Return how the caller names the inventory and the hosts, for commands that the summary proposes."""
    arguments = context.CLIARGS
    words = ["ansible-playbook", *(word for name in arguments.get("inventory") or () for word in ("-i", name))]
    words += ["--limit", arguments["subset"]] if arguments.get("subset") else []
    return shlex.join(map(str, words))


def _show() -> None:
    """Show the summary, in the process of ansible-playbook itself."""
    if os.getpid() != _MAIN:
        return
    entries = read()
    if not entries:
        return
    text = "\n".join(render(entries, _command(), bool(context.CLIARGS.get("check"))))
    if text:
        say(f"SUMMARY {'*' * 71}\n{text}\n")
    if any(entry["kind"] == "notices" for entry in entries) and not context.CLIARGS.get("check"):
        # Loaded for those who want notices.
        from ._notify import notify

        for problem in notify(entries, time.monotonic() - _BEGIN):
            Display().warning(problem)


# Ansible loads a plugin before it makes a process for the task, and its own directory goes after this.
_MAIN = os.getpid()
_BEGIN = time.monotonic()
# Called last: Python would look for garbage in all that Ansible has loaded, for a tenth of a second of each run.
atexit.register(freeze_gc)
atexit.register(_show)
