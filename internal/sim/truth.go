package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// The truth: what the oracle knows of every request, whoever has forgotten it.

// A request is one id, whoever asks for it.
type request struct {
	id        protocol.ID
	name      string
	service   string
	once      bool // at most once
	body      [][]byte
	meta      protocol.Meta
	overBound bool // a broker had no room for a claim of it

	window uint32 // its clients take the reply in parts
	deed   deed
	asked  int // retries asked for so far
	calls  []*call
	runs   []*run

	wanted    time.Duration            // the latest deadline that reached a broker
	mine      time.Duration            // the latest deadline that the broker of now has taken
	kept      time.Duration            // until when a broker that has finished it must remember it
	interest  map[uint64]time.Duration // until when each that has asked waits; never: until the deadline
	tries     map[uint64]uint32        // the newest of each client that the broker of now has read
	transit   time.Duration            // of the link on which it was handed out: its least delay
	askedOf   uint64                   // the epoch of the broker that has taken a REQUEST for it last
	forgotten uint64                   // the epoch that has forgotten it
	finished  uint64                   // the epoch that gave it its last outcome
	opened    time.Duration            // when the broker that runs came to know it
	lived     time.Duration            // ... in the life of it that had the last outcome
	open      bool                     // the broker that runs knows it, and it has no outcome
	holds     *holding                 // who holds it, by that broker; nil: nobody
	keeper    *holding                 // who keeps its reply
	at        uint64                   // instance of the worker that holds it; 0: none
	claims    []claim                  // what workers have said of it to the broker that runs
	past      []*holding               // by all brokers, oldest first
	lost      []*holding               // that count against it, by the broker that runs
	dead      int                      // how many those were when it was given up
	told      answered                 // what the broker that runs has told of it
	alone     bool                     // it has lost a worker
	aloneAt   time.Duration            // since when
	lone      bool                     // ... and so it was handed out
	waits     time.Duration            // since when the hand-over of now waits at its worker
	inLine    bool                     // it waits for its first hand-over
	rank      int                      // of its priority
	operated  bool                     // an operator has cancelled it
	requeued  bool                     // it was a dead letter: nobody asks for it
	over      time.Duration            // when it got its outcome
	overCode  protocol.Code
	notes     noteSet
}

// A call is one asking of a client.
type call struct {
	request    *request
	client     *clientProcess
	key        uint64
	fromCaller bool
	noWait     bool
	finish     bool
	priority   protocol.Code
	timeout    time.Duration
	retries    int
	budget     time.Duration
	withdrawn  time.Duration // after so long its caller withdraws it; 0: never
	generous   bool          // it must succeed: its budget reaches far beyond the faults

	started  time.Duration
	deadline time.Duration
	frozenAt time.Duration // its client stood still until then
	pulled   bool
	outcome  *clientcore.Outcome
	taking   taking
	sends    []sending
}

// A sending is one try that has left.
type sending struct {
	at       time.Duration
	number   uint32
	interest time.Duration
}

// An oracle sees everything, and says which promise is broken.
type oracle struct {
	w         *world
	requests  []*request
	byID      map[protocol.ID]*request
	workers   []*workerProcess // all of them, in the order of their starts
	instances int              // workers started so far
	clients   int              // clients started so far
	steps     []step
	read      time.Duration // the deadline of the REQUEST read last
	starts    []brokerStart
	trouble   []trouble                 // the broker's own
	joined    map[joinKey]time.Duration // when each worker had joined each broker
	seen      seenSet
	links     map[*conn]*linkNotes
	handed    int
	sights    map[sightKey]*sights
	woke      time.Duration // when the broker turned after it had stood still
	unnoticed time.Duration // ... and how much of that it does not know
	outcomes  [16]int
	checks    checkCount
	book
}

// A brokerStart is one life of the broker.
type brokerStart struct {
	epoch    uint64
	from, to time.Duration
}

func (o *oracle) newRequest(service string) *request {
	q := &request{name: fmt.Sprintf("R%d", len(o.requests)+1), service: service, over: never}
	copy(q.id[:], q.name)
	if o.w.given.Handle != nil { // whose owner may keep the ids of several seeds in one place
		binary.BigEndian.PutUint64(q.id[8:], o.w.plan.seed)
	}
	o.requests = append(o.requests, q)
	o.byID[q.id] = q
	return q
}

func (o *oracle) request(id protocol.ID) *request { return o.byID[id] }

// openCalls are p's calls without an outcome, oldest first.
func (p *clientProcess) openCalls() []*call {
	var open []*call
	for _, c := range p.open {
		open = append(open, c)
	}
	slices.SortFunc(open, func(a, b *call) int { return int(a.key) - int(b.key) })
	return open
}

// excuse says why the run new may begin although old was started; "" if nothing
// excuses it. What was handed out first must have been given up by its broker,
// for a reason that was looked at then; or a later broker did not hear of it.
func (o *oracle) excuse(old, new *run) string {
	q, now := old.request, o.w.now
	switch {
	case old.worker.endedAt <= now:
		return "its worker has ended"
	case old.how == "retry":
		return "its handler asked for it"
	case old.told && (old.toldBy == causeDrain || old.toldBy == causeLease || old.toldBy == workercore.CauseNoCredit || old.toldBy == workercore.CauseRestart):
		return "it was handed back, or its lease was over"
	case old.superseded:
		return "its worker was told to forget it, for another run had brought the outcome"
	case old.refused && q.window > 0:
		return "its parts ended while another run was the one that counts"
	case old.left:
		return "its parts waited for a client that did not come back"
	case o.forgotten(old, now):
		return "its deadline was over, and it was asked for anew"
	case old.how == "expired" && old.epoch < new.epoch && len(q.calls) > 1:
		return "its deadline was over, another asks, and that it ran is known to nobody"
	case old.told && old.toldBy == causeWithdrawn && len(q.calls) > 1:
		return "it was withdrawn, and asked for anew"
	case old.told && old.toldBy == causeWithdrawn && q.operated:
		return "an operator had cancelled it"
	case q.overBound:
		return "a claim of it did not fit into the table of ids"
	case q.window > 0 && len(q.calls) > 1 && old.made > 0:
		return "another asks for its reply, whose first parts are gone"
	case q.window > 0 && old.made > 0 && (old.worker.drained || now-old.started > retention-slack):
		return "its reply waited for its client, and was handed back"
	}
	first, second := old, new
	if new.olderThan(old) { // it was on its way for longer
		first, second = new, old
	}
	for _, h := range q.past {
		if h.gaveUp != "" && h.is(first.worker, first.attempt, first.epoch) {
			return excuses[h.gaveUp]
		}
	}
	return o.unheard(first, second)
}

// excuses are the reasons of a broker, as those of a further run.
var excuses = map[string]string{
	whyLost: "its worker was out of reach", whyReset: "its worker was out of reach", whyKeeper: "its worker was out of reach",
	whyLease: "its lease was over", whyLeft: "its worker has left", whyRetry: "its handler asked for it",
	whyForgotten: "nobody had asked again for it", whyBack: "it was handed back", whyShort: "it was handed back", whyCancelled: "an earlier broker had cancelled it",
}

// olderThan reports whether r was handed out before other.
func (r *run) olderThan(other *run) bool {
	return r.epoch < other.epoch || r.epoch == other.epoch && r.attempt < other.attempt
}

// unheard: a broker that started after the first of two runs was handed out has
// not heard of it, for its worker was out of reach while it waited for that.
func (o *oracle) unheard(first, second *run) string {
	h := first.request.heldBy(second)
	if h == nil || first.epoch >= second.epoch {
		return ""
	}
	for _, b := range o.starts {
		if b.epoch != second.epoch {
			continue
		}
		if at, ok := o.joined[joinKey{b.epoch, first.worker.instance}]; ok && at < h.from {
			return ""
		}
		if first.worker.seat.troubled(b.from-time.Second, min(h.from, b.from+o.w.plan.core.RecoveryWindow+o.brokerStood(b.from, h.from))) > 0 {
			return "its worker was out of reach in the recovery window"
		}
	}
	return ""
}

// forgotten reports whether nobody need remember r any more at t.
func (o *oracle) forgotten(r *run, t time.Duration) bool {
	return t > r.wanted+o.w.plan.core.Heartbeat-slack-o.brokerStepped(r.started)
}

const graceTime = 48 * time.Millisecond // the core's 50 ms, less what clocks and delays make of it

// A step is a clock that jumps ahead.
type step struct {
	at, by time.Duration
	broker bool // it is the broker's
}

// brokerStepped is by how much the broker's clock has jumped since then.
func (o *oracle) brokerStepped(since time.Duration) (sum time.Duration) {
	for _, s := range o.steps {
		if s.broker && s.at >= since {
			sum += s.by
		}
	}
	return sum
}

// stepped is by how much clocks have jumped since then.
func (o *oracle) stepped(since time.Duration) (sum time.Duration) {
	for _, s := range o.steps {
		if s.at >= since {
			sum += s.by
		}
	}
	return sum
}
