# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find files of the user on the controller, and render templates as Ansible does. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.template import trust_as_template

from ._controller_path import controller_path, why_no_file

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

Variables = t.Dict[str, t.Any]

# "'name' is undefined" and "object of type 'dict' has no attribute 'name'".
_MISSING = re.compile(r"'([\w.]+)' is undefined|has no (?:attribute|element) '?([\w.]+)'?")


def find(action: ActionBase, directory: str, name: str, variables: Variables) -> str:
    """Return the path of a file, where Ansible looks for those of C(directory) or else beside the inventory.

    Raise AnsibleError when there is none, or no regular file: Ansible would wait for what a FIFO is given.
    """
    path = _find(action, directory, name, variables)
    fault = why_no_file(path)
    if fault:
        raise AnsibleActionFail(fault)
    return path


def _find(action: ActionBase, directory: str, name: str, variables: Variables) -> str:
    try:
        return str(action._find_needle(directory, name))
    except AnsibleError:
        for place in (os.path.join(directory, name), name):
            path = controller_path(action, place, variables)
            if os.path.isfile(path):
                return path
        raise


def read_template(action: ActionBase, template: str, variables: Variables) -> tuple[str, t.Any]:
    """Return the path and the text of a template."""
    try:
        source = find(action, "templates", template, variables)
        return source, trust_as_template(action._loader.get_text_file_contents(source))
    except AnsibleError as exc:
        raise AnsibleActionFail(f"template '{template}' cannot be read: {exc}") from exc


def render(action: ActionBase, template: str, source: str, text: t.Any, variables: Variables) -> str:
    """Return the text of a template, rendered as ansible.builtin.template does it."""
    roots = [*variables.get("ansible_search_path", []), action._loader.get_basedir(), os.path.dirname(source)]
    search = [path for root in roots for path in (os.path.join(root, "templates"), root)]
    templar = action._templar.copy_with_new_env(
        searchpath=search,
        available_variables={
            "ansible_managed": "Ansible managed",
            **variables,
            "template_host": os.uname().nodename,
            "template_path": template,
            "template_fullpath": source,
        },
    )
    rendered = templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
    return "" if rendered is None else str(rendered)


def explain_template(source: str, text: str, error: BaseException) -> str:
    """Return why a template cannot be rendered, with the line as far as that can be known."""
    # Sentences of Ansible have a second part that repeats the cause.
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    found = _MISSING.search(reason)
    line = _line_of(found[1] or found[2], text) if found else _line_of_syntax(error)
    place = f"{source}, line {line}" if line else source
    advice = ": set it for this host, or give it a default in the template" if found else ""
    return f"template {place}: {reason}{advice}"


def _line_of(name: str, text: str) -> int:
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    named = [(number, line) for number, line in enumerate(text.splitlines(), 1) if word.search(line)]
    # A tag may have several lines.
    in_tags = [number for number, line in named if "{{" in line or "{%" in line]
    return next(iter([*in_tags, *(number for number, _line in named)]), 0)


def _line_of_syntax(error: BaseException | None) -> int:
    while error is not None:
        line = getattr(error, "lineno", None)
        if isinstance(line, int):
            return line
        error = error.__cause__
    return 0
