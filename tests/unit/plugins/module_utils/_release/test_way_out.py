# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting that helps an application which the sandbox or the layout of a release stops."""

from __future__ import annotations

import re

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.import_ways import import_way
from ansible_collections.flaskops.stack.plugins.module_utils._release.way_out import AppPaths, ways_out, with_ways_out

SHOP = AppPaths("shop", "shop", "/srv/shop/releases", "/srv/shop/shared", ("instance",), "shop", "create_app")
DENIED, READ_ONLY = "PermissionError: [Errno 13] Permission denied", "OSError: [Errno 30] Read-only file system"
ABSENT = "FileNotFoundError: [Errno 2] No such file or directory"
NO_DEVICE = "OSError: [Errno 6] No such device or address"
PACKAGES = "<release>/venv/lib/python3.13/site-packages"
CODE = "/srv/shop/releases/3f2a91c-1b9e02d4/app"

OPENS = '  File "<release>/app/shop.py", line 3, in <module>\n    open(PATH)\n'
MKDIR = '  File "<release>/app/shop.py", line 3, in <module>\n    mkdir(PATH)\n    ~~~~~^^^^^^\n'
MAKEDIRS = (
    '  File "<release>/app/shop.py", line 3, in x\n    os.makedirs(x)\n  File "<frozen os>", line 228, in makedirs\n'
)
WORKER = "[2026-11-30 09:02:38 +0000] [7] [ERROR] Exception in worker process\nTraceback (most recent call last):\n"
AT_ONCE = "each worker changes the database .* hooks.migrate"
NO_TABLE = r"hooks\.migrate.*flask db upgrade"
HOOK = "hook build './build.sh' failed with exit code 127. It said:\n"
LACKS_NPM = "does not have the program 'npm'.*system_packages$"
IN_FLASK = '  File "<release>/app/flask.py", line 1, in <module>\n    from flask import Flask\n'
PARTIAL = "partially initialized module"


@pytest.mark.parametrize(
    ("said", "way"),
    [
        (f"{DENIED}: '{CODE}/logs/app.log'", "add 'logs' to shared"),
        (f"{DENIED}: '<release>/app/logs/app.log'", "add 'logs' to shared"),
        (
            f"{DENIED}: '/srv/shop/current/app/var/db/x.db'",
            "add 'var/db' to shared",
        ),
        (
            f"{READ_ONLY}: '{CODE}/flask_session'",
            "add 'flask_session' to shared",
        ),
        (f"{READ_ONLY}: 'logs/app.log'", "code is read-only: add 'logs' to shared"),
        # What makes a directory names the directory itself, whatever its name is.
        (f"{MAKEDIRS}{READ_ONLY}: '{CODE}/shop/static/config'", "add 'shop/static/config' to shared"),
        (f"{MAKEDIRS}{READ_ONLY}: '<release>/app/shop/../.data'", "add '.data' to shared"),
        (f"{MAKEDIRS}{READ_ONLY}: 'cache.d/'", "add 'cache.d/' to shared"),
        (f"{MKDIR}{READ_ONLY}: 'a/log'", "add 'a/log' to shared"),
        (f"{MAKEDIRS}{OPENS}{READ_ONLY}: 'a/b'", "add 'a' to shared"),
        (f"{MAKEDIRS}{READ_ONLY}: '{PACKAGES}/money/static/made.d'", "add 'money/static/made.d/' to shared"),
        (f"{READ_ONLY}: './data.json'", "'data.json' into a directory of its own, such as data/data.json"),
        (f"{ABSENT}: 'instance/config.py'", "put it to /srv/shop/shared/instance/config.py"),
        (f"{DENIED}: '{CODE}/app.log'", "'app.log' into a directory of its own, such as data/app.log"),
        (f"{ABSENT}: '{CODE}/logs/app.log'", "add 'logs' to shared"),
        (
            f"{READ_ONLY}: '{CODE[:-4]}/venv/lib/x/cache'",
            "virtualenv is read-only.*/srv/shop/",
        ),
        (
            f"{READ_ONLY}: '{PACKAGES}/money/static/a.css' -> '{PACKAGES}/money/static/build/a.1f.css'",
            "copy 'money' into the code by a build hook and add 'money/static/build' to shared",
        ),
        (f"{READ_ONLY}: '{PACKAGES}/money/cache'", "add 'money/cache' to shared"),
        (f"{READ_ONLY}: '{PACKAGES}/money/a.db'", "to write below /srv/shop/shared$"),
        (
            f"{DENIED}: '/srv/shop/shared/instance/app.db'",
            "must belong to user 'shop'",
        ),
        (f"{NO_DEVICE}: '/dev/stdout'", "standard error.*journalctl -t shop"),
        (f"{NO_DEVICE}: '/proc/self/fd/1'", "standard error"),
        (f"{DENIED}: '/home/deployer/.cache/model'", "HOME.*/srv/shop/shared"),
        (
            f"{READ_ONLY}: '/var/log/shop/app.log'",
            "'/var/log/shop' to gunicorn.sandbox_paths",
        ),
        # Nobody is told to give the system's directories away.
        (
            f"{READ_ONLY}: '/var/log/shop.log'",
            "/var/log is the system's: make a directory such as /var/log/shop for user",
        ),
        (f"{DENIED}: '/etc/shop.conf'", "/etc is the system's: make a directory such as /etc/shop"),
        (f"{READ_ONLY}: '/shop.pid'", "/ is the system's: make a directory such as /shop"),
        (f"{ABSENT}: '/tmp/job.txt'", "/tmp .*private to each unit"),
        (f"{ABSENT}: '<release>/app/instance/config.py'", "put it to /srv/shop/shared/instance/config.py on the host"),
        (f"{ABSENT}: '{CODE}/instance/db/x.db'", "put it to /srv/shop/shared/instance/db/x.db on the host"),
        (f"{DENIED}: '{CODE}/instance/x.db'", "/srv/shop/shared/instance/x.db must belong to user 'shop'"),
        ("ModuleNotFoundError: No module named 'shop'", "PYTHONPATH: src.*set subdirectory$"),
        ("sqlite3.OperationalError: unable to open database file", "SQLite.*'shared'"),
        ("(sqlite3.OperationalError) attempt to write a readonly database", "SQLite.*'shared'"),
        ("TypeError: FastAPI.__call__() missing 1 required positional argument: 'send'", "ASGI.*a2wsgi"),
        ("TypeError: create_app() missing 1 required argument: 'files'", "arguments of create_app.*served.py"),
        ("TypeError: Shop.create_app() missing 2 required positional arguments: 'a' and 'b'", "served:app"),
        ("TypeError: app 'shop:create_app()' returned what is not callable: it is of type 'Shop'", "served:app"),
        ("TypeError: app 'shop:create_app' is not callable: it is of type 'Shop'", "WSGI application in app"),
        ("PermissionError: [Errno 13] cannot allocate executable memory. This may be due to", "MemoryDenyWriteExecute"),
        ("MemoryError: Cannot allocate write+execute memory for ffi.callback().", "MemoryDenyWriteExecute"),
        ("ModuleNotFoundError: No module named 'shopping'", "no package that is installed has the module 'shopping'"),
        ("ModuleNotFoundError: No module named 'health_check.db'", "package with 'health_check' is newer.*constraints"),
        (
            f"ImportError: cannot import name 'x' from 'markupsafe' ({CODE[:-4]}/venv/lib/site-packages/x.py)",
            "package with 'markupsafe' is newer, or older",
        ),
        ("ModuleNotFoundError: No module named 'cgi'", "no module 'cgi' any more.*legacy-cgi to packages"),
        ("ModuleNotFoundError: No module named 'distutils.util'", "no module 'distutils' any more.*add setuptools"),
        ("ModuleNotFoundError: No module named 'imp'", "no module 'imp' any more.*set python to an older one$"),
        (
            "Its log says:\nModuleNotFoundError: No module named 'shopping'\n[7] [INFO] Worker exiting (pid: 7)",
            "add the one that has it to packages",
        ),
        (f"{ABSENT}: '/var/log/shop/app.log'", "journalctl -t shop.*make '/var/log/shop' on the host"),
        ("EOFError: EOF when reading a line", "nobody can type"),
        ("    sys.exit(0)\nSystemExit: 0", "ends its process"),
        ("    exit()\nSystemExit: None", "ends its process"),
        (
            "TypeError: app() missing 3 required positional arguments: 'scope', 'receive', and 'send'",
            "ASGI.*a2wsgi",
        ),
        (
            "AttributeError: module 'logging' has no attribute 'x' (consider renaming '<release>/app/logging.py' since",
            "hides it: rename the file",
        ),
        (
            f"{IN_FLASK}ImportError: cannot import name 'Flask' from {PARTIAL} 'flask'",
            "imports itself.*rename the file",
        ),
        (f"{IN_FLASK}AttributeError: {PARTIAL} 'flask' has no attribute 'Flask'", "imports itself.*rename the file"),
        (
            (
                '  File "<release>/app/main.py", line 5, in <module>\n    import vendor.main\n'
                "ModuleNotFoundError: No module named 'vendor.main'"
            ),
            "submodule.*vendor<VERSION",
        ),
        (
            (
                f'  File "{CODE}/main.py", line 5, in x\n    import x\n  File "{PACKAGES}/x/y.py", line 1, in y\n'
                "ModuleNotFoundError: No module named 'health_check.db'"
            ),
            "package with 'health_check' is newer",
        ),
        (
            "ImportError: cannot import name 'db' from 'main' (consider renaming '<release>/app/main.py' if it has the",
            "imports itself",
        ),
        ("locale.Error: unsupported locale setting", "locales-all"),
        (
            f"  File \"/usr/lib/python3/subprocess.py\", line 1972, in _execute_child\n    raise\n{ABSENT}: 'ffmpeg'",
            "does not have the program 'ffmpeg'.*system_packages$",
        ),
        ("OSError: libmagic.so.1: cannot open shared object file: No such file or directory", "to system_packages"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "to system_packages"),
        ("ModuleNotFoundError: No module named '_tkinter'", "python3-tk"),
        (f"{WORKER}sqlite3.OperationalError: table notes already exists", AT_ONCE),
        (f"{WORKER}(sqlite3.OperationalError) database is locked", AT_ONCE),
        (f"{WORKER}(sqlite3.OperationalError) duplicate column name: colour", AT_ONCE),
        (f'{WORKER}(psycopg.errors.DuplicateTable) relation "notes" already exists', AT_ONCE),
        (f'{WORKER}duplicate key value violates unique constraint "pg_type_typname_nsp_index"', AT_ONCE),
        (f"{WORKER}tuple concurrently updated", AT_ONCE),
        (f"{WORKER}pymysql.err.OperationalError: (1050, \"Table 'notes' already exists\")", AT_ONCE),
        ("table notes already exists\n[7] [ERROR] Worker (pid:9) exited with code 3.", AT_ONCE),
        ("(sqlite3.OperationalError) no such table: notes", NO_TABLE),
        ("sqlite3.OperationalError: no such column: notes.colour", NO_TABLE),
        ('psycopg.errors.UndefinedTable: relation "notes" does not exist', NO_TABLE),
        ("psycopg2.errors.UndefinedColumn: column notes.colour does not exist", NO_TABLE),
        ("pymysql.err.ProgrammingError: (1146, \"Table 'shop.notes' doesn't exist\")", NO_TABLE),
        ("MySQLdb.OperationalError: (1054, \"Unknown column 'notes.colour' in 'field list'\")", NO_TABLE),
        (f"{HOOK}<release>/app/build.sh: 2: npm: not found\n<release>/app/build.sh: 3: vite: not found", LACKS_NPM),
        (f"{HOOK}./build.sh: line 2: npm: command not found", LACKS_NPM),
        (f"{HOOK}make: npm: No such file or directory", LACKS_NPM),
        (f"{HOOK}/usr/bin/env: \u2018npm\u2019: No such file or directory", LACKS_NPM),
        (
            f"{HOOK}  File \"<frozen os>\", line 717, in __getitem__\n    raise KeyError(key)\nKeyError: 'API_URL'",
            "environment variable API_URL is not set.*to environment.*secrets",
        ),
        (f"{HOOK}  File \"/usr/lib/python3.9/os.py\", line 7, in __getitem__\nKeyError: 'API_URL'", "API_URL"),
        ("OSError: [Errno 97] Address family not supported by protocol", "RestrictAddressFamilies"),
    ],
)
def test_the_setting_is_named(said: str, way: str) -> None:
    assert len(ways_out(said, SHOP)) == 1
    assert re.search(way, ways_out(said, SHOP)[0])


@pytest.mark.parametrize(
    "said",
    [
        "",
        "RuntimeError: no luck",
        f"{ABSENT}: '/etc/shop.conf'",
        f"{ABSENT}: '{CODE}/config.py'",
        f"{DENIED}: '/proc/1/environ'",
        "KeyError: 'SECRET_KEY'",
        # Another one was raised after it.
        "ModuleNotFoundError: No module named 'simplejson'\n\nDuring handling of it:\nValueError: no luck",
        "ModuleNotFoundError: No module named 'shopping'; 'shopping' is no package",
        f"{ABSENT}: '{CODE}/./build.sh'",
        f"{ABSENT}: 'shop.cfg'",
        f"{DENIED}: '../app'",
        # Whoever may write there has root's rights.
        f"[Errno 30] Read-only file system: '{CODE[:-4]}'",
        "[Errno 30] Read-only file system: '/srv/shop/releases'",
        "[Errno 30] Read-only file system: '/etc/systemd/system/.flaskops-nfiz79oe'",
        # Compilers of a package.
        f"cannot install misaka: {ABSENT}: 'x86_64-linux-gnu-gcc'",
        "cannot install pandas: ModuleNotFoundError: No module named 'pkg_resources'",
        "TypeError: connect() missing 1 required positional argument: 'host'",
        "SystemExit: 2",
        "ValueError: SystemExit: 0 is no number",
        "AttributeError: module 'shop.db' has no attribute 'x'",
        # A page, and not a program.
        "INFO /missing: not found",
        f"{HOOK}KeyError: 'API_URL'",
        # Not at an import, and not of workers.
        "sqlite3.OperationalError: table notes already exists",
        "hook migrate 'flask db upgrade' failed with exit code 1:\nsqlite3.OperationalError: no such table: notes",
        "hook migrate_down 'flask seed' failed with exit code 1:\nsqlite3.OperationalError: table notes already exists",
        f"{WORKER}FileExistsError: [Errno 17] File exists: 'x'",
        # A circle of the application's own modules.
        f"{IN_FLASK}ImportError: cannot import name 'app' from {PARTIAL} 'main'",
        "TypeError: app 'shop:create_app()' is not callable: it is of type 'Flask', leave out the ()",
    ],
)
def test_nothing_is_guessed_where_no_setting_helps(said: str) -> None:
    assert ways_out(said, SHOP) == []
    assert with_ways_out(said, SHOP) == said


def test_a_path_in_a_logging_error_does_not_hide_what_ended_the_application() -> None:
    logged = f"--- Logging error ---\n{ABSENT}: '{CODE}/logs/app.log'"
    first, second = ways_out(f"{logged}\nsqlite3.OperationalError: unable to open database file", SHOP)
    assert "'logs' to shared" in first
    assert "SQLite" in second


def test_the_place_of_the_own_module_is_another_matter() -> None:
    said = "ModuleNotFoundError: No module named 'shop.views'"
    assert import_way(said, "shop") == "" != import_way(said, "served")


def test_each_way_out_is_named_once_and_two_at_most() -> None:
    lines = [f"{DENIED}: '{CODE}/{name}/x'" for name in ("a", "a", "b", "c")]
    assert [way.split("'")[1] for way in ways_out("\n".join(lines), SHOP)] == ["a", "b"]
