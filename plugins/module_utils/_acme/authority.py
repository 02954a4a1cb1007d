# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the directory of a CA before certbot does, which takes seconds for each site. Private to flaskops.stack."""

from __future__ import annotations

import http.client
import json
import ssl
import typing as t
import urllib.error
import urllib.request

from .model import AcmeError, Authority

_SECONDS = 20
_MOST = 262144

# Takes the URL and the bundle of certificates to trust; raises OSError or ValueError.
Fetch = t.Callable[[str, str], bytes]


def fetch(url: str, bundle: str) -> bytes:
    """Return what stands at a URL, over TLS that is verified."""
    context = ssl.create_default_context(cafile=bundle or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    # directory_url accepts https:// alone.
    with opener.open(url, timeout=_SECONDS) as answer:
        return t.cast(bytes, answer.read(_MOST))


def look_at(authority: Authority, bundle: str, has_account: bool, get: Fetch = fetch) -> None:
    """Raise AcmeError for a CA that does not answer, is none, or cannot give what is wanted."""
    server = authority.server
    try:
        directory = json.loads(get(server, bundle))
    except urllib.error.HTTPError as exc:
        raise AcmeError(f"the CA {server} answers with status {exc.code}: it was not asked for anything") from exc
    except OSError as exc:
        reason = getattr(exc, "reason", None) or exc
        trust = (
            " Name the certificate of a CA of your own in ca_bundle (nginx_acme_ca_bundle)"
            if isinstance(reason, ssl.SSLCertVerificationError)
            else ""
        )
        raise AcmeError(f"the CA {server} cannot be reached: {reason}.{trust}") from exc
    except http.client.HTTPException as exc:
        raise AcmeError(f"{server} is not the directory of a CA: it answers with something else than HTTP") from exc
    except ValueError as exc:
        raise AcmeError(f"{server} is not the directory of a CA: it does not answer with JSON") from exc
    if not isinstance(directory, dict) or "newOrder" not in directory:
        raise AcmeError(f"{server} is not the directory of a CA: it has no newOrder (RFC 8555)")
    found = directory.get("meta")
    meta = found if isinstance(found, dict) else {}
    if meta.get("externalAccountRequired") and not has_account and not authority.eab_file:
        raise AcmeError(
            f"the CA {server} wants an external account: put its kid and hmac_key into a file of mode 0600 on the host,"
            " and name it in eab_file (nginx_acme_eab_file)"
        )
    _check_profile(authority, meta.get("profiles") or {})


def _check_profile(authority: Authority, profiles: t.Mapping[str, t.Any]) -> None:
    """Raise AcmeError for a profile that the CA does not have: some give another certificate instead of refusing."""
    if authority.profile and authority.profile not in profiles:
        offered = f"it has {', '.join(sorted(profiles))}" if profiles else "it has none"
        raise AcmeError(
            f"the CA {authority.server} has no profile '{authority.profile}': {offered} (nginx_acme_profile)"
        )
