# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fact with the releases of a host. Private to flaskops.stack.

Role flask may be used more than once in a run, such as in a loop over applications, and what deploys comes after that.
A fact of Ansible may also come from a cache, with releases that are pruned by now, so what counts is what this run has
built.
"""

from __future__ import annotations

import typing as t

from ansible import constants

from ._run_once import RunOnceLock

Args = t.Dict[str, t.Any]

_FACT = "flask_releases"


def with_earlier(host: str, names: t.Collection[str], answer: Args) -> Args:
    """Return the module's answer with a fact that has the releases of earlier tasks of this run on this host, too.

    C(names) are the applications of this task: what an earlier one has built of them does not count any more.
    """
    if "releases" not in answer:
        return answer
    with RunOnceLock(constants.DEFAULT_LOCAL_TMP, f"releases built on {host}") as turn:
        before = turn.outcomes.get(_FACT, {}).get("rows", [])
        releases = [row for row in before if row["name"] not in names] + answer["releases"]
        turn.finish(_FACT, {"rows": releases})
    if not before and _FACT not in answer.get("ansible_facts", {}):
        return answer
    return {**answer, "ansible_facts": {**answer.get("ansible_facts", {}), _FACT: releases}}
