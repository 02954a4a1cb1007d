# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy one new commit after the other under constant traffic. Runs inside the test host, as root.

Each is built and deployed by one module, as playbooks/deploy.yml does it. nginx is not reloaded, so kept
connections must not even be closed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time

from tools import traffic
from tools.faults.deploy import stage
from tools.faults.inject.injector import PROGRESS
from tools.faults.inject.module import Module

KINDS, PAUSE = (traffic.NEW, traffic.NEW, traffic.KEPT, traffic.KEPT, traffic.PAST), 0.004
_PAGE = re.compile(rb"v\d+ blue")
# With little room for old releases, each deploy removes one.
_KEEP = 3


def deploy(module: Module, number: int) -> str:
    """Release another commit; return what is wrong with that."""
    variant = stage.Variant(f"v{number}", more={"keep": _KEEP})
    app = variant.params(stage.commit(variant))
    ended = module.run({"apps": [app], "serve": True})
    if ended.failure:
        return f"deploy {number}: {ended.failure}"
    page = stage.read()
    return "" if page == variant.page else f"deploy {number}: visitors read {page!r} after it"


def main() -> int:
    """Deploy, and print the counts as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deploys", type=int)
    number = parser.parse_args().deploys
    stage.wipe()
    module = stage.builder()
    wrong = [deploy(module, 0)]
    started = time.monotonic()
    site = traffic.Site(stage.HOST, traffic.one_of(_PAGE.fullmatch), socket=stage.SOCKET, repeat=False)
    with traffic.Visitors(site, KINDS, PAUSE) as crowd:
        for turn in range(1, number + 1):
            wrong.append(deploy(module, turn))
            print(f"{PROGRESS}{turn} of {number} deploys", flush=True)
        requests = traffic.counts_of(crowd.end())
    result = {
        "deploys": number,
        "seconds": round(time.monotonic() - started, 1),
        "requests": requests,
        "releases": len(stage.finished_releases()),
        "wrong": [text for text in wrong if text],
        "lost": traffic.losses(requests),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
