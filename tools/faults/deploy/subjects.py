# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys to inject faults into, and what must hold after a fault. Runs inside a test host, as root."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import typing as t

from tools.faults.deploy import stage
from tools.faults.deploy.stage import Release
from tools.faults.deploy.verdict import dishonest, expected_units, lost
from tools.faults.inject.injector import Ended
from tools.faults.inject.module import Module

# Marks what a run starts.
_MARK = "STRIKE_RUN"
_NUMBERS = itertools.count()
# What a run leaves behind it on purpose: it lets systemd forget what has ended, and removes the files of old releases.
_BEHIND = re.compile(r"^(?:\d+ )(?:sh -c .* forget |sleep 1 |(?:nice )?rm -rf )", re.DOTALL)


class Switch:
    """From one release to another and back; None is the application's absence."""

    visited = True
    # What the error has to say, of a change that has to fail.
    reasons: tuple[str, ...] = ()

    def __init__(self, one: Release | None, other: Release | None) -> None:
        """Load the modules."""
        self._from, self._to = one, other
        self._module = Module("gunicorn_service")
        self._status = Module("flask_status")
        self._known = {release.id: release for release in stage.releases().values()}
        self._begun = False
        self._mark = ""
        self.ended = Ended(0, {})

    @property
    def way(self) -> str:
        """Return the name of the change that comes next."""
        return f"{_name(self._from)} to {_name(self._to)}"

    def ready(self, label: str) -> str:
        """Turn round after a change; go to where it begins when that is somewhere else."""
        if self._begun and stage.current() == _id(self._to):
            self._from, self._to = self._to, self._from
        self._begun = True
        if stage.current() != _id(self._from) and (failure := self.run(self._from).failure):
            return f"{label}: no way back: {failure}"
        wrong = stage.await_nothing(lambda: self._incomplete(self._from))
        return f"{label}: not ready: {wrong}" if wrong else ""

    def run(self, release: Release | None, strace: t.Sequence[str] = ()) -> Ended:
        """Go to a release."""
        return self._module.run({"services": [self.service(release)]}, strace)

    @staticmethod
    def service(release: Release | None) -> dict[str, t.Any]:
        """Return the service that leads to a release."""
        absent = {"name": stage.NAME, "state": "absent"}
        return {"name": stage.NAME, "release": str(release.path), "site": stage.SITE} if release else absent

    def attempt(self, strace: t.Sequence[str] = ()) -> Ended:
        """Make the change."""
        return self.run(self._to, strace)

    def change(self, strace: t.Sequence[str] = ()) -> Ended:
        """Make the change, and mark all that it starts."""
        self._mark = f"{_MARK}={next(_NUMBERS)}"
        os.environ[_MARK] = self._mark.partition("=")[2]
        self.ended = self.attempt(strace)
        del os.environ[_MARK]
        return self.ended

    def judge(self, label: str) -> str:
        """Look at what the fault has left, and at what the next two runs do."""
        wrong = dishonest(label, self.ended, self.reasons) or self._at_once() or self._afterwards() or lost()
        return f"{label}: {wrong}" if wrong else ""

    def _at_once(self) -> str:
        """Look at what is served, and at what status says."""
        now = stage.current()
        if now not in (_id(self._from), _id(self._to)):
            return f"current leads to {now!r}"
        done = self.ended.rc == 0 and not self.ended.failure
        if done and now != _id(self._to):
            return f"the run says that all is well, but current leads to {now!r}"
        return self._unserved(now) or self._untrue(self.status()) or lost()

    def _unserved(self, now: str) -> str:
        """Return what is wrong with what visitors get."""
        if not now:
            return ""
        if not (stage.RELEASES / now / "release.json").exists():
            return f"release {now} has no manifest"
        page = self._known[now].page
        code = page.split()[0]
        if (answers := (stage.read(), stage.read("/static/code.txt"))) != (page, code):
            return f"current leads to {now}, which answers {page!r}, but visitors read {answers}"
        return ""

    def _untrue(self, app: t.Mapping[str, t.Any]) -> str:
        """Return where status does not tell the truth."""
        if app["current"] != stage.current():
            return f"status says {app['current']!r}"
        if app["current"] and (not app["healthy"] or app["running"] != app["instances"] or app["lock"]):
            status = {key: app[key] for key in ("healthy", "running", "answers", "lock")}
            return f"status says {status}"
        begun = [line for line in stage.history()[-1:] if line["result"] == "begun"]
        return f"status says {app['unfinished']}" if bool(begun) != bool(app["unfinished"]) else ""

    def status(self) -> dict[str, t.Any]:
        """Return what status says."""
        ended = self._status.run({"names": [stage.NAME]})
        if ended.failure:
            raise SystemExit(f"flask_status: {ended.failure}")
        app: dict[str, t.Any] = ended.result["apps"][0]
        return app

    def _afterwards(self) -> str:
        """Let the next run complete the change, and the run after that find nothing to do."""
        stage.age()
        return self._heal() or self._settle(self._to)

    def _heal(self) -> str:
        failure = self.attempt().failure
        return f"the next run fails: {failure}" if failure else ""

    def _settle(self, release: Release | None) -> str:
        """Return what is wrong once a release is served and a run has nothing to do."""
        if stage.current() != _id(release):
            return f"the next run does not complete the change: current leads to {stage.current()!r}"
        again = self.run(release)
        if again.failure or again.result["changed"]:
            return f"the run after that is not calm: {again.failure or again.result['diff']}"
        wrong = self._unserved(stage.current()) or stage.await_nothing(lambda: self._incomplete(release))
        if wrong:
            return wrong
        app = self.status()
        return self._untrue(app) or self._unrecorded(app, release)

    def _incomplete(self, release: Release | None) -> str:
        """Return what is too much or too little on the host."""
        running = stage.processes(self._mark) if self._mark else []
        if left := stage.leftovers() or [text for text in running if not _BEHIND.match(text)]:
            return f"left behind: {left}"
        found, wanted = stage.units(), expected_units(release)
        right = (found["files"], found["enabled"]) == (wanted["files"], wanted["enabled"])
        if right and found["active"] - wanted["loose"] == wanted["enabled"] and not found["unsettled"]:
            return ""
        return f"units {found}, wanted {wanted}"

    def _unrecorded(self, app: t.Mapping[str, t.Any], release: Release | None) -> str:
        """Return what the history does not tell rightly."""
        activated = (app["activated"] or {}).get("release", "")
        if activated != _id(release) or app["unfinished"] or app["failed"]:
            status = {key: app[key] for key in ("activated", "unfinished", "failed")}
            return f"status says {status}"
        return ""

    def mend(self) -> None:
        """Begin anew."""
        stage.wipe()
        self.run(self._from)
        lost()


def _id(release: Release | None) -> str:
    return release.id if release else ""


def _name(release: Release | None) -> str:
    return release.name if release else "nothing"


class Removal(Switch):
    """The first release of an application, and its end. There are times without anything to visit."""

    visited = False


class Refusal(Switch):
    """A release that is refused before the switch."""

    # By the moment at which they are asked, gunicorn's workers have ended or, as systemd says, the service has.
    reasons: tuple[str, ...] = (".service ended", "ended before it had loaded the application")
    _healed = 0

    def _at_once(self) -> str:
        """Look whether the old release serves."""
        if stage.current() != _id(self._from) or (self.ended.rc == 0 and not self.ended.failure):
            return f"it was not refused: current leads to {stage.current()!r}"
        return super()._at_once()

    def _heal(self) -> str:
        """Let it be refused again, every other time."""
        self._healed += 1
        if self._healed % 2:
            return self.run(self._from).failure
        failure = self.attempt().failure
        return "" if any(reason in failure for reason in self.reasons) else f"the next run is not refused: {failure!r}"

    def _afterwards(self) -> str:
        """Let the next run be refused again, and one that wants the old release find nothing to do."""
        stage.age()
        return self._heal() or self._settle(self._from)

    def _unrecorded(self, app: t.Mapping[str, t.Any], _release: Release | None) -> str:
        last = stage.history()[-1]
        refused = app["failed"] or (last if last["result"] == "interrupted" else {})
        if refused.get("release") != _id(self._to) or app["unfinished"]:
            status = {key: app[key] for key in ("failed", "unfinished")}
            return f"status says {status}"
        return ""


class GateRefusal(Refusal):
    """A release that starts, and answers with an error when it is asked."""

    reasons = ("answered 500",)


class LateRefusal(Refusal):
    """A release that is refused after the switch: its worker ends."""

    reasons = (".worker-mail.0.service ended",)

    def _at_once(self) -> str:
        """Look whether one of the two serves."""
        if self.ended.rc == 0 and not self.ended.failure:
            return "it was not refused"
        return Switch._at_once(self)

    def _heal(self) -> str:
        """Let it be refused again; one that nothing served before any more stays, and is to be replaced by hand."""
        if wrong := super()._heal():
            return wrong
        if stage.current() == _id(self._to) and (failure := self.run(self._from).failure):
            return f"it cannot be replaced: {failure}"
        return ""

    def _unrecorded(self, _app: t.Mapping[str, t.Any], _release: Release | None) -> str:
        """Return nothing: what is the last word depends on when the fault came."""
        return ""


class Rollback(Switch):
    """Back to the release before."""

    def ready(self, label: str) -> str:
        """Deploy both, the newer one last."""
        first = [] if self._begun and stage.current() == _id(self._to) else [self._to]
        self._begun = True
        for release in [*first, self._from]:
            if failure := self.run(release).failure:
                return f"{label}: no way back: {failure}"
        wrong = stage.await_nothing(lambda: self._incomplete(self._from))
        return f"{label}: not ready: {wrong}" if wrong else ""

    def attempt(self, strace: t.Sequence[str] = ()) -> Ended:
        """Go back."""
        return self._module.run({"services": [{"name": stage.NAME, "state": "rolled_back"}]}, strace)

    def _heal(self) -> str:
        """Go back, unless that is done: another would go further. What has failed by itself has to be deployed."""
        last = stage.history()[-1]
        ends = (last["release"], last["result"]) in ((_id(self._to), "activated"), (_id(self._to), "failed"))
        failure = (self.run(self._to) if ends else self.attempt()).failure
        return f"the next run fails: {failure}" if failure else ""

    def mend(self) -> None:
        """Begin anew."""
        super().mend()
        self.ready("mended")


class Build(Switch):
    """As playbooks/deploy.yml does it: one module builds the release and hands over to it."""

    def __init__(self, one: Release, other: Release) -> None:
        """Load the module that builds."""
        super().__init__(one, other)
        self._builder = stage.builder()

    def ready(self, label: str) -> str:
        """Turn round, and let the release that is next have to be built."""
        wrong = super().ready(label)
        if self._to and stage.current() != self._to.id:
            shutil.rmtree(self._to.path, ignore_errors=True)
        return wrong

    def run(self, release: Release | None, strace: t.Sequence[str] = ()) -> Ended:
        """Build and deploy."""
        apps = [release.params] if release else []
        return self._builder.run({"apps": apps, "serve": True}, strace)
