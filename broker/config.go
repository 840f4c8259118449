// Package broker is the broker: two ROUTER sockets, clients on the front,
// workers on the back, and between them queues, credit and what it takes to
// lose nothing. It keeps everything in memory. What it decides is decided in
// internal/core; this package moves the messages, tells the time and keeps the
// log.
package broker

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// Config says where a broker listens and what it bounds. The zero value
// listens on loopback, front 5555 and back 5556.
type Config struct {
	// Frontends are the endpoints for clients. Default: tcp://127.0.0.1:5555.
	Frontends []string
	// Backends are the endpoints for workers. Default: tcp://127.0.0.1:5556.
	Backends []string
	// IPCMode is what the files of ipc:// endpoints may be used by, as 0o660: who may
	// write to one may connect. Default: what the umask leaves.
	IPCMode os.FileMode
	// Transport is what tcp:// and ipc:// endpoints are served by: "zmtp", in Go,
	// or "libzmq", where package transport/libzmq is imported. Default: zmtp.
	Transport string
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
	// MaxQueueBytes bounds what they take: 300 bytes each, bodies, fields, frames and who
	// asks. Default 1 GiB.
	MaxQueueBytes int64
	// MaxMessage bounds the body of one message, all frames together. Default 1 MiB.
	MaxMessage int64
	// MaxPeerBytes bounds what waits on one connection, one way; one message more
	// may, and two in any case. Beyond it reading waits, and a message is refused as
	// for a peer that is full. Default 16 MiB. Transport libzmq has no such bound.
	MaxPeerBytes int64
	// MaxLinkBytes bounds what waits on all connections of both ports together;
	// then the slowest readers are cut off. At least 1 MiB; default 128 MiB.
	// Transport libzmq has no such bound.
	MaxLinkBytes int64
	// MaxPeers bounds the registered workers. Default 20,000.
	MaxPeers int
	// MaxServices bounds the service names that workers serve, and apart from them the
	// new ones that only requests have. Default 1,000.
	MaxServices int
	// MaxIDs bounds the ids of finished requests that are remembered. Default 4,000,000.
	MaxIDs int
	// MaxDead bounds the dead letters that are kept; the oldest make room, and each
	// that goes is counted as a drop. Default 1,000.
	MaxDead int
	// MaxDeadBytes bounds what they take, bodies, fields and 300 bytes each, in the same
	// way; one that is larger is not kept. Default 64 MiB.
	MaxDeadBytes int64
	// DefaultDeadline is the deadline of plain clients' requests. Default 30s.
	DefaultDeadline time.Duration
	// MaxDeadline is the longest deadline that a request may name; ids are remembered
	// that long. Beyond it the request is INVALID. Default 24h.
	MaxDeadline time.Duration
	// DefaultService serves clients and workers that name none. Default "default".
	DefaultService string
	// ReplayWindow is how long a finished reply is kept for a client that asks
	// again. Default 2m.
	ReplayWindow time.Duration
	// ReplayBytes bounds what replies take that are kept for that. Default 256 MiB.
	ReplayBytes int64
	// RecoveryWindow is how long after its start a broker waits for workers to
	// claim what they hold. Default: Liveness × Heartbeat + 5s, in which every
	// worker that lives has noticed the restart and connected again: 8s. With
	// less a request can run twice though its worker lives.
	RecoveryWindow time.Duration
	// DrainTimeout is how long Run lets what it holds finish once its context
	// is done. Default 10s.
	DrainTimeout time.Duration
	// Dialects are what is spoken besides PRV1, or without it: names of
	// protocol.DialectNames. Without prv1 and mdp01, mdp02 a request whose body
	// looks like their header is a plain one. Default: all of them.
	Dialects []string
	// LegacyErrors is what a client gets whose dialect has no errors. Default:
	// Silent.
	LegacyErrors LegacyErrors
	// PPPFrames is what becomes of a request whose body is not one frame, where a
	// Paranoid Pirate worker is to have it. Default: Join.
	PPPFrames PPPFrames
	// Admin is HOST:PORT of the admin listener: metrics, API and page over HTTP.
	// Empty, the default: there is none, and nothing is recorded for it.
	Admin string
	// AdminTokenFile holds the token that the admin listener asks for. Without
	// one it must listen on loopback.
	AdminTokenFile string
	// AdminPprof lets the admin listener show Go's profiles at /debug/pprof/.
	AdminPprof bool
	// RecorderSteps is how many steps in the lives of requests the admin listener
	// remembers, all requests together; about 130 bytes each. Default 50,000.
	RecorderSteps int
	// Version and Commit are told by the admin listener.
	Version, Commit string
	// Insecure says that listening beyond loopback is meant, and silences the
	// warning about it.
	Insecure bool
	// Logger takes the broker's log. Its zero value is silent. Lines are written on
	// the broker's loop: a writer that may block, such as a pipe, belongs behind one
	// that does not, such as zerolog's diode.Writer.
	Logger zerolog.Logger
	// LogLost is how many lines of the log were lost so far, for the metric
	// privateer_log_lines_lost_total. It is called by whoever scrapes. nil: 0.
	LogLost func() uint64

	dialects protocol.Dialects
}

// LegacyErrors says what a plain or Majordomo client gets instead of an error.
type LegacyErrors string

// The choices.
const (
	// Silent: nothing. Its time-out tells it to ask again, as the ZeroMQ guide has it.
	Silent LegacyErrors = "silent"
	// Text: a reply of one frame that begins with PRIVATEER-ERROR, the code and
	// the certainty.
	Text LegacyErrors = "text"
)

func (e LegacyErrors) text() bool { return e == Text }

// PPPFrames says what becomes of a request whose body is not one frame, where a
// Paranoid Pirate worker is to have it. The guide's workers take messages of three
// frames, address, empty and body; any other they throw away without a word, and
// their lease or the deadline has to end the wait.
type PPPFrames string

// The choices.
const (
	// Join: the frames are put together, and no frame is an empty one.
	Join PPPFrames = "join"
	// Refuse: it ends as INVALID, not started.
	Refuse PPPFrames = "refuse"
	// Keep: it goes out as it is, for workers that know frames.
	Keep PPPFrames = "keep"
)

// Fixed bounds, beside those of Config.
const (
	durationMax  = protocol.DurationMSMax * time.Millisecond // 49 days; beyond, some sum might not fit
	heartbeatMin = 10 * time.Millisecond
	heartbeatMax = time.Minute
	reconnectMax = 2 * time.Second  // told to workers
	retention    = 30 * time.Second // told to workers: bodies of acknowledged replies
	connectMax   = 3 * time.Second  // a worker's attempt to connect is given up
	linger       = time.Second      // how long the last messages may take to leave
	socketQueue  = 1000             // messages waiting in one peer's pipe, each way
	listFrameMax = 256 << 10        // a worker's list of 4,096 entries, with room
	spareFrame   = 64 << 10         // a frame may be larger than MaxMessage by this: it is answered, not cut off
)

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if len(c.Frontends) == 0 {
		c.Frontends = []string{"tcp://127.0.0.1:5555"}
	}
	if len(c.Backends) == 0 {
		c.Backends = []string{"tcp://127.0.0.1:5556"}
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, time.Second)
	c.Liveness = cmp.Or(c.Liveness, 3)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 3)
	c.MaxQueue = cmp.Or(c.MaxQueue, 100_000)
	c.MaxQueueBytes = cmp.Or(c.MaxQueueBytes, 1<<30)
	c.MaxMessage = cmp.Or(c.MaxMessage, 1<<20)
	c.MaxPeerBytes = cmp.Or(c.MaxPeerBytes, 16<<20)
	c.MaxLinkBytes = cmp.Or(c.MaxLinkBytes, 128<<20)
	c.MaxPeers = cmp.Or(c.MaxPeers, 20_000)
	c.MaxServices = cmp.Or(c.MaxServices, 1000)
	c.MaxIDs = cmp.Or(c.MaxIDs, 4_000_000)
	c.MaxDead = cmp.Or(c.MaxDead, 1000)
	c.MaxDeadBytes = cmp.Or(c.MaxDeadBytes, 64<<20)
	c.DefaultDeadline = cmp.Or(c.DefaultDeadline, 30*time.Second)
	c.MaxDeadline = cmp.Or(c.MaxDeadline, max(24*time.Hour, c.DefaultDeadline))
	c.DefaultService = cmp.Or(c.DefaultService, "default")
	c.ReplayWindow = cmp.Or(c.ReplayWindow, 2*time.Minute)
	c.ReplayBytes = cmp.Or(c.ReplayBytes, 256<<20)
	c.RecoveryWindow = cmp.Or(c.RecoveryWindow, time.Duration(c.Liveness)*c.Heartbeat+reconnectMax+connectMax)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Second)
	c.LegacyErrors = cmp.Or(c.LegacyErrors, Silent)
	c.PPPFrames = cmp.Or(c.PPPFrames, Join)
	c.RecorderSteps = cmp.Or(c.RecorderSteps, 50_000)
	c.Version, c.Commit = cmp.Or(c.Version, "dev"), cmp.Or(c.Commit, "unknown")
	if reflect.ValueOf(c.Logger).IsZero() {
		c.Logger = zerolog.Nop() // it does not even look at what would be said
	}
	if len(c.Dialects) == 0 {
		c.Dialects = protocol.DialectNames()
	}
	return c
}

// validate names the first field that is out of bounds.
func (c *Config) validate() error {
	var unknown string
	c.dialects, unknown = protocol.ParseDialects(c.Dialects)
	leaseMin := 2*c.Heartbeat + 500*time.Millisecond
	for _, f := range []struct {
		bad        bool
		name, want string
		got        any
	}{
		{c.Heartbeat < heartbeatMin || c.Heartbeat > heartbeatMax, "Heartbeat", "10ms to 60s", c.Heartbeat},
		{c.IPCMode&^os.ModePerm != 0, "IPCMode", "permissions, 0 to 0o777", c.IPCMode},
		{c.Liveness < 2 || c.Liveness > 100, "Liveness", "2 to 100", c.Liveness},
		{c.MaxAttempts < 1 || c.MaxAttempts > 100, "MaxAttempts", "1 to 100", c.MaxAttempts},
		{c.Lease != 0 && c.Lease < leaseMin || c.Lease > durationMax, "Lease", "0, or 2 heartbeats + 500ms = " + leaseMin.String() + " to 49 days", c.Lease},
		{c.MaxQueue < 1, "MaxQueue", "at least 1", c.MaxQueue},
		{c.MaxQueueBytes < 1, "MaxQueueBytes", "at least 1", c.MaxQueueBytes},
		{c.MaxMessage < 1 || c.MaxMessage > 1<<30, "MaxMessage", "1 byte to 1 GiB", c.MaxMessage},
		{c.MaxPeerBytes < 1<<10, "MaxPeerBytes", "at least 1 KiB", c.MaxPeerBytes},
		{c.MaxLinkBytes < 1<<20, "MaxLinkBytes", "at least 1 MiB", c.MaxLinkBytes},
		{c.MaxPeers < 1, "MaxPeers", "at least 1", c.MaxPeers},
		{c.MaxServices < 1, "MaxServices", "at least 1", c.MaxServices},
		{c.MaxIDs < 2, "MaxIDs", "at least 2", c.MaxIDs},
		{c.MaxDead < 1, "MaxDead", "at least 1", c.MaxDead},
		{c.MaxDeadBytes < 1, "MaxDeadBytes", "at least 1", c.MaxDeadBytes},
		{c.DefaultDeadline < time.Millisecond || c.DefaultDeadline > durationMax, "DefaultDeadline", "1ms to 49 days", c.DefaultDeadline},
		{c.MaxDeadline < c.DefaultDeadline || c.MaxDeadline > durationMax, "MaxDeadline", "DefaultDeadline to 49 days", c.MaxDeadline},
		{protocol.ValidService([]byte(c.DefaultService)) != "", "DefaultService", "1 to 255 bytes of UTF-8 without control characters", c.DefaultService},
		{c.ReplayWindow < 0 || c.ReplayWindow > durationMax, "ReplayWindow", "0 to 49 days", c.ReplayWindow},
		{c.ReplayBytes < 0, "ReplayBytes", "not negative", c.ReplayBytes},
		{c.RecoveryWindow < 0 || c.RecoveryWindow > durationMax, "RecoveryWindow", "0 to 49 days", c.RecoveryWindow},
		{c.DrainTimeout < 0 || c.DrainTimeout > durationMax, "DrainTimeout", "0 to 49 days", c.DrainTimeout},
		{c.RecorderSteps < 1 || c.RecorderSteps > 10_000_000, "RecorderSteps", "1 to 10,000,000", c.RecorderSteps},
		{unknown != "", "Dialects", "some of " + strings.Join(protocol.DialectNames(), ", "), unknown},
		{c.LegacyErrors != Silent && c.LegacyErrors != Text, "LegacyErrors", "silent or text", c.LegacyErrors},
		{c.PPPFrames != Join && c.PPPFrames != Refuse && c.PPPFrames != Keep, "PPPFrames", "join, refuse or keep", c.PPPFrames},
	} {
		if f.bad {
			return fmt.Errorf("broker: Config.%s is %v; want %s", f.name, f.got, f.want)
		}
	}
	if err := transport.Check(c.Transport); err != nil {
		return fmt.Errorf("broker: Config.Transport: %w", err)
	}
	return nil
}

func (c *Config) core(epoch uint64) core.Config {
	return core.Config{
		Epoch: epoch, Heartbeat: c.Heartbeat, Liveness: c.Liveness, MaxAttempts: c.MaxAttempts, Lease: c.Lease,
		MaxQueue: c.MaxQueue, MaxQueueBytes: c.MaxQueueBytes, MaxMessage: c.MaxMessage, MaxPeers: c.MaxPeers,
		MaxServices: c.MaxServices, MaxIDs: c.MaxIDs, MaxDead: c.MaxDead, MaxDeadBytes: c.MaxDeadBytes, DefaultDeadline: c.DefaultDeadline, MaxDeadline: c.MaxDeadline,
		DefaultService: c.DefaultService, ReplayWindow: c.ReplayWindow, ReplayBytes: c.ReplayBytes,
		RecoveryWindow: c.RecoveryWindow, ReconnectMax: reconnectMax, Retention: retention,
	}
}

// exposed lists the endpoints that others than this host can reach.
func exposed(endpoints []string) (open []string) {
	for _, e := range endpoints {
		host, isTCP := strings.CutPrefix(e, "tcp://")
		if !isTCP {
			continue
		}
		host, _, err := net.SplitHostPort(host)
		if ip := net.ParseIP(host); err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			open = append(open, e)
		}
	}
	return open
}
