// Package transport chooses the link for an endpoint: memory for mem://, and for
// tcp:// and ipc:// what a Config's Transport names.
package transport

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
)

// The transports. ZMTP is the default, and always there.
const (
	ZMTP   = "zmtp"   // in Go
	LibZMQ = "libzmq" // through libzmq, where package transport/libzmq is imported
)

// An Opener makes hosts of one transport.
type Opener struct {
	Open    func() (link.Host, error)
	Version string // of the library behind it
}

// fallback is the default.
var fallback = ZMTP

// Name is name, or that of the default.
func Name(name string) string { return cmp.Or(name, fallback) }

// others are the transports beside ZMTP; written while the program starts only.
var others = map[string]Opener{}

// Register adds a transport. It must be called from an init function.
func Register(name string, o Opener) { others[name] = o }

// Version is the version of the library behind the transport called name; "" if
// it is not there, or has none.
func Version(name string) string { return others[name].Version }

// Check returns an error if there is no transport called name.
func Check(name string) error {
	name = Name(name)
	if _, ok := others[name]; ok || name == ZMTP {
		return nil
	}
	if name == LibZMQ {
		return errors.New(`transport "libzmq" is not built in: import _ "github.com/privateer-mq/privateer/transport/libzmq", which needs cgo and libzmq; or use "zmtp"`)
	}
	return fmt.Errorf("transport %q: it must be %q or %q", name, ZMTP, LibZMQ)
}

// For returns a host that serves all the given endpoints, and whether it calls
// arrived, as zmtplink.New does; if it does not, it can only be waited for. One
// host cannot serve mem:// and others: the error then names the endpoint and the
// schemes that are allowed.
func For(name string, arrived func(), endpoints ...string) (host link.Host, tells bool, err error) {
	if err := Check(name); err != nil {
		return nil, false, err
	}
	if len(endpoints) == 0 {
		return nil, false, errors.New("no endpoint: name at least one, such as tcp://127.0.0.1:5555, ipc:///run/privateer.sock or mem://name")
	}
	memory := strings.HasPrefix(endpoints[0], "mem://")
	for _, endpoint := range endpoints {
		scheme, _, ok := strings.Cut(endpoint, "://")
		switch {
		case !ok || !slices.Contains([]string{"tcp", "ipc", "mem"}, scheme):
			return nil, false, fmt.Errorf("endpoint %q: it must start with tcp://, ipc:// or mem://", endpoint)
		case (scheme == "mem") != memory:
			return nil, false, fmt.Errorf("endpoint %q does not go with %q: use mem:// for all endpoints of a process, or tcp:// and ipc:// for all", endpoint, endpoints[0])
		}
	}
	if memory {
		return link.NewMemory(), false, nil
	}
	if o, ok := others[Name(name)]; ok {
		host, err := o.Open()
		return host, false, err
	}
	return zmtplink.New(arrived), arrived != nil, nil
}
