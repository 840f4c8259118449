package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Receive takes one message from the broker, parsed. What it keeps of m are
// the slices of a REQUEST, which must not be changed afterwards.
func (s *Session) Receive(now time.Duration, m *protocol.Message, out []Output) []Output {
	c := &s.counters
	switch {
	case s.phase < joining || s.phase == ended:
		return append(out, drop(DropOtherLink))
	case m.Command == protocol.Disconnect:
		return s.disconnected(now, m, out)
	case m.Link != c.number || c.broken:
		return append(out, drop(DropOtherLink))
	case m.Seq <= c.received:
		return append(out, drop(DropRepeated))
	case m.Seq > c.received+1 && s.phase != leaving:
		return s.restart(now, "messages from the broker were lost", out)
	case m.Ack > c.sent:
		return s.restart(now, "broker acknowledges what was not sent", out)
	}
	c.received = m.Seq
	if s.phase != joining { // READY has its own time
		s.heardAt = now
	}
	excess := s.delay.take(now, m.SentMS, m.Command == protocol.Heartbeat)
	if m.Ack > c.acked {
		c.acked, c.waitingSince = m.Ack, now
		s.openGate()
	}
	if s.phase == joining {
		if m.Command != protocol.Welcome || m.Seq != 1 {
			return append(out, drop(DropBeforeWelcome))
		}
		return s.welcome(now, m, out)
	}
	return s.take(now, m, excess, out)
}

// take acts on a message of a link that stands.
func (s *Session) take(now time.Duration, m *protocol.Message, excess time.Duration, out []Output) []Output {
	// CANCEL carries the epoch of the attempt, which may be an earlier
	// broker's: the whole fence is compared there.
	if m.Command != protocol.Cancel && m.Epoch != s.epoch {
		return append(out, drop(DropOtherEpoch))
	}
	switch m.Command {
	case protocol.Request:
		return s.handOver(now, m, ms(m.RemainingMS)-excess, out)
	case protocol.Cancel:
		return s.cancel(now, m, out)
	case protocol.Credit:
		return s.credit(now, m, out)
	case protocol.Ack, protocol.Heartbeat:
		if m.Command == protocol.Heartbeat && now >= s.beatAt-s.heartbeat/2 {
			s.beatAt = now // in step with the broker, whose workers then cost it few turns
		}
		before := s.Credit()
		for i := range m.Acks {
			out = s.acknowledged(now, &m.Acks[i], excess, out)
		}
		return s.credited(now, before, out)
	}
	return append(out, drop(DropBadWelcome))
}

// acknowledged ends the wait of one reply: the broker has it, or has no use
// for it.
func (s *Session) acknowledged(now time.Duration, a *protocol.Acked, excess time.Duration, out []Output) []Output {
	f := Fence{a.ID, a.Attempt, a.Epoch}
	e := s.entries[a.ID]
	if e == nil {
		return s.acknowledgedAgain(f, a.Superseded, out)
	}
	if e.Fence != f {
		return append(out, drop(DropUnknownAck))
	}
	if e.in != &s.finished {
		if a.Superseded && s.remembers(e) && !e.withdrawn {
			s.forget(e)
		}
		return out // said before
	}
	e.deadline = max(e.deadline, now+ms(a.RemainingMS)-excess)
	e.forgetAt = max(e.deadline+s.heartbeat, now+s.retention)
	switch {
	case e.withdrawn:
		s.toIDOnly(e)
	case a.Superseded:
		s.forget(e)
	case e.final():
		s.toKept(now, e)
	default:
		s.forget(e)
	}
	return out
}

// acknowledgedAgain: it is acknowledged already, but may be of no use since.
func (s *Session) acknowledgedAgain(f Fence, superseded bool, out []Output) []Output {
	m := &s.memory
	ref := m.byID.Get(f.ID)
	if ref == 0 || m.fence(m.memos.Get(ref)) != f {
		return append(out, drop(DropUnknownAck))
	}
	if superseded && !m.memos.Get(ref).withdrawn {
		m.forget(ref)
	}
	return out
}

// cancel takes a CANCEL of one attempt.
func (s *Session) cancel(now time.Duration, m *protocol.Message, out []Output) []Output {
	e := s.entries[m.ID]
	if ref := s.memory.byID.Get(m.ID); e == nil && ref != 0 && s.memory.fence(s.memory.memos.Get(ref)) == fenceOf(m) {
		return out // finished: the reply and the CANCEL have crossed
	}
	if e == nil || e.Fence != fenceOf(m) {
		return append(out, drop(DropUnknownCancel))
	}
	switch e.in {
	case &s.gated, &s.waiting:
		s.remove(e)
		return s.declineWith(e.Fence, protocol.HandedBack, protocol.CtxCancelled, out)
	case &s.running:
		if e.answered {
			return out
		}
		e.withdrawn = e.withdrawn || m.Code == protocol.ReasonWithdrawn
		e.expired = e.expired || m.Code == protocol.ReasonExpired
		if !e.cancelled {
			e.cancelled = true
			if e.held() { // nobody runs, and an end is worth nothing without the parts before it
				return s.answer(now, e, Result{Code: protocol.HandedBack}, protocol.Started, out)
			}
			out = append(out, Output{Kind: CancelRun, Fence: e.Fence, Cause: Cause(m.Code)})
		}
	}
	return out // finished: the reply and the CANCEL have crossed
}
