//go:build cgo && privateer_libzmq

package integration

// What the tests are built with, the programs under test are, too.
const tags, transport = "privateer_libzmq", "libzmq"
