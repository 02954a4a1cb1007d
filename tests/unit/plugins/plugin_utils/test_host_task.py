# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that runs with the code kept on the host, as the controller sees it."""

from __future__ import annotations

import json
import shlex
import typing as t
from types import SimpleNamespace

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.module_utils._host_task import BOOTSTRAP, MARK
from ansible_collections.flaskops.stack.plugins.modules.gunicorn_service import ARGUMENTS
from ansible_collections.flaskops.stack.plugins.plugin_utils._host_task import (
    CodeMissingError,
    HostTask,
    host_task,
    interpreter,
)

MODULE = "flaskops.stack.gunicorn_service"
SECRETS = {"KEY": "s3cret", "LONGER": "s3cret-of-all"}
GIVEN: dict[str, t.Any] = {"services": [{"name": "shop", "secrets": SECRETS, "workers": "3"}], "code": "c0de"}


class Action:
    """An action plugin, whose host prints what it is told to."""

    def __init__(self, stdout: str = "", stderr: str = "", rc: int = 0, pipelining: bool = True) -> None:
        self.ended = {"stdout": stdout, "stderr": stderr, "rc": rc}
        self.pipelining = pipelining
        self._task = SimpleNamespace(async_val=0, delegate_to=None, no_log=False, check_mode=False, diff=True)
        python = "/opt/py/bin/python"
        self._templar = SimpleNamespace(template=lambda text: text and text.replace("{{ python }}", python))
        self.command: list[str] = []
        self.given: dict[str, t.Any] = {}

    def _is_pipelining_enabled(self, _style: str) -> bool:
        return self.pipelining

    def _compute_environment_string(self) -> str:
        return "http_proxy=http://proxy:3128"

    def _low_level_execute_command(self, command: str, in_data: bytes) -> dict[str, t.Any]:
        self.command, self.given = shlex.split(command), json.loads(in_data)
        return self.ended


def ask(
    action: Action, args: dict[str, t.Any] | None = None, variables: dict[str, t.Any] | None = None
) -> dict[str, t.Any] | None:
    task = host_task(t.cast(t.Any, action), MODULE, GIVEN if args is None else args)
    assert task
    return task.run(t.cast(t.Any, action), variables or {})


def test_the_host_is_told_what_ansibles_own_check_returns() -> None:
    action = Action(stdout=f'Welcome to db1\n{MARK}{{"changed": true}}\n')
    answer = ask(action)
    assert answer is not None
    assert answer.pop("invocation")["module_args"]["services"][0]["workers"] == 3
    assert answer == {"changed": True}
    path = "/usr/local/lib/flaskops/code/c0de"
    # Names of files are UTF-8 whatever the locale of the host, as visitors ask for them.
    python = ["/usr/bin/python3", "-I", "-X", "utf8"]
    program = [*python, "-c", BOOTSTRAP, path, "_entrypoints.gunicorn_service"]
    assert action.command == ["http_proxy=http://proxy:3128", *program]
    assert action.given["params"] == ArgumentSpecValidator(**ARGUMENTS).validate(GIVEN).validated_parameters
    assert (action.given["check"], action.given["diff"]) == (False, True)


def test_secrets_go_to_the_host_and_nowhere_else() -> None:
    action = Action(stdout=f"{MARK}{{}}")
    answer = ask(action)
    assert "s3cret" not in json.dumps(answer)
    assert "s3cret" not in " ".join(action.command)
    # One is the beginning of the other, which must not be shown in part.
    assert action.given["hidden"] == ["s3cret-of-all", "s3cret"]
    assert action.given["log"].startswith("Invoked with services=") and "s3cret" not in action.given["log"]


@pytest.mark.parametrize("variables", [{}, {"ansible_no_target_syslog": True}])
def test_the_log_of_the_host_is_left_alone_where_ansible_would(variables: dict[str, t.Any]) -> None:
    action = Action(stdout=f"{MARK}{{}}")
    action._task.no_log = not variables
    ask(action, variables=variables)
    assert action.given["log"] == ""


def test_the_log_of_the_host_is_kept_as_the_inventory_says() -> None:
    action = Action(stdout=f"{MARK}{{}}")
    ask(action, variables={"ansible_syslog_facility": "LOG_LOCAL3", "ansible_target_log_info": "run 17"})
    assert action.given["facility"] == "LOG_LOCAL3"
    assert action.given["log"].startswith("run 17 Invoked with services=[{'name': 'shop'")


def test_credentials_in_urls_are_not_in_the_log_of_the_host() -> None:
    action = Action(stdout=f"{MARK}{{}}")
    ask(action, {**GIVEN, "services": [{"name": "shop", "environment": {"URL": "redis://shop:hunter2@db1/0"}}]})
    assert "redis://shop" in action.given["log"] and "hunter2" not in action.given["log"]


def test_what_others_print_around_a_result_is_no_part_of_it() -> None:
    result = json.dumps({"msg": f"{MARK}{{}}"})
    answer = ask(Action(stdout=f"{MARK}is what I print\nmotd\n{MARK}{result}\ngoodbye\n"))
    assert answer and answer["msg"] == f"{MARK}{{}}"


def test_a_host_cannot_give_the_controller_what_is_internal_to_ansible() -> None:
    said = {
        "changed": True,
        "add_host": {"host_name": "evil"},
        "_ansible_delegated_vars": {},
        "ansible_facts": {"discovered_interpreter_python": "/tmp/evil", "own": 1},
    }
    answer = ask(Action(stdout=f"{MARK}{json.dumps(said)}"))
    assert answer and answer.pop("invocation")
    assert answer == {"changed": True, "ansible_facts": {"own": 1}}


def test_secrets_are_not_in_the_last_words_of_a_module() -> None:
    died = ask(Action(stderr="KeyError: 's3cret-of-all'\n", stdout="s3cret", rc=1))
    assert died and died["rc"] == 1
    assert "s3cret" not in json.dumps(died) and "-of-all" not in json.dumps(died)


def test_code_that_is_missing_is_told_from_a_module_that_died() -> None:
    with pytest.raises(CodeMissingError):
        ask(Action(stdout=f"motd\n{MARK}\n"))
    died = ask(Action(stderr="Traceback (most recent call last):\n  …\nMemoryError\n", rc=1))
    assert died and died["failed"] and died["rc"] == 1
    assert died["msg"] == "module gunicorn_service ended without a result (exit code 1): MemoryError"
    refused = ask(Action(stderr="sudo: unknown user web\nsudo: error initializing audit plugin sudoers_audit\n", rc=1))
    assert refused and ": sudo: unknown user web; sudo: error initializing" in refused["msg"]
    killed = ask(Action(rc=137))
    assert killed and killed["msg"].endswith("(exit code 137): it printed nothing")


@pytest.mark.parametrize("code", [126, 127])
def test_a_host_whose_interpreter_is_elsewhere_is_left_to_ansible(code: int) -> None:
    assert ask(Action(stderr="sh: 1: /usr/bin/python3: not found", rc=code)) is None


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ("/bin/sh: 1: sudo: not found\n", "sudo"),
        ("bash: line 1: doas: command not found\n", "doas"),
        ("zsh:1: command not found: sudo\n", "sudo"),
    ],
)
def test_a_host_without_the_program_that_gets_roots_rights_is_told_what_to_do(said: str, program: str) -> None:
    answer = ask(Action(stderr=said, rc=127))
    # Over SSH with a terminal there is one stream.
    assert answer == ask(Action(stdout=said, rc=127))
    assert answer and answer["failed"] and answer["rc"] == 127
    assert answer["msg"].startswith(f"the host has no program '{program}', ")
    assert "ansible_become_method: su" in answer["msg"]


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required\n",
        "sudo: a terminal is required to read the password; either use the -S option …\n",
        "web is not in the sudoers file.\n",
        "Sorry, user web is not allowed to execute '/bin/sh -c …' as root on web1.\n",
        "doas: Operation not permitted\n",
    ],
)
def test_a_user_who_may_not_become_root_is_told_what_to_do(said: str) -> None:
    answer = ask(Action(stderr=said, rc=1))
    assert answer and answer["failed"] and answer["rc"] == 1
    assert answer["msg"].startswith("the user of the connection gets no rights of root (")
    assert "--ask-become-pass" in answer["msg"]


@pytest.mark.parametrize(
    "args",
    [
        {**GIVEN, "services": [{"name": "shop", "wrokers": 3}]},
        {**GIVEN, "lock_timeout": "soon"},
        {"code": "c0de"},
        {**GIVEN, "root": "~/srv"},
        {**GIVEN, "services": [{"name": "shop", "virtualenv": "$HOME/venv"}]},
    ],
)
def test_what_ansible_refuses_or_only_the_host_can_complete_is_left_to_the_module(args: dict[str, t.Any]) -> None:
    assert host_task(t.cast(t.Any, Action()), MODULE, args) is None


def test_only_a_plain_task_over_a_connection_with_pipelining_runs_this_way() -> None:
    assert isinstance(host_task(t.cast(t.Any, Action()), MODULE, GIVEN), HostTask)
    assert host_task(t.cast(t.Any, Action(pipelining=False)), MODULE, GIVEN) is None
    for other in ({"async_val": 60}, {"delegate_to": "db1"}):
        action = Action()
        vars(action._task).update(other)
        assert host_task(t.cast(t.Any, action), MODULE, GIVEN) is None


def test_the_interpreter_that_the_user_has_chosen_is_used() -> None:
    action = t.cast(t.Any, Action())
    assert interpreter(action, {}) == "/usr/bin/python3"
    for chosen, used in {
        "/opt/py/bin/python": "/opt/py/bin/python",
        "auto_silent": "/usr/bin/python3",
        "": "/usr/bin/python3",
        "{{ python }}": "/opt/py/bin/python",
    }.items():
        assert interpreter(action, {"ansible_python_interpreter": chosen}) == used
