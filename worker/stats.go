package worker

import (
	"sync/atomic"

	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// Stats are counters since the worker was made.
type Stats struct {
	Started    uint64 // handlers called
	Running    uint64 // handlers that have not returned, now
	OK         uint64 // answered: the handler's reply
	Failed     uint64 // answered: an error of the handler, a panic, an impossible reply
	TimedOut   uint64 // answered: over the task time-out
	Expired    uint64 // answered: the deadline passed, before the start or during the run
	Retried    uint64 // answered: the handler asked for a retry
	HandedBack uint64 // answered: given back, started or not
	Gone       uint64 // answered: it ran, and its reply is no longer kept
	Replayed   uint64 // hand-overs answered with a kept reply
	Panics     uint64 // handlers that panicked
	Ignored    uint64 // handlers that had not returned long after their context ended
	Late       uint64 // handlers that returned after they had been answered for
	Joined     uint64 // links that a broker has welcomed
	LinkResets uint64 // links started anew on the same socket
	Reconnects uint64 // sockets given up for a fresh one
	Refused    uint64 // times a broker did not want this worker
	Pauses     uint64 // times this process stood still for over a heartbeat
	TableFull  uint64 // times the id table was full
	NeverTaken uint64 // replies that no broker acknowledged in their time
	// Dropped are discarded messages by reason; reasons that did not occur are
	// left out.
	Dropped map[string]uint64
}

// counters is Stats as the loop counts. Only the loop writes.
type counters struct {
	started, running atomic.Uint64
	panics, ignored  atomic.Uint64
	answered         [256]atomic.Uint64 // by code
	events           [32]atomic.Uint64  // by workercore.Event
	dropped          [workercore.ReasonCount]atomic.Uint64
}

// Stats returns the counters as they are now. Safe for concurrent use.
func (w *Worker) Stats() Stats {
	c := &w.counters
	event := func(e workercore.Event) uint64 { return c.events[e].Load() }
	code := func(x protocol.Code) uint64 { return c.answered[x].Load() }
	s := Stats{
		Started: c.started.Load(), Running: c.running.Load(),
		OK: code(protocol.OK), Failed: code(protocol.Failed), TimedOut: code(protocol.Timeout),
		Expired: code(protocol.Expired), Retried: code(protocol.Retry),
		HandedBack: code(protocol.HandedBack), Gone: code(protocol.Gone),
		Replayed: event(workercore.Replayed), Panics: c.panics.Load(), Ignored: c.ignored.Load(),
		Late: event(workercore.ReturnedLate), Joined: event(workercore.Joined),
		LinkResets: event(workercore.LinkReset), Reconnects: event(workercore.Reconnecting),
		Refused: event(workercore.Refused), Pauses: event(workercore.Paused),
		TableFull: event(workercore.TableFull), NeverTaken: event(workercore.NeverTaken),
	}
	for r := range c.dropped {
		if n := c.dropped[r].Load(); n > 0 {
			if s.Dropped == nil {
				s.Dropped = map[string]uint64{}
			}
			s.Dropped[workercore.Reason(r).String()] = n
		}
	}
	return s
}
