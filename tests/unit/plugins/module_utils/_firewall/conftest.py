# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils._firewall.fake_firewall import fake

__all__ = ["fake"]
