package client

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/protocol"
)

// Config says which brokers to ask and how patiently. The zero value asks a
// broker on this host.
type Config struct {
	// Brokers are the front endpoints, tried in turn; at most 16. Default:
	// tcp://127.0.0.1:5555.
	Brokers []string
	// Transport is what tcp:// and ipc:// endpoints are reached by: "zmtp", in Go,
	// or "libzmq", where package transport/libzmq is imported. Default: zmtp.
	Transport string
	// Timeout is how long one try waits for its answer. 1ms to 49 days; default 2.5s.
	Timeout time.Duration
	// Retries is how many further tries follow the first. At most 1,000,000;
	// default 3; negative: none.
	Retries int
	// Deadline is the whole budget of a request. 1ms to 49 days; default 30s.
	Deadline time.Duration
	// MaxInFlight bounds the requests that one Client (Do) or Pipeline keeps
	// open; Do waits for a place, within its budget. For a Client, where each is
	// a REQ socket, at most 10,000, default 64; for a Pipeline 1,000,000 and 1024.
	MaxInFlight int
	// MaxMessage bounds one frame of a reply, in bytes; a broker that sends a
	// larger one is disconnected from. Default 64 MiB.
	MaxMessage int64
	// Hooks are told of connections, retries and outcomes. Default: none.
	Hooks Hooks
	// Logger takes the client's log. Its zero value is silent. Lines are written in
	// the client's turns: a writer that may block, such as a pipe, belongs
	// behind one that does not, such as zerolog's diode.Writer.
	Logger zerolog.Logger
}

// A Priority orders requests of one service that wait in the broker.
type Priority uint8

// The priorities.
const (
	Normal Priority = iota
	High
	Low
)

// A Request is one unit of work to ask for.
type Request struct {
	// Service is the name of the service. Required.
	Service string
	// Body is the request's single frame, unless Frames is set. Not copied:
	// it must not change before Do returns.
	Body []byte
	// Frames are the request's frames, where there is not just one.
	Frames [][]byte
	// Headers go to the handler as they are. At most 8 KiB together, and with Trace.
	Headers []Header
	// Trace is a W3C traceparent, for the handler (worker.Request.Trace). At
	// most 255 bytes of ASCII, without spaces; otherwise it is not looked at.
	// Package tracing sets it.
	Trace string
	// ID names the request. Zero, the usual case: a fresh UUIDv7. A caller who
	// was restarted takes up its request again by giving its id, which can come from
	// a key of its own: protocol.IDFrom. While a broker remembers the id it is run
	// once, and its outcome repeated: until its deadline and a heartbeat for certain,
	// and for the broker's replay window (--replay-window, 2 minutes) while there is
	// room. After that it runs again: what must not, ever, must be known to the handler.
	ID protocol.ID
	// Timeout, Retries and Deadline override the Config's where not zero;
	// Retries < 0 is none. An earlier deadline of ctx wins.
	Timeout  time.Duration
	Retries  int
	Deadline time.Duration
	// AtMostOnce: never start it a second time, whatever is lost.
	AtMostOnce bool
	// NoWait: answer NO_SERVICE if no live worker serves the service.
	NoWait bool
	// FinishRunning: should this client's interest end while the request runs,
	// let it finish. Default: cancel it.
	FinishRunning bool
	// Priority orders it among the waiting requests of its service.
	Priority Priority
}

// A Header is one user header of a request or reply.
type Header struct{ Key, Value string }

// A Reply is the outcome OK.
type Reply struct {
	ID      protocol.ID
	Frames  [][]byte // the caller owns them
	Headers []Header
	Attempt int    // the attempt that answered, from 1
	Tries   int    // sendings it took, from 1
	Broker  string // endpoint of the broker that answered
	// FailedOver: another broker was asked before, and may have run it too:
	// brokers do not know of each other.
	FailedOver bool
}

// Body is the first frame, nil if there is none.
func (r Reply) Body() []byte {
	if len(r.Frames) == 0 {
		return nil
	}
	return r.Frames[0]
}
