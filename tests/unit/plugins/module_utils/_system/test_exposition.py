# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics are written so that Prometheus can read them, with any text in a label."""

from __future__ import annotations

from ansible_collections.flaskops.stack.plugins.module_utils._system.exposition import Family, render


def test_a_metric_has_its_type_and_a_line_for_each_value() -> None:
    family = Family("requests_total", "counter", "Requests.")
    family.add(3, code="200")
    family.add(1795904190.0, code="404")
    family.add(0.25)
    assert render([family, Family("unused", "gauge", "None.")]) == (
        "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
        'requests_total{code="200"} 3\nrequests_total{code="404"} 1795904190\nrequests_total 0.25\n'
    )


def test_a_label_may_hold_anything() -> None:
    family = Family("info", "gauge", "Info.")
    family.add(1, version='a"b\\c\nd}\udce9 é')
    assert render([family]).splitlines()[-1] == 'info{version="a\\"b\\\\c\\nd}? é"} 1'
