# The first stage compiles; the last holds the binary and a small Debian whose
# commands workers can run; "broker" (docker build --target broker) holds the
# binary and nothing else. Nothing here needs BuildKit.

FROM golang:1.26-trixie AS build

# Lets a clean-up find what this stage leaves behind.
LABEL io.privateer.stage=build

# For machines behind a proxy or with a module mirror; empty means Go's own
# default. CA_BUNDLE is a PEM file in the build context, .tools/ca.pem, say.
# None of these reaches the final image. (http_proxy and its kin are build
# arguments that Docker knows by itself.)
ARG GOPROXY
ARG GOSUMDB
ARG GONOSUMDB
ARG GOFLAGS
ARG CA_BUNDLE

RUN [ -e /etc/ssl/certs/ca-certificates.crt ] || { \
      apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*; }

WORKDIR /src

# The modules, in a layer that outlives a change to ours.
# (Without a bundle, go.mod is copied twice, for COPY knows no "if".)
COPY go.mod go.sum ${CA_BUNDLE:-go.mod} ./
RUN if [ -n "$CA_BUNDLE" ]; then cat "${CA_BUNDLE##*/}" >> /etc/ssl/certs/ca-certificates.crt; fi \
 && go mod download

COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" \
      -o /out/privateer ./cmd/privateer \
 && mkdir -p /out/run/privateer


# The program alone, for a broker: docker build --target broker.
FROM scratch AS broker

COPY --from=build /out/privateer /usr/local/bin/privateer

# For an ipc:// endpoint.
COPY --from=build --chown=65532:65532 /out/run/privateer /run/privateer

USER 65532:65532
ENTRYPOINT ["/usr/local/bin/privateer"]
CMD ["broker"]


FROM debian:trixie-slim

COPY --from=build /out/privateer /usr/local/bin/privateer

# For what a broker writes: an ipc:// endpoint, or the token of docker-compose.yml.
RUN install -d -o 65532 -g 65532 /run/privateer

# A number, so that a cluster can see that it is not root.
USER 65532:65532
ENTRYPOINT ["privateer"]
CMD ["--help"]
