# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables with faults reach no host, and the sentence about them stands alone."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError, AnsibleFilterError, AnsibleUndefinedVariable, AnsibleValueOmittedError
from ansible.plugins.action import ActionBase
from ansible_collections.flaskops.stack.plugins.action import flask_release, preflight
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_rules import check_rules

Args = dict[str, t.Any]

SHOP: Args = {"name": "shop", "source": "./shop", "app": "shop:app", "domains": "a.test"}


class Templar:
    """Gives back what it gets, or fails as Ansible's does."""

    def template(self, value: t.Any) -> t.Any:
        """Return the value."""
        if isinstance(value, Exception):
            raise value
        return value


class Preflight(preflight.ActionModule):
    """The plugin with a host that has everything."""

    def __init__(self, args: Args) -> None:
        self._task = SimpleNamespace(args=args, check_mode=True)
        self._templar = Templar()
        self.asked = 0
        self.packages: list[str] = []
        self.more: Args = {}
        self.said: list[str] = []
        self._display = SimpleNamespace(warning=self.said.append)

    def _preflight(self, more: Args, _task_vars: Args | None) -> Args:
        self.asked += 1
        self.more, self.packages = more, more.get("packages", [])
        return {"changed": False}


class Release(flask_release.ActionModule):
    """The plugin without a host."""

    def __init__(self, args: Args) -> None:
        self._task = SimpleNamespace(args=args, check_mode=True, no_log=False)

    def _build(self, _args: Args, _task_vars: Args | None) -> Args:
        return {"changed": False}

    def _note(self, _args: Args, _answer: Args, _variables: Args) -> None:
        pass


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(preflight, "note_failure", lambda *_args: None)
    monkeypatch.setattr(flask_release, "read_ahead", lambda *_args: None)
    monkeypatch.setattr(flask_release, "serving_at_start", lambda *_args: {})
    for plugin in (preflight, flask_release):
        monkeypatch.setattr(plugin.ActionModule, "untemplated", [])


def refused_by_filter() -> AnsibleError:
    """Return what Ansible makes of an error of a filter of ours."""
    error = AnsibleError("Error while resolving value for 'packages'")
    error.__cause__ = AnsibleFilterError("app 'shop': no")
    error.__cause__.__cause__ = AppError("app 'shop': no")
    return error


def test_faults_of_all_variables_are_the_whole_answer() -> None:
    plugin = Preflight({})
    variables = {"__stack_run": True, "flask_apps": [{**SHOP, "domain": 1}], "nginx_sites": "x", "flask_keep": "five"}
    answer = plugin.run(task_vars=variables)
    assert answer["failed"]
    assert answer["msg"].splitlines()[0] == "app 'shop': unknown option 'domain': did you mean 'domains'?"
    assert [line.split(" ")[0] for line in answer["msg"].splitlines()[1:]] == ["flask_keep", "nginx_sites"]
    assert plugin.asked == 0


def test_variables_without_a_fault_reach_the_host() -> None:
    plugin = Preflight({})
    apps = [SHOP, {**SHOP, "name": "blog", "source": "https://git.example.com/blog.git", "domains": []}]
    variables = {"__stack_run": True, "flask_apps": apps, "flask_packages": "libpq-dev", "flask_root": "/srv"}
    assert plugin.run(task_vars=variables) == {"changed": False}
    assert plugin.packages == ["python3-venv", "ca-certificates", "libpq-dev", "git"]


def test_certificates_bring_their_packages_and_who_has_none_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[list[str]] = []
    monkeypatch.setattr(preflight, "note_plain_sites", lambda _variables, names: noted.append(names))
    site = {"name": "wiki", "domains": ["wiki.org"], "upstream": ["127.0.0.1:80"]}
    variables: Args = {"__stack_run": True, "nginx_sites": [site]}
    for more, packages in (
        ({}, []),
        ({"nginx_acme_email": "me@wiki.org"}, ["openssl", "certbot"]),
        ({"nginx_acme": "yes", "nginx_packages": []}, []),
        ({"nginx_site_defaults": {"tls": {"mode": "self_signed"}}}, ["openssl"]),
    ):
        plugin = Preflight({})
        assert plugin.run(task_vars={**variables, **more}) == {"changed": False}
        assert plugin.packages == packages
    assert noted == [["wiki"], [], [], []]


def test_the_host_is_asked_what_certificates_and_the_firewall_need() -> None:
    site = {"name": "wiki", "domains": ["wiki.org"], "upstream": ["127.0.0.1:80"], "http_port": 8080}
    variables: Args = {"__stack_run": True, "nginx_sites": [site], "nginx_suffix": ".conf"}
    for more, asked in (
        ({}, {}),
        ({"nginx_firewall": "none"}, {}),
        ({"nginx_firewall_close": ["5432"], "nginx_firewall": "ufw"}, {"backend": "ufw", "close": ["5432"]}),
    ):
        plugin = Preflight({})
        plugin.run(task_vars={**variables, **more})
        wanted = {"ports": ["8080/tcp"], "allow": [], **asked} if asked else {}
        assert plugin.more.get("firewall", {}) == wanted and "certificates" not in plugin.more
    plugin = Preflight({})
    plugin.run(task_vars={**variables, "nginx_acme": True, "nginx_acme_eab_file": "/root/eab"})
    assert plugin.more["certificates"] == {
        "sites": {"wiki": {"former": "", "names": ["wiki.org"]}},
        "eab_file": "/root/eab",
        "challenge": "http",
        "suffix": ".conf",
    }


def test_sites_whose_requests_cannot_be_counted_are_named_before_anything_changes() -> None:
    site = {"domains": ["wiki.org"], "upstream": ["127.0.0.1:80"]}
    logs = {"wiki": {}, "blog": {"access_log": "json"}, "news": {"access_log": "off"}, "gone": {"state": "disabled"}}
    sites = [{**site, "name": name, "domains": [f"{name}.org"], **more} for name, more in logs.items()]
    for metrics, expected in (("none", []), ("textfile", ["wiki"])):
        plugin = Preflight({})
        plugin.run(task_vars={"__stack_run": True, "nginx_sites": sites, "nginx_metrics": metrics})
        assert [text.split(" are not counted")[0] for text in plugin.said] == [
            f"nginx_metrics: requests to {name}" for name in expected
        ]


@pytest.mark.parametrize("more", [{}, {"flask_keep": "five"}])
def test_a_variable_with_a_typing_error_in_its_name_is_warned_of(more: Args, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(flask_release, "Display", lambda: SimpleNamespace(warning=said.append))
    variables: Args = {"__stack_run": True, "flask_app": [SHOP], "nginx_sites_derived": "{{ x }}", **more}
    plugin = Preflight({})
    plugin.run(task_vars=variables)
    Release({"apps": []}).run(task_vars=variables)
    assert said == plugin.said
    assert said == ["flask_app is no variable of flaskops.stack, and nothing reads it: did you mean flask_apps?"]


def test_sites_that_no_firewall_could_be_made_for_are_refused() -> None:
    site = {"name": "wiki", "domains": ["wiki.org"], "upstream": ["127.0.0.1:80"], "http3": True}
    tls = {"tls": {"mode": "self_signed"}}
    variables = {"nginx_sites": [{**site, **tls}], "nginx_catch_all": False, "nginx_firewall": "nftables"}
    answer = Preflight({}).run(task_vars={"__stack_run": True, **variables})
    assert answer["failed"] and "http3 needs nginx_catch_all" in answer["msg"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"nginx_acme_email": "me"}, "nginx_acme_email 'me' must be one address"),
        ({"nginx_acme": True}, "site 'wiki': tls.mode acme: no public CA gives a certificate for 'wiki.test'"),
        ({"nginx_acme": True, "nginx_acme_challenge": "dns"}, "needs nginx_acme_dns_hook"),
    ],
)
def test_what_a_ca_cannot_give_is_refused_before_the_host_is_asked(more: Args, message: str) -> None:
    plugin = Preflight({})
    site = {"name": "wiki", "domains": ["wiki.test"], "upstream": ["127.0.0.1:80"]}
    answer = plugin.run(task_vars={"__stack_run": True, "nginx_sites": [site], **more})
    assert answer["failed"] and message in answer["msg"] and plugin.asked == 0


def test_a_fault_of_types_is_said_instead_of_what_filters_made_of_it() -> None:
    plugin = Preflight({"packages": None})
    plugin.finalize_task_arg("packages", refused_by_filter(), Templar(), None)
    answer = plugin.run(task_vars={"__stack_run": True, "flask_apps": [{**SHOP, "keep": "five"}]})
    assert answer == {"failed": True, "msg": "app 'shop': keep must be a whole number, not \"five\""}


def test_all_that_contradicts_our_rules_is_said_at_once() -> None:
    plugin = Preflight({})
    apps = [{**SHOP, "app": "no path"}, {**SHOP, "name": "blog", "trusted_hops": -1, "domains": "b.test"}]
    sites = [{"name": "wiki", "domains": ["wiki.test"]}]
    answer = plugin.run(task_vars={"__stack_run": True, "flask_apps": apps, "nginx_sites": sites})
    said = [line.partition(":")[0] for line in answer["msg"].splitlines()]
    assert said == ["app 'shop'", "app 'blog'", "site 'wiki'"]
    assert plugin.asked == 0


def test_a_default_of_sites_that_makes_a_derived_one_wrong_is_found_at_the_door() -> None:
    app = {**SHOP, "nginx": {"read_timeout": 20}, "gunicorn": {"timeout": 10}}
    for defaults, said in (
        ({"read_timeout": 0}, "read_timeout must be between 1 and"),
        ({"hsts": 60}, "site 'shop': hsts needs tls"),
        ({"proxy_headers": {"X Y": "1"}}, "site 'shop': header name"),
    ):
        variables = {"__stack_run": True, "flask_apps": [app], "nginx_site_defaults": defaults}
        answer = Preflight({}).run(task_vars=variables)
        assert said in answer["msg"]


def test_sites_are_derived_with_their_defaults_when_all_faults_are_looked_for() -> None:
    # The application's header takes the place of those of the defaults where these are not known.
    app = {**SHOP, "host_header": "X-Host", "domains": ["a.test"]}
    assert check_rules([app], [], {"proxy_headers": {"X Y": "1"}}, "/srv") == [
        "site 'shop': header name 'X Y' must consist of letters, digits and '-'"
    ]


def test_a_sentence_of_a_filter_stands_alone_where_nothing_else_is_found() -> None:
    plugin = Preflight({"packages": None})
    plugin.finalize_task_arg("packages", refused_by_filter(), Templar(), None)
    assert plugin.run(task_vars={"flask_apps": [SHOP]}) == {"failed": True, "msg": "app 'shop': no"}


def test_a_role_alone_says_nothing_of_variables_that_it_does_not_read() -> None:
    plugin = Preflight({"packages": None, "refuse": []})
    plugin.finalize_task_arg("packages", refused_by_filter(), Templar(), None)
    answer = plugin.run(task_vars={"flask_apps": [{**SHOP, "app": "no path"}], "nginx_sites": [{"name": "!"}]})
    assert answer["msg"] == "app 'shop': no"


def test_what_a_role_alone_refuses_is_said_by_the_module() -> None:
    assert not Preflight({"refuse": ["no"]}).run(task_vars={}).get("failed")


def test_the_error_of_others_is_raised_as_it_is() -> None:
    for plugin in (Preflight({}), Release({})):
        error = AnsibleUndefinedVariable("'vault_token' is undefined")
        assert plugin.finalize_task_arg("packages", error, Templar(), None) is None
        with pytest.raises(AnsibleUndefinedVariable, match=r"^'vault_token' is undefined"):
            plugin.run(task_vars={})


def test_an_argument_that_is_not_given_stays_so() -> None:
    with pytest.raises(AnsibleValueOmittedError):
        Preflight({}).finalize_task_arg("packages", AnsibleValueOmittedError(), Templar(), None)


def test_a_deploy_checks_what_it_reads_before_anything_else() -> None:
    args = {"apps": [{**SHOP, "keep": "five"}], "keep": "x", "site_defaults": {"http2": "maybe"}}
    lines = Release(args).run(task_vars={"__stack_run": True})["msg"].splitlines()
    assert [line.partition(" must be")[0] for line in lines] == [
        "app 'shop': keep",
        "flask_keep",
        "nginx_site_defaults.http2",
    ]


@pytest.mark.parametrize("name", ["max_failed_percentage", "max_fail_percentage"])
def test_the_accepted_share_of_failures_may_be_a_template(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Templar, "template", lambda _self, value: 20 if value == "{{ share }}" else value)
    hosts = {"ansible_play_hosts": ["web1"], "ansible_play_hosts_all": ["web1", "web2"]}
    plugin = Release({"apps": [SHOP]})
    plugin._templar = Templar()
    run = {"__stack_run": True, "inventory_hostname": "web1", **hosts, name: "{{ share }}"}
    assert plugin.run(task_vars=run) == {"changed": False}


@pytest.mark.parametrize(
    ("args", "variables"),
    [({}, {}), ({}, {"__stack_run": True, "__stack_looks": True}), ({"state": "absent"}, {"__stack_run": True})],
)
def test_a_build_that_begins_no_playbook_of_ours_is_checked_by_others(args: Args, variables: Args) -> None:
    assert Release({"apps": [{"name": "shop", "domain": 1}], **args}).run(task_vars=variables) == {"changed": False}
