# The image of ingest-canary:  docker build --tag ingest-canary:0.1.0 .
#
# A test does what these lines do on a machine without a container engine, with a user of its own and
# a read-only root: tests/acceptance/test_dockerfile.py. Its Python is the one that the tests run on.
ARG BASE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
WORKDIR /build
# What the lock file names, by its hashes. Nothing after this line asks an index.
COPY requirements.lock ./
RUN python -m pip download --no-cache-dir --require-hashes --only-binary=:all: \
    --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY monitor ./monitor
RUN python -m pip wheel --no-cache-dir --no-index --find-links /wheels --no-deps --wheel-dir /dist . \
 && python -m venv --without-pip /opt/ingest-canary \
 && wheel="$(find /dist -name '*.whl')" \
 && python -m pip --python /opt/ingest-canary install --no-cache-dir --no-index --find-links /wheels "${wheel}[embedded]"

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ingest-canary" \
      org.opencontainers.image.description="Measures bulk inserts into a canary PostgreSQL and tells Prometheus when they got slower, and why" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Installers are of no use here. The user has a passwd entry: the private PostgreSQL's initdb refuses
# one without.
RUN python -m pip uninstall --root-user-action=ignore --yes pip setuptools wheel \
 && rm -rf "$(python -c 'import ensurepip, os; print(os.path.dirname(ensurepip.__file__))')" \
 && groupadd --gid 65532 canary \
 && useradd --no-log-init --uid 65532 --gid 65532 --no-create-home --home-dir /var/lib/ingest-canary --shell /usr/sbin/nologin canary \
 && install --directory --owner=65532 --group=65532 --mode=0750 /var/lib/ingest-canary
COPY --from=build /opt/ingest-canary /opt/ingest-canary
COPY docker/healthcheck.py /usr/local/lib/ingest-canary/healthcheck.py
ENV PATH=/opt/ingest-canary/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/ingest-canary \
    INGEST_CANARY_DATA_DIR=/var/lib/ingest-canary \
    INGEST_CANARY_WEB__HOST=0.0.0.0
# By number: Kubernetes' runAsNonRoot cannot look names up.
USER 65532:65532
WORKDIR /var/lib/ingest-canary
VOLUME /var/lib/ingest-canary
EXPOSE 9988
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=4 \
  CMD ["python", "-I", "-S", "/usr/local/lib/ingest-canary/healthcheck.py"]
ENTRYPOINT ["ingest-canary"]
CMD ["run"]
