package clientcore

import (
	"errors"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// The fixed times and bounds.
const (
	HeartbeatDefault = time.Second            // until a PONG names another
	AskGapMax        = 10 * time.Second       // between two asks of one call
	VerdictGrace     = 250 * time.Millisecond // beyond deadline and heartbeat
	CancelWait       = 250 * time.Millisecond // for the answer to one CANCEL
	BrokersMax       = 16

	idleKept = 4               // idle REQ links to a broker that stay open
	idleTime = 5 * time.Second // ... and how long others do

	acceptWait = 50 * time.Millisecond // a broker that lives has sent ACCEPTED by then

	cancelRounds  = 3                      // sendings of one CANCEL
	openMax       = 64                     // tries remembered as open, one by one
	bodySafe      = 64 << 10               // a body this large is answered by any broker, whatever its limit
	backoffBase   = 100 * time.Millisecond // before the second try; doubles
	cutBase       = 20 * time.Millisecond  // after a disconnect; doubles
	backoffMax    = time.Second
	resendMin     = time.Millisecond
	resendMax     = 50 * time.Millisecond
	cutsMax       = 3                      // in a row, before another broker is tried
	patienceMin   = 500 * time.Millisecond // for a link to connect, with several brokers
	reconnectWait = time.Second            // for a link to connect, with one
)

// A Face says how calls reach brokers.
type Face uint8

// The faces.
const (
	Req    Face = iota // a link of its own for each ask
	Dealer             // one link per broker
)

// Config is fixed for the life of a Machine.
type Config struct {
	Face     Face
	Brokers  int    // 1 to BrokersMax
	Instance uint64 // 8 random bytes: this client
	CallsMax int    // calls open at a time, at least 1; also bounds idle links and CANCELs
}

// A Call is one request, as the caller wants it. All of it is kept until the
// call is complete; Body and Meta are not copied.
type Call struct {
	Key        uint64 // the caller's name for it, unique among open calls
	ID         protocol.ID
	FromCaller bool // the id may have been used before this call
	PingOnly   bool // only a PING: the outcome is OK with a Pong

	Service    string
	Body       [][]byte
	Meta       protocol.Meta
	AtMostOnce bool
	NoWait     bool
	Finish     bool
	Priority   protocol.Code
	Window     uint32 // Dealer: the reply may come in parts, so many on their way; 0: not

	Timeout  time.Duration // of one try, at least 1 ms
	Retries  int           // further tries, at least 0
	Deadline time.Duration // on the machine's clock
	Jitter   uint64        // random; all jitter of this call is drawn from it
}

// An Outcome is how a call ended.
type Outcome struct {
	Key        uint64
	ID         protocol.ID
	Code       protocol.Code
	Certainty  protocol.Certainty
	Retryable  bool
	RetryAfter time.Duration
	Attempt    uint32 // the attempt that answered, 0 if none
	Try        uint32 // the try that was answered, 0 if none
	Tries      uint32 // tries that left
	Broker     int    // index of the broker that answered or was asked last; -1 if none
	FailedOver bool   // another broker than that may have run it too
	Withdrawn  bool   // Withdraw was called before it ended
	Closed     bool   // Close ended it
	Text       string // why, where the client itself decided
	Meta       protocol.Meta
	Parts      uint32 // parts that came before Body
	Body       [][]byte
	Pong       *Pong // of PingOnly
}

// A PartOf is one part of a reply.
type PartOf struct {
	Number    uint32 // from 1
	Restarted bool   // what came before is of no use: this is of another run
	Attempt   uint32
	Meta      protocol.Meta
	Body      [][]byte
}

// A Pong is what a broker says of itself.
type Pong struct {
	Epoch     uint64
	RoundTrip time.Duration
	Limits    protocol.Limits // zero: not told
	Draining  bool
}

// A Machine decides for any number of calls: it is the deciding part of a client's
// loop. It is not safe for concurrent use.
//
// A driver reads its links and takes what callers want, reads the clock, once, and
// calls Turn, then Read, Connected, Disconnected or OpenFailed for all that was
// read, Start, Withdraw and Consumed, and End. Each appends what is to be done to
// out. The driver does that, in order, and says what became of it (Sent,
// OpenFailed), whose answers are appended; then it waits, until Deadline at most. It
// may stand still anywhere in between: the next Turn finds that out by the clock.
//
// The clock is monotonic, from some fixed moment in this process. Work per input is
// O(log n) in the open calls, but for a disconnect or a pause, which touch every
// call they concern.
type Machine struct {
	now         time.Duration // of this turn
	unread      int           // turns in a row that have found more than they read
	msg         protocol.Message
	cfg         Config
	brokers     []broker
	preferred   int // where calls start
	calls       map[uint64]*call
	byID        map[protocol.ID]*call
	withdrawals map[withdrawalKey]*withdrawal
	links       map[LinkID]*link
	linkLast    LinkID
	timers      timers
	crediting   []*call // a CREDIT is due
	reused
	gens   uint64
	seqs   uint64
	closed bool
}

// A broker is what is known of one broker.
type broker struct {
	epoch      uint64 // heard last; 0: never
	epochSure  bool   // heard on a connection that still stands
	limits     protocol.Limits
	limitsSure bool
	heartbeat  time.Duration
	restUntil  time.Duration // it refused; ask others first
	dealer     *link         // Dealer
	idle       []*link       // Req: links after a clean round trip, newest last
}

// New returns a machine without calls.
func New(cfg Config) *Machine {
	if cfg.Brokers < 1 || cfg.Brokers > BrokersMax || cfg.CallsMax < 1 {
		panic("clientcore: Config out of range")
	}
	m := &Machine{
		cfg: cfg, brokers: make([]broker, cfg.Brokers),
		calls: map[uint64]*call{}, byID: map[protocol.ID]*call{},
		withdrawals: map[withdrawalKey]*withdrawal{}, links: map[LinkID]*link{},
	}
	for i := range m.brokers {
		m.brokers[i].heartbeat = HeartbeatDefault
	}
	return m
}

// Deadline is when the next turn is needed; false: not before the next input.
func (m *Machine) Deadline() (time.Duration, bool) {
	switch {
	case len(m.crediting) > 0:
		return 0, true
	case len(m.timers.heap) == 0:
		return 0, false
	}
	return m.timers.heap[0].due, true
}

// Open is the number of calls that have no outcome yet.
func (m *Machine) Open() int { return len(m.calls) }

// Settled reports whether nothing is under way: no call, no CANCEL.
func (m *Machine) Settled() bool { return len(m.calls) == 0 && len(m.withdrawals) == 0 }

// Turn begins a turn of the loop, at now. What earlier ones have put out is done.
//
// It notices a pause: a timer more than a heartbeat overdue. It gives every wait
// the gap back, and one heartbeat to hear what has come meanwhile.
func (m *Machine) Turn(now time.Duration, out []Output) []Output {
	m.reuse()
	m.now = now
	if len(m.timers.heap) == 0 {
		return out
	}
	beat := m.brokers[m.preferred].heartbeat
	gap := now - m.timers.heap[0].due
	if gap <= beat {
		return out
	}
	shift := gap + beat
	for _, t := range m.timers.heap {
		switch owner := t.owner.(type) {
		case *call:
			owner.reprieve = now + beat
			t.due = min(t.due+shift, m.limit(owner))
			owner.tryEnd = min(owner.tryEnd+shift, m.limit(owner))
		case *withdrawal:
			t.due += shift
		case *link:
			t.due = max(t.due, now)
		}
	}
	m.timers.init()
	return append(out, Output{Kind: Event, Event: Paused, Broker: -1, Gap: gap})
}

// Read takes what was read from link: a whole message, without the empty frame
// that a REQ socket takes off. The error says what is wrong with it.
func (m *Machine) Read(id LinkID, frames [][]byte, out []Output) ([]Output, error) {
	if m.cfg.Face == Dealer {
		_, content, ok := protocol.SplitEnvelope(frames)
		if !ok {
			return m.Garbage(id, out), errNoEnvelope
		}
		frames = content
	}
	if err := protocol.Parse(protocol.FrontOut, frames, &m.msg); err != nil {
		return m.Garbage(id, out), err
	}
	return m.Receive(id, &m.msg, out), nil
}

var errNoEnvelope = errors.New("an empty frame is missing")

// unreadMax is how many turns in a row may find more on the links than they read
// before time is judged nevertheless.
const unreadMax = 64

// End ends a turn: it fires what is due. Empty says whether each link was found
// empty: else what is missed may have come already, and is read first.
func (m *Machine) End(empty bool, out []Output) []Output {
	if m.unread++; empty || m.unread > unreadMax {
		m.unread = 0
		out = m.fire(out)
	}
	return m.credits(m.now, out)
}

func (m *Machine) fire(out []Output) []Output {
	now := m.now
	for len(m.timers.heap) > 0 && m.timers.heap[0].due <= now {
		switch owner := m.timers.pop().owner.(type) {
		case *call:
			out = m.due(now, owner, out)
		case *withdrawal:
			out = m.cancelUnanswered(now, owner, out)
		case *link:
			out = m.linkDue(now, owner, out)
		}
	}
	return out
}

// clip brings every call's moment within its limit: a broker's heartbeat,
// which is part of it, has become another.
func (m *Machine) clip(now time.Duration) {
	for _, t := range m.timers.heap {
		if c, ok := t.owner.(*call); ok && c.phase != withdrawing {
			t.due = min(t.due, max(m.limit(c), now))
		}
	}
	m.timers.init()
}
