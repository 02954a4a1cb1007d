# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which modules for compressed files nginx loads on this host. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .files import read_file

_MAIN = "/etc/nginx/nginx.conf"
# Debian has a file here for each module that is installed; nginx's own packages have lines in the main file.
_ENABLED = "/etc/nginx/modules-enabled"
_LOAD = re.compile(r"^[ \t]*load_module\s+[^;#]*ngx_http_(brotli|zstd)_static_module\.so", re.MULTILINE)


def static_modules(main: str = _MAIN, enabled: str = _ENABLED) -> list[str]:
    """Return the directives, such as C(brotli_static), that nginx knows because it loads the module with them."""
    texts = [_text(main)]
    if enabled in texts[0] and os.path.isdir(enabled):
        texts += [_text(os.path.join(enabled, name)) for name in sorted(os.listdir(enabled)) if name.endswith(".conf")]
    return parse_modules("\n".join(texts))


def parse_modules(text: str) -> list[str]:
    """Return the directives of the modules that lines of a configuration load."""
    return sorted({f"{name}_static" for name in t.cast("list[str]", _LOAD.findall(text))})


def _text(path: str) -> str:
    try:
        return (read_file(path) or b"").decode("utf-8", "replace")
    except OSError:
        return ""
