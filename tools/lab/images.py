# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the images of the test hosts: flaskops-host:newer and flaskops-host:older, bare systemd hosts with Python.

They are built from Ubuntu's images where a container registry is reached, else by mmdebstrap from Debian's packages.
FLASKOPS_HOSTS=ubuntu or FLASKOPS_HOSTS=debian asks for one of them; images that exist already are used again.
Other releases of Debian are made by their names: bullseye, bookworm, trixie, forky, sid.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tools.common import ROOT, ToolError, apt_install, call, docker, is_root, run, say, succeeds
from tools.lab import engine

NAME = "flaskops-host"
AGES = ("newer", "older")
LABEL = "io.github.flaskops.distribution"
# Molecule's docker driver builds on Ubuntu's images with it, too, where `molecule` is called by hand.
DOCKERFILE = (ROOT / "molecule" / "shared" / "Dockerfile.j2").read_text(encoding="utf-8")
BASE = "{{ item.image }}"
PULL_SECONDS = 300
# What is not released yet says that it is valid for a week; a mirror that lags would be refused.
MOVING = ("forky", "sid")
LAGGING = 'Acquire::Check-Valid-Until "false"'


def packages() -> list[str]:
    """Return what the Dockerfile installs, which makes a host of Debian's smallest system, too."""
    found = re.search(r'^ARG packages="(.+)"$', DOCKERFILE, re.MULTILINE)
    if not found:
        raise ToolError("molecule/shared/Dockerfile.j2 must name its packages in a line 'ARG packages=\"…\"'")
    return found[1].split()


@dataclass(frozen=True)
class Recipe:
    """How the image of one distribution's release is made."""

    family: str
    title: str
    base: str

    @property
    def tag(self) -> str:
        """Return the image's name, another one when the recipe changes."""
        text = repr((self, DOCKERFILE))
        return f"{NAME}:{self.title.lower().replace(' ', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


RECIPES = {
    "ubuntu": {
        "newer": Recipe("ubuntu", "Ubuntu 24.04", "ubuntu:24.04"),
        "older": Recipe("ubuntu", "Ubuntu 22.04", "ubuntu:22.04"),
    },
    "debian": {
        "newer": Recipe("debian", "Debian 13", "trixie"),
        "older": Recipe("debian", "Debian 12", "bookworm"),
    },
}

# By name, for what is to be tried on more than two distributions.
RELEASES = {
    "bullseye": Recipe("debian", "Debian 11", "bullseye"),
    "bookworm": RECIPES["debian"]["older"],
    "trixie": RECIPES["debian"]["newer"],
    "forky": Recipe("debian", "Debian 14", "forky"),
    "sid": Recipe("debian", "Debian unstable", "sid"),
}


def names() -> list[str]:
    """Return the names of all images that can be made."""
    return [*AGES, *RELEASES]


def exists(image: str) -> bool:
    """Tell whether the engine has an image."""
    return succeeds(["docker", "image", "inspect", image])


def build_ubuntu(recipe: Recipe) -> None:
    """Build on the registry's image."""
    if not exists(recipe.base):
        docker("pull", "--quiet", recipe.base, timeout=PULL_SECONDS)
    say(f"building the image of {recipe.title}")
    label = f"{LABEL}={recipe.title}"
    docker("build", "--quiet", "--label", label, "--tag", recipe.tag, "-", input=DOCKERFILE.replace(BASE, recipe.base))


def build_debian(recipe: Recipe) -> None:
    """Build from Debian's packages."""
    if not is_root():
        raise ToolError("mmdebstrap needs root here, for device nodes and foreign owners")
    # Its recommended package debian-archive-keyring holds the keys, which Ubuntu does not have from the start.
    if not succeeds(["mmdebstrap", "--version"]) or not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        apt_install("mmdebstrap", "debian-archive-keyring")
    say(f"building the image of {recipe.title}, half a minute")
    with tempfile.TemporaryDirectory(prefix="flaskops-image-") as directory:
        archive = Path(directory) / "image.tar"
        options = [f"--include={','.join(packages())}", *([f"--aptopt={LAGGING}"] if recipe.base in MOVING else [])]
        run(["mmdebstrap", "--quiet", "--variant=minbase", *options, recipe.base, archive])
        docker("import", "-c", 'CMD ["/sbin/init"]', "-c", f'LABEL {LABEL}="{recipe.title}"', archive, recipe.tag)


BUILDERS = {"ubuntu": build_ubuntu, "debian": build_debian}


def families(choice: str) -> list[str]:
    """Return the distributions to try, in this order: with no choice, first the one whose images exist."""
    if choice in RECIPES:
        return [choice]
    if choice not in ("", "auto"):
        raise ToolError(f"FLASKOPS_HOSTS={choice} must be ubuntu, debian or auto")
    return sorted(RECIPES, key=lambda family: not all(exists(recipe.tag) for recipe in RECIPES[family].values()))


def build(family: str, ages: list[str]) -> None:
    """Make what is missing of a distribution's images, and point newer and older to them."""
    for age in ages:
        recipe = RECIPES[family][age]
        if not exists(recipe.tag):
            BUILDERS[family](recipe)
        docker("tag", recipe.tag, f"{NAME}:{age}")


def ensure(ages: list[str], choice: str) -> dict[str, str]:
    """Return the distribution of each image asked for, all of which exist now."""
    reasons = []
    for family in families(choice):
        try:
            build(family, ages)
        except ToolError as exc:
            reasons.append(f"{family}: {exc}")
        else:
            return {age: RECIPES[family][age].title for age in ages}
    raise ToolError("no image of a test host can be made.\n" + "\n".join(reasons))


def provide(wanted: t.Sequence[str], choice: str) -> None:
    """Return when the images with these names exist."""
    if ages := [name for name in AGES if name in wanted]:
        ensure(ages, choice)
    for recipe in [RELEASES[name] for name in wanted if name in RELEASES]:
        if not exists(recipe.tag):
            BUILDERS[recipe.family](recipe)


def image_of(name: str) -> str:
    """Return the image that has one of the names."""
    return RELEASES[name].tag if name in RELEASES else f"{NAME}:{name}"


def title(image: str) -> str:
    """Return the distribution of an image, as its label has it."""
    return docker("image", "inspect", "--format", f'{{{{ index .Config.Labels "{LABEL}" }}}}', image).strip()


def main() -> int:
    """See to an engine and to the images, and print which distributions they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names())}; newer and older by default")
    wanted = parser.parse_args().names or list(AGES)
    if unknown := sorted(set(wanted) - set(names())):
        raise ToolError(f"{unknown[0]!r} must be one of {', '.join(names())}")
    engine.ensure()
    provide(wanted, os.environ.get("FLASKOPS_HOSTS", ""))
    print("images:", ", ".join(f"{image_of(name)} is {title(image_of(name))}" for name in wanted))
    return 0


if __name__ == "__main__":
    call(main)
