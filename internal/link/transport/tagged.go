//go:build cgo && privateer_libzmq

package transport

import "github.com/privateer-mq/privateer/internal/link/zmqlink"

// With the tag privateer_libzmq all that names no transport is on libzmq: so the
// same tests can be run on it.
func init() {
	fallback = LibZMQ
	Register(LibZMQ, Opener{Open: zmqlink.New, Version: zmqlink.Version()})
}
