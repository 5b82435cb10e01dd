# The local cloud itself, with all that the lab runs on it. Not the model's container: that is model/Dockerfile.
# It was built and started by the project's own image builder only, never by Docker.
FROM public.ecr.aws/docker/library/python:3.12-slim@sha256:dddfd7e07f9d15aeeca61529320492139d21cac7f0070c00609243e51e4e0016
# git is what CodeCommit is made of; its version is the base's.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/localcloud
COPY requirements-demo.lock /opt/localcloud/requirements-demo.lock
RUN pip install --no-cache-dir --require-hashes --requirement requirements-demo.lock
COPY . /opt/localcloud/
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
RUN useradd --create-home --uid 1000 localcloud \
 && mkdir --parents /etc/localstack/init /var/lib/localcloud \
 && chown localcloud /var/lib/localcloud
USER 1000
# It listens on every interface of the container, and answers to the name of its service in compose.
ENV GATEWAY_LISTEN=0.0.0.0:4566 LOCALCLOUD_CONTAINER=1 LOCALCLOUD_HOSTS=localcloud,localstack PYTHONUNBUFFERED=1
EXPOSE 4566
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["localcloud", "wait", "--timeout", "3s"]
ENTRYPOINT ["localcloud"]
CMD ["start", "--state-dir", "/var/lib/localcloud/state", "--init", "/etc/localstack/init"]
