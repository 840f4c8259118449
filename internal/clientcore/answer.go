package clientcore

import (
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Receive takes a message that was read from link. msg is not kept, but its
// Body and Meta become the outcome's.
func (m *Machine) Receive(id LinkID, msg *protocol.Message, out []Output) []Output {
	now := m.now
	l := m.links[id]
	if l == nil {
		return append(out, Output{Kind: Drop, Reason: LinkClosed, Link: id, Broker: -1, ID: msg.ID})
	}
	if reason := m.foreign(l, msg); reason != 0 {
		return m.drop(now, l, msg, reason, out)
	}
	l.heard = now
	out = m.learn(now, l, msg, out)
	switch msg.Command {
	case protocol.Pong:
		return m.pong(now, l, msg, out)
	case protocol.Accepted:
		c := m.byID[msg.ID]
		if m.cfg.Face == Req || c == nil || c.link != l {
			return m.drop(now, l, msg, Unasked, out)
		}
		c.cuts = 0
		for i := range c.open {
			if t := &c.open[i]; t.number == msg.Number && t.broker == l.broker {
				t.epoch = msg.Epoch
			}
		}
		if msg.Served != nil {
			out = append(out, Output{Kind: Event, Event: Accepted, Broker: l.broker, Key: c.Key, ID: c.ID, Try: msg.Number, Served: msg.Served})
		}
		return out
	}
	if msg.Flags.Has(protocol.Partial) {
		return m.part(now, l, msg, out)
	}
	return m.reply(now, l, msg, out)
}

// Garbage reports that what was read from link is no message at all.
func (m *Machine) Garbage(id LinkID, out []Output) []Output {
	now := m.now
	l := m.links[id]
	if l == nil {
		return append(out, Output{Kind: Drop, Reason: LinkClosed, Link: id, Broker: -1})
	}
	return m.drop(now, l, &protocol.Message{}, Malformed, out)
}

// foreign says why msg is not for this client, or not what was asked on l;
// 0 if it is.
func (m *Machine) foreign(l *link, msg *protocol.Message) Reason {
	if msg.Instance != 0 && msg.Instance != m.cfg.Instance {
		return Foreign
	}
	if m.cfg.Face == Dealer {
		return 0
	}
	if len(l.asks) == 0 || !l.asks[0].out {
		return Unasked
	}
	a := l.asks[0]
	switch {
	case (msg.Command == protocol.Pong) != (a.kind == protocol.Ping):
		return Unasked
	case msg.Command == protocol.Reply && a.id() != msg.ID:
		return Foreign
	}
	return 0
}

func (a *ask) id() protocol.ID {
	if a.withdrawal != nil {
		return a.withdrawal.id
	}
	return a.call.ID
}

// drop counts a message that is of no use. Over REQ it has used up the one
// answer of its link: what was asked there is asked again.
func (m *Machine) drop(now time.Duration, l *link, msg *protocol.Message, reason Reason, out []Output) []Output {
	out = append(out, Output{Kind: Drop, Reason: reason, Link: l.id, Broker: l.broker, ID: msg.ID, Try: msg.Number})
	if m.cfg.Face == Dealer {
		return out
	}
	if len(l.asks) == 0 {
		return m.shut(l, out)
	}
	return m.cut(now, l, out)
}

// learn keeps what msg says of the broker.
func (m *Machine) learn(now time.Duration, l *link, msg *protocol.Message, out []Output) []Output {
	b := &m.brokers[l.broker]
	if msg.Epoch != 0 {
		if b.epoch != 0 && b.epoch != msg.Epoch {
			out = append(out, Output{Kind: Event, Event: EpochChanged, Broker: l.broker})
		}
		b.epoch, b.epochSure = msg.Epoch, true
	}
	if msg.Command != protocol.Pong {
		return out
	}
	b.epochSure, b.limitsSure = true, true
	if msg.Limits != nil {
		b.limits = *msg.Limits
	}
	if v := msg.Intervals; v != nil && v.HeartbeatMS >= 10 && v.HeartbeatMS <= 60_000 {
		if beat := time.Duration(v.HeartbeatMS) * time.Millisecond; beat != b.heartbeat {
			b.heartbeat = beat
			m.clip(now)
		}
	}
	return out
}

// pong lets every call on that waits for it go on.
func (m *Machine) pong(now time.Duration, l *link, msg *protocol.Message, out []Output) []Output {
	waiting := slices.DeleteFunc(slices.Clone(l.asks), func(a *ask) bool { return a.kind != protocol.Ping || !a.out })
	if len(waiting) == 0 {
		return m.drop(now, l, msg, Unasked, out)
	}
	m.preferred = l.broker
	for _, a := range waiting {
		c := a.call
		trip := now - a.at
		out = m.release(a, true, out)
		c.probe, c.cuts = false, 0
		switch {
		case c.phase == withdrawing:
		case c.PingOnly:
			p := &Pong{Epoch: msg.Epoch, RoundTrip: trip, Draining: msg.Flags.Has(protocol.Draining)}
			if msg.Limits != nil {
				p.Limits = *msg.Limits
			}
			out = m.complete(c, Outcome{Code: protocol.OK, Certainty: protocol.NotStarted, Pong: p}, out)
		default:
			out = m.begin(now, c, false, out)
		}
	}
	return out
}

// reply takes a REPLY to a REQUEST or a CANCEL.
func (m *Machine) reply(now time.Duration, l *link, msg *protocol.Message, out []Output) []Output {
	c, w := m.byID[msg.ID], m.withdrawals[withdrawalKey{msg.ID, l.broker}]
	if c != nil && (msg.Number == 0 || msg.Number > c.asked[l.broker]) ||
		c == nil && w != nil && (msg.Number == 0 || msg.Number > w.try) {
		return m.drop(now, l, msg, NeverSent, out)
	}
	if c == nil && w == nil {
		return m.drop(now, l, msg, Stale, out)
	}
	o := Outcome{
		Code: msg.Code, Certainty: msg.Flags.Certainty(), Retryable: msg.Flags.Has(protocol.Retryable),
		RetryAfter: time.Duration(msg.RetryAfterMS) * time.Millisecond,
		Attempt:    msg.Attempt, Try: msg.Number, Broker: l.broker, Meta: msg.Meta, Body: msg.Body,
	}
	refused := o.refused() || c != nil && c.early(&o, now+m.brokers[l.broker].heartbeat)
	settled := !refused // by any answer that says what became of it
	if m.cfg.Face == Req {
		settled = settled || l.asks[0].withdrawal != nil
		out = m.release(l.asks[0], true, out) // the round trip is done
	}
	if w != nil && settled {
		out = m.cancelAnswered(w, out)
	}
	if c == nil {
		return out
	}
	c.cuts = 0
	if o.Certainty == protocol.NotStarted {
		last := !refused && (o.Code == protocol.Expired || o.Code == protocol.Cancelled)
		c.open = slices.DeleteFunc(c.open, func(t try) bool {
			return t.broker == l.broker && (t.number == msg.Number || last && c.knew(t, msg.Epoch))
		})
	}
	if !refused {
		m.preferred = l.broker
	}
	switch {
	case c.phase == withdrawing:
		return m.settle(c, c.whole(o, msg), refused, out)
	case refused && !(o.Code == protocol.NoService && c.NoWait):
		return m.refused(now, c, l, o, out)
	}
	return m.complete(c, c.whole(o, msg), out)
}

// knew reports whether the broker of that epoch knows all that has become of t: it
// has said that it accepted it, or was heard before the first try left, and so has
// lived ever since. What it says at the end then stands for t as well.
func (c *call) knew(t try, epoch uint64) bool {
	return epoch != 0 && (t.epoch == epoch || !c.FromCaller && c.frozen[t.broker] == epoch)
}

// whole is o, unless it is the end of a reply whose parts have not come.
func (c *call) whole(o Outcome, msg *protocol.Message) Outcome {
	n := msg.Stream.Part
	if o.Code != protocol.OK || n == 0 || msg.Stream.Run == c.stream.run && n == c.stream.come {
		o.Parts = n
		return o
	}
	return Outcome{Code: protocol.Gone, Certainty: protocol.Ran, Attempt: o.Attempt, Try: o.Try, Broker: o.Broker,
		Text: "it ran, but parts of its reply have not come, and are no longer kept"}
}

// refused reports whether o says "not now", not what became of the request.
func (o *Outcome) refused() bool {
	return o.Code == protocol.Overloaded || o.Code == protocol.DrainingNow || o.Code == protocol.NoService
}

// early reports whether o says that c's deadline is over, and it is not: a
// broker that stood still takes the whole of that time off what it reads then.
func (c *call) early(o *Outcome, now time.Duration) bool {
	return o.Code == protocol.Expired && now < c.Deadline
}

// refused: the broker does not take c now.
func (m *Machine) refused(now time.Duration, c *call, l *link, o Outcome, out []Output) []Output {
	b := &m.brokers[l.broker]
	wait := min(o.RetryAfter, AskGapMax)
	if o.Code == protocol.DrainingNow {
		wait = max(wait, min(c.Timeout, backoffMax))
	}
	b.restUntil = max(b.restUntil, now+wait)
	c.refusal = &o
	if c.number != o.Try || c.broker != l.broker || c.phase != asking { // a newer one is under way
		return out
	}
	out = append(out, c.event(TryRefused))
	out = m.release(&c.ask, true, out)
	c.tryEnd = 0
	pause := time.Duration(0)
	if o.Code != protocol.DrainingNow {
		if c.ended++; c.ended > c.Retries {
			return m.complete(c, o, out)
		}
		pause = c.jitter(backoffBase, c.ended-1)
	}
	m.move(now, c)
	if ready := m.brokers[c.broker].restUntil - now; ready > 0 {
		pause = ready + pause
		if o.Code == protocol.DrainingNow {
			pause += c.jitter(backoffBase, 0)
		}
	}
	if now+pause >= c.Deadline {
		return m.complete(c, o, out)
	}
	c.phase = resting
	m.timers.arm(&c.timer, now+pause)
	return out
}
