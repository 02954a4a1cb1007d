# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certbot that keeps certificates as the real one does, below one directory, and a CA that does as it is told."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils import _host_code
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lineage import Places
from ansible_collections.flaskops.stack.plugins.module_utils._acme.site import AcmeHost
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import PRODUCTION
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import read_certificate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxLayout
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import NginxRequest
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import Commands, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_clock import FakeClock
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost

DAY = 86400
HERE = "192.0.2.1"


def _der(tag: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    size = len(data)
    length = bytes((size,)) if size < 128 else bytes((0x82, size >> 8, size & 0xFF))
    return bytes((tag,)) + length + data


def _moment(seconds: float) -> bytes:
    return _der(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def certificate(names: t.Sequence[str], begin: float, end: float, serial: int = 1) -> bytes:
    """Return a certificate without a signature, as PEM."""
    alternative = _der(0x30, *(_der(0x82, name.encode()) for name in names))
    extension = _der(0x30, _der(0x06, bytes((0x55, 0x1D, 0x11))), _der(0x04, alternative))
    body = _der(
        0x30,
        _der(0xA0, _der(0x02, b"\x02")),
        _der(0x02, bytes((serial,))),
        _der(0x30),
        _der(0x30),
        _der(0x30, _moment(begin), _moment(end)),
        _der(0x30),
        _der(0x30),
        _der(0xA3, _der(0x30, extension)),
    )
    text = base64.encodebytes(_der(0x30, body)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


def problem(kind: str, detail: str, **more: object) -> str:
    """Return what certbot logs when a CA refuses."""
    document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": 400, **more}
    return f"DEBUG:acme.client:Received response:\nHTTP 400\nContent-Type: x\n\n{json.dumps(document, indent=1)}\n"


def _raise(error: OSError) -> t.NoReturn:
    raise error


@dataclass
class FakeCertbot(Commands):
    """The commands of a host whose certbot gets certificates at once."""

    places: Places
    clock: FakeClock
    # What the next calls print and log instead of getting a certificate; the last of a site stays.
    refusals: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    lifetime: float = 90 * DAY
    # What the CA certifies in the place of the names that were asked for.
    names: tuple[str, ...] = ()
    version: str = "4.0.0"
    # Whether each run begins a log of its own, as certbot does where cli.ini does not say otherwise.
    rotates: bool = False
    asked: list[list[str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    serial: int = 0

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        words = list(argv)
        self.timeouts.append(timeout)
        if words[:2] == ["certbot", "--version"]:
            return Result(tuple(argv), 0, f"certbot {self.version}\n", "")
        if "certbot" not in words:
            return Result(tuple(argv), 0, "", "")
        self.asked.append(words)
        verb = words[words.index("certbot") + 1]
        name = next(word.partition("=")[2] for word in words if word.startswith("--cert-name="))
        if "--config" in words:
            self.seen.append(Path(words[words.index("--config") + 1]).read_text())
        waiting = self.refusals.get(name, [])
        if waiting:
            output, log = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if output or log:
                self._log(log)
                return Result(tuple(argv), 1, "", output)
        if verb == "certonly":
            self._issue(name, words)
        else:
            self.delete(name)
        return Result(tuple(argv), 0, "Successfully received certificate.\n", "")

    def _log(self, text: str) -> None:
        os.makedirs(os.path.dirname(self.places.log), exist_ok=True)
        if self.rotates and os.path.exists(self.places.log):
            os.rename(self.places.log, f"{self.places.log}.1")
        with open(self.places.log, "a") as stream:
            stream.write(f"2026-11-28 DEBUG:certbot._internal.main:certbot version: {self.version}\n{text}")

    def _issue(self, name: str, words: t.Sequence[str]) -> None:
        server = words[words.index("--server") + 1]
        account = Path(self.places.account(server)) / "a1"
        account.mkdir(parents=True, exist_ok=True)
        asked = [after for word, after in zip(words, words[1:]) if word == "--domain"]
        settings = {"account": "a1", "server": server, "renew_hook": words[words.index("--deploy-hook") + 1]}
        if "--webroot" in words:
            settings.update(authenticator="webroot", webroot_path=words[words.index("--webroot-path") + 1] + ",")
        else:
            settings.update(authenticator="manual", manual_auth_hook=words[words.index("--manual-auth-hook") + 1])
        if "--required-profile" in words:
            settings["required_profile"] = words[words.index("--required-profile") + 1]
        self.keep(name, self.names or asked, settings)

    def keep(self, name: str, names: t.Sequence[str], settings: t.Mapping[str, str], age: float = 0) -> None:
        """Keep a new certificate under a name, in the place of an earlier one."""
        self.serial += 1
        live = Path(self.places.certbot) / "live" / name
        live.mkdir(parents=True, exist_ok=True)
        begin = self.clock.time() - age
        archive = Path(self.places.certbot) / "archive" / name
        archive.mkdir(parents=True, exist_ok=True)
        chain = certificate(names, begin, begin + self.lifetime, self.serial)
        key = f"key {self.serial}\n".encode()
        for base, content in {"cert": chain, "chain": chain, "fullchain": chain, "privkey": key}.items():
            file, link = archive / f"{base}{self.serial}.pem", live / f"{base}.pem"
            file.write_bytes(content)
            link.unlink(missing_ok=True)
            link.symlink_to(file)
        path = Path(self.places.settings(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in path.read_text().splitlines() if "expiry" in line] if path.exists() else []
        lines = [*kept, "version = 4.0.0", "[renewalparams]", *(f"{key} = {value}" for key, value in settings.items())]
        path.write_text("\n".join(lines) + "\n")

    def renew(self, name: str) -> None:
        """Do what certbot's timer does."""
        settings = dict(
            line.split(" = ", 1) for line in Path(self.places.settings(name)).read_text().splitlines() if " = " in line
        )
        before = (Path(self.places.certbot) / "live" / name / "fullchain.pem").read_bytes()
        self.keep(name, read_certificate(before).names, {key: settings[key] for key in list(settings)[1:]})

    def delete(self, name: str) -> None:
        for kind in ("live", "archive"):
            shutil.rmtree(Path(self.places.certbot) / kind / name, ignore_errors=True)
        Path(self.places.settings(name)).unlink(missing_ok=True)


class FakeNetwork:
    """Names lead to this host unless the test says otherwise."""

    def __init__(self, challenges: str) -> None:
        self.challenges = challenges
        self.addresses: dict[str, list[str]] = {}
        # What an address answers: status, Location and body, or an error.
        self.answers: dict[str, tuple[int, str, bytes] | OSError] = {}
        self.asked: list[tuple[str, str]] = []

    def resolve(self, name: str) -> list[str]:
        found = self.addresses.get(name, [HERE])
        if not found:
            raise OSError(-2, "Name or service not known")
        return found

    def fetch(self, url: str, address: str = "") -> tuple[int, str, bytes]:
        self.asked.append((url, address))
        answer = self.answers.get(address or url.split("/")[2])
        if isinstance(answer, OSError):
            raise answer
        if answer:
            return answer
        return 200, "", Path(self.challenges + "/" + url.split("/", 3)[3]).read_bytes() + b"\n"


class _Host(FakeHost):
    """A host whose nginx has the time of its certbot."""

    def __init__(self, root: Path, clock: FakeClock) -> None:
        super().__init__(root)
        self._clock = clock

    def time(self) -> float:
        return self._clock.time()


class Lab:
    """A host with nginx, certbot and a CA, and two sites with stand-ins."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.nginx = _Host(root, self.clock)
        self.nginx.nginx.start(age=100)
        self.places = Places(
            str(root / "letsencrypt"),
            str(root / "letsencrypt.log"),
            str(root / "tls"),
            str(root / "challenges"),
            str(root / "certificates"),
            str(root / "renewal"),
            str(root / "units"),
        )
        self.root = root
        # The copy of the code is there already: to make it in each test takes longer than the test.
        self.code = root / "renewal" / Path(_host_code.__file__).parents[1].name
        self.code.mkdir(parents=True)
        (root / "renewal/code").symlink_to(self.code.name)
        self.certbot = FakeCertbot(self.places, self.clock)
        self.network = FakeNetwork(self.places.challenges)
        self.directory: bytes | OSError = b'{"newOrder": "x", "meta": {"profiles": {"shortlived": "6 days"}}}'
        self.trusted: list[str] = []
        layout = NginxLayout(f"{root}/available", f"{root}/enabled", uid=os.geteuid(), gid=os.getegid())
        request = NginxRequest(
            layout,
            "nginx",
            self.nginx.nginx.config,
            state=f"{root}/state",
            locks=f"{root}/locks",
            host=self.nginx,
        )
        host = Host(commands=self.certbot, clock=self.clock)
        self.where = AcmeHost(
            host,
            request,
            self.places,
            f"{root}/locks",
            t.cast("t.Any", self.network),
            self._fetch,
            lambda name: f"/usr/bin/{name}",
            os.geteuid(),
        )

    def _fetch(self, url: str, bundle: str) -> bytes:
        assert url.startswith("https://")
        self.trusted.append(bundle)
        return self.directory if isinstance(self.directory, bytes) else _raise(self.directory)

    def site(self, name: str, *names: str) -> None:
        """Publish a site with its stand-in, as nginx_site does."""
        directory = Path(self.places.tls) / name
        (directory / "stand-in").mkdir(parents=True)
        (directory / "stand-in/fullchain.pem").write_bytes(certificate(names, 0, self.clock.time() + 3000 * DAY))
        (directory / "stand-in/privkey.pem").write_text("key of the stand-in\n")
        (directory / "current").symlink_to("stand-in")
        current = f"{directory}/current"
        (self.root / "enabled" / name).write_text(
            f"server {{ listen 443 ssl; server_name {' '.join(names)}; ssl_certificate {current}/fullchain.pem;"
            f" ssl_certificate_key {current}/privkey.pem; }}\n"
        )

    def current(self, name: str) -> str:
        return os.readlink(self.places.current(name))

    def commands(self) -> list[str]:
        """Return what certbot was called for."""
        return [f"{words[words.index('certbot') + 1]} {words}" for words in self.certbot.asked]

    def account(self, server: str = PRODUCTION) -> Path:
        return Path(self.places.account(server))
