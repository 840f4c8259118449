package clientcore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A phase is where a call is in its life; see the package comment.
type phase uint8

const (
	asking phase = iota + 1
	pinging
	resting
	withdrawing
)

// A call is one open request.
type call struct {
	Call
	ask
	timer
	phase  phase
	broker int // asked now, or next
	seq    uint64

	number uint32        // of the newest try that left
	ended  int           // tries counted against Retries
	tryEnd time.Duration // of the newest try
	cuts   int           // disconnects since the last answer
	turns  int           // times a link would not take it in time
	probe  bool          // ask whether the broker lives before asking again

	reprieve time.Duration // not judged before: there was a pause

	frozen [BrokersMax]uint64 // first_epoch, by broker; fixed when the first try leaves
	asked  [BrokersMax]uint32 // newest try that left to each broker
	open   []try              // tries that left, not answered not-started
	first  [2]try             // what open begins in
	doubt  bool               // a run cannot be excluded, whatever is answered

	stream stream // with Window

	refusal *Outcome // the newest one
	verdict *Outcome // while withdrawing: an answer that is not the last word
	pending int      // while withdrawing: CANCELs without an answer
	pulled  bool     // Withdraw was called
}

// A try is one that left.
type try struct {
	number uint32
	broker int
	epoch  uint64 // of the broker that has said that it was accepted; 0: none has
}

// Start takes a call. A bad request is completed at once with INVALID, one
// call too many with OVERLOADED, both not started.
func (m *Machine) Start(spec Call, out []Output) []Output {
	now := m.now
	c := m.newCall()
	c.Call, c.doubt = spec, spec.FromCaller
	c.ask.call, c.timer.owner, c.open = c, c, c.first[:0]
	m.seqs++
	c.seq = m.seqs
	text := spec.check()
	switch {
	case text == "" && m.calls[spec.Key] != nil:
		panic("clientcore: key in use")
	case text == "" && m.byID[spec.ID] != nil:
		text = "this client is already asking for a request with this id"
	}
	switch {
	case text != "":
		return append(out, m.end(c, Outcome{Code: protocol.Invalid, Certainty: protocol.NotStarted, Text: text}))
	case m.closed:
		return append(out, m.end(c, Outcome{Code: protocol.Cancelled, Certainty: protocol.NotStarted, Closed: true,
			Text: "the client is closed"}))
	case len(m.calls) >= m.cfg.CallsMax:
		return append(out, m.end(c, Outcome{Code: protocol.Overloaded, Certainty: protocol.NotStarted, Retryable: true,
			Text: "too many requests are open at this client"}))
	case now >= spec.Deadline:
		return append(out, m.end(c, Outcome{Code: protocol.Expired, Certainty: protocol.NotStarted, Retryable: true,
			Text: "the deadline passed before it could be sent"}))
	}
	m.calls[c.Key], m.byID[c.ID] = c, c
	c.broker = m.preferred
	for i := range m.brokers {
		if j := (m.preferred + i) % len(m.brokers); m.brokers[j].restUntil <= now {
			c.broker = j
			break
		}
	}
	return m.begin(now, c, false, out)
}

// begin asks c's broker: with a PING if something must be known first, else
// with the request itself; over REQ on a fresh link, if it should be.
func (m *Machine) begin(now time.Duration, c *call, fresh bool, out []Output) []Output {
	if now >= m.limit(c) {
		return m.giveUp(now, c, out)
	}
	kind := protocol.Request
	c.phase = asking
	if c.PingOnly || c.probe || m.mustKnow(c) {
		kind, c.phase = protocol.Ping, pinging
	} else if text := m.tooLarge(c); text != "" {
		return m.complete(c, Outcome{Code: protocol.Invalid, Certainty: protocol.NotStarted, Text: text}, out)
	}
	m.timers.arm(&c.timer, min(m.limit(c), now+m.patience(c)))
	return m.attach(now, &c.ask, kind, c.broker, fresh, out)
}

// mustKnow reports whether the broker must say something of itself first: its
// epoch, for a first try that must not run twice; its limits, for a body that
// could be over them, because an over-long message is cut off, not answered.
func (m *Machine) mustKnow(c *call) bool {
	b := &m.brokers[c.broker]
	return c.AtMostOnce && !c.FromCaller && c.number == 0 && !b.epochSure ||
		!b.limitsSure && bodyBytes(c.Body) > bodySafe
}

// limit is when c ends without an answer. What the broker itself says at the
// deadline is waited for, if it was asked at all.
func (m *Machine) limit(c *call) time.Duration {
	if c.number == 0 {
		return max(c.Deadline, c.reprieve)
	}
	return max(c.Deadline+m.brokers[c.broker].heartbeat+VerdictGrace, c.reprieve)
}

// patience is how long a link may refuse c's message before another is tried.
func (m *Machine) patience(c *call) time.Duration {
	if n := len(m.brokers); n > 1 {
		return min(max(c.Timeout, patienceMin/10), patienceMin<<min(c.turns/n, 4), AskGapMax)
	}
	if m.cfg.Face == Dealer { // there is but one link, and it reconnects by itself
		return m.limit(c)
	}
	return min(max(c.Timeout, reconnectWait), AskGapMax)
}

func (m *Machine) pingWait(c *call) time.Duration {
	wait := min(c.Timeout, AskGapMax)
	if c.probe {
		wait = min(wait, m.brokers[c.broker].heartbeat)
	}
	return wait
}

// last reports whether a try that leaves now is the last one.
func (c *call) last(now time.Duration) bool {
	return c.ended >= c.Retries || now+c.Timeout >= c.Deadline
}

// message is what c asks now.
func (m *Machine) message(now time.Duration, c *call, kind protocol.Command) *protocol.Message {
	msg := m.newMessage()
	*msg = protocol.Message{Command: kind, ID: c.ID, Number: c.number + 1, Instance: m.cfg.Instance}
	if kind == protocol.Ping {
		return msg
	}
	msg.SentMS = stamp(now)
	msg.Code = c.Priority
	msg.Service, msg.Body, msg.Meta = m.serviceBytes(c.Service), c.Body, c.Meta
	msg.Flags = msg.Flags.With(protocol.AtMostOnce, c.AtMostOnce).
		With(protocol.NoWait, c.NoWait).With(protocol.Finish, c.Finish).
		With(protocol.MaybeSent, c.number > 0 || c.FromCaller).
		With(protocol.CanTakeMore, m.cfg.Face == Dealer).
		With(protocol.Partial, c.Window > 0)
	msg.Stream.Grant = c.Window
	switch {
	case c.FromCaller:
	case c.number > 0:
		msg.Epoch = c.frozen[c.broker]
	default:
		msg.Epoch = m.brokers[c.broker].epoch
	}
	if left := c.Deadline - now; left > 0 {
		msg.RemainingMS = max(milliseconds(left), 1)
	}
	if !c.last(now) {
		msg.InterestMS = milliseconds(3 * c.Timeout)
	}
	return msg
}

// stamp is the moment now for the broker, which learns from it how long a message
// was on its way. 0 would say nothing.
func stamp(now time.Duration) uint32 { return max(uint32(now/time.Millisecond), 1) }

func milliseconds(d time.Duration) uint32 {
	return uint32(min(d.Milliseconds(), protocol.DurationMSMax))
}

// left records that a try of c has left.
func (m *Machine) left(now time.Duration, c *call) {
	if c.number == 0 && !c.FromCaller {
		for i := range m.brokers {
			c.frozen[i] = m.brokers[i].epoch
		}
	}
	c.number++
	c.asked[c.broker] = c.number
	if len(c.open) == openMax {
		c.doubt = true
		c.open = c.open[1:]
	}
	c.open = append(c.open, try{number: c.number, broker: c.broker})
	limit := m.limit(c)
	switch {
	case c.last(now):
		c.tryEnd = limit
	case c.tryEnd <= now:
		c.tryEnd = now + c.Timeout
	}
	until := min(c.tryEnd, limit)
	if again := now + AskGapMax; again < until && again < c.Deadline {
		until = again
	}
	m.timers.arm(&c.timer, until)
	if c.number > 1 && c.Window > 0 { // what was on its way may be lost
		c.stream.again = true
		m.markCredit(c)
	}
}

// due is what happens when c's time has come.
func (m *Machine) due(now time.Duration, c *call, out []Output) []Output {
	switch {
	case c.phase == resting:
		return m.begin(now, c, true, out)
	case c.phase == withdrawing:
		return m.complete(c, c.cancelled(), out)
	case now >= m.limit(c):
		return m.giveUp(now, c, out)
	case !c.out:
		out = m.release(&c.ask, false, out)
		return m.notTaken(now, c, out)
	case c.phase == pinging:
		return m.unanswered(now, c, out)
	}
	return m.silence(now, c, out)
}

// silence: a try, or ten seconds of one, went by without an answer.
func (m *Machine) silence(now time.Duration, c *call, out []Output) []Output {
	wait := time.Duration(0)
	if now >= c.tryEnd {
		c.ended++
		wait = c.jitter(backoffBase, c.ended-1)
		out = append(out, c.event(TryTimedOut))
	}
	wait = max(0, min(wait, c.at+AskGapMax-now))
	l := c.link
	dead := l.heard < c.at && now-l.since >= acceptWait
	out = m.release(&c.ask, false, out)
	switch {
	case m.cfg.Face == Req:
		c.probe = m.canMove(c)
	case dead: // not even an ACCEPTED
		m.move(now, c)
		m.rest(now, c, wait)
		return m.reset(now, l, out)
	}
	m.rest(now, c, wait)
	return out
}

// notTaken: c's message could not leave for as long as patience goes.
func (m *Machine) notTaken(now time.Duration, c *call, out []Output) []Output {
	c.turns++
	if c.phase == withdrawing {
		return out
	}
	c.probe = false
	if m.move(now, c) && c.turns%len(m.brokers) != 0 {
		m.rest(now, c, 0)
		return out
	}
	m.rest(now, c, c.jitter(cutBase, c.turns))
	return out
}

// unanswered: a PING was not answered in time. Over DEALER the link is replaced
// if nothing was heard of it since, as after a REQUEST.
func (m *Machine) unanswered(now time.Duration, c *call, out []Output) []Output {
	out = append(out, c.event(Unanswered))
	l, dead := c.link, c.link.heard < c.at
	out = m.release(&c.ask, false, out)
	out = m.noPong(now, c, out)
	if m.cfg.Face == Dealer && dead {
		return m.reset(now, l, out)
	}
	return out
}

// noPong: a PING was cut off, or not answered in time.
func (m *Machine) noPong(now time.Duration, c *call, out []Output) []Output {
	c.turns++
	wait := c.jitter(backoffBase, c.turns)
	if m.move(now, c) && c.probe {
		wait = 0
	}
	c.probe = false
	m.rest(now, c, wait)
	return out
}

// cutOff: a disconnect, or the end of a silent link, took c's message with
// it, or the answer.
func (m *Machine) cutOff(now time.Duration, c *call, kind protocol.Command, out []Output) []Output {
	if c.phase == withdrawing || c.phase == resting {
		return out
	}
	c.cuts++
	if kind == protocol.Ping {
		return m.noPong(now, c, out)
	}
	out = append(out, c.event(TryCut))
	c.tryEnd = 0
	if c.cuts%cutsMax == 0 { // it accepts connections, and nothing else
		m.move(now, c)
	}
	m.rest(now, c, c.jitter(cutBase, c.cuts))
	return out
}

// rest lets d pass before c asks again. It asks while something is left of
// its deadline, if it can.
func (m *Machine) rest(now time.Duration, c *call, d time.Duration) {
	c.phase = resting
	if left := c.Deadline - now; left > 0 {
		d = min(d, left/2)
	}
	m.timers.arm(&c.timer, min(now+d, max(m.limit(c), now)))
}

// canMove reports whether c may ask any broker but its own.
func (m *Machine) canMove(c *call) bool {
	for to := range m.brokers {
		if to != c.broker && m.mayAsk(c, to) {
			return true
		}
	}
	return false
}

// mayAsk reports whether c may ask the broker to. An at-most-once request
// stays where it was sent, unless each try is known not to have started it
// and the other broker can see that it is not too late.
func (m *Machine) mayAsk(c *call, to int) bool {
	return to == c.broker || !c.AtMostOnce || c.number == 0 ||
		len(c.open) == 0 && !c.doubt && c.frozen[to] != 0
}

// move turns c to the next broker in turn that has not refused lately; its own
// comes last. If all have, to the one that is ready first. It reports whether
// that is another one.
func (m *Machine) move(now time.Duration, c *call) bool {
	best, from := c.broker, c.broker
	for i := 1; i <= len(m.brokers); i++ {
		to := (from + i) % len(m.brokers)
		if !m.mayAsk(c, to) {
			continue
		}
		if m.brokers[to].restUntil <= now {
			best = to
			break
		}
		if m.brokers[to].restUntil < m.brokers[best].restUntil {
			best = to
		}
	}
	c.broker = best
	return best != from
}

// jitter is a random wait up to base × 2ⁿ, a second and the time-out, in
// whole milliseconds.
func (c *call) jitter(base time.Duration, n int) time.Duration {
	// SplitMix64, a step for each draw.
	c.Jitter += 0x9e3779b97f4a7c15
	z := c.Jitter
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	ceiling := min(base<<min(max(n, 0), 6), backoffMax, c.Timeout)
	return time.Duration(z % uint64(ceiling+1)).Truncate(time.Millisecond)
}

func (c *call) event(e EventKind) Output {
	return Output{Kind: Event, Event: e, Broker: c.broker, Key: c.Key, ID: c.ID, Try: c.number}
}
