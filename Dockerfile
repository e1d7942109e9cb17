# The ticket router as images: `service` (CPU, no torch), `service-gpu` and `training`. docs/deploy.md says how to build
# and run them, tests/image/ does both. Each target's packages are installed by pip in a stage of their own and copied,
# so that no image holds pip. Layers lie in the order of how seldom they change: Debian, packages, code, bundle.

# A tag moves; a digest (--build-arg BASE=debian:bookworm-slim@sha256:…) makes a build repeatable to the byte of its base.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS python
# No versions: Debian keeps one of each package per release and replaces it when a hole is fixed, so a pinned build
# would break on the day its rebuild matters. BASE and the lists' date are what to freeze instead.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*

FROM python AS builder
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Where packages come from is the builder's affair: both secrets are optional, and neither stays in a layer.
# Debian's own pip does not know dependency groups.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /pip && /pip/bin/pip install pip==26.3 && python3 -m venv --without-pip /venv
WORKDIR /app
COPY pyproject.toml constraints.txt constraints-gpu.txt ./

FROM builder AS service-packages
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /pip/bin/pip --python /venv/bin/python install --constraint constraints.txt \
        --group service --group traces --group fetch
# Packages' own tests are for their authors. Compiled here, because a read-only root cannot be written at the first
# import; unchecked, because a copy may change the times that a check would compare.
RUN find /venv -type d -name tests -prune -exec rm -r {} + \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv

FROM builder AS service-gpu-packages
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /pip/bin/pip --python /venv/bin/python install --constraint constraints.txt \
        --constraint constraints-gpu.txt --group service-gpu --group traces --group fetch
# CUDA's libraries under a name without Python's version in it, which BASE decides. ls fails where a wheel moved them:
# onnxruntime would only serve from the CPU.
RUN ln -s /venv/lib/python3.*/site-packages/nvidia /venv/nvidia \
    && ls -d /venv/nvidia/cu13/lib /venv/nvidia/cudnn/lib
RUN find /venv -type d -name tests -prune -exec rm -r {} + \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv

FROM builder AS training-packages
# torch first and by itself, the embedded base model without its dependencies: see the Makefile. Whether torch is a CPU
# or a GPU build depends on the index.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    /pip/bin/pip --python /venv/bin/python install torch==2.13.0 \
    && /pip/bin/pip --python /venv/bin/python install --constraint constraints.txt --group training \
    && /pip/bin/pip --python /venv/bin/python install --constraint constraints.txt --no-deps --group embedded
# -x: a file of torch's that only a later Python can read.
RUN python3 -m compileall -q -j 0 -x py312_intrinsics --invalidation-mode unchecked-hash /venv

FROM python AS shared-code
COPY LICENSE pyproject.toml /app/
# By name, not `models` as a whole: bundles may lie beside them.
COPY models/*.py /app/models/
COPY models/bundle /app/models/bundle
COPY models/mail /app/models/mail
COPY models/text /app/models/text
# For --version, the first log line, the metrics and the origin of a bundle.
ARG REVISION=unknown
RUN echo "${REVISION}" > /app/REVISION

FROM shared-code AS service-code
COPY service /app/service
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM shared-code AS training-code
COPY training /app/training
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM python AS runtime
# /bundles is theirs too, so that a fresh volume there can be filled by `python -m service fetch`.
RUN groupadd --gid 10001 router \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin router \
    && install --directory /app \
    && install --directory --owner 10001 --group 10001 /bundles /state
# HOME is the one place that is writable wherever the root is not.
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
# By number: Kubernetes cannot tell from a name that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS serving
# The management port stays on loopback: without keys whoever reaches it may reload. k8s/ opens it behind its policies.
ENV TICKET_ROUTER_BUNDLE=/bundles/current \
    TICKET_ROUTER_STATE_DIR=/state \
    TICKET_ROUTER_HOST=0.0.0.0
EXPOSE 8080 9090
# Not /readyz: Swarm and its like kill what is unhealthy, and a service that replaces a failed session or drains heals
# or ends by itself. Not /livez: it answers before there is a model, and compose's service_healthy would lie.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "service.cli.healthcheck"]
ENTRYPOINT ["python", "-m", "service"]

FROM serving AS service-unbundled
COPY --from=service-packages /venv /venv
COPY --from=service-code /app /app

# A bundle to bake in: --build-arg BUNDLE=models/bundles/current. It is opened, replayed and asked before the build goes
# on. COPY knows no "if": without a bundle it takes LICENSE, which is always there, and /bundles stays empty.
FROM service-unbundled AS bundle
ARG BUNDLE=LICENSE
COPY --chown=10001:10001 ${BUNDLE} /tmp/bundle/
RUN if [ "${BUNDLE}" != LICENSE ]; then \
        python -m service route --bundle /tmp/bundle --body "Is this bundle sound?" > /dev/null \
        && version=$(python -c 'import json; print(json.load(open("/tmp/bundle/manifest.json"))["version"])') \
        && mv /tmp/bundle "/bundles/${version}" \
        && ln -s "${version}" /bundles/current; \
    fi

FROM service-unbundled AS service
COPY --from=bundle /bundles /bundles
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ticket-router-service" \
      org.opencontainers.image.description="Routes support e-mails to departments over REST; onnxruntime on CPU" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM serving AS service-gpu
# onnxruntime finds CUDA's libraries in their wheels only by the loader's path.
ENV LD_LIBRARY_PATH=/venv/nvidia/cu13/lib:/venv/nvidia/cudnn/lib
# What NVIDIA's container runtime goes by.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=service-gpu-packages /venv /venv
COPY --from=service-code /app /app
COPY --from=bundle /bundles /bundles
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ticket-router-service-gpu" \
      org.opencontainers.image.description="Routes support e-mails to departments over REST; onnxruntime on CUDA" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS training
COPY --from=training-packages /venv /venv
COPY --from=training-code /app /app
ENTRYPOINT ["python", "-m", "training"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ticket-router-training" \
      org.opencontainers.image.description="Trains the ticket router's bundles from closed tickets" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
