# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what an exit code of systemd's own means. Private to flaskops.stack.

systemd ends a process with one of these when it fails to set it up, before the command runs (systemd.exec(5)).
"""

from __future__ import annotations

_SANDBOX = (
    "could not set up its sandbox; switch off in gunicorn.sandbox what this host cannot apply, such as "
    "{ProtectProc: default}, and look whether the paths of gunicorn.sandbox_paths exist"
)
_ACCOUNT = "could not become its user or group; look at user and group of the application, and whether they exist"
_OUTPUT = "could not open its input or output; look at drop-ins of the unit"
_DIRECTORY = "could not make one of its directories; look at drop-ins of the unit, and at the space on the disk"
_LIMIT = "could not set one of its limits; look at gunicorn.open_files, gunicorn.tasks_max and drop-ins of the unit"
_CODES = {
    200: ("CHDIR", "could not enter its working directory; look whether that exists and its user may enter it"),
    201: ("NICE", _LIMIT),
    203: (
        "EXEC",
        "could not execute its program; look whether that and its interpreter exist, and whether its user may run them",
    ),
    204: ("MEMORY", "had no memory for it; look at gunicorn.memory_max and at the memory of the host"),
    205: ("LIMITS", _LIMIT),
    206: ("OOM_ADJUST", _LIMIT),
    208: ("STDIN", _OUTPUT),
    209: ("STDOUT", _OUTPUT),
    210: ("CHROOT", _SANDBOX),
    211: ("IOPRIO", _LIMIT),
    213: ("SECUREBITS", _SANDBOX),
    214: ("SETSCHEDULER", _LIMIT),
    215: ("CPUAFFINITY", _LIMIT),
    216: ("GROUP", _ACCOUNT),
    217: ("USER", _ACCOUNT),
    218: ("CAPABILITIES", _SANDBOX),
    219: ("CGROUP", _LIMIT),
    222: ("STDERR", _OUTPUT),
    224: ("PAM", _ACCOUNT),
    225: ("NETWORK", _SANDBOX),
    226: ("NAMESPACE", _SANDBOX),
    227: ("NO_NEW_PRIVILEGES", _SANDBOX),
    228: ("SECCOMP", _SANDBOX),
    229: ("SELINUX_CONTEXT", _SANDBOX),
    230: ("PERSONALITY", _SANDBOX),
    231: ("APPARMOR_PROFILE", _SANDBOX),
    232: ("ADDRESS_FAMILIES", _SANDBOX),
    233: ("RUNTIME_DIRECTORY", _DIRECTORY),
    235: ("CHOWN", _OUTPUT),
    236: ("SMACK_PROCESS_LABEL", _SANDBOX),
    237: ("KEYRING", _SANDBOX),
    238: ("STATE_DIRECTORY", _DIRECTORY),
    239: ("CACHE_DIRECTORY", _DIRECTORY),
    240: ("LOGS_DIRECTORY", _DIRECTORY),
    241: ("CONFIGURATION_DIRECTORY", _DIRECTORY),
    242: ("NUMA_POLICY", _LIMIT),
    243: ("CREDENTIALS", _SANDBOX),
    245: ("BPF", _SANDBOX),
}


def explain_exit(code: object) -> str:
    """Return an exit code, with what it means where it is one of systemd's own."""
    text = str(code)
    name, meaning = _CODES.get(int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0, ("", ""))
    return f"{text} ({name}: systemd {meaning})" if name else text
