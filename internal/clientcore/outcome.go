package clientcore

import (
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// check says why a call cannot be asked; "" if it can.
func (s *Call) check() string {
	switch {
	case s.ID.IsZero():
		return "request id is all zero"
	case s.Timeout < time.Millisecond:
		return "timeout is under 1ms"
	case s.Retries < 0:
		return "retries is negative"
	case s.PingOnly:
		return ""
	case s.Window > protocol.WindowMax:
		return fmt.Sprintf("a window of %d parts; at most %d are allowed", s.Window, protocol.WindowMax)
	case len(s.Body) > protocol.FramesMax:
		return fmt.Sprintf("%d body frames; at most %d are allowed", len(s.Body), protocol.FramesMax)
	case len(s.Meta) > protocol.MetaBytesMax:
		return fmt.Sprintf("headers take %d bytes; at most %d are allowed", len(s.Meta), protocol.MetaBytesMax)
	case s.Priority > protocol.PriorityLow:
		return "unknown priority"
	}
	return protocol.ValidService([]byte(s.Service))
}

// tooLarge says which limit of its broker c's body is over; "" if none is known.
func (m *Machine) tooLarge(c *call) string {
	limits := &m.brokers[c.broker].limits
	if n := bodyBytes(c.Body); limits.MessageBytesMax > 0 && n > limits.MessageBytesMax {
		return fmt.Sprintf("body of %d bytes is over the broker's limit of %d", n, limits.MessageBytesMax)
	}
	if n := len(c.Body); limits.FramesMax > 0 && n > int(limits.FramesMax) {
		return fmt.Sprintf("%d body frames are over the broker's limit of %d", n, limits.FramesMax)
	}
	return ""
}

func bodyBytes(frames [][]byte) (n uint64) {
	for _, f := range frames {
		n += uint64(len(f))
	}
	return n
}

// giveUp ends c because its time is over.
func (m *Machine) giveUp(now time.Duration, c *call, out []Output) []Output {
	switch {
	case c.number == 0 && c.PingOnly:
		return m.complete(c, Outcome{Code: protocol.Unreachable, Certainty: protocol.NotStarted, Retryable: true,
			Text: "no broker answered"}, out)
	case c.number == 0:
		return m.complete(c, Outcome{Code: protocol.Unreachable, Certainty: protocol.NotStarted, Retryable: true,
			Text: "no broker could be reached; nothing was sent"}, out)
	case c.idle() && c.refusal != nil:
		return m.complete(c, *c.refusal, out)
	}
	out = m.withdrawAll(now, c, out)
	return m.complete(c, Outcome{Code: protocol.Unknown, Certainty: protocol.MaybeStarted, Retryable: true,
		Text: "no answer by the deadline"}, out)
}

// idle reports whether c is known not to have been started by what it sent.
func (c *call) idle() bool { return len(c.open) == 0 && !c.doubt }

// cancelled is the outcome of a withdrawn call that the broker has not settled.
func (c *call) cancelled() Outcome {
	if c.verdict != nil {
		return *c.verdict
	}
	return Outcome{Code: protocol.Cancelled, Certainty: protocol.NotStarted, Text: "withdrawn by the caller"}
}

// end fills in what every outcome of c says, and raises its certainty where
// a try of its may still start it, or have started it.
func (m *Machine) end(c *call, o Outcome) Output {
	if o.Certainty == protocol.NotStarted && !c.idle() {
		o.Certainty = protocol.MaybeStarted
	}
	o.Key, o.ID, o.Tries, o.Withdrawn = c.Key, c.ID, c.number, c.pulled
	switch {
	case m.calls[c.Key] != c:
		o.Broker = -1
	case o.Try == 0:
		o.Broker = c.broker
	}
	o.FailedOver = slices.ContainsFunc(c.open, func(t try) bool { return t.broker != o.Broker })
	own := m.newOutcome()
	*own = o
	return Output{Kind: Complete, Key: c.Key, ID: c.ID, Broker: o.Broker, Outcome: own}
}

// complete ends c with o. Its CANCELs, if any, go on without it.
func (m *Machine) complete(c *call, o Outcome, out []Output) []Output {
	out = m.release(&c.ask, false, out)
	m.timers.disarm(&c.timer)
	for i := range m.brokers {
		if w := m.withdrawals[withdrawalKey{c.ID, i}]; w != nil && w.call == c {
			w.call = nil
		}
	}
	last := m.end(c, o)
	delete(m.calls, c.Key)
	delete(m.byID, c.ID)
	m.freed = append(m.freed, c)
	return append(out, last)
}
