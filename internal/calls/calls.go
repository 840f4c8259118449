package calls

import (
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
	Number    uint32 // from 1; 0: no part, only word that the reply starts again
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

// A Machine decides for any number of calls. It is not safe for concurrent
// use: one loop owns it. Every method takes the monotonic time since some
// fixed point, which must never go back, and appends what is to be done, in
// order, to out. Work per input is O(log n) in the open calls, but for a
// disconnect or a pause, which touch every call they concern.
type Machine struct {
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
	gens        uint64
	seqs        uint64
	closed      bool
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
		panic("calls: Config out of range")
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

// Deadline is when Tick is needed next; false: not before the next input.
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

// Tick fires what is due.
func (m *Machine) Tick(now time.Duration, out []Output) []Output {
	out = m.observe(now, out)
	for len(m.timers.heap) > 0 && m.timers.heap[0].due <= now {
		switch owner := m.timers.pop().owner.(type) {
		case *call:
			out = m.due(now, owner, out)
		case *withdrawal:
			out = m.cancelUnanswered(now, owner, out)
		case *link:
			out = m.resend(now, owner, out)
		}
	}
	return m.credits(now, out)
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

// observe notices a pause: a timer more than a heartbeat overdue. It gives
// every wait the gap back, and one heartbeat to hear what has come meanwhile.
func (m *Machine) observe(now time.Duration, out []Output) []Output {
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
