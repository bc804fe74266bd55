# One image for every role: `docker run starling worker --role worker`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/starling \
 && /opt/starling/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY app app
COPY agents agents
COPY tables tables
COPY cli cli
RUN /opt/starling/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="starling"
RUN useradd --system --uid 10001 --no-create-home starling
COPY --from=build /opt/starling /opt/starling
ENV PATH=/opt/starling/bin:$PATH PYTHONDONTWRITEBYTECODE=1 STARLING_WEB_HOST=0.0.0.0 STARLING_LOG_FORMAT=json STARLING_STATE_DIR=/tmp/starling
USER 10001
EXPOSE 6066
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/healthz', timeout=2)"]
ENTRYPOINT ["starling"]
