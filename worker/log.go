package worker

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/workercore"
)

// levels of the events that people want to see by themselves. The others are
// the everyday life of requests and links: debug.
var levels = map[workercore.Event]zerolog.Level{
	workercore.Joined:       zerolog.InfoLevel,
	workercore.LinkReset:    zerolog.WarnLevel,
	workercore.Reconnecting: zerolog.WarnLevel,
	workercore.Refused:      zerolog.ErrorLevel,
	workercore.Paused:       zerolog.WarnLevel,
	workercore.TaskOver:     zerolog.WarnLevel,
	workercore.ReturnedLate: zerolog.InfoLevel,
	workercore.Unanswerable: zerolog.ErrorLevel,
	workercore.TableFull:    zerolog.WarnLevel,
	workercore.NeverTaken:   zerolog.WarnLevel,
	workercore.DrainStarted: zerolog.InfoLevel,
	workercore.DrainOver:    zerolog.WarnLevel,
}

var messages = map[workercore.Event]string{
	workercore.Joining:      "registering with the broker",
	workercore.Joined:       "registered with the broker",
	workercore.LinkReset:    "link reset, registering again",
	workercore.Reconnecting: "broker lost, connecting again",
	workercore.Refused:      "the broker refuses this worker",
	workercore.Paused:       "this process stood still",
	workercore.Answered:     "request answered",
	workercore.Replayed:     "request answered with the kept reply",
	workercore.TaskOver:     "handler is over its task time-out",
	workercore.ReturnedLate: "handler returned after its request had been answered",
	workercore.Unanswerable: "the handler's reply cannot be sent",
	workercore.TableFull:    "id table is full, taking nothing more for now",
	workercore.NeverTaken:   "no broker has acknowledged a reply in its time; it is forgotten",
	workercore.DrainStarted: "draining",
	workercore.DrainOver:    "drain time-out, handing back what still runs",
}

// levelOf is quiet about what goes on while a broker stays away: the first
// lost socket is worth a line, the next ones are not.
func levelOf(p *peer, e workercore.Event) zerolog.Level {
	level, ok := levels[e]
	if !ok {
		return zerolog.DebugLevel
	}
	switch e {
	case workercore.Joined:
		p.away = false
	case workercore.Reconnecting, workercore.Refused:
		if p.away {
			return zerolog.DebugLevel
		}
		p.away = e == workercore.Reconnecting
	}
	return level
}

// about names the run that a log line is about.
func about(e *zerolog.Event, r *run) *zerolog.Event {
	return e.Stringer("request_id", r.fence.ID).Str("service", r.service).Uint32("attempt", r.fence.Attempt)
}

// held says that nothing is taken for a while: a warning at first, and then no more
// until a handler has returned without asking for that.
func (l *loop) held(r *run, d time.Duration) {
	level := zerolog.WarnLevel
	if l.holding {
		level = zerolog.DebugLevel
	}
	l.holding = true
	about(l.peers[r.broker].log.WithLevel(level), r).Str("state", "holding").Stringer("for", d).
		Msg("a handler can do nothing for now: its request is handed on, and nothing is taken for a while")
}
