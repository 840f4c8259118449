// Package broker is the broker: two ROUTER sockets, clients on the front,
// workers on the back, and between them queues, credit and what it takes to
// lose nothing.
package broker

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/protocol"
)

// Config says where a broker listens and what it bounds. The zero value
// listens on loopback, front 5555 and back 5556.
type Config struct {
	// Frontends are the endpoints for clients. Default: tcp://127.0.0.1:5555.
	Frontends []string
	// Backends are the endpoints for workers. Default: tcp://127.0.0.1:5556.
	Backends []string
	// Heartbeat is the time between heartbeats, both ways; workers adopt it.
	// Range 10ms to 60s; default 1s.
	Heartbeat time.Duration
	// Liveness is how many heartbeats of silence make a peer lost. 2 to 100; default 3.
	Liveness int
	// MaxAttempts is how many workers a request may lose before it is
	// dead-lettered. 1 to 100; default 3.
	MaxAttempts int
	// Lease is how long an attempt may run without progress. 0, the default:
	// until the deadline. At least 2 heartbeats + 500 ms where it is set.
	Lease time.Duration
	// MaxQueue bounds the requests not yet done, all services together. Default 100,000.
	MaxQueue int
	// MaxQueueBytes bounds their bodies. Default 1 GiB.
	MaxQueueBytes int64
	// MaxMessage bounds the body of one message, all frames together. Default 1 MiB.
	MaxMessage int64
	// MaxPeers bounds the registered workers. Default 20,000.
	MaxPeers int
	// MaxServices bounds the service names in use. Default 1,000.
	MaxServices int
	// MaxIDs bounds the ids of finished requests that are remembered. Default 4,000,000.
	MaxIDs int
	// DefaultDeadline is the deadline of plain clients' requests. Default 30s.
	DefaultDeadline time.Duration
	// DefaultService serves clients and workers that name none. Default "default".
	DefaultService string
	// ReplayWindow is how long a finished reply is kept for a client that asks
	// again. Default 2m.
	ReplayWindow time.Duration
	// ReplayBytes bounds the bodies kept for that. Default 256 MiB.
	ReplayBytes int64
	// RecoveryWindow is how long after its start a broker waits for workers to
	// claim what they hold. Default 8s.
	RecoveryWindow time.Duration
	// DrainTimeout is how long Run lets what it holds finish once its context
	// is done. Default 10s.
	DrainTimeout time.Duration
	// Insecure says that listening beyond loopback is meant, and silences the
	// warning about it.
	Insecure bool
	// Logger takes the broker's log. Its zero value is silent.
	Logger zerolog.Logger
}

// A DeadLetter is a request that was given up after it had lost too many
// workers or used up its retries.
type DeadLetter struct {
	ID      protocol.ID
	Service string
	Reason  string
	Frames  [][]byte // must not be changed
	Attempt int      // hand-overs in all
	Workers []string // the workers it was lost with, oldest first
	Since   time.Time
}

var _ = context.Canceled
