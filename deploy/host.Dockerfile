# The webserver and the daemon: docker build -f deploy/host.Dockerfile .
# It has no location's code: it asks their servers.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /project
COPY pyproject.toml uv.lock workspace.yaml ./
COPY deploy/environment.sh deploy/
COPY shared shared
COPY workspace workspace
RUN deploy/environment.sh databox-workspace /app/venv

FROM python:${PYTHON}
RUN useradd --uid 10001 --no-create-home databox \
    && install -d -o databox -g databox /dagster /logs /run/databox
COPY --from=build /app /app
COPY workspace.prod.yaml deploy/dagster.yaml /app/
ENV PATH=/app/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/dagster
USER databox
WORKDIR /app
VOLUME ["/dagster", "/logs", "/run/databox"]
EXPOSE 3000
CMD ["dagster-webserver", "--workspace", "/app/workspace.prod.yaml", "--host", "0.0.0.0", "--port", "3000"]
