# Image of one file: the program, linked statically.
#
#     docker build --tag hookpost .
#     docker run --detach --name hookpost --read-only --volume hookpost:/data --publish 127.0.0.1:8080:8080 hookpost

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# A target of its own keeps the flags away from build scripts and macros, which cannot be static.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --release --target "$(rustc --print host-tuple)" \
    && mkdir --parents /image/data && chmod 700 /image/data \
    && cp target/*/release/hookpost /image/hookpost

FROM scratch
COPY --from=build --chown=65532:65532 /image/ /
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV HOOKPOST_DB=/data/webhooks.db HOOKPOST_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s CMD ["/hookpost", "healthcheck"]
ENTRYPOINT ["/hookpost"]
CMD ["serve"]
