# The service alone, on a base without a shell: `docker build -t posthaste .`

# The version that Cargo.toml names as `rust-version`; `scripts/test compose` compares them.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --package posthaste \
    && mkdir -p /image/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/posthaste /usr/local/bin/posthaste
# The folder itself is copied, so that a volume on it begins with this owner: `nonroot`.
COPY --from=build --chown=65532:65532 /image/ /
ENV POSTHASTE_DATA_DIR=/data \
    POSTHASTE_LISTEN=0.0.0.0:7678
EXPOSE 7678
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["/usr/local/bin/posthaste", "health"]
ENTRYPOINT ["/usr/local/bin/posthaste"]
CMD ["serve"]
