"""The image's HEALTHCHECK: whether the process answers on its port, by HTTP or by HTTPS.

Small, since it runs beside measurements: run it by `python -I -S`. Looks at INGEST_CANARY_WEB__PORT
(default 9988); a port given in another way needs a `--health-cmd` of its own.
"""

import os
import socket
import ssl
import sys

ADDRESS = "127.0.0.1", int(os.environ.get("INGEST_CANARY_WEB__PORT", "9988"))
QUESTION = b"GET /-/healthy HTTP/1.0\r\nHost: localhost\r\n\r\n"
SECONDS = 4

# This process talks to its neighbour over loopback: whose certificate it is does not matter.
ANY_CERTIFICATE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


def asked(connection):
    """The first bytes of the answer."""
    connection.sendall(QUESTION)
    return connection.recv(64)


def asked_by_tls():
    """The same by TLS; None where the server, having shaken hands, wants a certificate of ours."""
    plain = socket.create_connection(ADDRESS, SECONDS)
    with plain, ANY_CERTIFICATE.wrap_socket(plain) as encrypted:
        try:
            return asked(encrypted) or None
        except (ssl.SSLError, ConnectionError):
            return None


def healthy():
    """Whether there is an answer of status 200, or a TLS server that does not open to us."""
    with socket.create_connection(ADDRESS, SECONDS) as connection:
        try:
            answer = asked(connection)
        except ConnectionError:
            answer = b""
    if not answer.startswith(b"HTTP/"):
        answer = asked_by_tls()
    return answer is None or answer.split()[1:2] == [b"200"]


try:
    sys.exit(0 if healthy() else 1)
except OSError as error:
    print(f"{ADDRESS[0]}:{ADDRESS[1]}: {error}")
    sys.exit(1)
