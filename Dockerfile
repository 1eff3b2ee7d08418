# docker build -t dlm . && docker run --rm -p 8000:8000 -e DLM_API_KEY=secret dlm
FROM python:3.11-slim

# further extras by --build-arg EXTRAS=serve,pos
ARG EXTRAS=serve
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dlm_core dlm_core
COPY dlm_controls dlm_controls
COPY dlm_cli dlm_cli
RUN pip install --no-cache-dir -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu ".[${EXTRAS}]" \
    && rm -rf /src \
    && useradd --create-home dlm

USER dlm
WORKDIR /home/dlm
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')"]
# as the first process it gets SIGTERM itself, and finishes what it accepted
ENTRYPOINT ["dlm", "serve", "--host", "0.0.0.0"]
