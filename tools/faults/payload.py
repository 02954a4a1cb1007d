# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs inside a test host, without the seconds that a playbook takes: modules, and what injects faults in them."""

from __future__ import annotations

import io
import json
import tarfile
import typing as t
from pathlib import Path

import ansible

from tools.common import ROOT
from tools.lab.host import Host, Output

PAYLOAD = "/opt/flaskops-test"
# Python in the host, which finds all of it.
PYTHON = ("env", f"PYTHONPATH={PAYLOAD}", "python3")
_STACK = "ansible_collections/flaskops/stack/plugins"
# By the same names as here.
_TOOLS = ("tools/__init__.py", "tools/traffic.py", "tools/faults")


def install(host: Host) -> None:
    """Put the modules, the part of Ansible that they need, and the package of the faults into a host."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for part in ("modules", "module_utils"):
            archive.add(ROOT / "plugins" / part, f"{_STACK}/{part}", filter=_source)
        archive.add(Path(ansible.__file__).parent / "module_utils", "ansible/module_utils", filter=_source)
        archive.addfile(tarfile.TarInfo("ansible/__init__.py"))
        for part in _TOOLS:
            archive.add(ROOT / part, part, filter=_source)
    host.unpack(buffer.getvalue(), PAYLOAD)


def _source(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in item.name else item


def arguments(check: bool, diff: bool, params: dict[str, t.Any]) -> str:
    """Return a module's standard input."""
    return json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, "_ansible_diff": diff, **params}})


def result_of(output: Output) -> dict[str, t.Any]:
    """Return the result that a module has printed."""
    try:
        result: dict[str, t.Any] = json.loads(output.out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"failed": True, "msg": f"no result, exit code {output.rc}: {output.err[-3000:]}", "rc": output.rc}
    return result
