# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules whose code stays on the host. Private to flaskops.stack."""

from __future__ import annotations


class ModuleDocFragment:
    """What module_utils/_host_code.py calls CODE_SPEC."""

    DOCUMENTATION = r"""
options:
  code:
    description: Set by the action plugin; the version of the code that does the work, which stays on the host.
    type: str
    default: ""
  code_archive:
    description: Set by the action plugin; that code, when the host did not have it.
    type: path
    default: ""
"""
