//go:build unix

package demo

import (
	"context"
	"syscall"
	"time"
)

// A fault is one blow to one worker.
type fault struct {
	verb   string // killed, frozen
	signal syscall.Signal
	after  float64 // the share of the requests that must have been answered

	victim *member // nil while it has not struck
	at     time.Time
	held   []string // ids of the requests that the victim held
}

// strikeTriesMax bounds how often a worker is looked at for a request in its
// hands.
const strikeTriesMax = 500

// strikeAll strikes with one fault after the other while the load runs.
func strikeAll(ctx context.Context, c *cluster, l *load, s *screen, loadDone <-chan struct{}) []*fault {
	faults := []*fault{
		{verb: "killed", signal: syscall.SIGKILL, after: 0.2},
		{verb: "frozen", signal: syscall.SIGSTOP, after: 0.45},
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	tries := 0
	for i := 0; i < len(faults) && tries < strikeTriesMax; {
		select {
		case <-tick.C:
		case <-loadDone:
			return faults
		case <-ctx.Done():
			return faults
		}
		f := faults[i]
		if float64(l.progress()) < f.after*float64(l.total) {
			continue
		}
		if !f.strike(c.healthy(tries), c.runs, l) {
			tries++
			continue
		}
		s.line("worker %d (process %d) %s while it held %s", f.victim.number, f.victim.pid(), f.verb, plural(len(f.held), "request"))
		i, tries = i+1, 0
	}
	return faults
}

// strike stops a worker and looks at what it holds. A stopped worker answers
// nothing, so a request whose run has not ended by then is in its hands for
// certain. If there is none the worker goes on, and strike returns false.
func (f *fault) strike(m *member, log *runLog, l *load) bool {
	m.proc.SignalLeader(syscall.SIGSTOP)
	f.at, f.held = time.Now(), nil
	if m.proc.AwaitStopped() {
		for _, id := range log.read().heldBy(m.pid()) {
			if _, done := l.answeredAt(id); !done {
				f.held = append(f.held, id)
			}
		}
	}
	if len(f.held) == 0 {
		m.proc.SignalLeader(syscall.SIGCONT)
		return false
	}
	f.victim, m.fault = m, f
	m.proc.SignalLeader(f.signal)
	return true
}

// recovery is the longest time until a request that the victim held was
// answered. ok is false if the fault did not strike, or one of them was never
// run by another worker.
func (f *fault) recovery(r runs, l *load) (longest time.Duration, ok bool) {
	if f.victim == nil {
		return 0, false
	}
	for _, id := range f.held {
		at, done := l.answeredAt(id)
		if !done || !r.movedFrom(id, f.victim.pid()) {
			return 0, false
		}
		longest = max(longest, at.Sub(f.at))
	}
	return longest, true
}
