# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the nginx of this host accept every combination of options of a site.

Runs inside a test host, as root, where nginx does not run. Several sites are tested at once, beside each other, and
each alone when nginx does not accept them. Prints one object: how many sites and configurations were tested, and what
nginx said of those that it refused or warned of.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._site.acme import read_acme
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import HTTP3
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import parse_version, site_configs

from tools.matrix.combinations import ACME, CERTIFICATE, DOMAIN, KEY, Combination, Item, beside_each_other, combinations

SITES, SHARED = Path("/etc/nginx/sites-enabled"), Path("/etc/nginx/conf.d/flaskops.conf")
# So many sites are tested at once.
TOGETHER = 12
_PAIR = re.compile(r'ssl_certificate(_key)? "([^"]+)";')
# What nginx says when all is well.
_FINE = re.compile(r"nginx: .* (?:syntax is ok|test is successful)")


def make_certificate() -> None:
    """Make the certificate that all sites have."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", KEY, "-out", CERTIFICATE]
    words += ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"]
    subprocess.run(words, check=True, capture_output=True)


def bring_certificates(text: str) -> None:
    """Put the certificate where a site has one that the role makes or obtains."""
    for kind, path in _PAIR.findall(text):
        if not Path(path).exists():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(KEY if kind else CERTIFICATE, path)


def nginx_version() -> str:
    """Return the version of this host's nginx."""
    said = subprocess.run(["nginx", "-v"], check=True, capture_output=True, text=True).stderr
    return said.rpartition("/")[2].split()[0]


def complaint(sites: t.Sequence[Item], version: str) -> str:
    """Return what nginx says of sites, beyond that they are well."""
    shutil.rmtree(SITES, ignore_errors=True)
    SITES.mkdir()
    for wanted in site_configs(sites, {}, version, catch_all=True, acme=read_acme(ACME)):
        if wanted.get("content"):
            (SITES / wanted["name"]).write_text(wanted["content"], encoding="utf-8")
            bring_certificates(wanted["content"])
    tested = subprocess.run(["nginx", "-t"], check=False, capture_output=True, text=True)
    said = [line for line in tested.stderr.splitlines() if not _FINE.fullmatch(line)]
    return "\n".join(said) or ("" if tested.returncode == 0 else f"nginx -t exited {tested.returncode}")


def groups_of(found: t.Sequence[Combination]) -> list[list[Combination]]:
    """Return groups of combinations that differ in much: neighbours are alike."""
    number = -(-len(found) // TOGETHER)
    # An odd number, or those of a group all have the same choice of the last row, which has two.
    number += 1 - number % 2
    return [list(found[first::number]) for first in range(number)]


def refused_of(group: t.Sequence[Combination], version: str) -> dict[str, str]:
    """Return what nginx says of a group, by the combinations that it says it of, or of all when it is their sum."""
    together = complaint(beside_each_other(group), version)
    if not together:
        return {}
    alone = {each.title: complaint([each.site], version) for each in group}
    return {title: text for title, text in alone.items() if text} or {
        f"{len(group)} sites, the first of which is {group[0].title}": together
    }


def main() -> None:
    """Test all, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take each n-th group only")
    given = parser.parse_args()
    make_certificate()
    version = nginx_version()
    knows_http3 = parse_version(version) >= HTTP3
    found = [each for each in combinations() if each.possible and (knows_http3 or not each.needs_http3)]
    groups = groups_of(found)[:: given.every]
    refused = {title: text for group in groups for title, text in refused_of(group, version).items()}
    print(json.dumps({"version": version, "sites": sum(map(len, groups)), "refused": refused}))


if __name__ == "__main__":
    main()
