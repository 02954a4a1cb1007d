# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which directories with certificates of sites are still needed. Only reads. Private to flaskops.stack.

Without a file that a configuration names nginx neither reloads nor starts.
"""

from __future__ import annotations

import os
import typing as t

from .._site.syntax import descend
from .._system.files import read_file
from .conf import Configuration, ConfigurationError, Placed
from .model import CurrentTree, NginxLayout, NginxPlan, NginxSiteError, WantedSite
from .staged_tree import StagedTree

# So many places are named.
_NAMED = 4


def readers(config: Configuration, directory: str) -> list[str]:
    """Return the places, as file and line, at which a configuration names what is in a directory, each once."""
    found = [
        f"{file}:{config.line(Placed(item, file))}"
        for file, directives in config.files.items()
        if os.path.basename(directory) + "/" in config.texts[file]
        for item in descend(directives)
        if any(os.path.normpath(config.absolute(word)).startswith(directory + "/") for word in item.args)
    ]
    return list(dict.fromkeys(found))


def refuse_used(main: str, plan: NginxPlan) -> None:
    """Raise NginxSiteError where another site would go on using the certificate of a site that goes."""
    tree = StagedTree(plan.staged_changes())
    try:
        config = tree.load(main)
    except ConfigurationError:
        return  # the test of the configuration says more
    for directory in plan.obsolete:
        places = readers(config, directory)
        if places:
            more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
            raise NginxSiteError(
                f"site '{os.path.basename(directory)}' goes, and its certificate in {directory} with it, which "
                f"{' and '.join(places[:_NAMED])}{more} would go on using: give that another certificate first, or "
                "remove it as well"
            )


def superfluous(
    main: str,
    layout: NginxLayout,
    current: CurrentTree,
    sites: t.Iterable[WantedSite],
    plan: NginxPlan,
    directories: t.Iterable[str],
) -> list[str]:
    """Return those of the directories of sites that nothing names: no configuration, and no version to go back to."""
    contents = {site.name: site.content or b"" for site in sites}
    found = [path for path in directories if path.encode() + b"/" not in contents[os.path.basename(path)]]
    found = [path for path in found if not _is_named_by_kept(layout, current, plan, path)]
    if not found:
        return []
    try:
        config = StagedTree(plan.staged_changes()).load(main)
    except ConfigurationError:
        return []
    return [path for path in found if not readers(config, path)]


def _is_named_by_kept(layout: NginxLayout, current: CurrentTree, plan: NginxPlan, directory: str) -> bool:
    name = os.path.basename(directory)
    paths = [layout.version_path(name, item.version) for item in current.versions.get(name, ())]
    kept = (read_file(path) or b"" for path in paths if path not in plan.removals)
    return any(directory.encode() + b"/" in content for content in kept)
