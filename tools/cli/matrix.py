# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the nginx of each distribution accept every combination of TLS, HTTP versions, static files, cache and proxies.

The sites are those of tools/matrix/combinations.py, rendered as role nginx does it for the version of the host, and
tested by `nginx -t`. A warning of nginx counts as a refusal.
"""

from __future__ import annotations

import argparse
import json
import os
import time

from tools.common import ROOT, ToolError, call, say
from tools.faults import payload
from tools.lab import engine, images
from tools.lab.host import Host

# nginx 1.18, 1.22, 1.26 and the newest.
DISTRIBUTIONS = ("bullseye", "bookworm", "trixie", "forky")

# As in nginx.conf of the role; nginx warns of many variables otherwise, and goes on.
HASHES = (
    "variables_hash_bucket_size 128; variables_hash_max_size 4096; "
    "server_names_hash_max_size 4096; server_names_hash_bucket_size 128;"
)


def test_on(distribution: str, every: int) -> list[str]:
    """Return what nginx of a distribution refused, and print how much it was asked."""
    host = Host.of_checkout(f"matrix-{distribution}")
    host.remove()
    host.create(images.image_of(distribution), systemd=False)
    started = time.monotonic()
    try:
        # Nothing is to listen on the ports of the sites.
        host.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        host.script("chmod 755 /usr/sbin/policy-rc.d")
        host.install("nginx openssl")
        host.script(f"sed -i 's/^http {{/& {HASHES}/' /etc/nginx/nginx.conf")
        host.write("/etc/nginx/conf.d/flaskops.conf", (ROOT / "roles/nginx/files/flaskops.conf").read_text("utf-8"))
        payload.install(host)
        host.run("mkdir", "-p", f"{payload.PAYLOAD}/tools/matrix")
        host.copy(ROOT / "tools" / "matrix", f"{payload.PAYLOAD}/tools/matrix")
        words = (*payload.PYTHON, "-m", "tools.matrix.inside", "--every", str(every))
        found = json.loads(host.run(*words, timeout=900).out)
    finally:
        host.remove()
    said = f"{found['sites']} sites, {len(found['refused'])} refused, {time.monotonic() - started:.0f} s"
    print(f"{distribution}: nginx {found['version']}: {said}", flush=True)
    return [f"{distribution} {title}:\n{text}" for title, text in found["refused"].items()]


def main() -> int:
    """Test on each distribution, and end with what was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distributions", default=" ".join(DISTRIBUTIONS), help=f"of {', '.join(images.names())}")
    parser.add_argument("--every", type=int, default=1, help="take each n-th group of sites only")
    given = parser.parse_args()
    wanted = given.distributions.replace(",", " ").split()
    if unknown := sorted(set(wanted) - set(images.names())):
        raise ToolError(f"distribution {unknown[0]!r} must be one of {', '.join(images.names())}")
    engine.ensure()
    say("images")
    images.provide(wanted, os.environ.get("FLASKOPS_HOSTS", ""))
    refused = [text for distribution in wanted for text in test_on(distribution, given.every)]
    print("\n".join(f"REFUSED {text}" for text in refused) or "matrix: 0 refused")
    return 1 if refused else 0


if __name__ == "__main__":
    call(main)
