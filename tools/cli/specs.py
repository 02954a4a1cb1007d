# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what tools/specs/schema/ says of options to all files that show or read it; --check only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.common import ROOT
from tools.specs.model import SchemaError, load
from tools.specs.write import written_files


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write all files, or name those that differ from what would be written."""
    try:
        files = written_files(load(root / "tools/specs/schema"), root)
    except SchemaError as exc:
        print(exc, file=sys.stderr)
        return 1
    differing = {path: text for path, text in files.items() if _read(path) != text}
    for path, text in differing.items():
        if "--check" in arguments:
            print(f"{path.relative_to(root)} differs from the schema: run `make specs`", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if "--check" in arguments and differing else 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
