# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse variables with faults before anything reads them, and install what the module of this name finds missing."""

from __future__ import annotations

import typing as t

from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._app.application import AppError, needed_packages
from ..module_utils._app.derive import DeriveError, derive_sites
from ..module_utils._input.values import InputError, read_flag, settle_apps, site_entries, to_plain
from ..module_utils._site.acme import Acme, certificate_packages, check_sites, plain_sites, read_acme, with_acme
from ..module_utils._site.model import Site
from ..module_utils._site.parse import parse_sites, status_port_fault
from ..plugin_utils._host_code import execute
from ..plugin_utils._input_check import check_variables, joined, load_schema
from ..plugin_utils._run_record import followed, is_recorded, note_failure, note_plain_sites, notice_faults
from ..plugin_utils._task_process import LateErrors, freeze_gc, load_filters

Result = t.Dict[str, t.Any]
Item = t.Mapping[str, t.Any]

# Package lists that are younger than this many seconds are good enough.
_LISTS_VALID = 3600

# All roles begin with this plugin.
load_filters()


class ActionModule(LateErrors, Action):
    """Check the variables, run the module, and the package manager when there is something to install.

    In a playbook of ours, which starts with it, the variables are those of all roles, and the packages that its
    applications need are added to those that it is given. A role alone has had its variables checked by Ansible.
    """

    _supports_check_mode = True
    _requires_connection = True

    @followed("preflight")
    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return what the module has found, with the versions that are installed in the end."""
        freeze_gc()
        super().run(tmp, task_vars)
        variables = task_vars or {}
        more, faults = self._checked(variables) if is_recorded(variables) else ({}, self._refusals())
        if faults:
            return {"failed": True, "msg": joined(faults)}
        found = self._preflight(more, task_vars)
        note_failure(task_vars or {}, "preflight", found)
        # Without O(install), and in check mode, the module's own word is the last one.
        if found.get("failed") or not found["changed"] or self._task.check_mode:
            return found
        installed = self._install(found["missing_packages"], task_vars)
        if installed.get("failed"):
            note_failure(task_vars or {}, "installation of packages", installed)
            missing = ", ".join(found["missing_packages"])
            return {**installed, "msg": f"Cannot install {missing}: {installed.get('msg', '')}"}
        again = self._preflight(more, task_vars)
        note_failure(task_vars or {}, "preflight", again)
        return {**again, "changed": True, "missing_packages": found["missing_packages"]}

    def _checked(self, variables: Result) -> tuple[Result, list[str]]:
        """Return what the host is to be asked for more, such as packages for builds, or all faults of the variables."""
        schema = load_schema()
        values = {name: to_plain(self._templar.template(variables[name])) for name in schema if name in variables}
        faults = [*check_variables(values, schema), *notice_faults(variables, self)] or self._refusals()
        if faults:
            return {}, faults
        root, defaults = values.get("flask_root") or "/srv", values.get("nginx_site_defaults") or {}
        try:
            acme = read_acme(values)
        except InputError as exc:
            return {}, [str(exc)]
        defaults = with_acme(defaults, acme)
        try:
            apps = settle_apps(values.get("flask_apps"))
            if any(app.get("files") for app in apps):
                # Whoever looks for all faults gets these as well.
                apps = values["flask_apps"] = self._with_files(apps, variables, faults)
                if faults:
                    return {}, faults
            packages = needed_packages(apps, values.get("flask_packages"), root)
            derived = derive_sites(apps, root, None, defaults)
            items = [*site_entries(values.get("nginx_sites"), "nginx_sites"), *derived]
            sites = parse_sites(items, defaults)
            check_sites(sites, acme)
        except (AppError, DeriveError, InputError):
            # Loaded for errors only.
            from ..plugin_utils._input_rules import check_rules

            found = check_rules(values.get("flask_apps"), values.get("nginx_sites"), defaults, root, acme)
            if not found:
                raise
            return {}, found
        note_plain_sites(variables, plain_sites(sites, items, defaults))
        if values.get("nginx_metrics") == "textfile":
            self._warn_uncounted(sites)
        firewall, faults = _firewall_wanted(values, items, defaults, acme)
        more = {**_sites_need(values, sites, acme, packages), "firewall": firewall}
        fault = status_port_fault(values.get("nginx_status_port"), sites)
        return {key: value for key, value in more.items() if value}, ([fault] if fault else []) + faults

    def _warn_uncounted(self, sites: t.Iterable[Site]) -> None:
        """Say which sites have requests that metrics cannot count."""
        names = [
            site.name
            for site in sites
            if site.state == "enabled" and site.access_log == "combined" and not (site.content or site.template)
        ]
        if names:
            self._display.warning(
                f"nginx_metrics: requests to {', '.join(names)} are not counted, because access_log is combined: set "
                "it to json in nginx_site_defaults or in the site, or to off where nothing is to be counted"
            )

    def _with_files(self, apps: list[Result], variables: Result, faults: list[str]) -> list[Result]:
        """Return the applications with the contents of their files; C(faults) gets why some cannot be read."""
        # Most applications have no files: nothing more to load.
        from ..plugin_utils._release_files import with_contents

        read, unread = with_contents(self, apps, variables)
        faults += unread
        return read

    def _refusals(self) -> list[str]:
        """Return what filters of ours refused in an argument; raise the error of one that is wrong in another way."""
        if not self.untemplated:
            return []
        # Loaded for errors only.
        from ..plugin_utils._input_rules import own_sentence

        said = [own_sentence(error) for error in self.untemplated]
        if not all(said):
            raise self.untemplated[said.index("")]
        return said

    def _preflight(self, more: Result, task_vars: Result | None) -> Result:
        given = self._task.args
        packages = [*(given.get("packages") or []), *more.get("packages", [])]
        args = {**given, **more, **({"packages": packages} if packages else {})}
        return execute(self, "flaskops.stack.preflight", dict(args), task_vars)

    def _install(self, packages: list[str], task_vars: Result | None) -> Result:
        arguments = {
            "name": packages,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": _LISTS_VALID,
        }
        return t.cast(Result, self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars))


def _sites_need(values: Result, sites: t.Sequence[Site], acme: Acme, packages: list[str]) -> Result:
    """Return the packages, with those of certificates, and what the host is asked of certificates."""
    places = values.get("nginx_directory_enabled"), values.get("nginx_suffix")
    more = certificate_packages(sites) if values.get("nginx_packages") != [] else []
    return {"packages": packages + more, "certificates": acme.on_host(sites, *places)}


def _firewall_wanted(values: Result, items: t.Sequence[Item], defaults: Item, acme: Acme) -> tuple[Result, list[str]]:
    """Return the arguments that the task of the firewall will have, and what is wrong with its variables."""
    backend = values.get("nginx_firewall")
    allow, close = values.get("nginx_firewall_allow"), values.get("nginx_firewall_close")
    faults = _firewall_faults(allow, close) if allow or close else []
    if faults or backend in (None, "", "none"):
        return {}, faults
    # Loaded for hosts with a firewall.
    from ..module_utils._site.listen import listen_ports
    from ..module_utils._site.render import site_configs

    try:
        configs = site_configs(items, defaults, "", read_flag(values.get("nginx_catch_all")) is not False, acme=acme)
    except InputError as exc:
        return {}, [str(exc)]
    return {"backend": backend, "ports": listen_ports(configs), "allow": allow or [], "close": close or []}, []


def _firewall_faults(allow: object, close: object) -> list[str]:
    # Most hosts have no exceptions: no file more to load.
    from ..module_utils._firewall.openings import firewall_faults

    return firewall_faults(allow, close)
