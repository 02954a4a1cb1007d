# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the templates of nginx_site on the controller."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..plugin_utils._host_code import execute
from ..plugin_utils._run_record import followed, note_failure

Args = t.Dict[str, t.Any]


def joined(published: Args, obtained: Args) -> Args:
    """Return one result of module nginx_site and of nginx_certificate, which came after it."""
    news = {each["name"]: each for each in obtained.get("certificates") or []}
    found = [{**each, **news.get(each["name"], {})} for each in published.get("certificates") or []]
    own: Args = {key: obtained[key] for key in ("failed", "msg", "exception", "module_stderr") if key in obtained}
    return {
        **published,
        **own,
        "changed": bool(published.get("changed") or obtained.get("changed")),
        "in_place": bool(published.get("in_place") and not obtained.get("changed")),
        "certificates": found,
        "warnings": [*(published.get("warnings") or []), *(obtained.get("warnings") or [])],
        "diff": [*(published.get("diff") or []), *(obtained.get("diff") or [])],
    }


def _take_later(sites: t.Iterable[Args]) -> dict[str, str]:
    """Take from sites the configuration that they get when their certificates have come; the module knows none."""
    waiting = [site for site in sites if isinstance(site, dict) and "when_issued" in site]
    return {site["name"]: site.pop("when_issued") for site in waiting}


def _is_whole(certificate: Args) -> bool:
    """Tell whether a CA has issued a certificate for all names of its site; one is also kept where the CA refuses."""
    state = certificate.get("state")
    return state == "issued" or (state == "kept" and not certificate.get("error"))


class ActionModule(Action):
    """Put the rendered text of each C(template) into C(content), then run the module."""

    @followed("nginx")
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        args = self._task.args
        rendered = self._rendered(args, variables)
        wanted = rendered.pop("acme", None)
        later: dict[str, str] = {}
        for key in ("sites", "files"):
            items = args.get(key)
            if isinstance(items, list):
                rendered[key] = [self._rendered(item, variables) if isinstance(item, dict) else item for item in items]
        if isinstance(rendered.get("sites"), list):
            later = _take_later(rendered["sites"])
        result.update(execute(self, "flaskops.stack.nginx_site", rendered, variables))
        note_failure(variables, "nginx", result, bool(self._task.no_log))
        if wanted and not result.get("failed"):
            places: Args = {key: rendered[key] for key in ("directory_enabled", "suffix") if key in rendered}
            obtained = execute(self, "flaskops.stack.nginx_certificate", {**wanted, **places}, variables)
            note_failure(variables, "certificates", obtained, bool(self._task.no_log))
            result = joined(result, obtained)
            if later:
                # Only nginx_certificate knows whether a certificate is for all names of its site and still valid.
                whole = {each["name"] for each in obtained.get("certificates") or [] if _is_whole(each)}
                result = self._publish_issued(result, later, whole, rendered, variables)
        return result

    def _publish_issued(
        self, result: Args, later: t.Mapping[str, str], whole: t.Container[str], args: Args, variables: Args
    ) -> Args:
        """Publish the sites again whose certificates have come; the others stay with plain HTTP, as the error says."""
        issued = [name for name in later if name in whole]
        waiting = [name for name in later if name not in issued]
        if result.get("failed") and waiting:
            result["msg"] = f"{result.get('msg', '')}\nPlain HTTP goes on serving {', '.join(waiting)} until then."
        if self._task.check_mode or not issued:
            return result
        sites = [{**site, "content": later[site["name"]]} if site["name"] in issued else site for site in args["sites"]]
        again = execute(self, "flaskops.stack.nginx_site", {**args, "sites": sites}, variables)
        note_failure(variables, "nginx", again, bool(self._task.no_log))
        failures = [str(each.get("msg", "")) for each in (result, again) if each.get("failed")]
        known = {key: again.get(key) for key in ("changed", "warnings", "diff")}
        return joined(result, {**known, **({"failed": True, "msg": "\n".join(failures)} if failures else {})})

    def _rendered(self, item: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the item with its template's text as content."""
        changed = dict(item)
        template = item.get("template")
        if template:
            if item.get("content") is not None or item.get("src") is not None:
                raise AnsibleActionFail(f"template '{template}' excludes content and src: give one of them")
            # Ansible compiles what it loads in each run, and most sites have no template.
            from ..plugin_utils._controller_files import read_template, render

            source, text = read_template(self, str(template), variables)
            changed["content"] = render(self, str(template), source, text, variables)
        return changed
