package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// handOver takes a REQUEST with left of its deadline to go.
func (s *Session) handOver(now time.Duration, m *protocol.Message, left time.Duration, out []Output) []Output {
	if e := s.known(m.ID); e != nil {
		defer s.rest(e)
		if e.Epoch == m.Epoch && m.Number <= e.Attempt && !m.Flags.Has(protocol.ReplayOnly) {
			return append(out, drop(DropOldAttempt))
		}
		if e.in != &s.finished || e.final() || e.withdrawn || e.slot {
			return s.handOverAgain(now, e, m, left, out)
		}
		// RETRY, HANDED_BACK or a cancelled run, and the broker offers the
		// request anew: it knows.
		if m.Flags.Has(protocol.ReplayOnly) {
			return s.decline(fenceOf(m), protocol.Gone, out)
		}
		s.remove(e)
	}
	switch {
	case m.Flags.Has(protocol.ReplayOnly):
		return s.decline(fenceOf(m), protocol.Gone, out)
	case left <= 0:
		return s.decline(fenceOf(m), protocol.Expired, out)
	case s.draining || s.heldUntil > 0:
		return s.decline(fenceOf(m), protocol.HandedBack, out)
	case s.services[string(m.Service)] == "":
		return s.decline(fenceOf(m), protocol.HandedBack, append(out, drop(DropOtherService)))
	case !s.roomOnList() || s.ids() >= s.idsMax:
		return s.decline(fenceOf(m), protocol.HandedBack, append(out, drop(DropOverCredit)))
	}
	e := s.newEntry()
	e.takenAt, e.waited = now, time.Duration(m.WaitedMS)*time.Millisecond
	e.service, e.body, e.meta = s.services[string(m.Service)], m.Body, m.Meta
	e.adopt(m, now+left)
	list := &s.waiting
	if s.paused {
		s.gateWant, s.gateSeq = true, 0
	}
	if s.gateWant || s.gateSeq != 0 {
		list = &s.gated
	}
	s.insert(e, list, e.deadline)
	return out
}

// roomOnList reports whether a heartbeat's list has room for one more entry. A
// handler that was answered for, and has not returned, may come back to it.
func (s *Session) roomOnList() bool { return s.held()+s.unlisted < protocol.EntriesMax }

// roomForKept reports whether the list has room for a kept reply that is asked for,
// beside all the requests that this worker is ready to hold.
func (s *Session) roomForKept() bool {
	return s.held()+s.unlisted < protocol.EntriesMax && s.finished.n+s.unlisted+s.cfg.Concurrency < protocol.EntriesMax
}

// adopt gives e the fence of a hand-over. The deadline is never shortened.
func (e *entry) adopt(m *protocol.Message, deadline time.Duration) {
	e.Fence = fenceOf(m)
	e.flags = m.Flags & (protocol.AtMostOnce | protocol.MaybeRerun | protocol.Partial)
	e.grant = m.Stream.Grant
	e.deadline = max(e.deadline, deadline)
	if m.Digest != 0 {
		e.digest = m.Digest
	}
}

// handOverAgain takes a hand-over of an id that is known here: it is never
// started a second time.
func (s *Session) handOverAgain(now time.Duration, e *entry, m *protocol.Message, left time.Duration, out []Output) []Output {
	switch {
	case e.in == &s.gated || e.in == &s.waiting:
		e.adopt(m, now+left)
		s.schedule(e, e.deadline)
		return out
	case e.in == &s.idOnly || e.withdrawn && e.in != &s.running:
		return s.decline(fenceOf(m), protocol.Gone, out)
	case e.final() && e.in != &s.running:
		e.adopt(m, now+left)
		e.replyFlags |= protocol.FromKept
		if e.in == &s.finished || s.roomForKept() {
			s.move(e, &s.finished, s.unacknowledgedUntil(now, e))
		} // else it stays kept: a reply that does not arrive is asked for again
		out = append(out, Output{Kind: Report, Event: Replayed, Fence: e.Fence, Code: e.code})
		return s.sendReply(e, out)
	case e.contextOver(now) && !e.held():
		// It cannot run beside what is left of the old run, nor will that
		// run's result be the answer.
		return s.decline(fenceOf(m), protocol.HandedBack, out)
	}
	e.adopt(m, now+left)
	return s.sendProgress(now, e, out)
}

// decline answers a hand-over that was not started here and is not to be. The
// answer is not kept: should it be lost, the list shows that the request is
// not held, and that says the same.
func (s *Session) decline(f Fence, code protocol.Code, out []Output) []Output {
	return s.declineWith(f, code, 0, out)
}

func (s *Session) declineWith(f Fence, code protocol.Code, flags protocol.Flags, out []Output) []Output {
	out = append(out, Output{Kind: Report, Event: Answered, Fence: f, Code: code})
	if s.phase != joined {
		return out
	}
	m := protocol.Message{Command: protocol.Reply, Code: code, Flags: flags, ID: f.ID, Number: f.Attempt, Epoch: f.Epoch}
	return s.send(m, out)
}
