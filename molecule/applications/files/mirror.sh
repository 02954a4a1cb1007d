#!/bin/sh
# Make a mirror with the one archive of Python 3.11, as python-build-standalone lays it out, from the packages of Debian 12: the rest
# is uv's own way. Its checksum is in a catalogue, which uv reads in place of its own. Elsewhere than on Debian, uv gets the archive
# of the project.
set -eu
grep -qx 'ID=debian' /etc/os-release || exit 0

top=/var/lib/python-mirror
release=20230101
archive="cpython-3.11.2+$release-$(uname -m)-unknown-linux-gnu-install_only.tar.gz"
mkdir -p "$top/$release" "$top/lists/partial" "$top/archives/partial" "$top/python"
cd "$top"

# From where the host gets its packages.
apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' | head -n 1 |
  sed 's/^/deb /; s/$/ bookworm main/' >older.list
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$top/older.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$top/lists" \
    -o Dir::Cache="$top" -o APT::Sandbox::User=root "$@"
}
apt update
apt download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
for package in *.deb; do
  dpkg-deb --extract "$package" tree
done
mv tree/usr/bin tree/usr/lib python
# uv refuses an archive with links out of it.
find python -type l -lname '/*' -delete
ln -s python3.11 python/bin/python3

tar -czf "$release/$archive" python
sum=$(sha256sum "$release/$archive" | cut -d ' ' -f 1)
cat >catalogue.json <<END
{"cpython-3.11.2-linux-$(uname -m)-gnu": {
  "name": "cpython", "arch": {"family": "$(uname -m)", "variant": null}, "os": "linux", "libc": "gnu",
  "major": 3, "minor": 11, "patch": 2, "prerelease": "", "variant": null, "build": "$release", "sha256": "$sum",
  "url": "https://github.com/astral-sh/python-build-standalone/releases/download/$release/$archive"}}
END
mkdir -p /etc/uv
cat >/etc/uv/uv.toml <<END
python-downloads-json-url = "$top/catalogue.json"
python-install-mirror = "file://$top"
END
