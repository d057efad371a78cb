"""The test of `helm test`: does the Service lead to a program that measures?

Arguments: its URL; `handshake` where client certificates are demanded: without one, no page is to
be had, and what can be told is that a TLS server is there.
"""

import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

BASE, *MODE = sys.argv[1:]
GIVE_UP_AFTER = 60  # seconds; a pod that has just started is not ready yet

# What is tested is the way to the program. Who it is, its certificate's clients check.
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


def get(path):
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(BASE + path, timeout=5, context=ANY_CERTIFICATE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def shake_hands():
    """Begin TLS with the server."""
    url = urllib.parse.urlsplit(BASE)
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        ANY_CERTIFICATE.wrap_socket(connection).close()


def look():
    """What is wrong, or None. Raises OSError where nobody answers."""
    if MODE == ["handshake"]:
        shake_hands()
        return None
    ready, _ = get("/-/ready")
    if ready != 200:
        return f"{BASE}/-/ready answers {ready}"
    status, metrics = get("/metrics")
    if status == 401:
        return None  # users are configured, and this test is none of them
    if status != 200 or "ingest_canary_build_info" not in metrics:
        return f"{BASE}/metrics answers {status} without ingest_canary_build_info"
    return None


def complaint():
    """What is wrong, or None."""
    try:
        return look()
    except OSError as error:
        return f"{BASE} does not answer: {error}"


end = time.monotonic() + GIVE_UP_AFTER
while (wrong := complaint()) and time.monotonic() < end:
    time.sleep(2)
print(wrong or f"ok: {BASE} answers")
sys.exit(1 if wrong else 0)
