# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send sources from the controller when the host lacks them, and keep secrets out of what Ansible shows."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import typing as t
from contextlib import nullcontext

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._app.source import SourceError
from ..module_utils._input.redact import mask_urls, masked, secret_part, without_passwords
from ..module_utils._input.result import join
from ..module_utils._input.values import InputError, settle_apps, to_plain
from ..plugin_utils._controller_path import controller_path
from ..plugin_utils._flask_source import Found, explain_packed, look, pack
from ..plugin_utils._host_code import execute, remote_directory
from ..plugin_utils._operator import operator, run_id
from ..plugin_utils._progress_watch import reader, watched
from ..plugin_utils._run_record import (
    ACCEPTED_FAILURES,
    followed,
    is_recorded,
    note_apps,
    note_failure,
    note_lost,
    note_services,
    note_unlisted,
    notice_faults,
    read_ahead,
    refuse_after_loss,
    serving_at_start,
)
from ..plugin_utils._task_process import LateErrors
from ..plugin_utils._unquoted import unquoted_faults
from ..plugin_utils._vaulted import vaulted_faults

Args = t.Dict[str, t.Any]


class ActionModule(LateErrors, Action):
    """Ask the host what it lacks, send that, and let it build."""

    @followed("build and deploy")
    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the module's result."""
        result: Args = super().run(tmp, task_vars)
        variables = task_vars or {}
        refuse_after_loss(self._rendered(variables))
        read_ahead(variables)
        if self.untemplated:
            raise self.untemplated[0]
        given = to_plain(self._task.args)
        faults = self._wrong_types(given, variables) or self._unquoted(variables) or self._vaulted(variables)
        if faults:
            return {"failed": True, "msg": faults}
        args = {**self._settled(given), **self._of_sites(given, variables), "expected": serving_at_start(variables)}
        faults = self._read_files(args, variables)
        if faults:
            return {"failed": True, "msg": faults}
        try:
            answer = self._build(args, task_vars)
        except AnsibleConnectionFailure as exc:
            note_lost(variables, "deploy", str(exc))
            raise
        if args.get("state", "present") == "present":
            self._note(args, answer, variables)
        result.update(self._with_earlier(args, answer, variables))
        for key in ("wanted", "faults", "unserved"):
            result.pop(key, None)
        return result

    def _wrong_types(self, args: Args, variables: Args) -> str:
        """Return what is wrong with the variables; site.yml has checked them in its first task."""
        if (
            not is_recorded(variables)
            or variables.get("__stack_looks")
            or (args.get("state") or "present") != "present"
        ):
            return ""
        from ..plugin_utils._input_check import check_variables, joined, load_schema, misnamed_variables

        schema = load_schema()
        for sentence in misnamed_variables(variables, schema):
            Display().warning(sentence)
        named = {f"flask_{key}": value for key, value in args.items()}
        named["nginx_site_defaults"] = args.get("site_defaults")
        faults = check_variables({key: value for key, value in named.items() if key in schema}, schema)
        return joined([*faults, *notice_faults(variables, self)])

    def _rendered(self, variables: Args) -> Args:
        """Return the variables with the accepted share of failures as Ansible itself reads it, where there is one."""
        shares = {name: variables[name] for name in ACCEPTED_FAILURES if variables.get(name)}
        return {**variables, **{name: self._templar.template(share) for name, share in shares.items()}}

    def _unquoted(self, variables: Args) -> str:
        """Return which texts are other ones because they have no quotes; site.yml has looked in its first task."""
        if variables.get("__stack_looks") or (self._task.args.get("state") or "present") != "present":
            return ""
        from ..plugin_utils._input_check import joined, load_schema

        schema = load_schema()
        named = {f"flask_{key}": value for key, value in self._task.args.items()}
        return joined(unquoted_faults({key: value for key, value in named.items() if key in schema}, schema))

    def _vaulted(self, variables: Args) -> str:
        """Return where an encrypted text would not be secret; plain arguments have no mark of the vault."""
        if (self._task.args.get("state") or "present") != "present":
            return ""
        return "\n".join(vaulted_faults("flask_apps", self._task.args.get("apps"), variables))

    def _settled(self, args: Args) -> Args:
        """Return the arguments with lists where lists are meant; the module would split a command at its commas.

        A variable that is null stands for one that is not set: the check of variables lets it pass.
        """
        given = {key: value for key, value in args.items() if value is not None}
        if "apps" not in args:
            return given
        try:
            return {**given, "apps": settle_apps(args["apps"])}
        except InputError as exc:
            raise AnsibleActionFail(str(exc)) from None

    def _read_files(self, args: Args, variables: Args) -> str:
        """Put the contents of files into the applications; return why some of them cannot be read."""
        apps = args.get("apps")
        if args.get("state", "present") != "present" or not any(app.get("files") for app in apps or []):
            return ""
        # Ansible compiles what it loads in each run, and many applications have no files.
        from ..plugin_utils._release_files import with_contents

        args["apps"], faults = with_contents(self, apps or [], variables)
        return "\n".join(faults)

    def _of_sites(self, args: Args, variables: Args) -> Args:
        """Return the defaults of sites where variables of role nginx have visitors come by HTTPS."""
        names = [name for name in ("nginx_acme", "nginx_acme_email") if name in variables]
        said: Args = {name: self._templar.template(variables[name]) for name in names}
        if not any(said.values()):
            return {}
        # Ansible compiles what it loads in each run.
        from ..module_utils._site.acme import read_acme, with_acme

        try:
            return {"site_defaults": with_acme(args.get("site_defaults") or {}, read_acme(said))}
        except InputError as exc:
            raise AnsibleActionFail(str(exc)) from None

    def _build(self, args: Args, task_vars: Args | None) -> Args:
        """Build, and hand over where that is asked for."""
        present = args.get("state", "present") == "present"
        found, faults = self._look(args, task_vars or {}) if present else ({}, {})
        answer = self._call(args, _described(found, {}, faults), task_vars)
        wanted = answer.get("wanted") or []
        if wanted and not answer.get("failed"):
            answer = self._send(args, found, {**faults, **answer.get("faults", {})}, wanted, task_vars)
        # Also when others could not be built.
        if answer.get("unserved"):
            answer = self._serve(args, answer, task_vars)
        return answer

    def _note(self, args: Args, answer: Args, variables: Args) -> None:
        """Record what became of the applications, and warn of secrets that differ between hosts."""
        apps = [app for app in args.get("apps") or [] if isinstance(app, dict)]
        secret = bool(self._task.no_log)
        note_apps(variables, apps, args, answer, secret)
        note_services(variables, answer, secret)
        note_unlisted(variables, answer)
        if not answer.get("services") and not answer.get("errors"):
            note_failure(variables, "build", answer, secret)
        # Ansible compiles what it loads in each run, and many runs have no secrets.
        if not any(app.get("secrets") for app in apps):
            return
        from ..plugin_utils._secret_watch import warn_of_unequal

        for warning in warn_of_unequal(apps, str(variables.get("inventory_hostname", ""))):
            Display().warning(warning)

    def _with_earlier(self, args: Args, answer: Args, variables: Args) -> Args:
        """Return the answer with a fact of all releases of this run; our playbooks build once and read no fact."""
        if is_recorded(variables):
            return answer
        # Ansible compiles what it loads in each run.
        from ..plugin_utils._built_fact import with_earlier

        names = [str(app.get("name")) for app in args.get("apps") or [] if isinstance(app, dict)]
        return with_earlier(str(variables.get("inventory_hostname", "")), names, answer)

    def _serve(self, args: Args, built: Args, task_vars: Args | None) -> Args:
        """Hand over with the plugin that sees to it that one host migrates for all."""
        task = self._task.copy()
        given = {key: args[key] for key in ("root", "lock_timeout", "overlap", "expected") if key in args}
        wait = args.get("serve_lock_timeout")
        given.update({"lock_timeout": wait} if wait is not None else {})
        task.args = {**given, "services": built.pop("unserved")}
        plugin = self._shared_loader_obj.action_loader.get(
            "flaskops.stack.gunicorn_service",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return join(built, plugin.run(task_vars=task_vars))

    def _look(self, args: Args, variables: Args) -> tuple[dict[str, Found], dict[str, str]]:
        """Return by application which sources are on the controller, and why some cannot be used.

        What is malformed is the module's to refuse.
        """
        apps = args.get("apps")
        found: dict[str, Found] = {}
        faults: dict[str, str] = {}
        for app in apps if isinstance(apps, list) else []:
            if not isinstance(app, dict) or not app.get("source"):
                continue
            try:
                here = look(app, lambda path: controller_path(self, path, variables))
            except (SourceError, OSError) as exc:
                faults[str(app.get("name"))] = mask_urls(str(exc))
                continue
            if here is not None:
                found[str(app.get("name"))] = here
        return found, faults

    def _call(self, args: Args, sent: dict[str, Args], task_vars: Args | None) -> Args:
        apps = args.get("apps")
        shown = {"by": operator(), "run": run_id(), **args, **masked(args), "sent": sent}
        if isinstance(args.get("site_defaults"), dict):
            shown["site_defaults"] = without_passwords(args["site_defaults"])
        if isinstance(apps, list):
            shown["apps"] = [_shown(app) if isinstance(app, dict) else app for app in apps]
            secret = [secret_part(app) if isinstance(app, dict) else {} for app in apps]
            text = json.dumps({"apps": secret, "defaults": secret_part(args)})
            shown["sealed"] = base64.b64encode(text.encode()).decode()
        read, host = reader(self), str((task_vars or {}).get("inventory_hostname", ""))
        names = [str(app.get("name")) for app in apps if isinstance(app, dict)] if isinstance(apps, list) else []
        with watched(read, host, names) if read and names else nullcontext():
            return execute(self, "flaskops.stack.flask_release", shown, task_vars)

    def _send(
        self, args: Args, found: dict[str, Found], faults: dict[str, str], wanted: list[str], task_vars: Args | None
    ) -> Args:
        """Send the wanted sources and run the module again; one that cannot be sent does not stop the others."""
        remote = remote_directory(self)
        payloads: dict[str, str] = {}
        warnings: dict[str, list[str]] = {}
        for name in wanted:
            try:
                payloads[name], warnings[name] = self._send_one(name, found[name], remote)
            except (SourceError, OSError) as exc:
                faults = {**faults, name: mask_urls(str(exc))}
        if payloads:
            self._fixup_perms2((remote, *payloads.values()))
        return self._call(args, _described(found, payloads, faults, warnings), task_vars)

    def _send_one(self, name: str, found: Found, remote: str) -> tuple[str, list[str]]:
        target = str(self._connection._shell.join_path(remote, f"{name}.source"))
        descriptor, temporary = tempfile.mkstemp(prefix="flaskops-", dir=constants.DEFAULT_LOCAL_TMP)
        os.close(descriptor)
        try:
            packed = pack(found, temporary)
            warnings = explain_packed(found, packed)
            self._transfer_file(packed, target)
        finally:
            os.unlink(temporary)
        return target, warnings


def _shown(app: Args) -> Args:
    """Return what the host is told of an application beside its secrets."""
    site = app.get("nginx")
    return {**app, **masked(app), **({"nginx": without_passwords(site)} if isinstance(site, dict) else {})}


def _described(
    found: dict[str, Found],
    payloads: dict[str, str],
    faults: dict[str, str],
    warnings: t.Mapping[str, list[str]] | None = None,
) -> dict[str, Args]:
    """Return by application what the module is told of its source."""
    known = {
        name: {
            "type": here.type,
            "revision": here.revision,
            "version": here.version,
            "description": here.description,
            "payload": payloads.get(name, ""),
            "warnings": (warnings or {}).get(name, []),
        }
        for name, here in found.items()
    }
    return {**known, **{name: {"error": fault} for name, fault in faults.items()}}
