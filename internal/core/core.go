package core

import (
	"time"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// Config is what a Core must know. Every field is required; package broker
// fills in the defaults and checks the bounds.
type Config struct {
	Epoch           uint64 // random, of this start of the broker
	Heartbeat       time.Duration
	Liveness        int
	MaxAttempts     int
	Lease           time.Duration // 0: until the deadline
	MaxQueue        int
	MaxQueueBytes   int64
	MaxMessage      int64
	MaxPeers        int
	MaxServices     int
	MaxIDs          int
	MaxDead         int
	MaxDeadBytes    int64
	DefaultDeadline time.Duration
	MaxDeadline     time.Duration // that a REQUEST may name; 0: any
	DefaultService  string
	ReplayWindow    time.Duration
	ReplayBytes     int64
	RecoveryWindow  time.Duration
	ReconnectMax    time.Duration // told to workers
	Retention       time.Duration // told to workers
}

// Fixed numbers of the mechanism.
const (
	legacyLease  = 60 * time.Second       // a legacy worker cannot report progress
	rhythmMax    = 10                     // heartbeats: the slowest rhythm of a legacy worker that is learned
	grace        = 50 * time.Millisecond  // between two failed probes of a worker
	probeAfter   = 2 * time.Millisecond   // after a connection was lost
	retryFirst   = 100 * time.Millisecond // a handler's Retry waits this × 2ⁿ
	retryLast    = 5 * time.Second
	overloadWait = 500 * time.Millisecond // retry-after of OVERLOADED
	ackBatch     = 64                     // acknowledgements that go out at once
	routesMax    = 8                      // instances that hear of one request
	avoidScan    = 64                     // workers looked at for a request that one cannot start again
	acceptAfter  = 20 * time.Millisecond  // so long a request takes until its client is told that it is in hand
	backlogTime  = 20 * time.Millisecond  // after a stop: what is read until then had come before its end
)

// listsKept is the largest list of frames that is used again.
const listsKept = 1 << 14

// spentMax bounds what waits for a call of Spent.
const spentMax = 4096

// A Core is the broker's state machine. It is a plain value: no socket, no
// goroutine, no clock, no randomness. It is not safe for concurrent use.
//
// now is monotonic time since some fixed start and never goes back. A method
// appends to out what is to be done, in order, and returns it. The outputs
// alias the messages passed in and the Core's own memory: they must be done
// before the next Done or Tick. Until then the messages must stay as they are, and
// their slices of LentMax bytes or more belong to the Core for ever.
type Core struct {
	cfg       Config
	now       time.Duration // of the running call
	nearestAt time.Duration // when a name may be looked for again that is like one nobody serves
	out       []Output      // of the running call
	wheel     *wheel

	stalls     time.Duration    // time this process was stopped, not counted against anybody
	heardUntil [2]time.Duration // by port: running time until which all that came has been read
	judgeAfter time.Duration    // nobody is judged before
	turnStop   time.Duration    // a stop just now: off the times read until stopUntil
	stopUntil  time.Duration
	transits   transits
	aged       time.Duration // off the remaining time of the client's message in hand
	unsure     time.Duration // ... of which so much may be too much

	requests map[protocol.ID]*request
	openPeak int // of requests, since it was made
	tombs    map[protocol.ID]*tomb
	begun    map[protocol.ID]*begun
	services map[string]*service
	workers  map[uint64]*worker // by instance
	peers    map[peerKey]*worker

	listings  map[uint32]*listing // of replies that workers keep, by number
	listingNo uint32
	retired   []*listing // of workers that are gone, in the order in which they end
	sweep     timer
	untaken   time.Duration // until then, what may have been sent to an earlier broker may be among claims without room
	partBytes int           // of parts of READYs whose last one has not come

	done    ledger
	ledger  timer          // the next time at which it has something due
	waiting list[*request] // for a claim, oldest first
	dead    list[*deadLetter]

	bodies      int // requests whose body is here: those that MaxQueue bounds
	queueBytes  int64
	deadBytes   int64
	replayBytes int64
	queued      int // requests in the queue of some service
	assigned    int // requests held by some worker
	servedNames int // services that have members
	windowEnd   time.Duration
	window      timer
	probe       timer
	legacySeq   uint64
	lone        int // requests that wait to be alone
	draining    bool
	leaving     bool    // nothing more is handed out, nobody may register
	nowhere     service // of requests whose service is not known yet

	freed         []*request // ended since the last Tick
	lists         [][]byte   // of outputs since the last Tick
	spending      [][]byte   // large slices without use since the last Tick
	spent         [][]byte   // ... before it, until Spent is called
	spareRequests []*request // ended, to be used again
	spareRuns     []*run

	dirtyServices, spareServices []*service
	dirtyWorkers, spareWorkers   []*worker

	counters Counters
}

// New returns a Core that starts at now. The recovery window runs from there.
func New(cfg Config, now time.Duration) *Core {
	c := &Core{
		cfg: cfg, wheel: newWheel(now), now: now,
		requests: map[protocol.ID]*request{},
		tombs:    map[protocol.ID]*tomb{}, begun: map[protocol.ID]*begun{}, services: map[string]*service{},
		workers: map[uint64]*worker{}, peers: map[peerKey]*worker{}, listings: map[uint32]*listing{},
		windowEnd: now + cfg.RecoveryWindow,
	}
	c.window.owner = windowTimer{}
	c.probe.owner = probeTimer{}
	c.ledger.owner = ledgerTimer{}
	c.sweep.owner = sweepTimer{}
	c.wheel.set(&c.window, c.windowEnd)
	return c
}

type (
	windowTimer struct{}
	probeTimer  struct{}
	ledgerTimer struct{}
	sweepTimer  struct{}
)

// Client takes a client's message. For a legacy client, whose message names no
// id, the caller has set m.ID to a fresh one.
func (c *Core) Client(now time.Duration, from Peer, m *protocol.Message, out []Output) []Output {
	c.begin(now, out)
	c.weigh(from, m)
	switch m.Command {
	case protocol.Request:
		c.ask(from, m)
	case protocol.Cancel:
		c.cancel(from, m)
	case protocol.Ping:
		c.pong(from, m)
	case protocol.Credit:
		c.credit(m)
	}
	return c.end()
}

// weigh finds out how long m was on its way. Of a client that does not say, or
// says it for the first time, only that it may have come while this broker
// stood still.
func (c *Core) weigh(from Peer, m *protocol.Message) {
	c.aged, c.unsure = c.turnStop, c.turnStop
	if from.legacy() || m.SentMS == 0 || m.Instance == 0 || m.Command != protocol.Request && m.Command != protocol.Cancel {
		return
	}
	age, known, full := c.transits.age(c.now, m.Instance, m.SentMS)
	if known {
		c.aged, c.unsure = age, 0
	}
	if full {
		c.drop(DropOverBound, protocol.ID{})
	}
}

// left is what is left of the deadline of the client's message in hand.
func (c *Core) left(m *protocol.Message) time.Duration { return fromMS(m.RemainingMS) - c.aged }

// Worker takes a worker's message.
func (c *Core) Worker(now time.Duration, from Peer, m *protocol.Message, out []Output) []Output {
	c.begin(now, out)
	c.fromWorker(from, m)
	return c.end()
}

// Malformed answers a message that Parse refused with err: INVALID to a client
// whose request id could be read, DISCONNECT to a worker that speaks another
// version or breaks the protocol.
func (c *Core) Malformed(now time.Duration, side Side, from Peer, m *protocol.Message, err error, out []Output) []Output {
	c.begin(now, out)
	c.malformed(side, from, m, err)
	return c.end()
}

// Undeliverable says that msg, an earlier Output, could not be sent just now: gone, if
// its peer is not connected, otherwise its queue is full.
func (c *Core) Undeliverable(now time.Duration, side Side, to Peer, msg *protocol.Message, gone bool, out []Output) []Output {
	c.begin(now, out)
	if side == Back {
		c.undelivered(to, msg, gone)
	} else {
		c.drop(DropClientGone, msg.ID)
	}
	return c.end()
}

// heardAll says that all that had come at a port until now has been read: who has
// said nothing there was silent until then, and not for longer.
func (c *Core) heardAll(now time.Duration, at protocol.Port) {
	c.now = max(c.now, now)
	c.heardUntil[at] = c.running()
}

// Disconnected says that a connection has ended: that of peer, which is probed
// soon if it is a worker. Without an ID, of some peer: all workers that are busy
// are probed.
func (c *Core) Disconnected(now time.Duration, peer Peer, out []Output) []Output {
	c.begin(now, out)
	if peer.ID == nil {
		if c.probe.slot == nil {
			c.wheel.set(&c.probe, now+probeAfter)
		}
	} else if w := c.peers[peer.key()]; w != nil && (w.state == up || w.state == welcomed) {
		w.beatAt = min(w.beatAt, now+probeAfter) // a dead one shows by the failing send
		c.armWorker(w)
	}
	return c.end()
}

// Stopped says that this process did nothing for gap, until ended, at the latest.
// Call it before the messages of the turn after it are passed in: gap is taken off
// the remaining times of all that comes until a moment after ended, in which the
// network hands over what came during the stop.
//
// If it was longer than a heartbeat, liveness, leases, interest and the recovery
// window move by it; deadlines do not. Nobody is judged before one more heartbeat
// has passed; and if workers may have given this broker up meanwhile, not before
// their longest wait until they connect again. Workers are told soon that this
// broker lives, and what it has read: they may be about to give it up.
func (c *Core) Stopped(now, gap, ended time.Duration, out []Output) []Output {
	c.begin(now, out)
	c.turnStop, c.stopUntil = gap, ended+backlogTime
	if c.now >= c.stopUntil {
		c.turnStop = 0
	}
	if gap <= c.cfg.Heartbeat {
		return c.end()
	}
	c.stalls += gap
	if c.windowEnd > c.now-gap { // over already, it stays so
		c.windowEnd += gap
	}
	c.judgeAfter = now + c.cfg.Heartbeat
	if gap >= c.liveness()-c.cfg.Heartbeat {
		c.judgeAfter += c.cfg.ReconnectMax
	}
	c.counters.Stops++
	c.event(Event{What: EventStopped})
	c.beatSoon()
	for _, w := range c.sorted(func(*worker) bool { return true }) { // who seemed to be silent was not
		c.regain(w)
	}
	return c.end()
}

// Tick ends a turn in which all that had come was read, and is Done and Fire.
func (c *Core) Tick(now time.Duration, out []Output) []Output {
	c.Done()
	c.heardAll(now, protocol.FrontPort)
	c.heardAll(now, protocol.BackPort)
	return c.Fire(now, out)
}

// Done says that all outputs so far have been done: their memory is used again.
func (c *Core) Done() {
	c.reuse()
	if clear(c.lists); cap(c.lists) > listsKept {
		c.lists = nil
	}
	c.lists = c.lists[:0]
	c.spent, c.spending = append(c.spent, c.spending...), c.spending[:0]
	if len(c.spent) > spentMax { // nobody asks
		c.spent = c.spent[:0]
	}
}

// Fire does what is due. Call it after the messages of a turn.
func (c *Core) Fire(now time.Duration, out []Output) []Output {
	c.begin(now, out)
	for t := c.wheel.advance(now); t != nil; t = c.wheel.advance(now) {
		switch o := t.owner.(type) {
		case *request:
			c.requestDue(o)
		case *worker:
			c.workerDue(o)
		case ledgerTimer:
			c.ledgerDue()
		case sweepTimer:
			c.sweepDue()
		case *tomb:
			c.tombDue(o)
		case *begun:
			delete(c.begun, o.id)
		case windowTimer:
			c.windowDue()
		case probeTimer:
			c.probeBusy()
		}
	}
	return c.end()
}

// spend notes large slices that are of no use any more, once the outputs so
// far have been done.
func (c *Core) spend(frames [][]byte) {
	for _, f := range frames {
		if len(f) >= LentMax {
			c.spending = append(c.spending, f)
		}
	}
}

// Spent returns the slices of LentMax bytes or more that were given to the Core
// and that it has no use of any more: the caller may write over them. Those
// that were not asked for in time are left to the garbage collector. The list
// is valid until the next Tick.
func (c *Core) Spent() [][]byte {
	list := c.spent
	c.spent = c.spent[:0]
	return list
}

// Deadline is when Tick is next needed.
func (c *Core) Deadline() (time.Duration, bool) { return c.wheel.deadline() }

func (c *Core) begin(now time.Duration, out []Output) {
	c.now = max(c.now, now)
	c.out = out
	if c.turnStop > 0 && c.now >= c.stopUntil {
		c.turnStop = 0
	}
}

func (c *Core) end() []Output {
	c.settle()
	out := c.out
	c.out = nil
	return out
}

// admit files r under its id.
func (c *Core) admit(r *request) {
	c.requests[r.id] = r
	c.openPeak = max(c.openPeak, len(c.requests))
}

// dismiss ends that.
func (c *Core) dismiss(r *request) {
	delete(c.requests, r.id)
	c.requests, c.openPeak = flat.Shrunk(c.requests, c.openPeak)
}

// running is the time that counts for liveness, leases and interest: it stands
// still while this process is stopped.
func (c *Core) running() time.Duration { return c.now - c.stalls }

// due is when a moment in running time comes, at the earliest: not before
// everybody had a chance to be heard after a stop.
func (c *Core) due(running time.Duration) time.Duration {
	return max(running+c.stalls, c.judgeAfter)
}

func (c *Core) liveness() time.Duration {
	return c.cfg.Heartbeat * time.Duration(c.cfg.Liveness)
}

func ms(d time.Duration) uint32 {
	n := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(min(max(n, 0), protocol.DurationMSMax))
}

func fromMS(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
