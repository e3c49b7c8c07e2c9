# One image for every command of Payroute: `docker build -t payroute .`, then `docker run payroute serve ...`.
# For a quicker build of a slower program: `--build-arg PROFILE=release`.

FROM rust:1.95-slim-bookworm AS build
ARG PROFILE=dist
WORKDIR /src
COPY . .
# The caches hold the registry and what is compiled of it, so that a change of ours compiles only ours. They are not part
# of any layer, so the program is taken out of them.
RUN --mount=type=cache,id=payroute-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=payroute-target,target=/src/target,sharing=locked \
    cargo build --locked --profile "$PROFILE" --package payroute --bin payroute \
    && install -D --mode=0755 "target/$PROFILE/payroute" /out/payroute

FROM debian:bookworm-slim
ARG VERSION=dev
LABEL org.opencontainers.image.title="Payroute" \
      org.opencontainers.image.description="Routes every payment to the channel that is likeliest to succeed now" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# The only folder that is written to. A volume that is mounted here for the first time takes its owner over.
RUN install --directory --mode=0750 --owner=10001 --group=10001 /var/lib/payroute
COPY --from=build /out/payroute /usr/local/bin/payroute
# The example shop, to be replaced by a mount of one's own.
COPY --chmod=0444 config/payroute.yaml config/channels.yaml config/policy.yaml /etc/payroute/
# As numbers, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/payroute
VOLUME /var/lib/payroute
# gRPC, probes and metrics, REST.
EXPOSE 7433 7434 7436
STOPSIGNAL SIGTERM
ENTRYPOINT ["payroute"]
CMD ["--help"]
