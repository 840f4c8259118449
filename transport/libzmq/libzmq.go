// Package libzmq adds the transport "libzmq" to packages broker, worker and
// client: sockets of libzmq, through github.com/pebbe/zmq4, instead of the ones in
// Go. It is imported for that alone, and needs cgo and libzmq:
//
//	import _ "github.com/privateer-mq/privateer/transport/libzmq"
//
// Then Config.Transport may be "libzmq". What is on the wire is the same.
//
// libzmq is for peers that are trusted: it cannot bound what an unfinished message
// takes, and holds all connections up while it looks up a name.
package libzmq

import (
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
)

func init() {
	transport.Register(transport.LibZMQ, transport.Opener{Open: zmqlink.New, Version: zmqlink.Version()})
}
