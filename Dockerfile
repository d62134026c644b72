# The service and nothing else: one static binary, certificates to trust, no shell, not root.
#   docker build -t clicktodial .

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# timetzdata: the time zones are in the binary, because an empty image has none
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags='-s -w' -o /out/clicktodial ./server

FROM busybox:1.37-musl AS busybox

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/clicktodial /clicktodial
# busybox under this name is wget only; for the health check
COPY --from=busybox /bin/busybox /bin/wget
USER 65532:65532
ENV LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/clicktodial"]
CMD ["serve"]
