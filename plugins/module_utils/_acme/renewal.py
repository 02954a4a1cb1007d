# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets certbot's own renewals reach nginx: our hook, its code, and a drop-in for certbot.service. Private.

certbot ends with success when a hook has failed, so that a certificate that nginx refuses would not be noticed. And
code that runs of Ansible keep may be removed by later ones; so the hook has a copy of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile

from .._system.files import read_file, replace_link, write_file
from .._system.host import Host
from .._system.systemd import is_running
from .lineage import Places

_PACKAGE = "flaskops_code"
_SCRIPT = """#!{python} -I
# Made by flaskops.stack. certbot runs it after each renewal, and systemd after each run of certbot.service.
import sys

sys.path.insert(0, "{code}")
from {package}._entrypoints.certificate_renewed import main

sys.exit(main(sys.argv[1:]))
"""
_DROP_IN = """# Made by flaskops.stack.
[Service]
{environment}ExecStopPost={hook} --after
"""


# The distribution's own, without the number of the one that runs this: an upgrade takes that away.
_PYTHON = "/usr/bin/python3"
_TIMER = "timers.target.wants/certbot.timer"


def interpreter(running: str) -> str:
    """Return the interpreter for the hook, by the one that runs this."""
    return _PYTHON if running.startswith(_PYTHON) or not running else running


def unattended(places: Places) -> list[str]:
    """Return a warning where certificates are not renewed."""
    if not is_running() or os.path.lexists(os.path.join(places.units, _TIMER)):
        return []
    return ["certbot.timer is not enabled, so the certificates are not renewed: 'systemctl enable --now certbot.timer'"]


def install(host: Host, places: Places, bundle: str) -> bool:
    """Put hook and drop-in in place, and return whether something changed."""
    code = os.path.join(places.renewal, "code")
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    changed = _keep_code(source, places.renewal, code)
    script = _SCRIPT.format(python=interpreter(sys.executable), code=code, package=_PACKAGE).encode()
    changed = _write(places.hook, script, 0o755) or changed
    environment = f"Environment=REQUESTS_CA_BUNDLE={bundle}\n" if bundle else ""
    drop_in = _DROP_IN.format(environment=environment, hook=places.hook).encode()
    if is_running() and _write(os.path.join(places.units, "certbot.service.d", "flaskops.conf"), drop_in, 0o644):
        host.systemd.daemon_reload()
        changed = True
    return changed


def _write(path: str, content: bytes, mode: int) -> bool:
    if read_file(path) == content:
        return False
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_file(path, content, mode)
    return True


def _keep_code(source: str, renewal: str, code: str) -> bool:
    """Let a link lead to a copy of this code; return whether it did not before."""
    version = os.path.basename(os.path.dirname(source)) if os.path.isdir(source) else "archive"
    target = os.path.join(renewal, version)
    if version != "archive" and os.path.realpath(code) == target and os.path.isdir(target):
        return False
    os.makedirs(renewal, mode=0o755, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".flaskops-", dir=renewal)
    package = os.path.join(temporary, _PACKAGE)
    if os.path.isdir(source):
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        # The host could not keep the code: it runs from the archive that the controller has sent.
        with zipfile.ZipFile(source[: source.index(".zip") + 4]) as archive:
            archive.extractall(temporary)
    os.chmod(temporary, 0o755)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(temporary, target)
    replace_link(version, code)
    for base in os.listdir(renewal):
        path = os.path.join(renewal, base)
        if os.path.isdir(path) and not os.path.islink(path) and base != version:
            shutil.rmtree(path)
    return True
