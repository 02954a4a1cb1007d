# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.flaskops.stack.plugins.modules import nginx_site


def test_hashes_of_passwords_are_not_in_the_log_of_the_host() -> None:
    module: t.Any = object.__new__(nginx_site.Module)
    hashes = "alice:$6$a$b\nbob:$6$c$d\n"
    module.params = {"sites": [{"name": "shop", "passwords": hashes}]}
    module.no_log_values = {hashes}
    logged: list[str] = []
    module.log = logged.append
    module._log_invocation()
    assert logged == ["Invoked with {'sites': [{'name': 'shop', 'passwords': 'VALUE_SPECIFIED_IN_NO_LOG_PARAMETER'}]}"]
