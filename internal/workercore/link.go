package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A link is one registration with the broker: its number, and the count of
// messages each way. READY and WELCOME are message 1.
type link struct {
	number       uint32
	sent         uint32        // messages sent
	acked        uint32        // ... that the broker has received, without a gap
	received     uint32        // messages received, without a gap
	waitingSince time.Duration // since when acked has not moved, while < sent
	broken       bool          // READY could not be sent whole, or the socket is gone: nothing may follow
	unused       bool          // ... and not even its first part was: the number is free
}

// Stamp numbers m just before it is sent. It says false when m must not be
// sent: its link is over, or broken.
func (s *Session) Stamp(now time.Duration, m *protocol.Message) bool {
	c := &s.counters
	m.SentMS = uint32(now / time.Millisecond)
	if m.Command == protocol.Disconnect {
		return m.Link == c.number
	}
	if m.Link != c.number || c.broken {
		return false
	}
	m.Seq = c.sent + 1
	return true
}

// Sent says what became of the message that Stamp has numbered last. Who sends
// many together says true at first, and then false, in order, for the first that
// failed and all behind it: nothing may follow what was not sent. A send that
// failed uses no number. Messages that matter are sent again: READY on a new
// link, a reply with one of the next heartbeats; the rest is said by the next
// heartbeat anyway.
func (s *Session) Sent(now time.Duration, m *protocol.Message, ok bool) {
	c := &s.counters
	if m.Command == protocol.Disconnect || m.Link != c.number || c.broken {
		return
	}
	if ok {
		if c.sent == c.acked {
			c.waitingSince = now
		}
		c.sent = m.Seq
		if m.Command == protocol.Heartbeat && s.gateWant {
			s.gateWant, s.gateSeq = false, m.Seq
		}
		return
	}
	if m.Seq <= c.sent {
		c.sent = m.Seq - 1
	}
	switch m.Command {
	case protocol.Heartbeat:
		if s.gateSeq == m.Seq {
			s.gateWant, s.gateSeq = true, 0
		}
	case protocol.Ready:
		s.readyLeft, s.readyAt = true, now+s.heartbeat
		c.broken, c.unused = true, m.Seq == 1
	case protocol.Reply:
		e := s.entries[m.ID]
		if m.Flags.Has(protocol.Partial) {
			if e != nil && e.stream != nil && e.stream.run == m.Stream.Run && e.stream.base < m.Stream.Part {
				e.stream.sent = min(e.stream.sent, m.Stream.Part-1)
			}
			return
		}
		if e != nil && e.in == &s.finished && !e.unsent && e.Fence == fenceOf(m) {
			e.unsent = true
			s.unsent++
		}
	}
}

func fenceOf(m *protocol.Message) Fence { return Fence{m.ID, m.Number, m.Epoch} }

// send puts m out on the current link.
func (s *Session) send(m protocol.Message, out []Output) []Output {
	if s.messaged == len(s.messages) {
		s.messages = append(s.messages, &protocol.Message{})
	}
	own := s.messages[s.messaged]
	s.messaged++
	*own = m
	// What is acknowledged is what this list, or reply, knows of. What is received
	// later in this turn is acknowledged by what is said then.
	own.Link, own.Ack = s.counters.number, s.counters.received
	return append(out, Output{Kind: Send, Message: own})
}

// messagesKept is how many messages, and Runs, are used again.
const messagesKept = 256

// reuse: what was put out before this turn is done.
func (s *Session) reuse() {
	if len(s.messages) > messagesKept {
		clear(s.messages[messagesKept:])
		s.messages = s.messages[:messagesKept]
	}
	for _, m := range s.messages[:min(s.messaged, len(s.messages))] {
		*m = protocol.Message{} // it refers to bodies
	}
	s.messaged = 0
	if len(s.starts) > messagesKept {
		clear(s.starts[messagesKept:])
		s.starts = s.starts[:messagesKept]
	}
	for _, x := range s.starts[:min(s.started, len(s.starts))] {
		*x = Run{}
	}
	s.started = 0
}

// readyBurst is how many READYs may follow each other within one heartbeat. A
// broker that contradicts itself must not be answered as fast as it talks.
const readyBurst = 4

// ready starts a new link on the socket at hand: READY, which lists all that
// is held or remembered, in as many parts as it takes.
func (s *Session) ready(now time.Duration, out []Output) []Output {
	s.phase = joining
	if now >= s.burstAt+s.heartbeat {
		s.burst, s.burstAt = 0, now
	}
	if s.burst++; s.burst > readyBurst {
		s.readyLeft, s.readyAt = true, s.burstAt+s.heartbeat
		s.counters.broken = true
		return out
	}
	s.readyLeft = false
	number := s.counters.number
	if !s.counters.unused {
		number = max(number+1, 1) // links count from 1, also when they wrap
	}
	s.counters = link{number: number}
	s.delay = delay{}
	s.gateAll()
	out = append(out, Output{Kind: Report, Event: Joining})

	entries := s.memory.entries(now, s.list(now, &s.gated, &s.waiting, &s.running, &s.finished, &s.kept, &s.idOnly))
	for part := 0; ; part++ {
		n := min(len(entries), protocol.EntriesMax)
		m := protocol.Message{
			Command: protocol.Ready, Epoch: s.epoch, Instance: s.cfg.Instance,
			Credit: uint32(s.Credit()), Part: uint32(part), Entries: entries[:n],
		}
		entries = entries[n:]
		m.Flags = m.Flags.With(protocol.Draining, s.draining).With(protocol.Last, len(entries) == 0)
		if part == 0 {
			m.Info = s.cfg.Info
			for _, name := range s.cfg.Services {
				m.Services = append(m.Services, []byte(name))
			}
		}
		out = s.send(m, out)
		if len(entries) == 0 {
			return out
		}
	}
}

// restart gives up the link, not the socket.
func (s *Session) restart(now time.Duration, why string, out []Output) []Output {
	if s.phase == joining && s.readyLeft { // READY is due already
		return append(out, drop(DropOtherLink))
	}
	out = append(out, report(LinkReset, why))
	if s.phase == joined { // while joining, the first READY's time counts
		s.heardAt = now
	}
	return s.ready(now, out)
}

// gateAll lets nothing start that was taken on an earlier link, until the
// broker has seen it on the new one's list.
func (s *Session) gateAll() {
	for e := s.waiting.first; e != nil; e = s.waiting.first {
		s.move(e, &s.gated, e.due)
	}
	s.gateWant, s.gateSeq = s.gated.n > 0, 0
}

// openGate lets start what waited for a round trip that is now complete.
func (s *Session) openGate() {
	if s.gateSeq == 0 || s.counters.acked < s.gateSeq {
		return
	}
	s.gateSeq = 0
	for e := s.gated.first; e != nil; e = s.gated.first {
		s.move(e, &s.waiting, e.due)
	}
}

// welcome takes a WELCOME: the link stands. The heartbeat that follows at once
// acknowledges it, which is what gives this worker credit; replies that nobody
// has acknowledged go out again.
func (s *Session) welcome(now time.Duration, m *protocol.Message, out []Output) []Output {
	s.adopt(m.Intervals, m.Limits, m.RememberMax)
	out = s.dropLargeParts(now, out) // their ends are among those that go out below
	s.phase = joined
	s.heardAt = now
	s.failures = 0
	s.epoch = m.Epoch
	out = append(out, Output{Kind: Report, Event: Joined})
	s.partsAgain()
	out = s.beat(now, out)
	for e := s.finished.first; e != nil; e = e.next {
		out = s.sendReply(e, out)
	}
	return out
}

// beat says that this worker lives, what it holds and what it received.
// Replies that could not be sent so far follow.
func (s *Session) beat(now time.Duration, out []Output) []Output {
	s.beatAt = now + s.heartbeat
	m := protocol.Message{
		Command: protocol.Heartbeat, Epoch: s.epoch, Credit: uint32(s.Credit()),
		Flags:   protocol.Flags(0).With(protocol.Draining, s.draining),
		Entries: s.list(now, &s.gated, &s.waiting, &s.running, &s.finished),
	}
	out = s.send(m, out)
	out = s.sendAllParts(now, out)
	if s.unsent == 0 {
		return out
	}
	for e := s.finished.first; e != nil; e = e.next {
		if e.unsent {
			out = s.sendReply(e, out)
		}
	}
	return out
}

// list lists the entries of the given lists.
func (s *Session) list(now time.Duration, lists ...*entryList) []protocol.Entry {
	n := 0
	for _, l := range lists {
		n += l.n
	}
	if n == 0 {
		return nil
	}
	entries := make([]protocol.Entry, 0, n)
	for _, l := range lists {
		for e := l.first; e != nil; e = e.next {
			v := protocol.Entry{
				ID: e.ID, Attempt: e.Attempt, Epoch: e.Epoch, State: l.state, Digest: e.digest,
				RemainingMS: msOf(e.deadline - now),
			}
			v.Flags = (e.flags&protocol.AtMostOnce).With(protocol.CtxCancelled, e.cancelled || l == &s.running && e.answered).
				With(protocol.Partial, e.stream.waits())
			if l == &s.running && !e.stream.waits() {
				v.ProgressMS = msOf(now - e.movedAt)
			}
			entries = append(entries, v)
		}
	}
	return entries
}
