package broker

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
	"github.com/privateer-mq/privateer/protocol"
)

// announce says where the broker listens, and warns of ports open to all.
func (l *loop) announce(front, back string) {
	log := &l.cfg.Logger
	log.Info().Str("state", "listening").Str("frontend", front).Str("backend", back).
		Strs("frontends", l.cfg.Frontends).Strs("backends", l.cfg.Backends).
		Str("admin", l.b.AdminAddr()).Str("epoch", workerName(l.epoch)).Str("libzmq", zmqlink.Version()).Msg("broker listening")
	if l.cfg.Insecure {
		return
	}
	for _, e := range append(exposed(l.cfg.Frontends), exposed(l.cfg.Backends)...) {
		log.Warn().Str("endpoint", e).
			Msg("this port is open to everybody who can reach it, without a password; bind to loopback, or say --insecure if it is meant")
	}
}

// levels of the events that people want to see by themselves. The others are
// the everyday life of requests: debug.
var levels = map[core.What]zerolog.Level{
	core.EventWorkerReady:   zerolog.InfoLevel,
	core.EventWorkerLeft:    zerolog.InfoLevel,
	core.EventDraining:      zerolog.InfoLevel,
	core.EventWorkerLost:    zerolog.WarnLevel,
	core.EventDeadLetter:    zerolog.WarnLevel,
	core.EventStopped:       zerolog.WarnLevel,
	core.EventProtocol:      zerolog.WarnLevel,
	core.EventLinkReset:     zerolog.WarnLevel,
	core.EventWorkerSuspect: zerolog.InfoLevel,
	core.EventWindowOver:    zerolog.InfoLevel,
}

// note logs one change of state, never a payload. What a hostile or broken
// peer can cause at will is rate-limited.
func (l *loop) note(e *core.Event) {
	level, ok := levels[e.What]
	if !ok {
		level = zerolog.DebugLevel
	}
	if level < l.cfg.Logger.GetLevel() {
		return
	}
	var held int
	if e.What == core.EventProtocol || e.What == core.EventLinkReset {
		if held, ok = l.warned.allow(e.What, l.now()); !ok {
			return
		}
	}
	ev := l.cfg.Logger.WithLevel(level).Str("state", string(e.What))
	if !e.ID.IsZero() {
		ev.Stringer("request_id", e.ID)
	}
	if e.Service != "" {
		ev.Str("service", e.Service)
	}
	if e.Worker != 0 {
		ev.Str("worker", workerName(e.Worker))
	}
	if e.Attempt != 0 {
		ev.Uint32("attempt", e.Attempt)
	}
	if e.Code != protocol.CodeNone {
		ev.Stringer("outcome", e.Code)
	}
	if e.Reason != "" {
		ev.Str("reason", e.Reason)
	}
	if held > 0 {
		ev.Int("suppressed", held)
	}
	ev.Msg(string(e.What))
}

// A limiter lets one line a second through for each kind of event, and counts
// the others.
type limiter struct {
	last map[core.What]time.Duration
	held map[core.What]int
}

func (l *limiter) allow(what core.What, now time.Duration) (held int, ok bool) {
	if l.last == nil {
		l.last, l.held = map[core.What]time.Duration{}, map[core.What]int{}
	}
	if last, seen := l.last[what]; seen && now-last < time.Second {
		l.held[what]++
		return 0, false
	}
	l.last[what] = now
	held, l.held[what] = l.held[what], 0
	return held, true
}
