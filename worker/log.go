package worker

import (
	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/session"
)

// levels of the events that people want to see by themselves. The others are
// the everyday life of requests and links: debug.
var levels = map[session.Event]zerolog.Level{
	session.Joined:       zerolog.InfoLevel,
	session.LinkReset:    zerolog.WarnLevel,
	session.Reconnecting: zerolog.WarnLevel,
	session.Refused:      zerolog.ErrorLevel,
	session.Paused:       zerolog.WarnLevel,
	session.TaskOver:     zerolog.WarnLevel,
	session.ReturnedLate: zerolog.InfoLevel,
	session.Unanswerable: zerolog.ErrorLevel,
	session.TableFull:    zerolog.WarnLevel,
	session.NeverTaken:   zerolog.WarnLevel,
	session.DrainStarted: zerolog.InfoLevel,
	session.DrainOver:    zerolog.WarnLevel,
}

var messages = map[session.Event]string{
	session.Joining:      "registering with the broker",
	session.Joined:       "registered with the broker",
	session.LinkReset:    "link reset, registering again",
	session.Reconnecting: "broker lost, connecting again",
	session.Refused:      "the broker refuses this worker",
	session.Paused:       "this process stood still",
	session.Answered:     "request answered",
	session.Replayed:     "request answered with the kept reply",
	session.TaskOver:     "handler is over its task time-out",
	session.ReturnedLate: "handler returned after its request had been answered",
	session.Unanswerable: "the handler's reply cannot be sent",
	session.TableFull:    "id table is full, taking nothing more for now",
	session.NeverTaken:   "no broker has acknowledged a reply in its time; it is forgotten",
	session.DrainStarted: "draining",
	session.DrainOver:    "drain time-out, handing back what still runs",
}

// levelOf is quiet about what goes on while a broker stays away: the first
// lost socket is worth a line, the next ones are not.
func levelOf(p *peer, e session.Event) zerolog.Level {
	level, ok := levels[e]
	if !ok {
		return zerolog.DebugLevel
	}
	switch e {
	case session.Joined:
		p.away = false
	case session.Reconnecting, session.Refused:
		if p.away {
			return zerolog.DebugLevel
		}
		p.away = e == session.Reconnecting
	}
	return level
}

// about names the run that a log line is about.
func about(e *zerolog.Event, r *run) *zerolog.Event {
	return e.Stringer("request_id", r.fence.ID).Str("service", r.service).Uint32("attempt", r.fence.Attempt)
}
