package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Drain begins the end: nothing new is taken, what was not started is handed
// back at once, what runs may finish within timeout and is handed back then.
// When every reply is acknowledged the broker is told, and Done is put out.
func (s *Session) Drain(now, timeout time.Duration, out []Output) []Output {
	if s.draining || s.phase == ended {
		return out
	}
	s.draining, s.drainEnds = true, now+timeout
	out = append(out, Output{Kind: Report, Event: DrainStarted})
	for _, l := range [...]*entryList{&s.gated, &s.waiting} {
		for e := l.first; e != nil; e = l.first {
			s.remove(e)
			out = s.decline(e.Fence, protocol.HandedBack, out)
		}
	}
	if s.phase == joined {
		out = s.beat(now, out)
	}
	return out
}

func (s *Session) tickDrain(now time.Duration, out []Output) []Output {
	if s.active > 0 && now >= s.drainEnds {
		out = append(out, report(DrainOver, ""))
		for e := s.running.first; e != nil; {
			next := e.next
			switch {
			case e.held():
				out = s.answer(now, e, Result{Code: protocol.HandedBack}, protocol.Started, out)
			case !e.answered:
				out = s.abandon(now, e, Result{Code: protocol.HandedBack}, protocol.Started, CauseDrain, out)
			}
			e = next
		}
	}
	if s.active > 0 {
		return out
	}
	if s.leaveBy == 0 {
		s.leaveBy = now + s.silence()
	}
	return s.leaveLink(now, out)
}

// leaveLink goes away in good order: once no reply waits for the broker, or
// the time for that is over, DISCONNECT, said again until it is answered.
func (s *Session) leaveLink(now time.Duration, out []Output) []Output {
	over := now >= s.leaveBy
	settled := s.finished.n == 0
	switch {
	case s.phase == leaving && !over && now < s.beatAt, s.phase != leaving && !over && !settled:
		return out
	case s.phase == joined, s.phase == leaving && !over:
		s.phase = leaving
		s.beatAt = now + s.heartbeat
		out = s.send(protocol.Message{
			Command: protocol.Disconnect, Code: protocol.ReasonShutdown, Epoch: s.epoch,
			Entries: s.list(now, &s.finished), // nothing else will outlive this process
		}, out)
	case s.phase == joining:
		// The broker may know of this link, or not: it is told, and no more. What it
		// has not acknowledged is named here too: what is missing was never taken.
		out = s.send(protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown, Epoch: s.epoch,
			Entries: s.list(now, &s.finished)}, out)
		return s.done(out)
	}
	if over || s.phase != leaving {
		return s.done(out)
	}
	return out
}
