package broker

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// announce says where the broker listens, and warns of ports open to all.
func (l *loop) announce(front, back string) {
	log := &l.cfg.Logger
	log.Info().Str("state", "listening").Str("frontend", front).Str("backend", back).
		Strs("frontends", l.cfg.Frontends).Strs("backends", l.cfg.Backends).
		Str("admin", l.b.AdminAddr()).Str("epoch", workerName(l.epoch)).Str("transport", transport.Name(l.cfg.Transport)).Msg("broker listening")
	if l.cfg.Insecure {
		return
	}
	for _, e := range append(exposed(l.cfg.Frontends), exposed(l.cfg.Backends)...) {
		log.Warn().Str("endpoint", e).
			Msg("this port is open to everybody who can reach it, without a password; bind to loopback, or say --insecure if it is meant")
	}
}

// level is that of an event: people want to see some by themselves. The others are
// the everyday life of requests: debug.
func level(what core.What) zerolog.Level {
	switch what {
	case core.EventWorkerReady, core.EventWorkerLeft, core.EventDraining, core.EventWorkerSuspect, core.EventWindowOver:
		return zerolog.InfoLevel
	case core.EventWorkerLost, core.EventDeadLetter, core.EventStopped, core.EventProtocol, core.EventLinkReset, core.EventNoRoom:
		return zerolog.WarnLevel
	}
	return zerolog.DebugLevel
}

// note logs one change of state, never a payload. What a hostile or broken
// peer can cause at will is rate-limited.
func (l *loop) note(e *core.Event) {
	level := level(e.What)
	if level < l.cfg.Logger.GetLevel() {
		return
	}
	if !l.warned.allow(e.What, e.Worker, l.now()) {
		return
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
	if i := e.Info; i != nil {
		noteInfo(ev, i)
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
	ev.Msg(string(e.What))
}

// noteInfo tells what a worker says of itself.
func noteInfo(ev *zerolog.Event, i *protocol.WorkerInfo) {
	for _, f := range [...]struct{ name, text string }{{"label", i.Label}, {"host", i.Host}, {"version", i.Version}} {
		if f.text != "" {
			ev.Str(f.name, f.text)
		}
	}
	if i.Process != 0 {
		ev.Uint32("process", i.Process)
	}
}

// lookAtPortsEvery is how soon it is said that a port accepts nothing, and again that it does.
const lookAtPortsEvery = time.Second

// lookAtPorts says once that a port accepts no connections, and once that it does again.
func (l *loop) lookAtPorts(now time.Duration) {
	if now < l.lookAt {
		return
	}
	l.lookAt = now + lookAtPortsEvery
	for at, name := range portNames {
		o, ok := l.ports[at].(link.Observed)
		if !ok {
			continue
		}
		s := o.Stats()
		if s.AcceptingPause == l.full[at] {
			continue
		}
		if l.full[at] = s.AcceptingPause; l.full[at] {
			l.cfg.Logger.Warn().Str("state", "accepting-paused").Str("port", name).Int("connections", s.Connections).
				Msg("this port accepts no connections for now: four fifths of the descriptors that this process may have are taken, or memory is short; those that stand are served. Raise the limit (ulimit -n, LimitNOFILE)")
		} else {
			l.cfg.Logger.Info().Str("state", "accepting").Str("port", name).Int("connections", s.Connections).
				Msg("this port accepts connections again")
		}
	}
}

// noteHeld says how many lines were held back since it was said last, once a second.
func (l *loop) noteHeld(now time.Duration) {
	for _, h := range l.warned.takeHeld(now) {
		l.cfg.Logger.WithLevel(level(h.what)).Str("state", string(h.what)).Int("suppressed", h.lines).
			Msg(string(h.what) + " … and " + thousands(h.lines) + " more")
	}
}

// thousands is n as people read it: 3,211.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// A rate is how many lines there may be: so many at once after a rest, and then one
// each so often.
type rate struct {
	burst int
	each  time.Duration
}

// The rates of lines that peers cause: of one kind in all, and of one kind about one worker.
var (
	allRates = map[core.What]rate{
		core.EventProtocol:  {1, time.Second},
		core.EventLinkReset: {1, time.Second},
		core.EventNoRoom:    {1, time.Second},
		wrongPeer:           {1, time.Second},

		core.EventWorkerReady:   {100, 100 * time.Millisecond},
		core.EventWorkerLost:    {100, 100 * time.Millisecond},
		core.EventWorkerLeft:    {100, 100 * time.Millisecond},
		core.EventWorkerSuspect: {100, 100 * time.Millisecond},
		core.EventDeadLetter:    {100, 100 * time.Millisecond},
	}
	workerRate = rate{10, time.Second}
)

// limiterMax bounds the workers that a limiter remembers.
const limiterMax = 4096

// A limiter lets the lines through that their rates allow, and counts the others.
type limiter struct {
	all     map[core.What]time.Duration // when its lines would all have had their time
	workers map[aboutWorker]time.Duration
	held    map[core.What]int
	toldAt  time.Duration
}

// An aboutWorker is a kind of line about one worker.
type aboutWorker struct {
	what   core.What
	worker uint64
}

// take takes one line of the rate, by when those before it would have had their time.
func (r rate) take(busy, now time.Duration) (after time.Duration, ok bool) {
	busy = max(busy, now)
	if busy-now > time.Duration(r.burst-1)*r.each {
		return busy, false
	}
	return busy + r.each, true
}

func (l *limiter) allow(what core.What, worker uint64, now time.Duration) bool {
	all, limited := allRates[what]
	if !limited {
		return true
	}
	if l.all == nil {
		l.all, l.workers, l.held = map[core.What]time.Duration{}, map[aboutWorker]time.Duration{}, map[core.What]int{}
	}
	ok := true
	if worker != 0 {
		if len(l.workers) == limiterMax {
			clear(l.workers) // the bound for all remains
		}
		about := aboutWorker{what, worker}
		l.workers[about], ok = workerRate.take(l.workers[about], now)
	}
	if ok {
		l.all[what], ok = all.take(l.all[what], now)
	}
	if !ok {
		l.held[what]++
	}
	return ok
}

// A heldBack is a kind of lines that were held back.
type heldBack struct {
	what  core.What
	lines int
}

// takeHeld returns what was held back since it was last asked, at most once a second.
func (l *limiter) takeHeld(now time.Duration) (list []heldBack) {
	if len(l.held) == 0 || now-l.toldAt < time.Second {
		return nil
	}
	l.toldAt = now
	for _, what := range slices.Sorted(maps.Keys(l.held)) {
		list = append(list, heldBack{what, l.held[what]})
	}
	clear(l.held)
	return list
}
