# One image for every role: `docker run starling worker --role worker`. Nothing is written outside of /tmp.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The environment gets no pip of its own: what runs needs none.
RUN python -m venv --without-pip /opt/starling && python -m venv /opt/build
COPY requirements/build.txt requirements/run.txt requirements/
RUN /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt \
 && /opt/build/bin/pip --python /opt/starling/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY app app
COPY agents agents
COPY tables tables
COPY analysis analysis
COPY cli cli
COPY notebooks notebooks
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
 && /opt/build/bin/pip --python /opt/starling/bin/python install --no-cache-dir --no-deps /tmp/wheel/*.whl

# Spark's master, its workers, and notebooks: `docker build --target analysis`. All three from one image, as a notebook
# and its executors need the same Python, the same Java and the same jars.
FROM build AS build-analysis
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless
COPY requirements/analysis.txt requirements/
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --require-hashes --no-build-isolation -w /tmp/wheels -r requirements/analysis.txt \
 && /opt/build/bin/pip --python /opt/starling/bin/python install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl
# The connector between Spark and Cassandra, by hash, so that nothing is fetched where the image runs.
RUN XDG_CACHE_HOME=/opt/cache /opt/starling/bin/python -c \
    "from app.local import artifacts, java; artifacts.fetch(artifacts.CONNECTOR, java.find_java(), print)"

FROM python:3.11-slim-bookworm AS analysis
LABEL org.opencontainers.image.title="starling-analysis" \
      org.opencontainers.image.description="Spark and JupyterLab for what Starling has collected" \
      org.opencontainers.image.version="0.1.0"
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home starling
COPY --from=build-analysis /opt/starling /opt/starling
COPY --from=build-analysis /opt/cache /opt/cache
ENV PATH=/opt/starling/bin:$PATH PYTHONDONTWRITEBYTECODE=1 SPARK_HOME=/opt/starling/lib/python3.11/site-packages/pyspark \
    PYSPARK_PYTHON=/opt/starling/bin/python XDG_CACHE_HOME=/opt/cache SPARK_LOCAL_DIRS=/tmp/spark SPARK_LOG_DIR=/tmp/spark
USER 10001
ENTRYPOINT ["tini", "--"]
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser"]

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="starling" \
      org.opencontainers.image.description="Collects the posts about an event from social streams, while it happens" \
      org.opencontainers.image.version="0.1.0"
RUN useradd --system --uid 10001 --no-create-home starling
COPY --from=build /opt/starling /opt/starling
ENV PATH=/opt/starling/bin:$PATH PYTHONDONTWRITEBYTECODE=1 STARLING_WEB_HOST=0.0.0.0 STARLING_LOG_FORMAT=json STARLING_STATE_DIR=/tmp/starling
USER 10001
EXPOSE 6066
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/healthz', timeout=2)"]
ENTRYPOINT ["starling"]
