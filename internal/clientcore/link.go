package clientcore

import (
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// An ask is one message that leaves on a link, and the answer it waits for.
// It belongs to a call or to a withdrawal, which uses it again and again.
type ask struct {
	kind       protocol.Command // Request, Ping or Cancel
	call       *call
	withdrawal *withdrawal

	link *link         // nil: not on a link
	gen  uint64        // of the Send under way
	slot int           // in link.asks
	held bool          // in link.held: the link would not take it
	out  bool          // the link took it, at at
	at   time.Duration // when
}

// A link is one socket, as the machine sees it.
type link struct {
	timer
	id     LinkID
	broker int
	asks   []*ask // all on it; at most one over REQ
	held   []*ask // those that it would not take, in order
	gap    time.Duration
	heard  time.Duration // last message from the broker
	since  time.Duration // when the first message left after that
	down   time.Duration // when its connection ended; -1: it has one, or never had
}

// attach puts a on a link to broker and sends it. Over REQ an idle link is
// used unless fresh is asked for.
func (m *Machine) attach(now time.Duration, a *ask, kind protocol.Command, to int, fresh bool, out []Output) []Output {
	var l *link
	b := &m.brokers[to]
	switch n := len(b.idle); {
	case m.cfg.Face == Dealer:
		l = b.dealer
	case n > 0 && !fresh:
		l = b.idle[n-1]
		b.idle[n-1] = nil
		b.idle = b.idle[:n-1]
		m.timers.disarm(&l.timer)
	}
	if l == nil {
		l, out = m.open(to, out)
	}
	a.kind, a.link, a.out, a.held, a.slot = kind, l, false, false, len(l.asks)
	l.asks = append(l.asks, a)
	if len(l.held) > 0 { // it takes nothing now; wait in turn
		m.hold(a)
		return out
	}
	return m.send(now, a, out)
}

func (m *Machine) open(to int, out []Output) (*link, []Output) {
	m.linkLast++
	l := &link{id: m.linkLast, broker: to, gap: resendMin, heard: -1, since: -1, down: -1}
	l.owner = l
	m.links[l.id] = l
	if m.cfg.Face == Dealer {
		m.brokers[to].dealer = l
	}
	return l, append(out, Output{Kind: Open, Link: l.id, Broker: to})
}

// send emits a's message.
func (m *Machine) send(now time.Duration, a *ask, out []Output) []Output {
	m.gens++
	a.gen = m.gens
	o := Output{Kind: Send, Link: a.link.id, Broker: a.link.broker, ask: a, gen: a.gen}
	if a.withdrawal != nil {
		w := a.withdrawal
		o.ID, o.Try = w.id, w.try
		o.Message = &protocol.Message{Command: protocol.Cancel, ID: w.id, Number: w.try, Instance: m.cfg.Instance,
			SentMS:      stamp(now),
			RemainingMS: max(milliseconds(max(w.deadline-now, 0)), 1)} // how long to remember it
	} else {
		o.Key, o.ID, o.Try = a.call.Key, a.call.ID, a.call.number+1
		o.Message = m.message(now, a.call, a.kind)
	}
	return append(out, o)
}

// Wanted reports whether o, a Send, still stands. What comes later in the same
// batch of outputs may have replaced it; then it must not be sent.
func (m *Machine) Wanted(o Output) bool {
	if o.ask == nil { // a CREDIT
		return m.links[o.Link] != nil
	}
	return o.ask.gen == o.gen && o.ask.link != nil && !o.ask.out
}

// Sent reports whether the link took the message of o, a Send that was Wanted.
func (m *Machine) Sent(o Output, ok bool, out []Output) []Output {
	if o.ask == nil || !m.Wanted(o) {
		return out
	}
	now, a := m.now, o.ask
	l := a.link
	if !ok {
		m.hold(a)
		if l.slot == 0 {
			m.timers.arm(&l.timer, now+l.gap)
			l.gap = min(2*l.gap, resendMax)
		}
		return out
	}
	a.out, a.at = true, now
	if l.since <= l.heard {
		l.since = now
	}
	switch {
	case a.withdrawal != nil:
		m.timers.arm(&a.withdrawal.timer, now+CancelWait)
	case a.kind == protocol.Ping:
		m.timers.arm(&a.call.timer, min(m.limit(a.call), now+m.pingWait(a.call)))
	default:
		m.left(now, a.call)
	}
	return m.flush(now, l, out)
}

func (m *Machine) hold(a *ask) {
	if !a.held {
		a.held = true
		a.link.held = append(a.link.held, a)
	}
}

// flush sends everything that l would not take before.
func (m *Machine) flush(now time.Duration, l *link, out []Output) []Output {
	m.timers.disarm(&l.timer)
	l.gap = resendMin
	held := l.held
	l.held = nil
	for _, a := range held {
		a.held = false
		out = m.send(now, a, out)
	}
	return out
}

// linkDue: l may take again what it would not, or has been idle for long.
func (m *Machine) linkDue(now time.Duration, l *link, out []Output) []Output {
	if len(l.asks) == 0 {
		return m.shut(l, out)
	}
	return m.resend(now, l, out)
}

// resend tries the oldest message that l would not take; if it goes, the
// others follow.
func (m *Machine) resend(now time.Duration, l *link, out []Output) []Output {
	if len(l.held) == 0 {
		return out
	}
	a := l.held[0]
	l.held = slices.Delete(l.held, 0, 1)
	a.held = false
	if len(l.held) > 0 {
		m.timers.arm(&l.timer, now+l.gap)
	}
	return m.send(now, a, out)
}

// detach takes a off its link.
func (m *Machine) detach(a *ask) *link {
	l := a.link
	if l == nil {
		return nil
	}
	last := len(l.asks) - 1
	l.asks[a.slot] = l.asks[last]
	l.asks[a.slot].slot = a.slot
	l.asks[last] = nil
	l.asks = l.asks[:last]
	if a.held {
		l.held = slices.DeleteFunc(l.held, func(x *ask) bool { return x == a })
		if len(l.held) == 0 {
			m.timers.disarm(&l.timer)
		}
	}
	a.link, a.held, a.out, a.gen = nil, false, false, 0
	return l
}

// release takes a off its link. Over REQ the link is kept if clean, that is,
// after exactly one answer to what was sent; else it is closed.
func (m *Machine) release(a *ask, clean bool, out []Output) []Output {
	l := m.detach(a)
	if l == nil || m.cfg.Face == Dealer {
		return out
	}
	b := &m.brokers[l.broker]
	if clean && !m.closed && len(b.idle) < m.cfg.CallsMax {
		if b.idle = append(b.idle, l); len(b.idle) > idleKept { // the newest is used first
			m.timers.arm(&l.timer, m.now+idleTime)
		}
		return out
	}
	return m.shut(l, out)
}

// shut closes l, which no ask is on.
func (m *Machine) shut(l *link, out []Output) []Output {
	m.forget(l)
	return append(out, Output{Kind: Close, Link: l.id, Broker: l.broker})
}

func (m *Machine) forget(l *link) {
	m.timers.disarm(&l.timer)
	delete(m.links, l.id)
	b := &m.brokers[l.broker]
	if b.dealer == l {
		b.dealer = nil
	}
	if i := slices.Index(b.idle, l); i >= 0 {
		b.idle = slices.Delete(b.idle, i, i+1)
	}
}

// OpenFailed reports that link could not be opened. It is as if it had never
// connected.
func (m *Machine) OpenFailed(id LinkID, out []Output) []Output {
	now := m.now
	l := m.links[id]
	if l == nil {
		return out
	}
	asks := slices.Clone(l.asks)
	for _, a := range asks {
		m.detach(a)
	}
	m.forget(l)
	for _, a := range asks {
		if a.withdrawal != nil {
			m.timers.arm(&a.withdrawal.timer, now+CancelWait)
		} else {
			out = m.notTaken(now, a.call, out)
		}
	}
	return out
}

// Connected reports that link has a connection. What it has taken since the last
// one ended may have gone into that one's queue and be lost, without another
// word of it: it is asked again.
func (m *Machine) Connected(id LinkID, out []Output) []Output {
	now := m.now
	l := m.links[id]
	if l == nil {
		return out
	}
	if since := l.down; since >= 0 {
		l.down = -1
		out = m.cutSince(now, l, since, out)
	}
	if len(l.held) == 0 {
		return out
	}
	m.timers.disarm(&l.timer)
	l.gap = resendMin
	return m.resend(now, l, out)
}

// Disconnected reports that link lost its connection; it connects again by
// itself. What was out on it is lost, both ways, and asked again. The broker
// may have been restarted: what is known of it no longer counts as sure.
func (m *Machine) Disconnected(id LinkID, out []Output) []Output {
	now := m.now
	l := m.links[id]
	if l == nil {
		return out
	}
	m.brokers[l.broker].epochSure = false
	m.brokers[l.broker].limitsSure = false
	l.down = now
	switch {
	case m.cfg.Face == Req && len(l.asks) == 0:
		return m.shut(l, out)
	case m.cfg.Face == Req && !l.asks[0].out && l.asks[0].call != nil:
		c := l.asks[0].call
		out = m.release(&c.ask, false, out)
		return m.notTaken(now, c, out)
	}
	return m.cut(now, l, out)
}

// cut ends everything that is out on l early.
func (m *Machine) cut(now time.Duration, l *link, out []Output) []Output {
	return m.cutSince(now, l, 0, out)
}

// cutSince ends everything early that l has taken since then.
func (m *Machine) cutSince(now time.Duration, l *link, since time.Duration, out []Output) []Output {
	for _, a := range slices.Clone(l.asks) {
		if !a.out || a.at < since {
			continue
		}
		out = m.release(a, false, out)
		if a.withdrawal != nil {
			out = m.cancelAgain(now, a.withdrawal, out)
		} else {
			out = m.cutOff(now, a.call, a.kind, out)
		}
	}
	return out
}

// reset replaces a DEALER's link that has gone silent by a fresh one.
func (m *Machine) reset(now time.Duration, l *link, out []Output) []Output {
	out = append(out, Output{Kind: Event, Event: LinkReset, Link: l.id, Broker: l.broker})
	asks := slices.Clone(l.asks)
	sent := make([]bool, len(asks))
	for i, a := range asks {
		sent[i] = a.out
		m.detach(a)
	}
	out = m.shut(l, out)
	for i, a := range asks {
		switch {
		case a.withdrawal != nil:
			out = m.cancelAgain(now, a.withdrawal, out)
		case sent[i]:
			out = m.cutOff(now, a.call, a.kind, out)
		default:
			out = m.notTaken(now, a.call, out)
		}
	}
	return out
}
