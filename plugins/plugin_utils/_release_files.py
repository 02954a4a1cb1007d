# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of an application's configuration on the controller. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import is_encrypted

from ..module_utils._app.files import LARGEST, SOURCES
from ..module_utils._input.placeholders import literal
from ..module_utils._input.redact import holds, mask
from ._controller_files import explain_template, find, read_template, render
from ._vaulted import encrypted_in

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

Args = t.Dict[str, t.Any]


def with_contents(action: ActionBase, apps: t.Sequence[Args], variables: Args) -> tuple[list[Args], list[str]]:
    """Return the applications with the contents of their files in place of templates, and why some cannot be read.

    What is malformed is left to those who check it.
    """
    faults: list[str] = []
    return [_of_app(action, app, variables, faults) if app.get("files") else app for app in apps], faults


def _of_app(action: ActionBase, app: Args, variables: Args, faults: list[str]) -> Args:
    secrets = app.get("secrets")
    hidden = [str(value) for value in secrets.values()] if isinstance(secrets, t.Mapping) else []
    files: list[t.Any] = []
    for file in app["files"]:
        try:
            files.append(_with_content(action, file, variables))
        except (AnsibleError, OSError) as exc:
            place = file.get("path")
            faults.append(f"app '{app.get('name')}': files '{place}': {mask(str(exc), hidden, shortest=3)}")
    return {**app, "files": files}


def _with_content(action: ActionBase, file: t.Any, variables: Args) -> t.Any:
    if not isinstance(file, t.Mapping) or len([key for key in SOURCES if file.get(key) is not None]) != 1:
        return file
    if file.get("content") is not None:
        return file
    is_secret = bool(file.get("secret"))
    kept = {key: value for key, value in file.items() if key not in SOURCES}
    if file.get("src") is not None:
        # It is copied as it is.
        return {**kept, "content": literal(_read(action, str(file["src"]), is_secret, variables))}
    template = str(file["template"])
    source, text = read_template(action, template, variables)
    with open(source, "rb") as stream:
        if is_encrypted(stream.readline()):
            _refuse_open(f"template '{template}'", is_secret)
    try:
        rendered = render(action, template, source, text, variables)
    except Exception as exc:
        # A filter or lookup of another collection may raise anything.
        raise AnsibleActionFail(explain_template(source, str(text), exc)) from exc
    if not is_secret:
        used = next((name for name, value in encrypted_in(str(text), variables) if holds(rendered, value)), "")
        if used:
            _refuse_open(f"template '{template}' has a text of variable '{used}' in it that", is_secret)
    return {**kept, "content": rendered}


def _read(action: ActionBase, src: str, is_secret: bool, variables: Args) -> str:
    try:
        path = find(action, "files", src, variables)
        # What Ansible Vault has encrypted is decrypted to another file.
        readable = str(action._loader.get_real_file(path))
    except (AnsibleError, OSError) as exc:
        raise AnsibleActionFail(f"src '{src}' cannot be read: {exc}") from exc
    try:
        if readable != path:
            _refuse_open(f"src '{src}'", is_secret)
        with open(readable, "rb") as stream:
            # The check of the files refuses one that is too large.
            return stream.read(LARGEST + 1).decode("utf-8", "surrogateescape")
    finally:
        action._loader.cleanup_tmp_file(readable)


def _refuse_open(what: str, is_secret: bool) -> None:
    """Raise for what Ansible Vault has encrypted and every user of the host could read."""
    if not is_secret:
        raise AnsibleActionFail(f"{what} is encrypted, and the file is not secret: set secret: true")
