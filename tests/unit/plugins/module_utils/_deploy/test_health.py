# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health check, the drain, and the errors about a release that was rejected."""

from __future__ import annotations

import re
import socket
import threading
import time
import typing as t
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment, Service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.drain import (
    Drain,
    count_connections,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import (
    Health,
    HealthCheck,
    HealthCheckError,
    Probe,
    _ask,
    _explain_bad_answer,
    find_service_fault,
    restarts_at_start,
    run_probe,
    wait_until_healthy,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.log_excerpt import excerpt, has_trouble
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import Observed, WantedUnits
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import _explain
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import HealthSettings, Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Commands, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host, Kernel
from ansible_collections.flaskops.stack.plugins.module_utils._system.http import Answer, ProbeError, http_get
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

HEALTH = Health("/", (), "localhost", 5, 1)
RUNNING = {"ActiveState": "active", "SubState": "running", "Result": "success", "NRestarts": "0"}


@pytest.fixture
def serve(tmp_path: Path) -> t.Iterator[t.Callable[..., str]]:
    """Answer on a unix socket with the given statuses, one connection each; 0 stays silent."""
    listeners: list[socket.socket] = []

    def start(*statuses: int) -> str:
        path = str(tmp_path / "0.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        listeners.append(listener)
        threading.Thread(target=answer, args=(listener, statuses), daemon=True).start()
        return path

    yield start
    for listener in listeners:
        listener.close()


def answer(listener: socket.socket, statuses: t.Iterable[int]) -> None:
    for status in statuses:
        try:
            connection, _address = listener.accept()
        except OSError:
            # The test is over and has closed the socket; a gate may ask less often than it could.
            return
        connection.recv(4096)
        if status == 0:
            time.sleep(2)
        else:
            connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nsaid".encode())
        connection.close()


def ask(path: str, health: Health, seconds: float) -> Probe:
    probe = Probe(0, path, "shop.service")
    run_probe(Host(), probe, health, time.monotonic() + seconds)
    return probe


@pytest.mark.parametrize(
    ("statuses", "accepted", "successes", "passed", "last"),
    [
        ((200,), (), 1, True, 200),
        ((301,), (), 1, True, 301),
        ((401,), (), 1, True, 401),
        ((403, 403, 403, 403, 403), (), 1, False, 403),
        ((404, 404, 404, 404, 404), (), 1, False, 404),
        ((404,), (404,), 1, True, 404),
        ((404, 200), (200,), 1, True, 200),
        ((503, 200), (), 1, True, 200),
        ((200, 500, 200, 200), (), 2, True, 200),
        ((500, 500, 500, 500, 500), (), 1, False, 500),
    ],
)
def test_an_instance_proves_its_health_by_good_answers_in_a_row(
    serve: t.Callable[..., str],
    statuses: tuple[int, ...],
    accepted: tuple[int, ...],
    successes: int,
    passed: bool,
    last: int,
) -> None:
    health = Health("/", accepted, "localhost", 1, successes)
    probe = ask(serve(*statuses), health, 3 if passed else 0.6)
    assert (probe.passed, probe.status) == (passed, last)


def test_a_redirect_says_where_it_leads_and_what_to_do() -> None:
    answered = Answer(302, {"location": "/login?next=%2F&token=secret"}, b"")
    said = _explain_bad_answer(answered, Health("/", (200,), "localhost", 5, 1))
    assert said == (
        "/ answered 302 and leads to /login, wanted 200: let health.path name what needs no login, "
        "or accept it with health.status: [302]"
    )


def test_silence_ends_with_the_deadline(serve: t.Callable[..., str]) -> None:
    probe = ask(serve(0), HEALTH, 0.3)
    assert not probe.passed
    assert "no answer" in probe.problem


def test_a_wait_is_told_in_round_numbers(serve: t.Callable[..., str]) -> None:
    with pytest.raises(ProbeError, match=r"no complete answer within 0\.2 s$"):
        http_get(f"unix:{serve(0)}", "/", "localhost", timeout=0.19969)


def test_a_refused_answer_is_quoted(serve: t.Callable[..., str]) -> None:
    probe = ask(serve(500, 500, 500), Health("/up", (200, 204), "localhost", 1, 1), 0.3)
    assert probe.problem == "/up answered 500 for host 'localhost', wanted 200 or 204; it said: said"


# Its words stand among what no visitor reads.
_PAGE = (
    b"<!doctype html>\n<html><head><title>Bad Request</title><style>p {}</style>\n<script>a < b</script></head>"
    b"<body class='x'><!-- a > b --><h1>No\n table</h1><p>notes</p></body></html>"
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_PAGE, "Bad Request No table notes"),
        (b"<html><script>never closed", "never closed"),
        (b"1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        (b'{"error": "<b>no</b>"}', '{"error": "<b>no</b>"}'),
        (b"<?xml version='1.0'?><error>no</error>", "<?xml version='1.0'?><error>no</error>"),
    ],
)
def test_a_page_is_quoted_by_its_words(body: bytes, said: str) -> None:
    """An excerpt of 300 bytes was the head of the page, and nothing of what went wrong."""
    explained = _explain_bad_answer(Answer(500, {}, body), Health("/", (), "shop.test", 5, 1))
    assert explained.endswith(f"; it said: {said}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"word " * 59 + b"tail more", "word " * 59 + "tail"),
        (b"word " * 58 + b"s3cr3t-of-the-shop more", "word " * 58),
        (b'{"dsn":"' + b"x" * 280 + b'","key":"s3cr3t-of-the-shop"}', '{"dsn":"' + "x" * 280 + '","key":'),
        (b"x" * 400, ""),
        ("\u932f\u8aa4".encode() * 200, "\u932f\u8aa4" * 150),
    ],
)
def test_no_half_of_a_secret_ends_what_is_quoted(body: bytes, said: str) -> None:
    """Secrets are masked later, as a whole."""
    explained = _explain_bad_answer(Answer(500, {}, body), Health("/", (), "shop.test", 5, 1))
    assert explained.partition("; it said: ")[2] == said.strip()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, r"accept this host, or ask for another one with health\.host; or accept it with health\.status: \[403\]"),
        (400, r"health\.host"),
        (404, r"let health\.path name a path that it answers, or accept it with health\.status: \[404\]"),
        (418, r"health\.path"),
    ],
)
def test_a_refusal_says_how_to_accept_the_answer(status: int, says: str) -> None:
    """A tracking server answered 403 "Invalid Host header" to everything, and was published."""
    said = _explain_bad_answer(Answer(status, {}, b"Invalid Host header"), Health("/", (), "shop.test", 5, 1))
    assert said.startswith(f"/ answered {status} for host 'shop.test', wanted 2xx, 3xx or 401 (")
    assert re.search(says, said)
    assert said.endswith("; it said: Invalid Host header")


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("shop.test", "shop.test"),
        ("shop.test:8080", "shop.test:8080"),
        ("*.shop.test", "www.shop.test"),
        (".shop.test", "shop.test"),
        ("shop.*", "shop"),
        ("~^shop", "localhost"),
        ("", "localhost"),
    ],
)
def test_a_host_is_asked_for_as_a_visitor_would(host: str, asked: str) -> None:
    assert Health.from_settings(Settings(health=HealthSettings(host=host))).host == asked


def test_what_an_earlier_version_has_built_is_asked_by_its_rules() -> None:
    """Going back to an interface that answers 404 to / has to stay possible."""
    health = Health.from_settings(parse_settings({}), lenient=True)
    assert [health.accepts(status) for status in (200, 404, 500)] == [True, True, False]
    assert health.expected() == "a status below 500"


def test_the_settings_say_what_is_healthy() -> None:
    settings = parse_settings({"health": {"path": "/up", "status": [200], "timeout": 9, "successes": 2}})
    assert Health.from_settings(settings) == Health("/up", (200,), "localhost", 9, 2)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (RUNNING, ""),
        ({**RUNNING, "ActiveState": "activating", "SubState": "start"}, ""),
        ({**RUNNING, "NRestarts": "1"}, "was started again"),
        ({**RUNNING, "ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, "exit-code"),
        ({**RUNNING, "ActiveState": "failed", "Result": "signal"}, "ended \\(signal"),
        ({"ActiveState": "inactive", "LoadState": "loaded", "NRestarts": "0"}, "does not run"),
        ({"ActiveState": "inactive", "LoadState": "not-found", "NRestarts": "0"}, "does not run"),
        ({"ActiveState": "inactive", "NRestarts": "0", "Job": ""}, "does not run"),
        ({"ActiveState": "inactive", "NRestarts": "0", "Job": "0"}, "does not run"),
        ({"ActiveState": "inactive", "NRestarts": "0", "Job": "668"}, ""),
        ({"ActiveState": "failed", "Result": "signal", "NRestarts": "0", "Job": "668"}, ""),
    ],
)
def test_a_service_that_ends_is_given_up_at_once(state: dict[str, str], says: str) -> None:
    gate = HealthCheck(HEALTH, [Probe(0, "/none", "a.service")], Host(), deadline=time.monotonic() + 60)
    gate.probes[0].restarts = "0"
    assert bool(find_service_fault("a.service", state, "0")) == bool(says)
    if says:
        with pytest.raises(HealthCheckError, match=says):
            gate.check({"a.service": state})
    else:
        assert gate.check({"a.service": state}) is False


def test_all_instances_have_to_pass_and_the_late_one_is_named() -> None:
    probes = [Probe(0, "/none", "a.service", passed=True), Probe(1, "/none", "b.service", problem="/ answered 500")]
    gate = HealthCheck(HEALTH, probes, Host(), deadline=time.monotonic() - 1)
    with pytest.raises(HealthCheckError, match="instance 1: / answered 500"):
        gate.check({"a.service": RUNNING, "b.service": RUNNING})
    probes[1].passed = True
    assert gate.check({"a.service": RUNNING, "b.service": RUNNING})


TABLE = """Num       RefCount Protocol Flags    Type St Inode Path
000000005c1e4972: 00000002 00000000 00010000 0001 01 56294 /srv/shop/releases/a/run/0.sock
000000003e2816a4: 00000003 00000000 00000000 0001 02     0 /srv/shop/releases/a/run/0.sock
000000001b9cc98f: 00000003 00000000 00000000 0001 03 56298 /srv/shop/releases/a/run/0.sock
000000001b9cc990: 00000003 00000000 00000000 0001 03 56299 /srv/shop/releases/b/run/0.sock
000000001b9cc991: 00000003 00000000 00000000 0001 03 56300
000000001b9cc992: 00000003 00000000 00000000 0001 03 56301 /a path with blanks/0.sock
"""


@pytest.mark.parametrize(
    ("path", "count"),
    [("/srv/shop/releases/a/run/0.sock", 2), ("/none", 0), ("/a path with blanks/0.sock", 1)],
)
def test_connections_that_wait_or_are_served_count_and_the_listener_does_not(path: str, count: int) -> None:
    assert count_connections(TABLE, [path]) == {path: count}


def test_the_kernel_lists_connections_in_the_queue_and_accepted_ones(tmp_path: Path) -> None:
    path = str(tmp_path / "q.sock")
    with ExitStack() as stack:
        listener, one, two = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _socket in range(3))
        listener.bind(path)
        listener.listen()
        one.connect(path)
        two.connect(path)
        assert count_connections(Kernel().unix_sockets(), [path]) == {path: 2}
        accepted, _address = listener.accept()
        assert count_connections(Kernel().unix_sockets(), [path]) == {path: 2}
        accepted.close()
        assert count_connections(Kernel().unix_sockets(), [path]) == {path: 1}


class Busy(Commands):
    """systemd as a test has it: what it shows of units, one answer after the other; the last one stays."""

    def __init__(self, *answers: dict[str, str] | CommandError) -> None:
        self.answers = list(answers)
        self.asked = 0
        # Services with a state of their own.
        self.states: dict[str, dict[str, str]] = {}

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        assert (argv[1], timeout) == ("show", 60)
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CommandError):
            raise answer
        units = argv[argv.index("--") + 1 :]
        blocks = [{**answer, "Id": unit, **self.states.get(unit, {})} for unit in units]
        out = "\n".join("".join(f"{key}={value}\n" for key, value in block.items()) for block in blocks)
        return Result(tuple(argv), 0, out, "")


SILENT = CommandError("systemctl show: connection timed out")


def check(commands: Commands, *probes: Probe, health: Health = HEALTH) -> dict[str, str]:
    """Return which services are refused, each with one instance, and why."""
    host = Host(commands=commands)
    checks = {probe.service.partition(".")[0]: HealthCheck(health, [probe], host) for probe in probes}
    return {name: str(reason) for name, reason in wait_until_healthy(host, checks)}


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_the_health_check_outlives_a_systemd_that_does_not_answer_for_a_moment(
    serve: t.Callable[..., str], failures: int
) -> None:
    busy = Busy(*[SILENT] * failures, {**RUNNING, "NRestarts": "2"})
    assert not check(busy, Probe(0, serve(200), "shop.service"))


def test_after_one_was_refused_systemd_is_asked_anew_of_the_others() -> None:
    """To undo one takes its time; another one may answer and die meanwhile."""
    commands, dead = Busy(RUNNING), {"ActiveState": "failed"}
    commands.states["a.service"] = dead
    host = Host(commands=commands)
    probes = {name: Probe(0, "/none", f"{name}.service", restarts="0") for name in "ab"}
    refused = {}
    checks = {name: HealthCheck(HEALTH, [probe], host) for name, probe in probes.items()}
    for name, reason in wait_until_healthy(host, checks):
        refused[name] = str(reason)
        commands.states["b.service"] = dead
        probes["b"].passed = True
    assert {name: reason.partition(" (")[0] for name, reason in refused.items()} == {
        "a": "a.service ended",
        "b": "b.service ended",
    }


# Of what was just started systemd counts from zero, also when it says another number first.
@pytest.mark.parametrize(("restarts", "says"), [("0", "was started again"), ("", "")])
def test_a_service_that_answers_at_its_second_start_is_not_healthy(
    serve: t.Callable[..., str], restarts: str, says: str
) -> None:
    commands = Busy({**RUNNING, "NRestarts": "1"})
    refused = check(commands, Probe(0, serve(200), "shop.service", restarts=restarts))
    assert says in refused.get("shop", "")
    # Once before the answer, and once after it: what was said before is old.
    assert (bool(refused), commands.asked) == (bool(says), 2)


def test_what_waits_for_its_former_life_to_end_was_not_restarted(serve: t.Callable[..., str]) -> None:
    """A rollback to a release that had been restarted at times, and still finishes its last request."""
    ending = {"ActiveState": "deactivating", "SubState": "stop-sigterm", "NRestarts": "2", "Job": "7"}
    assert not check(Busy(ending, RUNNING), Probe(0, serve(200), "shop.service"))


@pytest.mark.parametrize(
    ("known", "state", "count"),
    [
        ("", {**RUNNING, "NRestarts": "3"}, "3"),
        ("3", {**RUNNING, "NRestarts": "4"}, "3"),
        # It was seen before it had ended, as a stop by hand of a moment ago.
        ("9", {**RUNNING, "NRestarts": "0"}, "0"),
        ("10", {**RUNNING, "NRestarts": "9"}, "9"),
        ("", {"ActiveState": "deactivating", "NRestarts": "3"}, ""),
        ("", {"ActiveState": "inactive", "NRestarts": "3", "Job": "7"}, ""),
        ("0", {}, "0"),
    ],
)
def test_the_count_of_restarts_begins_with_the_start(known: str, state: dict[str, str], count: str) -> None:
    assert restarts_at_start(known, state) == count


def test_a_systemd_that_never_answers_refuses_the_release(serve: t.Callable[..., str]) -> None:
    health = Health("/", (), "localhost", 1, 1)
    refused = check(Busy(SILENT), Probe(0, serve(200), "shop.service"), health=health)
    assert "systemd could not be asked: systemctl show: connection timed out" in refused["shop"]


def test_a_host_without_room_for_a_thread_refuses_as_for_anything_that_is_full() -> None:
    sim = simulate()
    sim.clock.threads_fail = "can't start new thread"
    with pytest.raises(OSError, match=r"can.t start new thread: the host, .* too many processes"):
        list(wait_until_healthy(sim.host, {"shop": HealthCheck(HEALTH, [Probe(0, "/none", "a.service")], sim.host)}))


BUSY, QUIET = TABLE, ""


@pytest.mark.parametrize(
    ("looks", "least", "over"),
    [
        ([(0.0, QUIET)], 0, False),
        ([(0.0, QUIET), (0.1, QUIET), (0.12, QUIET)], 0, True),
        ([(0.0, QUIET), (0.05, QUIET), (0.09, QUIET)], 0, False),
        # One look can miss a socket.
        ([(0.0, QUIET), (0.2, QUIET)], 0, False),
        ([(0.0, QUIET), (0.05, BUSY), (0.12, QUIET)], 0, False),
        ([(0.0, BUSY), (9.9, BUSY)], 0, False),
        ([(0.0, BUSY), (10.0, BUSY)], 0, True),
        ([(0.0, QUIET), (1.0, QUIET)], 5, False),
        ([(0.0, QUIET), (4.9, QUIET), (5.0, QUIET)], 5, True),
    ],
)
def test_the_drain_is_over_when_nobody_came_for_a_moment_or_time_is_up(
    looks: list[tuple[float, str]], least: float, over: bool
) -> None:
    drain = Drain(frozenset(["/srv/shop/releases/a/run/0.sock"]), began=0.0, timeout=10, least=least)
    results = [drain.over(table, now) for now, table in looks]
    assert results == [False] * (len(looks) - 1) + [over]


LOG = """Starting shop@a.service - gunicorn of shop...
[2026-11-21 02:27:44 +0000] [1712] [INFO] Starting gunicorn 27.0.1
Started shop@a.service - gunicorn of shop.
[2026-11-21 02:27:44 +0000] [1715] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "shop.py", line 1, in <module>
ImportError: no module named 'nowhere'
[2026-11-21 02:27:44 +0000] [1716] [ERROR] Exception in worker process
ImportError: another
shop@a.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED
shop@a.service: Killing process 3876 (gunicorn) with signal SIGKILL.
shop@a.service: Failed with result 'exit-code'.
"""


def test_the_first_trouble_is_shown_without_what_systemd_always_says() -> None:
    assert excerpt(LOG, 30).splitlines()[0] == "[2026-11-21 02:27:44 +0000] [1715] [ERROR] Exception in worker process"
    assert "Killing process" not in excerpt(LOG, 30)


@pytest.mark.parametrize("words", ["Starting gunicorn of shop", "Started shop@a.service - gunicorn of shop"])
def test_every_systemd_has_its_words_for_a_start(words: str) -> None:
    assert excerpt(f"{words}\nStarted by hand\n", 5) == "Started by hand"


def test_of_a_long_traceback_the_end_is_kept_because_there_the_exception_is() -> None:
    log = LOG.replace('  File "shop.py"', "  frame\n" * 100 + '  File "shop.py"')
    found = excerpt(log, 6).splitlines()
    assert (len(found), found[1], found[-1]) == (6, "[...]", "ImportError: no module named 'nowhere'")


WORDLESS = """[2026-11-30 09:03:21 +0000] [1567] [INFO] Booting worker with pid: 1567
INFO  [alembic] Running upgrade  -> 1234, notes
table notes already exists
[2026-11-30 09:03:22 +0000] [1567] [INFO] Worker exiting (pid: 1567)
[2026-11-30 09:03:23 +0000] [1556] [ERROR] Worker (pid:1567) exited with code 3.
[2026-11-30 09:03:23 +0000] [1556] [INFO] Worker (pid:1570) was sent SIGTERM!
"""


@pytest.mark.parametrize("end", ["Worker (pid:1567) exited with code 3.", "Reason: Worker failed to boot."])
def test_of_a_worker_that_ended_without_an_error_line_the_last_words_are_shown(end: str) -> None:
    found = excerpt(WORDLESS.replace("Worker (pid:1567) exited with code 3.", end), 30).splitlines()
    assert found[:2] == ["INFO  [alembic] Running upgrade  -> 1234, notes", "table notes already exists"]
    assert found[2].endswith(f"[ERROR] {end}")
    many = "".join(f"line {number}\n" for number in range(90))
    assert excerpt(many + WORDLESS, 8).splitlines()[0] == "line 88"
    assert len(excerpt(many + WORDLESS, 8).splitlines()) == 6


def test_without_trouble_the_last_lines_are_shown() -> None:
    assert excerpt("a\n\nb\nc\n", 2) == "b\nc"
    assert excerpt("", 2) == ""


def test_what_kept_systemd_from_starting_a_service_is_shown() -> None:
    log = "shop@a.service: Failed to set up mount namespacing: /var/lib/none: No such file or directory\n"
    assert excerpt(log, 5) == log.strip()


@pytest.mark.parametrize("swapped", [False, True])
def test_what_a_service_says_that_was_told_to_end_is_no_cause(swapped: bool) -> None:
    told = ["Stopping gunicorn of shop", "[1] [INFO] Handling signal: term"]
    end = "\n".join([*(reversed(told) if swapped else told), "[1] [ERROR] Worker (pid:7) was sent SIGKILL!\n"])
    assert excerpt(f"Started gunicorn of shop\n[1] [INFO] Listening at 3\n{end}", 30) == "[1] [INFO] Listening at 3"
    # Who was ended to be started anew has said more since.
    assert "nowhere" in excerpt(f"{end}{LOG}", 30)
    # This one was not told.
    assert "term" in excerpt("Started gunicorn of shop\n[1] [INFO] Handling signal: term\n", 30)


class Journal(Commands):
    """A journal that says other things of the time since the start than of all time."""

    def __init__(self, ever: str, since: str) -> None:
        self._ever, self._since = ever, since

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        assert (argv[0], timeout) == ("journalctl", 60)
        return Result(tuple(argv), 0, self._since if "--since" in argv else self._ever, "")


@pytest.mark.parametrize(("before", "shown"), [("", "ImportError: no module named 'nowhere'"), ("busy", "exited")])
def test_what_a_run_that_was_killed_has_started_says_why_it_ended_before_this_run(
    tmp_path: Path, before: str, shown: str
) -> None:
    """Systemd starts it again and again; this run may end it before it says so once more."""
    now = "shop@a.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED"
    assert has_trouble(LOG)
    assert not has_trouble(now)
    now += "\n[2026-11-21 02:27:44 +0000] [1] [ERROR] it exited" if before else ""
    wanted = WantedUnits("a", units={"shop@a.service": ""})
    service = Service(Layout(str(tmp_path), "shop"), None, wanted)
    deployment = Deployment.from_observed(service, Observed(), Host(commands=Journal(LOG, now)))
    assert shown in _explain(deployment, "shop@a.service ended and was started again")


@pytest.mark.parametrize(
    ("timeout", "before", "reason"),
    [
        (0.05, "/ answered 500", "/ answered 500"),
        (3, "/ answered 500", "no answer to /: slow"),
        (0.05, "", "no answer to /: slow"),
    ],
)
def test_an_attempt_that_the_deadline_cuts_short_hides_no_earlier_reason(
    timeout: float, before: str, reason: str
) -> None:
    class Slow:
        def get(self, *_args: object) -> Answer:
            raise ProbeError("slow")

    probe = Probe(0, "/none", "shop.service", problem=before)
    assert _ask(t.cast(t.Any, Slow()), probe, HEALTH, timeout) is None
    assert probe.problem == reason
