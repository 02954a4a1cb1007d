# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the password file of a site: names with salted hashes of crypt(3). Private to flaskops.stack.

The hash is SHA512-crypt (C($6$)), which the C library of every supported host verifies for nginx. Python has no
crypt(3) from 3.13 on, and that of macOS does not know this hash, so it is computed here, after its specification by
U. Drepper.
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

from .._system.paths import NGINX_PASSWORDS
from .model import Mount, Site

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The number that the hash has when it names none. nginx verifies a password with each request, in 2 ms.
_ROUNDS = 5000
_SALT_BYTES = 12


def password_path(site: Site, mount: Mount | None = None) -> str:
    """Return the file with the passwords of a site, or of an application that is mounted there."""
    return f"{NGINX_PASSWORDS}/{site.name}{place_of(mount) if mount else ''}"


def place_of(mount: Mount) -> str:
    """Return what the name of the file for a mounted application has behind that of the site."""
    return mount.path.replace("/", "@")


def password_file(site: Site, mount: Mount | None = None) -> str:
    """Return the content of the password file of a site, or of a path; an empty text when it asks for no password."""
    auth = mount.basic_auth if mount else site.basic_auth
    more = (mount.path,) if mount else ()
    users = auth.users if auth else ()
    return "".join(f"{name}:{sha512_crypt(password, _salt(site, name, *more))}\n" for name, password in users)


def _salt(site: Site, user: str, *more: str) -> str:
    """Return the salt of a user, which is the same in each run so that the hash is, too.

    It is another one for each site and user. It does not depend on the password: a quick function of it beside the
    hash would be what an attacker tries instead of the hash.
    """
    text = "\0".join(["flaskops.stack", site.name, *site.domains[:1], user, *more])
    digest = hashlib.sha256(text.encode()).digest()[:_SALT_BYTES]
    return base64.b64encode(digest, b"./").decode("ascii")


def sha512_crypt(password: str, salt: str) -> str:
    """Return the hash C($6$salt$...) of a password, as crypt(3) does."""
    key, seed = password.encode(), salt.encode()
    digest = _first_digest(key, seed)
    key_part = _repeated(hashlib.sha512(key * len(key)).digest(), len(key))
    salt_part = _repeated(hashlib.sha512(seed * (16 + digest[0])).digest(), len(seed))
    for number in range(_ROUNDS):
        odd = number % 2
        digest = hashlib.sha512(
            (key_part if odd else digest)
            + (salt_part if number % 3 else b"")
            + (key_part if number % 7 else b"")
            + (digest if odd else key_part)
        ).digest()
    return f"$6${salt}${_encoded(digest)}"


def _first_digest(key: bytes, salt: bytes) -> bytes:
    other = hashlib.sha512(key + salt + key).digest()
    found = hashlib.sha512(key + salt + _repeated(other, len(key)))
    length = len(key)
    while length:
        found.update(other if length & 1 else key)
        length >>= 1
    return found.digest()


def _repeated(data: bytes, length: int) -> bytes:
    return (data * (length // len(data) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """Return the digest in the order and the alphabet of crypt(3)."""
    first, second, third = 0, 21, 42
    text: list[str] = []
    for _number in range(21):
        text += _characters(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = second + 1, third + 1, first + 1
    return "".join([*text, *_characters(digest[63], 2)])


def _characters(value: int, count: int) -> t.Iterator[str]:
    for _number in range(count):
        yield _ALPHABET[value & 63]
        value >>= 6
