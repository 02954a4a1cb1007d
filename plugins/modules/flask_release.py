#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build releases of Flask applications."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flask_release
short_description: Build releases of Flask applications
version_added: 1.0.0
description:
  - Builds a release of each application in O(apps). A release is everything that the process consists of - code,
    virtualenv, environment and settings of gunicorn - in one directory C(<root>/<name>/releases/<id>), which never
    changes again.
  - The id comes from the content, so it is equal on every host and in every run, and an equal release is never built
    twice. A release that differs in its environment or settings only is built from hard links, without a download.
  - The input of all applications is checked before anything changes. A build that fails leaves no release behind and
    does not affect the other applications; the task fails at the end. A build that was killed is repeated.
  - What is complete after a failed build is kept to speed up the next one - the user, the downloads and, for a day,
    the virtualenv. O(state=absent) removes it.
  - As its last step a build imports the application in its new virtualenv, as its own user and with its own
    environment (import check). When that fails, the error has the end of Python's traceback. An application with
    O(apps[].hooks.migrate) is imported by its start instead, after the hooks have run.
  - All code of an application, its packages and its build hooks runs in a transient unit of systemd with the sandbox
    of the service, and leaves no process behind.
  - Nothing is started or switched, unless O(activate) or O(serve) is set; M(flaskops.stack.gunicorn_service) does
    that.
  - Sources on the controller (directories, archives, git repositories) are sent only when the host lacks the release.
  - The values of O(apps[].secrets), O(apps[].environment), O(apps[].build_secrets), O(apps[].build_environment) and
    O(apps[].deploy_key), and credentials in URLs, appear neither in the result nor in the log of the host. So the
    task needs no C(no_log), which would hide its errors, too.
author:
  - flaskops maintainers (@flaskops)
extends_documentation_fragment:
  - flaskops.stack._host_code
# begin options: written by `make specs` from tools/specs/schema/
options:
  apps:
    description: Applications to build, or to remove with O(state=absent).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: >-
          Name of the application, 1 to 31 lower-case letters, digits or V(-), beginning with a letter. Its directory,
          its units and, without O(apps[].user), its system user have the same name.
        type: str
        required: true
      source:
        description:
          - Where the code comes from. O(apps[].source_type) says which kind of source it is when the form does not
            tell.
          - A git repository - V(https://git.example.com/shop.git), V(git@git.example.com:shop.git), or the path of a
            repository on the controller or on the host. The path of a work tree is a git source when
            O(apps[].version) is set.
          - A directory on the controller. Of a git work tree, the files that C(git add) would take; of any other
            directory, all files but caches.
          - An archive (tar, also compressed, or zip) on the controller, or one to download with O(apps[].checksum).
            The single directory at its top that archives usually have is stripped.
          - A requirement for the package index, such as V(httpbin==0.10.2).
          - Virtualenvs in a source are left out.
          - Relative paths are looked up beside the playbook, then beside the inventory, and must contain a C(/), such
            as V(./shop).
          - Required with O(state=present).
        type: str
      source_type:
        description: Kind of O(apps[].source). V(auto) tells it from its form.
        type: str
        choices: [auto, git, directory, archive, pypi]
        default: auto
      version:
        description:
          - For a git repository, the branch, tag or full commit id; the default branch when empty.
          - For a requirement that names no version, the version.
          - Put V(1.10) in quotes. Without them YAML reads the number 1.1, and the value is refused.
        type: str
        default: ""
      subdirectory:
        description: Subdirectory of the source that contains the application.
        type: str
        default: ""
      checksum:
        description: SHA-256 of an archive, as V(sha256:...). Required for an archive that the host downloads.
        type: str
        default: ""
      deploy_key:
        description:
          - Private SSH key for git (its content). While git runs, it is on the host, readable by root only.
          - When not set, SSH uses the keys that root has on the host.
        type: str
      known_hosts:
        description:
          - Lines for SSH's C(known_hosts) with the keys of the git server.
          - When empty, the first key that the server shows is trusted and remembered.
        type: str
        default: ""
      app:
        description: WSGI application, as V(module:object) or V(module:factory(\)). Required with O(state=present).
        type: str
      user:
        description:
          - System user that builds and runs the application, created when missing. Defaults to O(apps[].name).
          - An existing user that was not created for an application is refused, unless it is named here. root, the
            user of the web server and system accounts (ids below 100) are always refused.
          - While the application runs, its data belongs to this user, and another user is refused. After the
            application was removed (its data stays), the next build gives the data to the new user.
        type: str
      group:
        description:
          - Group of the application, created when missing. Defaults to O(apps[].user).
          - System groups, and groups whose members can become root (C(docker), C(sudo)), are refused.
        type: str
      python:
        description: Python of the virtualenv, in the form of O(python), which is its default.
        type: str
      installer:
        description: Installer of Python packages. Defaults to O(installer).
        type: str
        choices: [uv, pip]
      requirements:
        description:
          - Files in the source that list what to install - requirements files, V(uv.lock) or V(pyproject.toml), the
            last two also with extras, such as V(pyproject.toml[web]). When a requirements file has hashes, all
            packages in it are checked.
          - When not set, the first of V(uv.lock), V(requirements.txt), V(pyproject.toml) and V(setup.py) that exists.
          - A V(pyproject.toml) that only configures tools does not count. Lock files of other tools than uv are not
            read.
          - An empty list installs only O(apps[].packages).
        type: list
        elements: str
      packages:
        description: Further Python requirements to install, such as V(psycopg[binary]>=3).
        type: list
        elements: str
        default: []
      constraints:
        description:
          - Versions of packages that may be installed, such as V(werkzeug<3), also of packages that others require.
          - They hold for everything but a V(uv.lock) and requirements files with hashes, which name each version
            themselves.
        type: list
        elements: str
        default: []
        version_added: 2.0.0
      build_constraints:
        description:
          - Versions of packages with which others are built that have no wheel, such as V(setuptools<81). For what is
            installed see O(apps[].constraints).
          - They hold where O(apps[].constraints) does. With O(apps[].installer=pip) they hold for what is installed,
            too.
        type: list
        elements: str
        default: []
        version_added: 2.0.0
      prerelease:
        description: >-
          Whether versions before a release, such as V(3.0rc1), may be installed where no requirement names one.
        type: bool
        default: false
        version_added: 2.0.0
      system_packages:
        description: >-
          Debian packages that this application needs, to build or to run, such as V(libpq5). They are installed in
          addition to those of all applications (C(flask_packages)) by the playbook C(flaskops.stack.site) and this
          role.
        type: list
        elements: str
        default: []
        version_added: 2.0.0
      index_url:
        description: URL of the Python package index. Defaults to O(index_url).
        type: str
      extra_index_url:
        description:
          - URLs of further package indexes. Credentials in them are passed in the environment, never as arguments.
          - uv takes a package from the first index that has it, these before O(apps[].index_url). pip takes the
            newest version of all.
          - A V(uv.lock) names its indexes itself, and these are left out.
        type: list
        elements: str
        default: []
        version_added: 2.0.0
      ca_bundle:
        description: File on the host with the certificates to trust. Defaults to O(ca_bundle).
        type: path
      wheel_dir:
        description: Directory of wheels on the host. Defaults to O(wheel_dir).
        type: path
      gunicorn_requirement:
        description: Python requirement for gunicorn. Defaults to O(gunicorn_requirement).
        type: str
      build_timeout:
        description: Seconds that one command of a build may take. Defaults to O(build_timeout).
        type: int
      source_max_mib:
        description: Maximum size of the unpacked source in MiB. Defaults to O(source_max_mib).
        type: int
        version_added: 2.0.0
      build_environment:
        description:
          - Environment variables of the build. Installers, build scripts of packages and O(apps[].hooks.build) see
            them.
          - They are part of the release's id, so another value builds another release.
          - Of the environment of the task, a build sees only proxies, certificates and the locale.
        type: dict
        default: {}
        version_added: 2.0.0
      build_secrets:
        description:
          - Environment variables of the build whose values are secret, such as tokens. A requirement may use one as
            V(${TOKEN}).
          - They are not part of the release's id. They appear in no output and in no file after the build, which has
            directories and caches of its own. A build that writes one into the release is refused.
        type: dict
        default: {}
        version_added: 2.0.0
      build_with_deploy_key:
        description: >-
          Whether git also uses O(apps[].deploy_key) for private dependencies (C(git+ssh://)). Build scripts of
          packages can read the key while they run.
        type: bool
        default: false
        version_added: 2.0.0
      environment:
        description:
          - Environment variables of the application.
          - C({release}), C({shared}), C({venv}) and C({site_packages}) stand for the directories of the release that
            reads them, here, in O(apps[].app), O(apps[].files), O(apps[].hooks), O(apps[].workers), O(apps[].timers)
            and at the beginning of C(nginx.static[].path). All other braces stay, but one that seems to be a mistaken
            placeholder is refused. A backslash before the brace keeps it.
          - Variables that would override the release, such as C(GUNICORN_CMD_ARGS), are refused.
          - A value that Ansible Vault has encrypted (C(!vault)) is refused here, as it is no secret. Put it into
            O(apps[].secrets).
        type: dict
        default: {}
      secrets:
        description: >-
          Environment variables whose values are secret. They are in the same file as the others, which only root and
          the application's group can read. Errors show their values masked.
        type: dict
        default: {}
      files:
        description:
          - Files of configuration, which belong to the release. A changed file makes a new release, so that it is
            deployed without an interruption, and a rollback brings the former one back.
          - They are written into the code, in place of files of the source. Build hooks find them there.
          - A link or a directory of the source in the place of a file, and a path in a directory of O(apps[].shared),
            are refused.
        type: list
        elements: dict
        default: []
        version_added: 2.0.0
        suboptions:
          path:
            description: Path of the file, relative to the application's code, such as V(config/app.cfg).
            type: str
            required: true
          content:
            description: >-
              Text of the file. A list or dictionary is written with the filter P(ansible.builtin.to_json#filter).
              Placeholders in it and in a template are those of O(apps[].environment).
            type: str
          template:
            description: >-
              Template on the controller, rendered with the variables of the host. It is looked for where
              M(ansible.builtin.template) looks, then beside the inventory, there also in C(templates).
            type: str
          src:
            description: >-
              File on the controller, which is copied as it is. It is looked for where M(ansible.builtin.copy) looks,
              then beside the inventory, there also in C(files).
            type: str
          secret:
            description:
              - Whether the file is secret. Only root and the application's group can read it, no output shows it, and
                its values are masked in errors and excerpts of logs.
              - When it is not set, it counts as V(false), and a file that seems to have a password, a key or a token
                in it is refused. One with a value of O(apps[].secrets) is refused in any case.
            type: bool
          mode:
            description: >-
              Permissions, as four octal digits in quotes. V('0640') for a secret file, otherwise V('0644'). The owner
              is root, the group that of the application.
            type: str
      shared:
        description:
          - Directories, relative to the application, that all releases share - uploads, the directory of a SQLite
            file, or V(instance), which is Flask's instance folder. They are in C(<root>/<name>/shared) and belong to
            the user of the application. When not set, V(instance).
          - What the source has in such a directory is copied there once, when the shared directory is empty. Later
            changes of these files never overwrite data, and a warning names the files.
          - A name that looks like a file's, such as V(app.db), is refused. Write V(app.db/) when it is a directory.
        type: list
        elements: str
      trusted_hops:
        description: >-
          Number of trusted reverse proxies in front of gunicorn, whose C(X-Forwarded-*) headers are used (Werkzeug's
          C(ProxyFix)). 1 is nginx on the same host.
        type: int
        default: 1
      host_header:
        description:
          - Request header with the host name that the visitor asked for, when it is not C(Host).
          - With a C(trusted_hops) of 1 nginx sets it. Else another proxy has to, and nginx takes it from
            C(nginx.trusted_proxies) alone where there are any, and from all who connect where there are none.
        type: str
        default: ""
      keep:
        description: Number of releases to keep. Defaults to O(keep).
        type: int
      compress:
        description:
          - Whether the build compresses static files (those of C(nginx.static) that are in the code), so that nginx
            need not for each visitor. Releases that are built already stay as they are.
          - The format is gzip, and also brotli and zstd where nginx loads the module for files that are compressed
            already and the host has the library for Python (C(python3-zstandard)). C(nginx_brotli) of role
            P(flaskops.stack.nginx#role) installs both for brotli.
          - A copy that the source brings along (C(app.js.gz)) is taken out of the release, with a warning, when its
            content is not that of the file, because nginx would send it in the place of that. With V(false) nothing
            is compared.
        type: bool
        default: true
        version_added: 2.0.0
      rename_from:
        description:
          - Former name of the application. Its data moves to the new name while the old name still serves.
          - The user stays that of the former name, unless O(apps[].user) is set, so leave this option set afterwards.
          - The playbook C(flaskops.stack.site) publishes the new name and then removes the old one.
        type: str
        version_added: 2.0.0
      domains:
        description:
          - Host names of the application. The first is the canonical one, and the one that the health check requests.
          - When empty, nginx does not publish the application.
        type: list
        elements: str
        default: []
      gunicorn:
        description: Settings of gunicorn and its service, as in role P(flaskops.stack.gunicorn#role).
        type: dict
        default: {}
      hooks:
        description:
          - Commands of the release, each as a text that is split into words as a shell would do it, or as a list of
            words. They are not run by a shell. They run in the release's C(app) directory as O(apps[].user), with the
            application's environment, the programs of the virtualenv first in C(PATH), and C(FLASK_APP),
            C(FLASKOPS_RELEASE) and C(FLASKOPS_PREVIOUS) set.
          - The build fails when the program of a command does not exist.
        type: dict
        default: {}
        suboptions:
          build:
            description:
              - Commands to run while the release is built. They may write into C(app), for example to build assets.
                When one fails there is no release. A change of the environment runs them again.
              - A link that leads out of the release is refused.
            type: list
            elements: raw
            default: []
          migrate:
            description:
              - Commands that change the database. M(flaskops.stack.gunicorn_service) runs them once per release and
                run of Ansible, on the first host that is about to start the release, while all others wait. When one
                fails, no host starts the release.
              - A host that knows that the release was migrated does not repeat it; a new host does. So the commands
                must be repeatable, as the migrations of Alembic are, and the release that still serves must work with
                their result.
            type: list
            elements: raw
            default: []
          migrate_each_host:
            description: Whether each host has a database of its own and must migrate it.
            type: bool
            default: false
          before_switch:
            description: >-
              Commands to run after the release has passed its health check and before it gets traffic. When one fails
              the deploy is aborted.
            type: list
            elements: raw
            default: []
          after_switch:
            description: >-
              Commands to run after the switch, when the old release has ended. When one fails the task fails, but the
              release keeps serving.
            type: list
            elements: raw
            default: []
          rollback:
            description:
              - >-
                Lists of commands by name, such as C({migrate_down: [flask db downgrade 3f2a]}). They run only when a
                rollback from this release names them (O(flaskops.stack.gunicorn_service#module:services[].hook)).
              - They run in this release, which has the code for them, when the earlier release serves and this one
                has ended, on the last host of the run that has rolled back, or on each host with
                O(apps[].hooks.migrate_each_host). When one fails the earlier release keeps serving, and the task
                fails.
              - The next deploy migrates again.
            type: dict
            default: {}
          timeout:
            description: Seconds that one command may take.
            type: int
            default: 900
      workers:
        description:
          - Background processes of the application, such as those of Celery or RQ. They belong to the release and
            have its code, environment, user and sandbox. They start after the switch to their release; those of the
            old release get SIGTERM, take no new work and finish what they have begun. A process that ends is started
            again.
          - When a new one does not stay up, the deploy is reverted.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the worker, part of its unit's name C(<app>@<release>.worker-<name>.<n>.service).
            type: str
            required: true
          command:
            description: >-
              Command to run, as a text that is split into words as a shell would do it, or as a list of words. It is
              not run by a shell. Programs of the virtualenv are found first. The unit file with the command is
              world-readable, so do not put secrets into it.
            type: raw
            required: true
          count:
            description: Number of processes to run.
            type: int
            default: 1
          stop_timeout:
            description: Seconds that a worker has to finish its work after SIGTERM. Then it is killed.
            type: int
            default: 60
          memory_max:
            description: Memory limit of one worker, such as V(512M), above which it is killed. Empty means no limit.
            type: str
            default: ""
          cpu_quota:
            description: CPU time that one worker may use; V(150%) is one and a half CPUs. Empty means no limit.
            type: str
            default: ""
      timers:
        description: >-
          Commands that systemd runs on a schedule, from the current release only. A job that runs during a deploy is
          finished by the old release, and the job of the new release waits for it.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: >-
              Name of the timer, part of its units' names C(<app>@<release>.timer-<name>.timer) and C(.service).
            type: str
            required: true
          command:
            description: Command to run, in the same form as O(apps[].workers[].command).
            type: raw
            required: true
          schedule:
            description: >-
              When to run it, as a calendar event of systemd.time(7), such as V(daily), V(Mon..Fri 06:30) or
              V(*:0/15), in the time zone of the host. C(systemd-analyze calendar) explains an expression.
            type: str
            required: true
          persistent:
            description: >-
              Whether a run that was missed, because the host was off or the release changed, is caught up on.
            type: bool
            default: true
          random_delay:
            description: Upper bound, in seconds, of a random delay, so that not all hosts start at once.
            type: int
            default: 0
          timeout:
            description: Seconds after which a job that still runs is stopped.
            type: int
            default: 3600
      mount:
        description:
          - Publishes the application below a URL path of another application's site, instead of under
            O(apps[].domains). nginx takes the path off, and the application is told of it by C(X-Forwarded-Prefix),
            so that C(url_for) is right. Cookies get the path, so that applications with one domain keep their
            sessions apart.
          - Of the paths of several applications the longest one counts. Both applications are deployed and closed for
            maintenance each by itself. In O(apps[].nginx) it may have what concerns its paths, such as C(static) and
            C(limits), which are given without the path; what is of the whole domain, such as C(tls), belongs to the
            other one.
        type: dict
        version_added: 2.0.0
        suboptions:
          site:
            description: Name of the application of C(flask_apps) with the domains.
            type: str
            required: true
          path:
            description: The URL path, such as V(/blog).
            type: str
            required: true
      nginx:
        description: Settings of the site. Nothing in this module depends on them.
        type: dict
        default: {}
  state:
    description:
      - V(present) builds missing releases.
      - V(absent) removes the releases, the link C(current) and the cache of each application. Stop its services
        first.
    type: str
    choices: [present, absent]
    default: present
  purge_data:
    description:
      - With O(state=absent), also removes the shared directories and the user.
      - What a link in them leads to stays. A warning names it, and the user stays then, too.
    type: bool
    default: false
  serve:
    description:
      - Whether to deploy the releases in the same task, as M(flaskops.stack.gunicorn_service) does.
      - Half the time of a deploy without new dependencies is the start of tasks; this saves one.
      - The start of the release replaces the import check, except for the first one of its application; the reason of
        a failure is found out afterwards. For a release with O(apps[].hooks.migrate) the start replaces it in any
        case, after the hooks have run.
    type: bool
    default: false
  overlap:
    description: >-
      With O(serve), what to do when the host has too little memory to run the new release beside the current one, see
      O(flaskops.stack.gunicorn_service#module:overlap).
    type: str
    choices: [refuse, fallback, always, never]
    default: refuse
  site_defaults:
    description: >-
      With O(serve), default values of the sites that publish the applications, as in
      O(flaskops.stack.nginx#role:main:nginx_site_defaults). Together with the settings of a site they decide how a
      new release is probed through nginx, see O(flaskops.stack.gunicorn_service#module:services[].site).
    type: dict
    default: {}
  probe_sites:
    description: With O(serve), whether new releases are probed through nginx.
    type: bool
    default: true
  publishes:
    description: >-
      With O(serve), whether the play publishes the applications with nginx afterwards. An application that was
      renamed needs that.
    type: bool
    default: false
    version_added: 2.0.0
  serve_lock_timeout:
    description: >-
      With O(serve), seconds to wait for another run that works on the same service. Defaults to O(lock_timeout).
    type: float
    version_added: 2.0.0
  activate:
    description: >-
      Whether to switch C(current) to the release at once, for use without M(flaskops.stack.gunicorn_service).
    type: bool
    default: false
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  python:
    description: >-
      Default Python of applications - a version (V(3.12)), the name of a program, or its path. It must be installed
      on the host, unless O(python_download) is set.
    type: str
    default: python3
  python_download:
    description:
      - Whether C(uv) gets a Python that the host lacks, when an application names its version. It is an archive of
        the project python-build-standalone, whose checksum uv knows.
      - It belongs to root, in C(/usr/local/lib/flaskops/python), all releases share it, and it is not removed.
    type: bool
    default: false
    version_added: 2.0.0
  python_mirror:
    description:
      - URL of a copy of these archives, for hosts that reach no other, such as V(https://mirror.example.com/python)
        or V(file:///srv/python). Below it are directories with the dates of the archives. Setting it sets
        O(python_download), too.
      - An archive that is not there is refused before anything of the applications changes.
    type: str
    default: ""
    version_added: 2.0.0
  installer:
    description: >-
      Default installer of Python packages. V(pip) is the one that comes with the Python of the application.
    type: str
    choices: [uv, pip]
    default: uv
  uv_requirement:
    description: >-
      Python requirement from which C(uv) is installed, once per host, or the path of a C(uv) that is installed.
    type: str
    default: uv==0.13.8
  gunicorn_requirement:
    description: Python requirement from which gunicorn is installed when the application does not require it itself.
    type: str
    default: gunicorn>=21.2,<28
  index_url:
    description:
      - Default URL of the Python package index. Credentials in it are passed in the environment, never as arguments.
      - When empty, the index of the host's configuration, or PyPI.
    type: str
    default: ""
  ca_bundle:
    description: File on the host with the certificates to trust. When empty, those that the host trusts.
    type: path
    default: ""
  wheel_dir:
    description: >-
      Directory on the host from whose wheels everything is installed, without any index. When empty, the index is
      used.
    type: path
    default: ""
  build_timeout:
    description: Default number of seconds that one command of a build may take.
    type: int
    default: 1800
  source_max_mib:
    description:
      - Default maximum size of an unpacked source in MiB. Each file counts as at least 4 KiB.
      - A larger archive is refused before it fills the disk.
    type: int
    default: 4096
    version_added: 2.0.0
  keep:
    description: Default number of releases of an application to keep.
    type: int
    default: 5
  lock_timeout:
    description: Seconds to wait for another run that works on the same application.
    type: float
    default: 60
  by:
    description: Set by the action plugin; who started this run. Others see it when they find the application locked.
    type: str
    default: ""
  sealed:
    description: Set by the action plugin; the values that Ansible must not show.
    type: str
  sent:
    description: Set by the action plugin; by application, what it found on the controller.
    type: dict
    default: {}
  expected:
    description: >-
      Set by the action plugin; by application, the release that served when the run began. Another release, which
      another run has deployed meanwhile, is not replaced.
    type: dict
    default: {}
    version_added: 2.0.0
  run:
    description: Set by the action plugin; id of this run of Ansible, for the history.
    type: str
    default: ""
    version_added: 2.0.0
# end options
attributes:
  check_mode:
    description: Checks all input, asks git for the revision and computes the ids. Builds and sends nothing.
    support: full
  diff_mode:
    description: Compares the manifest of the new release with that of the current one.
    support: full
seealso:
  - module: flaskops.stack.flask_release_info
  - module: flaskops.stack.gunicorn_service
"""

EXAMPLES = r"""
- name: Build a release from git
  flaskops.stack.flask_release:
    apps:
      - name: shop
        source: https://git.example.com/shop.git
        version: main
        app: shop:create_app()
        environment:
          SHOP_CURRENCY: EUR
        secrets:
          SECRET_KEY: "{{ vault_shop_secret_key }}"

- name: Build two at once, one from a directory beside the playbook, one from the package index
  flaskops.stack.flask_release:
    apps:
      - name: hello
        source: ./hello
        app: hello:create_app()
      - name: httpbin
        source: httpbin==0.10.2
        app: httpbin:app
        gunicorn:
          worker_class: gevent

- name: Install from a private index only, by pip
  flaskops.stack.flask_release:
    installer: pip
    index_url: https://{{ index_user }}:{{ index_token }}@pypi.example.com/simple
    ca_bundle: /usr/local/share/ca-certificates/example.crt
    apps: "{{ flask_apps }}"

- name: Remove an application but keep its data
  flaskops.stack.flask_release:
    state: absent
    apps:
      - name: shop
"""

RETURN = r"""
unlisted:
  description: Applications that serve on the host and are not in O(apps), except those that only role gunicorn manages.
  returned: with O(state=present), when the input is valid
  type: list
  elements: str
errors:
  description: Errors of the applications that could not be built, by name.
  returned: when a build failed
  type: dict
serving:
  description: Ids of the releases that go on serving the applications that could not be built; empty for none.
  returned: when a build failed
  type: dict
releases:
  description:
    - The release of each application, in the order of O(apps), without those that could not be built. Empty with
      O(state=absent).
  returned: when the input is valid
  type: list
  elements: dict
  contains:
    name:
      description: Name of the application.
      type: str
      sample: shop
    id:
      description: Name of the release.
      type: str
      sample: 3f2a91c-1b9e02d4
    path:
      description: Directory of the release.
      type: str
      sample: /srv/shop/releases/3f2a91c-1b9e02d4
    former:
      description: Former name of the application, while anything of it is on the host; otherwise empty.
      type: str
    built:
      description: Whether it was built by this run; in check mode, whether it would be.
      type: bool
    source:
      description: Where the code came from, without credentials.
      type: str
      sample: https://git.example.com/shop.git
    revision:
      description: Commit, SHA-256 of a directory or archive, or the requirement.
      type: str
      sample: 3f2a91c5a1f1b0a9ddc3a6c1f4a2ab6c9d3e1b77
    seconds:
      description: Duration of the build.
      type: float
      sample: 4.2
removed:
  description: Names of the applications that were removed, with O(state=absent).
  returned: success
  type: list
  elements: str
services:
  description: Result of each service, as M(flaskops.stack.gunicorn_service) returns it.
  returned: with O(serve=true)
  type: list
  elements: dict
ansible_facts:
  description: The releases as a fact.
  returned: with O(state=present)
  type: dict
  contains:
    flask_releases:
      description:
        - RV(releases), and before them those of other applications that earlier tasks of the same run have built on
          this host.
      type: list
      elements: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "apps": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "source": {"type": "str"},
            "source_type": {
                "type": "str",
                "choices": ["auto", "git", "directory", "archive", "pypi"],
                "default": "auto",
            },
            "version": {"type": "str", "default": ""},
            "subdirectory": {"type": "str", "default": ""},
            "checksum": {"type": "str", "default": ""},
            "deploy_key": {"type": "str", "no_log": False},
            "known_hosts": {"type": "str", "default": ""},
            "app": {"type": "str"},
            "user": {"type": "str"},
            "group": {"type": "str"},
            "python": {"type": "str"},
            "installer": {"type": "str", "choices": ["uv", "pip"]},
            "requirements": {"type": "list", "elements": "str"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "constraints": {"type": "list", "elements": "str", "default": []},
            "build_constraints": {"type": "list", "elements": "str", "default": []},
            "prerelease": {"type": "bool", "default": False},
            "system_packages": {"type": "list", "elements": "str", "default": []},
            "index_url": {"type": "str"},
            "extra_index_url": {"type": "list", "elements": "str", "default": []},
            "ca_bundle": {"type": "path"},
            "wheel_dir": {"type": "path"},
            "gunicorn_requirement": {"type": "str"},
            "build_timeout": {"type": "int"},
            "source_max_mib": {"type": "int"},
            "build_environment": {"type": "dict", "default": {}},
            "build_secrets": {"type": "dict", "default": {}, "no_log": False},
            "build_with_deploy_key": {"type": "bool", "default": False},
            "environment": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": False},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "no_log": False},
                    "template": {"type": "str"},
                    "src": {"type": "str"},
                    "secret": {"type": "bool", "no_log": False},
                    "mode": {"type": "str"},
                },
            },
            "shared": {"type": "list", "elements": "str"},
            "trusted_hops": {"type": "int", "default": 1},
            "host_header": {"type": "str", "default": ""},
            "keep": {"type": "int"},
            "compress": {"type": "bool", "default": True},
            "rename_from": {"type": "str"},
            "domains": {"type": "list", "elements": "str", "default": []},
            "gunicorn": {"type": "dict", "default": {}},
            "hooks": {
                "type": "dict",
                "default": {},
                "options": {
                    "build": {"type": "list", "elements": "raw", "default": []},
                    "migrate": {"type": "list", "elements": "raw", "default": []},
                    "migrate_each_host": {"type": "bool", "default": False},
                    "before_switch": {"type": "list", "elements": "raw", "default": []},
                    "after_switch": {"type": "list", "elements": "raw", "default": []},
                    "rollback": {"type": "dict", "default": {}},
                    "timeout": {"type": "int", "default": 900},
                },
            },
            "workers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "command": {"type": "raw", "required": True},
                    "count": {"type": "int", "default": 1},
                    "stop_timeout": {"type": "int", "default": 60},
                    "memory_max": {"type": "str", "default": ""},
                    "cpu_quota": {"type": "str", "default": ""},
                },
            },
            "timers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "command": {"type": "raw", "required": True},
                    "schedule": {"type": "str", "required": True},
                    "persistent": {"type": "bool", "default": True},
                    "random_delay": {"type": "int", "default": 0},
                    "timeout": {"type": "int", "default": 3600},
                },
            },
            "mount": {
                "type": "dict",
                "options": {"site": {"type": "str", "required": True}, "path": {"type": "str", "required": True}},
            },
            "nginx": {"type": "dict", "default": {}},
        },
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "purge_data": {"type": "bool", "default": False},
    "serve": {"type": "bool", "default": False},
    "overlap": {"type": "str", "choices": ["refuse", "fallback", "always", "never"], "default": "refuse"},
    "site_defaults": {"type": "dict", "default": {}},
    "probe_sites": {"type": "bool", "default": True},
    "publishes": {"type": "bool", "default": False},
    "serve_lock_timeout": {"type": "float"},
    "activate": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/srv"},
    "python": {"type": "str", "default": "python3"},
    "python_download": {"type": "bool", "default": False},
    "python_mirror": {"type": "str", "default": ""},
    "installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
    "uv_requirement": {"type": "str", "default": "uv==0.13.8"},
    "gunicorn_requirement": {"type": "str", "default": "gunicorn>=21.2,<28"},
    "index_url": {"type": "str", "default": ""},
    "ca_bundle": {"type": "path", "default": ""},
    "wheel_dir": {"type": "path", "default": ""},
    "build_timeout": {"type": "int", "default": 1800},
    "source_max_mib": {"type": "int", "default": 4096},
    "keep": {"type": "int", "default": 5},
    "lock_timeout": {"type": "float", "default": 60},
    "by": {"type": "str", "default": ""},
    "sealed": {"type": "str", "no_log": True},
    "sent": {"type": "dict", "default": {}},
    "expected": {"type": "dict", "default": {}},
    "run": {"type": "str", "default": ""},
}
# end argument spec
SPEC: dict[str, t.Any] = {**OPTIONS, **CODE_SPEC}

# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {"argument_spec": SPEC}


def main() -> None:
    """Run the module."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = AnsibleModule(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.flask_release")


if __name__ == "__main__":
    main()
