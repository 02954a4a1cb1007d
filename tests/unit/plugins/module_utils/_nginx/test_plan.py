# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import (
    ABSENT,
    DISABLED,
    REFUSE,
    REPLACE,
    UNMODIFIED,
    CurrentTree,
    NginxLayout,
    NginxPlan,
    NginxSiteError,
    Node,
    Version,
    WantedFile,
    WantedSite,
    diff_of,
    split_version,
    version_id,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.plan import make_plan
from hypothesis import given, settings
from hypothesis import strategies as st

LAYOUT = NginxLayout("/a", "/e", ".conf", keep=3)


@dataclass
class Tree:
    """A directory tree in memory, on which plans can be carried out."""

    layout: NginxLayout = LAYOUT
    nodes: dict[str, Node] = field(default_factory=dict)
    clock: int = 0
    activated: dict[str, int] = field(default_factory=dict)

    def current(self) -> CurrentTree:
        entries, files = {}, {}
        versions: dict[str, list[Version]] = {}
        for path, node in self.nodes.items():
            directory, base = os.path.split(path)
            kept = split_version(base) if directory == self.layout.available else None
            if kept:
                version = Version(kept[1], self.activated[path], node.mode, node.uid, node.gid, node.content)
                versions.setdefault(kept[0], []).append(version)
            elif directory == self.layout.enabled:
                target = self.nodes.get(node.target)
                entries[base] = replace(node, content=target.content) if target else node
            else:
                files[path] = node
        ordered = {name: sorted(items, key=lambda item: -item.activated) for name, items in versions.items()}
        return CurrentTree(entries, ordered, files)

    def carry_out(self, plan: NginxPlan) -> None:
        self.clock += 1
        for store in plan.stores:
            self.nodes[store.path] = Node("file", "", store.content, self.layout.mode)
            self.activated[store.path] = self.clock
        for swap in plan.swaps:
            if swap.after.kind == "absent":
                del self.nodes[swap.path]
            else:
                self.nodes[swap.path] = replace(
                    swap.after, content=swap.after.content if swap.after.kind == "file" else None
                )
        for path in plan.activated:
            self.activated[path] = self.clock
        for path in plan.removals:
            del self.nodes[path]

    def want(self, *sites: WantedSite, purge: bool = False) -> NginxPlan:
        plan = make_plan(self.layout, self.current(), sites, purge=purge)
        self.carry_out(plan)
        return plan

    def served(self) -> dict[str, bytes | None]:
        return {base[:-5]: node.content for base, node in self.current().nodes.items()}


def path(name: str, content: bytes) -> str:
    return LAYOUT.version_path(name, version_id(content))


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "0", "_", "-", "x" * 64])
def test_plain_names_are_accepted(name: str) -> None:
    assert Tree().want(WantedSite(name, content=b"x")).changed


@pytest.mark.parametrize("name", ["", ".a", "..", "a/b", "a@b", "a b", "a\n", "ä", "x" * 65, "a\0"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NginxSiteError, match="must be 1 to 64 letters"):
        Tree().want(WantedSite(name, content=b"x"))


def test_a_version_is_kept_before_the_link_goes_to_it() -> None:
    plan = Tree().want(WantedSite("s", content=b"x"))
    assert [store.path for store in plan.stores] == [path("s", b"x")]
    assert [(swap.path, swap.after.target) for swap in plan.swaps] == [("/e/s.conf", path("s", b"x"))]
    assert plan.staged_changes() == {"/e/s.conf": b"x"}
    assert plan.sites == [{"name": "s", "state": "enabled", "previous": None, "current": path("s", b"x")}]


def test_the_same_again_is_no_change() -> None:
    tree = Tree()
    assert tree.want(WantedSite("s", content=b"x")).changed
    assert not tree.want(WantedSite("s", content=b"x")).changed
    assert not tree.want(WantedSite("s")).changed


def test_going_back_and_forth_keeps_both_versions() -> None:
    tree = Tree()
    for content in (b"1", b"2", b"1"):
        tree.want(WantedSite("s", content=content))
    assert tree.served() == {"s": b"1"}
    tree.want(WantedSite("s", version="previous"))
    assert tree.served() == {"s": b"2"}
    tree.want(WantedSite("s", version=version_id(b"1")))
    assert tree.served() == {"s": b"1"}


def test_the_history_is_bounded() -> None:
    tree = Tree()
    for number in range(10):
        tree.want(WantedSite("s", content=b"%d" % number))
    kept = {node.content for node_path, node in tree.nodes.items() if node_path.startswith("/a/")}
    assert kept == {b"7", b"8", b"9"}


def test_disabled_keeps_the_history_and_absent_does_not() -> None:
    tree = Tree()
    tree.want(WantedSite("s", content=b"1"))
    assert tree.want(WantedSite("s", DISABLED)).removals == []
    assert tree.served() == {}
    tree.want(WantedSite("s"))
    assert tree.served() == {"s": b"1"}
    tree.want(WantedSite("s", ABSENT))
    assert tree.nodes == {}
    with pytest.raises(NginxSiteError, match="no content"):
        tree.want(WantedSite("s"))


def test_a_renamed_site_keeps_its_content_and_leaves_no_link() -> None:
    tree = Tree()
    tree.want(WantedSite("old", content=b"1"))
    plan = tree.want(WantedSite("new", rename_from="old"))
    assert tree.served() == {"new": b"1"}
    assert [swap.path for swap in plan.swaps] == ["/e/new.conf", "/e/old.conf"]
    assert not tree.want(WantedSite("new", rename_from="old")).changed


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node("link", "/elsewhere"), "a link to /elsewhere that this module did not make"),
        (Node("link", path("other", b"1")), "did not make"),
        (Node("file", "", b"x"), "a regular file"),
        (Node("directory"), "is a directory"),
        (Node("other"), "neither a file nor a link"),
    ],
)
@pytest.mark.parametrize("state", ["enabled", DISABLED, ABSENT])
def test_what_is_not_ours_is_refused(node: Node, words: str, state: str) -> None:
    tree = Tree(nodes={"/e/s.conf": node})
    with pytest.raises(NginxSiteError, match=words):
        tree.want(WantedSite("s", state, b"x"))


def test_a_package_file_is_let_go_only_as_the_package_left_it() -> None:
    tree = Tree(nodes={"/e/s.conf": Node("link", "/a/s", pristine=False)})
    plan = tree.want(WantedSite("s", DISABLED, foreign=UNMODIFIED))
    assert not plan.changed
    assert "left alone" in plan.warnings[0]
    assert plan.sites[0]["state"] == "foreign"
    tree.nodes["/e/s.conf"] = Node("link", "/a/s", pristine=True)
    assert tree.want(WantedSite("s", DISABLED, foreign=UNMODIFIED)).changed
    assert tree.nodes == {}


def test_a_regular_file_that_is_replaced_is_kept_as_a_version() -> None:
    tree = Tree(nodes={"/e/s.conf": Node("file", "", b"theirs")})
    assert tree.want(WantedSite("s", content=b"ours", foreign=REPLACE)).replaced == ["/e/s.conf"]
    assert tree.served() == {"s": b"ours"}
    tree.want(WantedSite("s", version="previous"))
    assert tree.served() == {"s": b"theirs"}


@pytest.mark.parametrize("state", ["enabled", DISABLED])
def test_a_regular_file_that_is_replaced_under_another_name_is_kept_as_a_version(state: str) -> None:
    tree = Tree(nodes={"/e/theirs.conf": Node("file", "", b"theirs")})
    wanted = WantedSite("s", state, b"ours", foreign=REPLACE, rename_from="theirs")
    tree.want(wanted)
    assert tree.nodes[path("s", b"theirs")].content == b"theirs"
    assert not tree.want(wanted).changed
    tree.want(WantedSite("s", version="previous" if state == "enabled" else version_id(b"theirs")))
    assert tree.served() == {"s": b"theirs"}


def test_a_version_edited_by_hand_is_written_again_and_validated_as_nginx_reads_it() -> None:
    tree = Tree()
    tree.want(WantedSite("s", content=b"1"))
    tree.nodes[path("s", b"1")] = Node("file", "", b"edited", 0o644)
    plan = tree.want(WantedSite("s", content=b"1"))
    assert plan.staged_changes() == {"/e/s.conf": b"1"}
    assert tree.served() == {"s": b"1"}


def test_purge_takes_our_unlisted_sites_only() -> None:
    tree = Tree()
    tree.want(WantedSite("a", content=b"1"), WantedSite("b", content=b"1"), WantedSite("c", content=b"1"))
    tree.want(WantedSite("c", DISABLED))
    tree.nodes["/e/theirs.conf"] = Node("link", "/elsewhere")
    tree.nodes["/e/readme"] = Node("file", "", b"")
    tree.want(WantedSite("a"), purge=True)
    assert set(tree.nodes) == {"/e/a.conf", path("a", b"1"), "/e/theirs.conf", "/e/readme"}


@pytest.mark.parametrize(
    ("sites", "files", "words"),
    [
        ([WantedSite("a", content=b""), WantedSite("a", content=b"")], [], "'a' is listed twice"),
        ([WantedSite("a", content=b""), WantedSite("b", content=b"", rename_from="a")], [], "'a' is listed twice"),
        ([], [WantedFile("/x", b""), WantedFile("/x", b"")], "/x is listed twice"),
        ([], [WantedFile("/e/x", b"")], "list it in sites"),
    ],
)
def test_wants_that_contradict_each_other_are_refused(
    sites: list[WantedSite], files: list[WantedFile], words: str
) -> None:
    with pytest.raises(NginxSiteError, match=words):
        make_plan(LAYOUT, CurrentTree(), sites, files)


def test_a_file_keeps_its_own_mode_unless_another_is_given() -> None:
    current = CurrentTree(files={"/f": Node("file", "", b"1", 0o600, 7, 8)})
    plan = make_plan(LAYOUT, current, [], [WantedFile("/f", b"2")])
    assert plan.swaps[0].after == Node("file", "", b"2", 0o600, 7, 8)
    assert not make_plan(LAYOUT, current, [], [WantedFile("/f", b"1")]).changed
    assert make_plan(LAYOUT, current, [], [WantedFile("/f", b"1", 0o644)]).changed
    assert make_plan(LAYOUT, current, [], [WantedFile("/f", None)]).swaps[0].after == Node()


def test_the_diff_has_contents_and_targets() -> None:
    tree = Tree()
    tree.want(WantedSite("s", content=b"1\n"))
    shown = diff_of(tree.want(WantedSite("s", content=b"2\n")))
    assert (shown[0]["before"], shown[0]["after"]) == ("1\n", "2\n")
    assert shown[0]["before_header"] == f"/e/s.conf -> {path('s', b'1' + bytes([10]))}"


SITES = st.builds(
    WantedSite,
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["enabled", "enabled", DISABLED, ABSENT]),
    st.sampled_from([b"1", b"2", b"3", b"4"]),
)
SETS = st.lists(SITES, max_size=4, unique_by=lambda site: site.name)


@given(st.lists(st.tuples(SETS, st.booleans()), max_size=8))
def test_any_sequence_of_wanted_sets_leads_to_exactly_the_last_one(
    sequence: list[tuple[list[WantedSite], bool]],
) -> None:
    foreign = {
        "/e/theirs.conf": Node("link", "/nowhere"),
        "/e/file.conf": Node("file", "", b"mine"),
        "/a/b": Node("file"),
    }
    tree = Tree(nodes=dict(foreign))
    expected: dict[str, bytes | None] = {}
    for sites, purge in sequence:
        tree.want(*sites, purge=purge)
        for site in sites:
            expected.pop(site.name, None)
            if site.state == "enabled":
                expected[site.name] = site.content
        if purge:
            expected = {name: content for name, content in expected.items() if name in {site.name for site in sites}}
        assert {name: content for name, content in tree.served().items() if name not in ("theirs", "file")} == expected
        assert foreign.items() <= tree.nodes.items()
        assert not tree.want(*sites, purge=purge).changed
        kept: dict[str, int] = {}
        for node_path in tree.nodes:
            site_version = split_version(os.path.basename(node_path))
            if site_version:
                kept[site_version[0]] = kept.get(site_version[0], 0) + 1
        assert all(count <= LAYOUT.keep for count in kept.values())
        if purge:
            assert set(kept) <= {site.name for site in sites}


NAMES = ["a", "b", "c", "linked", "file", "packaged"]
# What others have made: under names that are not asked for, and under names that are.
FOREIGN = {
    "/e/theirs.conf": Node("link", "/nowhere"),
    "/e/readme": Node("file", "", b"mine"),
    "/a/readme": Node("file"),
    "/e/linked.conf": Node("link", "/elsewhere"),
    "/e/file.conf": Node("file", "", b"by hand"),
    "/e/packaged.conf": Node("link", "/packaged", pristine=True),
}


@st.composite
def wanted_sets(draw: st.DrawFn) -> list[WantedSite]:
    names = draw(st.permutations(NAMES))
    sites = []
    for _number in range(draw(st.integers(0, 3))):
        former = names.pop() if draw(st.integers(0, 3)) == 0 else ""
        content = draw(st.sampled_from([b"1", b"2", b"3", b"4", None]))
        state = draw(st.sampled_from(["enabled", "enabled", "enabled", DISABLED, ABSENT]))
        sites.append(
            WantedSite(names.pop(), state, content, "", draw(st.sampled_from([REFUSE, UNMODIFIED, REPLACE])), former)
        )
    return sites


def entry(tree: Tree, name: str) -> Node:
    return tree.nodes.get(f"/e/{name}.conf", Node())


def may_be_taken(tree: Tree, site: WantedSite, name: str) -> bool:
    """Tell whether a place is free, ours, or given to us."""
    node = entry(tree, name)
    ours = LAYOUT.version_of(name, node.target) is not None
    return node.kind == "absent" or ours or site.foreign == REPLACE or (site.foreign == UNMODIFIED and node.pristine)


def has_content(tree: Tree, site: WantedSite) -> bool:
    kept = tree.current().versions
    return site.content is not None or bool(kept.get(site.name) or kept.get(site.rename_from))


def is_refused(tree: Tree, site: WantedSite) -> bool:
    """Tell, in other words than the planner, whether a wish must be an error."""
    if not may_be_taken(tree, site, site.name):
        return site.foreign == REFUSE
    if site.state == "enabled" and not has_content(tree, site):
        return True
    former = site.rename_from
    return bool(former) and not may_be_taken(tree, site, former) and site.foreign == REFUSE


def expected_entries(tree: Tree, sites: list[WantedSite], purge: bool) -> dict[str, bytes | str | None]:
    """Return, for each name, the content that is to be served or the target of a foreign link."""
    found: dict[str, bytes | str | None] = {}
    for path_, node in tree.nodes.items():
        directory, base = os.path.split(path_)
        if directory == "/e":
            ours = LAYOUT.version_of(base[:-5], node.target)
            found[base[:-5]] = tree.nodes[node.target].content if ours else node.target or node.content
            if ours and purge and base[:-5] not in {name for site in sites for name in (site.name, site.rename_from)}:
                del found[base[:-5]]
    before = dict(found)
    for site in sites:
        if not may_be_taken(tree, site, site.name):
            continue
        found.pop(site.name, None)
        if site.rename_from and may_be_taken(tree, site, site.rename_from):
            found.pop(site.rename_from, None)
        if site.state == "enabled":
            found[site.name] = site.content if site.content is not None else kept_content(tree, site, before)
    return found


def kept_content(tree: Tree, site: WantedSite, before: dict[str, bytes | str | None]) -> bytes | str | None:
    """Return what a site without content is to have: what is linked, else what was linked last."""
    versions = tree.current().versions
    source = site.name if versions.get(site.name) else site.rename_from
    linked = LAYOUT.version_of(source, entry(tree, source).target)
    return before[source] if linked else versions[source][0].content


def entries(tree: Tree) -> dict[str, bytes | str | None]:
    return expected_entries(tree, [], False)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(wanted_sets(), st.booleans(), st.sampled_from([*NAMES, *[""] * 12])), max_size=8))
def test_renames_and_foreign_entries_among_any_sequence_are_as_asked_for(
    sequence: list[tuple[list[WantedSite], bool, str]],
) -> None:
    tree = Tree(nodes=dict(FOREIGN))
    for sites, purge, taken_by_others in sequence:
        if taken_by_others:
            tree.nodes[f"/e/{taken_by_others}.conf"] = Node("link", "/other")
        if any(is_refused(tree, site) for site in sites):
            with pytest.raises(NginxSiteError):
                make_plan(LAYOUT, tree.current(), sites, purge=purge)
            continue
        expected = expected_entries(tree, sites, purge)
        plan = tree.want(*sites, purge=purge)
        assert entries(tree) == expected
        assert not tree.want(*sites, purge=purge).changed
        # Only what was asked for by name, and only our own otherwise, is touched.
        asked = {f"/e/{name}.conf" for site in sites for name in (site.name, site.rename_from)}
        for swap in plan.swaps:
            base = os.path.basename(swap.path)[:-5]
            assert (
                swap.path in asked or os.path.dirname(swap.path) == "/a" or LAYOUT.version_of(base, swap.before.target)
            )
        for untouched in ("/e/theirs.conf", "/e/readme", "/a/readme"):
            assert tree.nodes[untouched] == FOREIGN[untouched]


@given(st.lists(st.sampled_from([b"1", b"2", b"3", b"4"]), min_size=1, max_size=6))
def test_the_previous_version_is_the_one_before_and_the_one_before_that_is_back_again(contents: list[bytes]) -> None:
    tree = Tree()
    for content in contents:
        tree.want(WantedSite("s", content=content))
    different = [content for number, content in enumerate(contents) if not number or contents[number - 1] != content]
    if len(different) < 2:
        with pytest.raises(NginxSiteError, match="has no version 'previous'"):
            tree.want(WantedSite("s", version="previous"))
        return
    tree.want(WantedSite("s", version="previous"))
    assert tree.served() == {"s": different[-2]}
    tree.want(WantedSite("s", version="previous"))
    assert tree.served() == {"s": different[-1]}
