"""The Prometheus exporters' own file for TLS, users and headers, as ``--web-config`` takes it.

    tls_server_config: {cert_file, key_file, client_auth_type, client_ca_file, min_version,
                        max_version}
    basic_auth_users: {name: bcrypt hash}
    http_server_config: {headers: {name: value}, http2}

Files are named relative to it. What the format knows and we do not is refused: a setting of
security that does nothing would be worse than none.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from monitor.errors import ConfigurationError

#: Settings of the format that we refuse, and why.
_REFUSED: Mapping[str, str] = {
    "cert": "write the certificate to a file and name it in cert_file",
    "key": "write the key to a file and name it in key_file",
    "client_ca": "write the certificates to a file and name it in client_ca_file",
    "client_allowed_sans": "names in client certificates are not checked here; use a CA of its own",
    "cipher_suites": "OpenSSL chooses them; raise min_version instead",
    "prefer_server_cipher_suites": "OpenSSL chooses them; raise min_version instead",
    "curve_preferences": "OpenSSL chooses them; raise min_version instead",
    "rate_limit": "requests are not limited here; limit them in a proxy",
}
#: Ways to treat client certificates that Python's TLS does not offer: it verifies what it asks for.
_WITHOUT_VERIFICATION = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_VERIFICATION: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def _known(value: str, known: Mapping[str, Any], hint: str = "") -> str:
    if value not in known:
        raise ValueError(f"'{value}' is not one of {', '.join(known)}{hint}")
    return value


def _client_auth_type(value: str) -> str:
    if value in _WITHOUT_VERIFICATION:
        raise ValueError(f"{value} does not verify the certificate; use RequireAndVerifyClientCert")
    return _known(value or "NoClientCert", _VERIFICATION)


def _version(value: str) -> str:
    return _known(value, _VERSIONS, "; older versions are broken and not served")


_HASH = re.compile(r"\$2[abxy]?\$\S*")
Version = Annotated[str, AfterValidator(_version)]
BcryptHash = Annotated[str, Field(pattern=r"^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$")]
Header = Literal[
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
]
HeaderValue = Annotated[str, Field(pattern=r"^[\t -~]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class TlsServerConfig(_Part):
    """Whether and how TLS is served."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth_type: Annotated[str, AfterValidator(_client_auth_type)] = "NoClientCert"
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"

    def files(self) -> tuple[Path, ...]:
        """Every file that it names."""
        named = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(path for path in named if path is not None)


class HttpServerConfig(_Part):
    """Headers of every answer; ``http2`` is accepted and changes nothing: HTTP/1.1 is served."""

    headers: dict[Header, HeaderValue] = {}
    http2: bool = True


class WebConfig(_Part):
    """The file's content, its paths resolved."""

    tls_server_config: TlsServerConfig | None = None
    basic_auth_users: dict[str, BcryptHash] = {}
    http_server_config: HttpServerConfig = HttpServerConfig()

    def files(self) -> tuple[Path, ...]:
        """Every file that it names."""
        return self.tls_server_config.files() if self.tls_server_config else ()

    def headers(self) -> dict[str, str]:
        """Headers by name; an empty text means: not this one."""
        return {str(name): value for name, value in self.http_server_config.headers.items()}


def read_web_config(path: Path) -> WebConfig:
    """The file's content. Raises ConfigurationError with a sentence that names file and setting."""
    content = _content(path)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise _wrong(path, "must be a table of settings")
    try:
        return WebConfig.model_validate(_resolved(content, path.parent))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _wrong(path, _sentence(first)) from None


def tls_context(path: Path, config: TlsServerConfig) -> ssl.SSLContext:
    """A server's context as the file at ``path`` says. Raises ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        # An encrypted key would otherwise be asked for at the terminal, where nobody sits.
        context.load_cert_chain(config.cert_file, config.key_file, password="")
    except (OSError, ValueError) as error:
        files = f"certificate {config.cert_file} and key {config.key_file}"
        raise _wrong(path, f"tls_server_config: {files}: {_tls_words(error)}") from None
    verification = _VERIFICATION[config.client_auth_type]
    if config.client_ca_file is not None and verification is ssl.CERT_NONE:
        raise ConfigurationError(
            f"web config {path}: tls_server_config.client_ca_file does nothing without"
            " client_auth_type; set it to RequireAndVerifyClientCert."
        )
    if verification is not ssl.CERT_NONE:
        _verify_clients(path, context, config)
    return context


def _verify_clients(path: Path, context: ssl.SSLContext, config: TlsServerConfig) -> None:
    if config.client_ca_file is None:
        raise ConfigurationError(
            f"web config {path}: tls_server_config.client_auth_type {config.client_auth_type}"
            " needs client_ca_file, the certificates that clients' are signed by."
        )
    context.verify_mode = _VERIFICATION[config.client_auth_type]
    try:
        context.load_verify_locations(config.client_ca_file)
    except (OSError, ValueError) as error:
        what = f"tls_server_config.client_ca_file {config.client_ca_file}"
        raise _wrong(path, f"{what}: {_tls_words(error)}") from None


def _content(path: Path) -> Any:
    """What the file says as YAML. Raises ConfigurationError."""
    try:
        text = path.read_text()
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader), set())
        return yaml.safe_load(text)
    except OSError as error:
        raise _wrong(path, str(error.strerror)) from None
    except UnicodeDecodeError:
        raise _wrong(path, "not YAML: it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise _wrong(path, f"not YAML: {_where(error)}") from None
    except RecursionError:
        raise _wrong(path, "not YAML: it is nested too deeply") from None
    except (ValueError, TypeError, AttributeError, LookupError):  # as PyYAML takes 2001-99-99
        raise _wrong(path, "not YAML: a value is none of its type") from None


def _wrong(path: Path, what: str) -> ConfigurationError:
    """The error about the file, in one line and without a hash that stands where none belongs."""
    line = "".join(mark if mark.isprintable() else " " for mark in what)
    return ConfigurationError(f"web config {path}: {_HASH.sub('***', line)}.")


def _check_keys(node: Any, known: set[int]) -> None:
    """Raise for a key that is no text, or occurs twice: the first of two tables of users would be
    lost unseen. Nodes that are referred to again are ``known``: they may refer to themselves."""
    if id(node) in known:
        return
    known.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item, known)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            problem = None if isinstance(key, yaml.ScalarNode) else "a key is no text"
            if problem is None and key.value in seen:
                problem = f"'{key.value}' occurs twice"
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
            _check_keys(value, known)


def _where(error: yaml.YAMLError) -> str:
    """What is wrong and in which line, without quoting the line: it may hold a hash."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return "it holds characters that YAML does not allow"
    mark = error.problem_mark
    return f"{error.problem}{f' (line {mark.line + 1})' if mark else ''}"


def _resolved(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    tls = content.get("tls_server_config")
    if not isinstance(tls, dict):
        return content
    paths = {
        name: folder / tls[name]
        for name in ("cert_file", "key_file", "client_ca_file")
        if isinstance(tls.get(name), str) and tls[name]
    }
    return {**content, "tls_server_config": {**tls, **paths}}


def _sentence(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != "[key]")
    return f"{place}: {_what(error)}"


def _what(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        unknown = f"unknown setting; known here: {_known_names(error)}"
        return _REFUSED.get(str(error["loc"][-1]), unknown)
    if error["type"] == "string_pattern_mismatch" and "basic_auth_users" in error["loc"]:
        return "not a bcrypt hash; make one with `htpasswd -nBC 10 USER`"
    if error["type"] == "missing":
        return "is required"
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _known_names(error: ErrorDetails) -> str:
    parts: Mapping[str, type[BaseModel]] = {
        "tls_server_config": TlsServerConfig,
        "http_server_config": HttpServerConfig,
    }
    part = parts[str(error["loc"][-2])] if len(error["loc"]) > 1 else WebConfig
    return ", ".join(part.model_fields)


def _tls_words(error: Exception) -> str:
    """OpenSSL's word for what is wrong with a file, as far as it has a telling one."""
    if isinstance(error, ssl.SSLError):
        known = {
            "KEY_VALUES_MISMATCH": "they do not belong together",
            "NO_CERTIFICATE_OR_CRL_FOUND": "holds no certificate in PEM form",
        }
        return known.get(error.reason or "", "not in PEM form, or the key is encrypted")
    return getattr(error, "strerror", None) or "not in PEM form, or the key is encrypted"
