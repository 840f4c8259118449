package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Config is what a Session is told about its worker. The zero value of a
// field that has a default means that default.
type Config struct {
	// Instance names the worker's process; never 0.
	Instance uint64
	// Info is what READY says of the worker, for people; nil: nothing.
	Info *protocol.WorkerInfo
	// Services are the names offered, already validated.
	Services []string
	// Concurrency is how many handlers the worker runs at a time.
	Concurrency int
	// TaskTimeout bounds one run of a handler; 0 is no bound but the deadline.
	TaskTimeout time.Duration
	// ReconnectMax is the longest wait before a fresh socket, until a WELCOME
	// says otherwise. Default 2s.
	ReconnectMax time.Duration
	// RetainBytes bounds the bodies of acknowledged replies.
	RetainBytes int64
	// IDsMax bounds all ids that are held or remembered. Default IDsMaxDefault.
	IDsMax int
}

// IDsMaxDefault is the bound on held and remembered ids of one session: half a
// minute at 35,000 requests a second, about 140 bytes each, and a READY of 256
// parts.
const IDsMaxDefault = 1 << 20

// What holds until the first WELCOME, and the range of what one may say.
const (
	heartbeatDefault    = time.Second
	heartbeatMin        = 10 * time.Millisecond
	heartbeatMax        = time.Minute
	livenessDefault     = 3
	livenessMin         = 2
	livenessMax         = 100
	reconnectMin        = time.Millisecond
	reconnectFirst      = 100 * time.Millisecond
	reconnectMaxDefault = 2 * time.Second
	retentionDefault    = 30 * time.Second
)

// adopt takes the intervals and limits of a WELCOME. Absurd values are brought
// into range: a broker's mistake must not make this worker spin or go silent.
// What this worker remembers beyond what the broker takes, a broker that comes after it
// could not be told of: until there is less, nothing more is taken on.
func (s *Session) adopt(iv *protocol.Intervals, limits *protocol.Limits, rememberMax uint32) {
	s.idsMax = s.cfg.IDsMax
	if rememberMax > 0 && int64(rememberMax) < int64(s.idsMax) {
		s.idsMax = int(rememberMax)
	}
	s.heartbeat = min(max(ms(iv.HeartbeatMS), heartbeatMin), heartbeatMax)
	s.liveness = min(max(int(min(iv.Liveness, livenessMax)), livenessMin), livenessMax)
	if iv.ReconnectMaxMS > 0 {
		s.reconnectMax = ms(iv.ReconnectMaxMS)
	}
	if iv.RetentionMS > 0 {
		s.retention = ms(iv.RetentionMS)
	}
	s.limits = *limits
}

func ms(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// msOf is d in whole milliseconds, at least 0, as it goes on the wire.
func msOf(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(int64(d/time.Millisecond), protocol.DurationMSMax))
}
