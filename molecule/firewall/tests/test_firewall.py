# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a visitor in another network namespace reaches, before and after changes of the firewall."""

from __future__ import annotations

import json
import typing as t

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Eventually, Shell

Run = t.Callable[..., dict[str, t.Any]]
Reach = t.Callable[..., list[str]]

ALLOW = [{"port": "9001", "protocol": "tcp", "from": ["198.51.100.0/24"]}]
USUAL: dict[str, t.Any] = {"ports": [], "allow": ALLOW, "close": ["9000"], "revert_after": 60, "confirm": ""}
HOST4, HOST6 = "198.51.100.1", "2001:db8:1::1"
# Prints what becomes of each connection: open, refused (no process listens) or closed (dropped).
CONNECT = """
import concurrent.futures, json, socket, sys
def connect(target):
    host, port, source = target
    try:
        socket.create_connection((host, port), 2, (source, 0) if source else None).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "closed"
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(json.dumps(list(pool.map(connect, json.loads(sys.argv[1])))))
"""
# With the code that the role has left on the host, as the action plugin calls it.
CALL = """
import glob, json, os, sys
sys.path.insert(0, max(glob.glob("/usr/local/lib/flaskops/code/*"), key=os.path.getmtime))
from flaskops_code._entrypoints.nginx_firewall import run
params, confirms = json.loads(sys.argv[1]), sys.argv[2] == "yes"
result = run(params, False)
if confirms and result.get("confirm"):
    kept = run({**params, "confirm": result["confirm"]}, False)
    result = kept if kept.get("failed") else result
print(json.dumps(result))
"""


@pytest.fixture
def run(sh: Shell, host: Host) -> Run:
    """Change the firewall, and confirm that unless told not to."""

    def change(backend: str, *, confirms: bool = True, **given: t.Any) -> dict[str, t.Any]:
        params = json.dumps({**USUAL, **given, "backend": backend})
        answer = host.run("python3 -c %s %s %s", CALL, params, "yes" if confirms else "no")
        assert answer.rc == 0, answer.stderr
        return dict(json.loads(answer.stdout.splitlines()[-1]))

    sh("ip netns list | grep -q visitor")
    return change


@pytest.fixture
def reach(host: Host) -> Reach:
    """Connect to ports of the host as a visitor, from one of its addresses."""

    def connect(*ports: int, address: str = HOST4, source: str = "") -> list[str]:
        targets = json.dumps([(address, port, source) for port in ports])
        answer = host.run("ip netns exec visitor python3 -c %s %s", CONNECT, targets)
        return list(json.loads(answer.stdout))

    return connect


@pytest.fixture(autouse=True)
def as_converged(run: Run, sh: Shell) -> t.Iterator[None]:
    """Leave the host as the role has made it."""
    yield
    sh("if [ -e /etc/ufw/ufw.conf ]; then ufw disable; fi; systemctl start nginx listener@9000 listener@9001")
    assert not run("none").get("failed")
    assert not run("nftables").get("failed")


def is_as_wanted(reach: Reach) -> bool:
    """Tell whether the host is open where it has to be, and nowhere else."""
    wanted = {2222: "open", 80: "open", 8080: "open", 443: "refused", 9000: "closed", 9001: "open"}
    assert dict(zip(wanted, reach(*wanted), strict=True)) == wanted
    return True


def is_open(reach: Reach) -> bool:
    """Tell whether there is no firewall."""
    return reach(9000, 2222, 9002) == ["open", "open", "refused"]


def test_the_role_opens_ssh_and_the_sites_and_closes_the_rest(reach: Reach, sh: Shell) -> None:
    assert is_as_wanted(reach)
    assert reach(2222, 80, 9000, 9001, address=HOST6) == ["open", "open", "closed", "closed"]
    # Another network than that which may use the port.
    assert reach(9001, source="198.51.101.2") == ["closed"]
    assert "flaskops-firewall.service" in sh("systemctl list-unit-files --state=enabled")


def test_the_host_itself_icmp_and_its_own_connections_work(sh: Shell) -> None:
    sh(f"ip netns exec visitor ping -c 1 -W 2 {HOST4} && ip netns exec visitor ping -c 1 -W 2 {HOST6}")
    # Neighbours are found anew, by ICMPv6.
    sh(f"ip -6 neighbour flush dev inside && ip netns exec visitor ping -c 1 -W 3 {HOST6}")
    sh("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 9000), 2)'")
    sh(
        "ip netns exec visitor python3 -m http.server --bind 198.51.100.2 7000 >/dev/null 2>&1 & "
        "sleep 1; python3 -c 'import urllib.request as r; r.urlopen(\"http://198.51.100.2:7000/\", timeout=3)'; kill $!"
    )


def test_connections_that_exist_live_on(run: Run, reach: Reach, sh: Shell) -> None:
    run("none")
    sh(
        "rm -f /tmp/told /tmp/go; cat >/tmp/hold.py <<'END'\n"
        "import os, socket, time\n"
        f"one = socket.create_connection(({HOST4!r}, 9000), 3)\n"
        "open('/tmp/ready', 'w').close()\n"
        "while not os.path.exists('/tmp/go'): time.sleep(0.1)\n"
        "one.settimeout(5)\n"
        "one.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
        "open('/tmp/told', 'wb').write(one.recv(100))\n"
        "END\n"
        "rm -f /tmp/ready; ip netns exec visitor python3 /tmp/hold.py >/dev/null 2>&1 & "
        "until [ -e /tmp/ready ]; do sleep 0.1; done"
    )
    run("nftables")
    assert reach(9000) == ["closed"]
    assert "200 OK" in sh(
        "touch /tmp/go; for i in $(seq 60); do [ -s /tmp/told ] && break; sleep 0.1; done; cat /tmp/told"
    )


def test_what_nobody_confirms_is_reverted_by_the_host(run: Run, reach: Reach, eventually: Eventually) -> None:
    run("none")
    token = run("nftables", confirms=False, revert_after=10)["confirm"]
    assert reach(9000) == ["closed"]
    eventually(lambda: is_open(reach), 40)
    late = run("nftables", confirm=token)
    assert late["failed"]
    assert "the old ones are back" in late["msg"]


def test_what_nobody_confirms_is_reverted_with_ufw_too(
    run: Run, reach: Reach, eventually: Eventually, host: Host, sh: Shell
) -> None:
    if not host.exists("ufw"):
        sh("apt-get install --quiet --yes --no-install-recommends ufw")
    sh("ufw --force reset; ufw allow 5000/tcp")
    run("none")
    before = sh("cat /etc/ufw/user.rules /etc/ufw/user6.rules /etc/ufw/ufw.conf | md5sum")
    run("ufw", confirms=False, revert_after=12)
    eventually(lambda: "inactive" in sh("ufw status") and is_open(reach), 60)
    assert sh("cat /etc/ufw/user.rules /etc/ufw/user6.rules /etc/ufw/ufw.conf | md5sum") == before


@pytest.mark.parametrize("broken", ["missing", "refuses", "fails"])
def test_a_tool_that_does_not_work_leaves_the_old_rules(run: Run, reach: Reach, sh: Shell, broken: str) -> None:
    old = sh("nft list table inet flaskops; cat /etc/flaskops/firewall.nft")
    script = {
        "missing": "",
        "refuses": 'case "$*" in *--check*) echo "Operation not supported" >&2; exit 1;; esac',
        "fails": 'case "$*" in "--file /run/flaskops/_firewall/new.nft") echo "out of memory" >&2; exit 1;; esac',
    }[broken]
    sh("mv /usr/sbin/nft /usr/sbin/nft.real")
    try:
        if script:
            lines = f"'#!/bin/sh' '{script}' 'exec /usr/sbin/nft.real \"$@\"'"
            sh(f"printf '%s\\n' {lines} >/usr/sbin/nft; chmod 755 /usr/sbin/nft")
        result = run("nftables", allow=[])
    finally:
        sh("mv /usr/sbin/nft.real /usr/sbin/nft")
    assert result["failed"]
    assert result["msg"].startswith("The firewall is as it was: ")
    assert sh("nft list table inet flaskops; cat /etc/flaskops/firewall.nft") == old
    assert is_as_wanted(reach)


def test_rules_are_there_after_a_boot_and_after_nftables_has_loaded_its_own(reach: Reach, sh: Shell) -> None:
    sh("nft flush ruleset; systemctl stop flaskops-firewall; systemctl start flaskops-firewall")
    assert is_as_wanted(reach)
    for verb in ("start", "reload", "restart"):
        sh(f"systemctl {verb} nftables")
        assert is_as_wanted(reach)
    sh("systemctl stop nftables")
    sh("systemctl stop flaskops-firewall; systemctl start flaskops-firewall")
    order = sh("systemctl show flaskops-firewall --property Before,After,WantedBy")
    assert "network-pre.target" in order
    assert "sysinit.target" in order


def test_tables_of_others_stay(run: Run, sh: Shell) -> None:
    sh("nft 'add table ip others; add chain ip others mine { type filter hook forward priority 0; policy accept; }'")
    before = sh("nft list table ip others")
    for backend in ("none", "nftables", "none"):
        run(backend)
    assert sh("nft list table ip others") == before
    assert "flaskops" not in sh("nft list tables")
    sh("nft delete table ip others; [ ! -e /etc/flaskops/firewall.nft ] && [ ! -e /var/lib/flaskops/firewall.json ]")
    assert "flaskops-firewall" not in sh("systemctl list-unit-files --no-legend")
    sh("[ ! -e /etc/systemd/system/nftables.service.d ]")


def test_ports_of_containers_stay_as_they_are(run: Run, reach: Reach, sh: Shell, eventually: Eventually) -> None:
    # As Docker publishes a port: packets to it are sent on before the rules for the host are asked.
    sh(
        "ip netns add box && ip link add boxed type veth peer name eth0 netns box"
        " && ip address add 10.99.0.1/24 dev boxed && ip link set boxed up"
        " && ip -netns box address add 10.99.0.2/24 dev eth0 && ip -netns box link set eth0 up"
        " && ip -netns box route add default via 10.99.0.1"
        " && nft 'add table ip box; add chain ip box pre { type nat hook prerouting priority -100; };"
        " add rule ip box pre tcp dport 8088 dnat to 10.99.0.2:80'"
        " && systemd-run --quiet --unit=box ip netns exec box python3 -m http.server 80"
    )
    try:
        eventually(lambda: reach(8088) == ["open"], 10)
        run("none")
        run("nftables")
        assert reach(8088, 80, 9000) == ["open", "open", "closed"]
    finally:
        sh("systemctl stop box; nft delete table ip box; ip netns delete box")


def test_a_port_that_others_reach_is_named_before_it_is_closed(run: Run, reach: Reach) -> None:
    run("none")
    result = run("nftables", close=[])
    assert "9000/tcp (python3)" in result["msg"]
    assert "nginx_firewall_close" in result["msg"]
    assert is_open(reach)


def test_ssh_by_a_socket_of_systemd_and_on_several_ports_stays_open(run: Run, reach: Reach, sh: Shell) -> None:
    accepts = "--socket-property=ListenStream=2223 --socket-property=Accept=yes"
    sh(f"systemd-run --quiet --unit=ssh-extra {accepts} /bin/true")
    sh("sed -i '1iPort 2224' /etc/ssh/sshd_config.d/port.conf")
    try:
        result = run("nftables", close=["all"])
        assert {2222, 2223, 2224} <= set(result["ssh_ports"])
        assert reach(2223, 2222) == ["open", "open"]
    finally:
        sh("sed -i '/2224/d' /etc/ssh/sshd_config.d/port.conf; systemctl stop ssh-extra.socket")


def test_ufw_lets_in_the_same_and_goes_without_a_trace(run: Run, reach: Reach, sh: Shell, host: Host) -> None:
    if not host.exists("ufw"):
        sh("apt-get install --quiet --yes --no-install-recommends ufw")
    sh("ufw --force reset")
    # In one change from nftables.
    assert not run("ufw").get("failed")
    assert is_as_wanted(reach)
    assert "Status: active" in sh("ufw status")
    assert "flaskops" not in sh("nft list tables")
    assert not run("ufw")["changed"]
    run("none")
    assert is_open(reach)
    assert "Status: inactive" in sh("ufw status")
    assert "flaskops" not in sh("ufw show added")


def test_an_active_ufw_keeps_its_rules_and_nobody_is_locked_out(run: Run, reach: Reach, sh: Shell, host: Host) -> None:
    if not host.exists("ufw"):
        sh("apt-get install --quiet --yes --no-install-recommends ufw")
    run("none")
    sh("ufw --force reset; ufw allow 9000/tcp comment 'not ours'; ufw allow 2222/tcp; ufw --force enable")
    assert "ufw is active" in run("nftables")["msg"]
    assert not run("ufw").get("failed")
    assert reach(2222, 80, 9000) == ["open", "open", "open"]
    run("none")
    assert reach(2222, 80, 9000) == ["open", "closed", "open"]
    # The last rule by which SSH is reached stays.
    sh("ufw delete allow 2222/tcp")
    run("ufw")
    assert "2222/tcp stays open" in run("none")["warnings"][0]
    assert reach(2222) == ["open"]


def test_rules_do_not_need_ipv6(sh: Shell) -> None:
    with_hosts = (
        "unshare --net sh -c 'ip link set lo up; nft -f /etc/flaskops/firewall.nft && nft list table inet flaskops'"
    )
    assert "policy drop" in sh(with_hosts)
