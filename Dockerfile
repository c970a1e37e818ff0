# One image for every role: `migrate`, `worker`, `api` and the other commands of `customer-timeline`.
# Dependencies come from the lock with hashes; the code is installed without asking an index again.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/customer-timeline
ENV PATH=/opt/customer-timeline/bin:$PATH
WORKDIR /src
COPY requirements.lock .
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY projections projections
COPY producers producers
COPY streams streams
COPY api api
COPY runtime runtime
RUN pip install --no-deps .

FROM python:3.11-slim
# A fixed number, so that a volume written by one build is readable by the next.
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin timeline
COPY --from=build /opt/customer-timeline /opt/customer-timeline
ENV PATH=/opt/customer-timeline/bin:$PATH PYTHONUNBUFFERED=1
USER timeline
WORKDIR /tmp
ENTRYPOINT ["customer-timeline"]
CMD ["--help"]
