# Two stages: the first compiles, the second holds the binary, libzmq and a
# small Debian whose commands workers can run. Nothing here needs BuildKit.

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

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev libzmq3-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src

# The modules and the slow cgo part, in a layer that outlives a change to ours.
# (Without a bundle, go.mod is copied twice, for COPY knows no "if".)
COPY go.mod go.sum ${CA_BUNDLE:-go.mod} ./
RUN if [ -n "$CA_BUNDLE" ]; then cat "${CA_BUNDLE##*/}" >> /etc/ssl/certs/ca-certificates.crt; fi \
 && go mod download \
 && go build -trimpath github.com/pebbe/zmq4

COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
RUN go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" \
      -o /out/privateer ./cmd/privateer


FROM debian:trixie-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends libzmq5 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

COPY --from=build /out/privateer /usr/local/bin/privateer

# For what a broker writes: an ipc:// endpoint, or the token of docker-compose.yml.
RUN install -d -o 65532 -g 65532 /run/privateer

# A number, so that a cluster can see that it is not root.
USER 65532:65532
ENTRYPOINT ["privateer"]
CMD ["--help"]
