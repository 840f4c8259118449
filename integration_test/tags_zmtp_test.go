//go:build !cgo || !privateer_libzmq

package integration

const tags, transport = "", "zmtp"
