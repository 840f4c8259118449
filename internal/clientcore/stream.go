package clientcore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A reply in parts, as the client sees it. What has come is told to the worker
// by CREDIT, once a turn; what is missing is asked for again.
type stream struct {
	run     uint64
	come    uint32 // parts of run that have come, without a gap
	used    uint32 // ... and that the caller has taken
	told    protocol.Stream
	dirty   bool          // a CREDIT is due
	again   bool          // ... and it says that a part is missing
	askedAt time.Duration // when that was said last
}

// againWait is how long a part that was asked for again is waited for.
const againWait = 100 * time.Millisecond

// part takes a REPLY with PARTIAL.
func (m *Machine) part(now time.Duration, l *link, msg *protocol.Message, out []Output) []Output {
	c := m.byID[msg.ID]
	switch {
	case c == nil || c.Window == 0 || c.phase == withdrawing:
		return m.drop(now, l, msg, Stale, out)
	case msg.Number == 0 || msg.Number > c.asked[l.broker] || c.broker != l.broker:
		return m.drop(now, l, msg, NeverSent, out)
	}
	c.cuts = 0
	s := &c.stream
	other := msg.Stream.Run != s.run
	restarted := other && s.come > 0 && msg.Stream.Part == 1
	if other && (s.come == 0 || restarted) {
		*s = stream{run: msg.Stream.Run}
	}
	m.markCredit(c)
	out = m.stillAnswered(now, c, out)
	switch n := msg.Stream.Part; {
	case n <= s.come && msg.Stream.Run == s.run: // word of it was lost
		s.told = protocol.Stream{}
		return append(out, Output{Kind: Drop, Reason: Repeated, Link: l.id, Broker: l.broker, ID: msg.ID, Try: msg.Number})
	case n != s.come+1 || msg.Stream.Run != s.run:
		// Of another run: its first parts may be gone for good, and what has come
		// of this one is not given up for it.
		if s.askedAt == 0 || now-s.askedAt >= againWait {
			s.again, s.askedAt = true, max(now, 1)
		}
		return append(out, Output{Kind: Drop, Reason: Gap, Link: l.id, Broker: l.broker, ID: msg.ID, Try: msg.Number})
	}
	s.come++
	s.askedAt = 0
	return append(out, Output{Kind: Part, Key: c.Key, ID: c.ID, Broker: l.broker, Part: &PartOf{
		Number: s.come, Restarted: restarted, Attempt: msg.Attempt, Body: msg.Body, Meta: msg.Meta}})
}

// stillAnswered lets the time-out of c's try count anew.
func (m *Machine) stillAnswered(now time.Duration, c *call, out []Output) []Output {
	if c.phase != asking || !c.out {
		return out
	}
	if c.tryEnd < m.limit(c) {
		c.tryEnd = now + c.Timeout
	}
	m.timers.arm(&c.timer, min(c.tryEnd, m.limit(c), now+AskGapMax))
	return out
}

// Consumed says that the caller has taken one more part of the call with that
// key. It makes room for another.
func (m *Machine) Consumed(key uint64, out []Output) []Output {
	if c := m.calls[key]; c != nil && c.stream.used < c.stream.come {
		c.stream.used++
		m.markCredit(c)
	}
	return out
}

func (m *Machine) markCredit(c *call) {
	if !c.stream.dirty {
		c.stream.dirty = true
		m.crediting = append(m.crediting, c)
	}
}

// credits sends the CREDITs that are due. A CREDIT that is lost is followed by
// another: with the next part, or with the next try.
func (m *Machine) credits(now time.Duration, out []Output) []Output {
	for _, c := range m.crediting {
		if c.stream.dirty {
			out = m.credit(now, c, out)
		}
	}
	clear(m.crediting)
	m.crediting = m.crediting[:0]
	return out
}

func (m *Machine) credit(now time.Duration, c *call, out []Output) []Output {
	s := &c.stream
	v := protocol.Stream{Run: s.run, Part: s.come, Grant: s.used + c.Window}
	again := s.again
	s.dirty, s.again = false, false
	if m.calls[c.Key] != c || c.phase != asking || !c.out || v == s.told && !again {
		return out
	}
	s.told = v
	msg := &protocol.Message{Command: protocol.Credit, ID: c.ID, Number: c.number, Instance: m.cfg.Instance, Stream: v,
		Flags: protocol.Flags(0).With(protocol.MaybeSent, again)}
	if !c.last(now) {
		msg.InterestMS = milliseconds(3 * c.Timeout)
	}
	return append(out, Output{Kind: Send, Link: c.link.id, Broker: c.broker, Key: c.Key, ID: c.ID, Try: c.number, Message: msg})
}
