# One image per program: its own packages of ours, its own locked group of others, nothing else.
#
#   docker build --target market_service .          # the other targets: trade_service, attest, migrate, secrets, simulator
#
# Plain Dockerfile without extensions: the classic builder, BuildKit and a machine without a registry all build it.
ARG PYTHON_IMAGE=python:3.12-slim

# --- what every image stands on ---
FROM ${PYTHON_IMAGE} AS ground
# No program of the base image may lend its owner's rights.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +
ENV PATH=/opt/interlock/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
STOPSIGNAL SIGTERM

# --- other people's packages: hashes checked, wheels only, so that no package's own code runs while it is installed ---
FROM ${PYTHON_IMAGE} AS installer
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/interlock
ENV INSTALL="--no-cache-dir --require-hashes --no-deps --only-binary=:all: --progress-bar=off -q -r /lock"

FROM installer AS market_packages
COPY locks/market.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

FROM installer AS trade_packages
COPY locks/trade.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

FROM installer AS attest_packages
COPY locks/attest.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

FROM installer AS migrate_packages
COPY locks/migrate.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

FROM installer AS cli_packages
COPY locks/cli.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

FROM installer AS sim_packages
COPY locks/sim.lock /lock
RUN /opt/pip/bin/python -m pip --python /opt/interlock/bin/python install $INSTALL

# --- the programs ---
FROM ground AS market_service
COPY --from=market_packages /opt/interlock /opt/interlock
COPY third_party/buf buf
COPY protos protos
COPY kernel kernel
COPY bitvavo bitvavo
COPY market_service market_service
RUN ["python", "-m", "compileall", "-q", "/app"]
USER 10001:10001
CMD ["python", "-m", "market_service"]

FROM ground AS trade_service
COPY --from=trade_packages /opt/interlock /opt/interlock
COPY third_party/buf buf
COPY protos protos
COPY kernel kernel
COPY bitvavo bitvavo
COPY policy policy
COPY trade_service trade_service
RUN ["python", "-m", "compileall", "-q", "/app"]
USER 10002:10002
CMD ["python", "-m", "trade_service"]

FROM ground AS attest
COPY --from=attest_packages /opt/interlock /opt/interlock
COPY kernel kernel
COPY bitvavo bitvavo
COPY attest attest
RUN ["python", "-m", "compileall", "-q", "/app"]
USER 10003:10003
ENTRYPOINT ["python", "-m", "attest"]

FROM ground AS simulator
COPY --from=sim_packages /opt/interlock /opt/interlock
COPY exchange_sim exchange_sim
RUN ["python", "-m", "compileall", "-q", "/app"]
USER 10004:10004
ENTRYPOINT ["python", "-m", "exchange_sim"]
CMD ["--host=0.0.0.0"]

FROM ground AS migrate
COPY --from=migrate_packages /opt/interlock /opt/interlock
COPY kernel kernel
COPY migrations migrations
RUN ["python", "-m", "compileall", "-q", "/app"]
USER 10005:10005
CMD ["python", "-m", "migrations.deploy"]

# Fills the volumes of docker-compose.yml for development; root inside, because it gives files away.
FROM ground AS secrets
COPY --from=cli_packages /opt/interlock /opt/interlock
COPY kernel kernel
COPY cli cli
RUN ["python", "-m", "compileall", "-q", "/app"]
ENTRYPOINT ["python", "-m", "cli.deployment"]
CMD ["prepare"]
