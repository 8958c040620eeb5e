FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Every file is checked against its hash here. What follows takes packages from /wheels alone, so it can get no others.
COPY constraints.txt ./
RUN pip download --quiet --require-hashes --no-deps --only-binary :all: --requirement constraints.txt --dest /wheels \
    && pip install --quiet --no-index --find-links /wheels hatchling
COPY pyproject.toml LICENSE README.md ./
COPY client client
COPY server server
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels ./client . \
    && python -m venv --without-pip /opt/musterd \
    && pip --python /opt/musterd/bin/python install --quiet --no-index --find-links /wheels musterd

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/musterd --create-home --shell /usr/sbin/nologin musterd
COPY --from=build /opt/musterd /opt/musterd
# Your own modules go to /app; the server writes to /var/lib/musterd alone, the root may be read-only.
ENV PATH=/opt/musterd/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER musterd
WORKDIR /var/lib/musterd
VOLUME /var/lib/musterd
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["musterd", "health"]
# On PostgreSQL, `musterd db migrate` comes first: --entrypoint musterd, and `db migrate` after the image's name.
ENTRYPOINT ["musterd", "serve"]
