# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is given to reach private packages. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._service.environment import render_environment
from .source import SourceError

# The build's own: where it may write, and what runs it.
_OWNED = re.compile(
    r"HOME|TMPDIR|UV_CACHE_DIR|UV_LINK_MODE|UV_PROJECT_ENVIRONMENT|PIP_CACHE_DIR|VIRTUAL_ENV|PYTHONHOME|PYTHONEXECUTABLE"
    r"|LD_.*|GCONV_PATH|LOCPATH|GLIBC_TUNABLES"
)


def check_build_variables(environment: t.Mapping[str, str], secrets: t.Mapping[str, str]) -> None:
    """Raise SourceError for variables that a build cannot have; errors name variables only."""
    for key, values in (("build_environment", environment), ("build_secrets", secrets)):
        owned = next((name for name in sorted(values) if _OWNED.fullmatch(name)), "")
        if owned or (key == "build_secrets" and "PATH" in values):
            raise SourceError(f"{key} must not set '{owned or 'PATH'}', which the build itself sets: leave it out")
    both = sorted(set(environment) & set(secrets))
    if both:
        raise SourceError(f"'{both[0]}' is in build_environment and in build_secrets: keep one of them")
    render_environment({**environment, **secrets})


def build_variables(
    environment: t.Mapping[str, str], secrets: t.Mapping[str, str], cache: str, has_key: bool, known_hosts: str
) -> dict[str, str]:
    """Return what the user gives a build, and what lets git use the deploy key where the build may."""
    values = {**environment, **secrets}
    if has_key and "GIT_SSH_COMMAND" not in values:
        checking = "yes" if known_hosts.strip() else "accept-new"
        options = [
            "BatchMode=yes",
            "ConnectTimeout=20",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={cache}/known_hosts",
        ]
        words = [word for option in [*options, f"StrictHostKeyChecking={checking}"] for word in ("-o", option)]
        values["GIT_SSH_COMMAND"] = " ".join(["ssh", "-i", f"{cache}/deploy_key", *words])
    return values
