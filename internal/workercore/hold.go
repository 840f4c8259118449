package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A hold is a time in which a worker takes nothing, because a handler has said that
// it could do nothing: what waits is handed back, and there is no credit. After it
// the worker is half open: it takes one request, and more when a handler has returned
// that asked for no hold.

// holdMax is the longest hold.
const holdMax = 24 * time.Hour

// Hold begins one, or makes the present one longer. What runs goes on.
func (s *Session) Hold(now, d time.Duration, out []Output) []Output {
	until := now + min(d, holdMax)
	if d <= 0 || s.draining || s.phase == ended || until <= s.heldUntil {
		return out
	}
	began := s.heldUntil == 0
	s.heldUntil = until
	if began && s.phase == joined {
		out = s.beat(now, out) // before what is handed back, or it comes again
	}
	for _, l := range [...]*entryList{&s.gated, &s.waiting} {
		for e := l.first; e != nil; e = l.first {
			s.remove(e)
			out = s.decline(e.Fence, protocol.HandedBack, out)
		}
	}
	return out
}

// Works says that a handler has returned that asked for no hold.
func (s *Session) Works(now time.Duration, out []Output) []Output {
	if s.halfOpen == 0 || s.heldUntil > 0 {
		return out
	}
	before := s.Credit()
	s.halfOpen = 0
	if s.phase == joined && s.Credit() > before {
		return s.beat(now, out)
	}
	return out
}

// tickHold ends a hold that is over.
func (s *Session) tickHold(now time.Duration, out []Output) []Output {
	if s.heldUntil == 0 || now < s.heldUntil {
		return out
	}
	before := s.Credit()
	s.heldUntil = 0
	s.halfOpen = min(s.cfg.Concurrency, s.active+s.unlisted+s.elsewhere+1) // beside what runs since before
	return s.credited(now, before, out)
}
