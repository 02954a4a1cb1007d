# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source is, and which revision a name means."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import (
    PATH,
    SourceError,
    SourceLocation,
    check_checksum,
    check_subdirectory,
    check_version,
    detect_type,
    parse_refs,
    resolve_ref,
    split_credentials,
)

SHA1 = "0123456789abcdef0123456789abcdef01234567"
SHA2 = "89abcdef0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("source", "version", "checksum", "expected"),
    [
        ("https://git.example.com/shop.git", "", "", "git"),
        ("https://git.example.com/shop", "main", "", "git"),
        ("https://git.example.com/shop", "", "", "git"),
        ("git+https://git.example.com/shop", "", "", "git"),
        ("git+ssh://git@git.example.com/shop", "", "", "git"),
        ("ssh://git@git.example.com/shop.git", "", "", "git"),
        ("git@git.example.com:group/shop.git", "v1", "", "git"),
        ("git@[2001:db8::1]:group/shop.git", "", "", "git"),
        ("git+https://user:p%40ss@git.example.com/shop", "", "", "git"),
        ("https://example.com/shop-1.0.tar.gz#sha256=00", "", "", "archive"),
        ("file:///srv/git/shop.git", "", "", "git"),
        ("file:///srv/git/c#/shop.git", "", "", "git"),
        ("https://example.com/shop-1.0.tar.gz", "", "sha256:x", "archive"),
        ("https://example.com/shop-1.0.tar.gz", "", "", "archive"),
        ("https://example.com/shop-1.0.zip?token=1", "", "", "archive"),
        ("https://example.com/download/7", "", "sha256:x", "archive"),
        ("https://git.example.com/shop.tar.gz", "v1", "", "git"),
        ("httpbin", "", "", "pypi"),
        ("httpbin==0.10.2", "", "", "pypi"),
        ("flask[async]>=3,<4", "", "", "pypi"),
        ("zope.interface", "", "", "pypi"),
        ("shop @ https://example.com/shop-1.0-py3-none-any.whl", "", "", "pypi"),
        ("shop @ file:///srv/shop.whl", "", "", "pypi"),
        ("./shop", "", "", PATH),
        ("../shop", "main", "", PATH),
        ("/home/me/shop.tar.gz", "", "", PATH),
        ("~/shop", "", "", PATH),
        (".", "", "", PATH),
        ("examples/hello", "", "", PATH),
        ("/home/me@work/shop", "", "", PATH),
    ],
)
def test_the_type_is_told_by_the_form(source: str, version: str, checksum: str, expected: str) -> None:
    assert detect_type(source, version, checksum) == expected


@pytest.mark.parametrize(
    "source", ["", "-x", "--upload-pack=id", "a b c", "ftp://example.com/x", "shop\nx", "!", "git@h/x.git"]
)
def test_what_is_no_source_is_refused(source: str) -> None:
    with pytest.raises(SourceError, match="source '"):
        detect_type(source, "", "")


@pytest.mark.parametrize("kind", ["auto", "git", "archive"])
@pytest.mark.parametrize(
    "source",
    [
        "https://user:hun/ter2@host/x.git",
        "https://user:hun?ter2@host/x.git",
        "git+https://user:hun#ter2@host/x.git",
        "https://user:hun[ter2@host/x.git",
        "ssh://git@host:group/x.git",
    ],
)
def test_an_address_that_is_read_otherwise_is_refused_without_its_password(source: str, kind: str) -> None:
    with pytest.raises(SourceError, match="is no address") as error:
        detect_type(source, "", "", kind)
    assert "ter2" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("git+https://git.example.com/shop.git@v1", "as 'version'"),
        ("git+https://tok3n@git.example.com/shop.git@v1#egg=shop", "as 'version'"),
        ("https://tok3n@git.example.com/shop.git#main", "as 'version'"),
        ("https://tok3n@example.com/shop-1-py3-none-any.whl", "'NAME @ URL'"),
        ("https://tok3n@git.example.com/shop.git@v1", "as 'version'"),
        ("https://tok3n@example.com/shop.tar.zst", "not read: pack it as one of .tar"),
        ("https://tok3n@example.com/shop.7z", "not read: pack it as one of .tar"),
    ],
)
def test_what_belongs_into_a_requirement_is_refused_with_what_to_write(source: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as error:
        detect_type(source, "", "")
    assert "tok3n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        (
            "https://github.com/me/shop/tree/main/services/web",
            "'https://github.com/me/shop' with version 'main' and subdirectory 'services/web'",
        ),
        ("https://github.com/me/shop/tree/main", "'https://github.com/me/shop' with version 'main'"),
        ("https://github.com/me/shop/releases/tag/v1.0", "'https://github.com/me/shop' with version 'v1.0'"),
        ("https://github.example.com/me/shop/commit/0af1", "'https://github.example.com/me/shop' with version '0af1'"),
        ("https://git.test/group/part/shop/-/tree/v1/", "'https://git.test/group/part/shop' with version 'v1'"),
        ("https://git.test/me/shop/src/branch/main/web", "'https://git.test/me/shop' with version 'main' and"),
        ("https://bitbucket.org/me/shop/src/main/", "'https://bitbucket.org/me/shop' with version 'main'"),
    ],
)
def test_the_page_of_a_repository_is_refused_with_the_repository(source: str, instead: str) -> None:
    with pytest.raises(SourceError) as error:
        detect_type(source, "", "")
    assert f"is a page about a repository: set source to {instead}" in str(error.value)


@pytest.mark.parametrize(
    "source",
    [
        # Groups of GitLab and places of Gerrit may have such names.
        "https://git.test/team/shop/src/web.git",
        "https://git.test/team/shop/src/web",
        "https://git.test/team/tree/main",
    ],
)
def test_a_repository_in_a_group_with_the_name_of_a_directory_is_none(source: str) -> None:
    assert detect_type(source, "", "") == "git"


@pytest.mark.parametrize(
    "source",
    [
        "https://git.test/group/tree/shop",
        "https://git.test/group/tree/main/shop.git",
        "https://github.com/me/tree",
        "https://github.com/tree/shop/",
        "https://git.test/src/shop.git",
        "https://dev.azure.com/o/p/_git/r",
        "file://localhost/srv/shop.git",
    ],
)
def test_a_repository_may_have_such_words_in_its_path(source: str) -> None:
    assert detect_type(source, "", "") == "git"


def test_a_file_is_on_no_other_host() -> None:
    with pytest.raises(SourceError, match=r"'file:///srv/shop\.git' with three slashes"):
        detect_type("file://srv/shop.git", "", "")


@pytest.mark.parametrize(
    ("source", "says", "says_not"),
    [
        ("github.com:me/shop.git", "(here 'git@github.com:me/shop.git')", "'./"),
        ("C:\\Users\\me\\shop", "user@host:path, a path", "'./"),
        ("shop!", "a path (it has a '/')", "'./"),
    ],
)
def test_what_is_suggested_fits_the_form(source: str, says: str, says_not: str) -> None:
    with pytest.raises(SourceError) as error:
        detect_type(source, "", "")
    assert says in str(error.value) and says_not not in str(error.value)


def test_a_given_type_overrules_the_form() -> None:
    assert detect_type("https://example.com/x.tar.gz", "", "", "git") == "git"
    assert detect_type("hello", "", "", "directory") == "directory"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://host/x", SourceLocation("https://host/x")),
        ("https://user:p%40ss@host:8443/x?y#z", SourceLocation("https://host:8443/x?y#z", "user", "p@ss")),
        ("https://token@host/x", SourceLocation("https://host/x", "token", "")),
        ("ssh://git@host/x", SourceLocation("ssh://git@host/x")),
        ("git@host:x", SourceLocation("git@host:x")),
        ("/a/b@c", SourceLocation("/a/b@c")),
    ],
)
def test_credentials_are_taken_out_of_http_addresses(source: str, expected: SourceLocation) -> None:
    assert split_credentials(source) == expected
    assert "p@ss" not in repr(split_credentials(source))


@pytest.mark.parametrize("version", ["", "main", "feature/cart", "v1.0", "refs/pull/7/head", SHA1, "a-b_c.d"])
def test_names_that_git_allows_are_allowed(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version", ["-x", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\", "a.lock", "a/", "/a"]
)
def test_names_that_git_forbids_are_refused(version: str) -> None:
    with pytest.raises(SourceError, match="cannot be a git branch"):
        check_version(version)


def test_annotated_tags_are_followed_to_their_commits() -> None:
    text = f"{SHA1}\tHEAD\n{SHA1}\trefs/heads/main\n{SHA2}\trefs/tags/v1\n{SHA1}\trefs/tags/v1^{{}}\nwarning: x\n"
    assert parse_refs(text) == {"HEAD": SHA1, "refs/heads/main": SHA1, "refs/tags/v1": SHA1}


def test_the_output_of_show_ref_is_read_as_well() -> None:
    assert parse_refs(f"{SHA1} HEAD\n{SHA2} refs/tags/v1\n") == {"HEAD": SHA1, "refs/tags/v1": SHA2}


REFS = {"HEAD": SHA1, "refs/heads/main": SHA1, "refs/heads/feature/cart": SHA2, "refs/tags/v1.0": SHA2}


@pytest.mark.parametrize(
    ("version", "commit"),
    [
        ("", SHA1),
        ("main", SHA1),
        ("feature/cart", SHA2),
        ("v1.0", SHA2),
        ("refs/tags/v1.0", SHA2),
        ("f" * 40, "f" * 40),
    ],
)
def test_a_name_means_a_commit(version: str, commit: str) -> None:
    assert resolve_ref(REFS, version, "repo") == commit


@pytest.mark.parametrize(
    ("refs", "version", "message"),
    [
        (REFS, "mian", "version 'mian' is no branch or tag of repo: near it are 'main'"),
        (REFS, "zzz", "it has 'feature/cart', 'main', 'v1.0'"),
        ({"refs/tags/v1.10": SHA1}, "1.1", r"near it are 'v1\.10' \(without quotes, 1\.10 is .*version: '1\.10'"),
        (REFS, "0123456", "named by all of its 40 digits"),
        ({}, "main", "no branch and no tag"),
        ({"refs/heads/x": SHA1}, "", "no default branch: set 'version' to one of 'x'"),
        ({"refs/heads/x": SHA1, "refs/tags/x": SHA2}, "x", "ambiguous: write 'refs/heads/x' or 'refs/tags/x'"),
        ({f"refs/heads/b{n:02}": SHA1 for n in range(12)}, "q", "and 4 more"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_is_near(
    refs: dict[str, str], version: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        resolve_ref(refs, version, "repo")


def test_a_tag_and_a_branch_of_one_name_and_commit_are_no_question() -> None:
    assert resolve_ref({"refs/heads/x": SHA1, "refs/tags/x": SHA1}, "x", "repo") == SHA1


@pytest.mark.parametrize("checksum", ["", "abc", "sha256:abc", "md5:" + "0" * 32, "sha256:" + "A" * 64, "0" * 64])
def test_only_whole_sha256_checksums_are_accepted(checksum: str) -> None:
    with pytest.raises(SourceError, match="sha256sum"):
        check_checksum(checksum)
    assert check_checksum("sha256:" + "a" * 64) == "a" * 64


@pytest.mark.parametrize("path", ["/x", "../x", "a/../b", "./a", "a//b"])
def test_a_subdirectory_stays_in_the_source(path: str) -> None:
    with pytest.raises(SourceError, match="subdirectory"):
        check_subdirectory(path)


@pytest.mark.parametrize(("path", "plain"), [("", ""), ("web", "web"), ("services/web/", "services/web")])
def test_a_plain_subdirectory_is_accepted(path: str, plain: str) -> None:
    assert check_subdirectory(path) == plain
