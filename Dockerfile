FROM rust:1.95-slim-bookworm AS build
WORKDIR /sluice
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --create-home --home-dir /var/lib/sluice sluice
COPY --from=build /sluice/target/release/sluice /usr/local/bin/sluice
USER sluice
WORKDIR /var/lib/sluice
EXPOSE 8080
ENTRYPOINT ["sluice"]
