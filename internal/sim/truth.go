package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/calls"
	"github.com/privateer-mq/privateer/internal/session"
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
	overBound bool // a broker had no room for a claim of it

	window uint32 // its clients take the reply in parts
	deed   deed
	asked  int // retries asked for so far
	calls  []*call
	runs   []*run

	wanted   time.Duration // the latest deadline that reached a broker
	mine     time.Duration // the latest deadline that the broker of now has taken
	kept     time.Duration // until when a broker that has finished it must remember it
	interest time.Duration // until when its newest asker is interested; 0: until the deadline
	transit  time.Duration // of the link on which it was handed out: its least delay
	finished uint64        // the epoch that gave it its last outcome
	at       uint64        // instance of the worker that the broker believes to hold it; 0: none
	dead     int           // losses when it was given up
	losses   int           // counted against it by the broker that runs
	alone    bool
	lone     bool          // ... and so it was handed out
	waits    time.Duration // since when the hand-over of now waits at its worker
	gaveUp   bool          // its client's interest was over
	over     time.Duration // when it got its outcome
	overCode protocol.Code
	notes    noteSet
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
	outcome  *calls.Outcome
	taking   taking
	sends    []sending
}

// A sending is one try that has left.
type sending struct {
	at       time.Duration
	number   uint32
	interest time.Duration
}

// A trouble is a time in which a worker may have been out of the broker's
// reach.
type trouble struct {
	from, to time.Duration
	why      string
}

const untilBack = "cut"

func (s *workerSeat) trouble(from, to time.Duration, why string) {
	s.troubles = append(s.troubles, trouble{from, to, why})
}

// troubleUntilBack begins a trouble that ends with the next connection.
func (s *workerSeat) troubleUntilBack(w *world) { s.trouble(w.now, never, untilBack) }

func (s *workerSeat) back(now time.Duration) {
	for i := range s.troubles {
		if t := &s.troubles[i]; t.to == never {
			t.to = now
		}
	}
}

// troubled sums up the troubles between two moments: of connections that were
// gone, and of all kinds.
func (s *workerSeat) troubled(from, to, beat time.Duration) (gone, all time.Duration) {
	for _, t := range s.troubles {
		d := min(t.to, to) - max(t.from, from)
		if d <= 0 {
			continue
		}
		all += d
		if t.why == untilBack {
			gone += d
			all += beat // a heartbeat may have been under way
		}
	}
	return gone, all
}

// An oracle sees everything, and says which promise is broken.
type oracle struct {
	w         *world
	requests  []*request
	byID      map[protocol.ID]*request
	instances int // workers started so far
	clients   int // clients started so far
	stepped   time.Duration
	read      time.Duration // the deadline of the REQUEST read last
	starts    []brokerStart
	trouble   []trouble // the broker's own
	seen      seenSet
	links     map[*conn]*linkNotes
	handed    int
	outcomes  [16]int
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

// excuse says why another run of r's request may begin at t although r was
// started; "" if nothing excuses it.
func (o *oracle) excuse(r *run, t time.Duration) string {
	cfg := &o.w.plan.core
	switch {
	case r.worker.endedAt <= t:
		return "its worker has ended"
	case r.how == "retry":
		return "its handler asked for it"
	case r.told && (r.toldBy == causeDrain || r.toldBy == causeLease || r.toldBy == session.CauseNoCredit || r.toldBy == session.CauseRestart):
		return "it was handed back, or its lease was over"
	case cfg.Lease > 0 && t-r.moved < slack && t-r.before >= cfg.Lease-50*time.Millisecond-o.stepped:
		return "its lease was over, or nearly"
	case cfg.Lease > 0 && t-r.moved >= cfg.Lease-50*time.Millisecond-o.stepped:
		return "its lease was over"
	case o.forgotten(r, t):
		return "its deadline was over, and it was asked for anew"
	case r.told && r.toldBy == causeWithdrawn && len(r.request.calls) > 1:
		return "it was withdrawn, and asked for anew"
	}
	if r.request.overBound {
		return "a claim of it did not fit into the table of ids"
	}
	if r.request.window > 0 && len(r.request.calls) > 1 && r.made > 0 {
		return "another asks for its reply, whose first parts are gone"
	}
	if r.request.window > 0 && r.made > 0 && (r.worker.drained || t-r.started > retention-slack) {
		return "its reply waited for its client, and was handed back"
	}
	seat := r.worker.seat
	begin := r.started - o.silence() - time.Second
	if o.outOfReach(seat, begin, t) {
		return "its worker was out of reach"
	}
	for _, b := range o.starts {
		if b.epoch <= r.epoch || b.from > t {
			continue
		}
		if gone, all := seat.troubled(b.from-time.Second, min(t, b.from+cfg.RecoveryWindow+o.brokerStood(b.from, t)), 0); gone+all > graceTime {
			return "its worker was out of reach in the recovery window"
		}
	}
	return ""
}

// forgotten reports whether nobody need remember r any more at t.
func (o *oracle) forgotten(r *run, t time.Duration) bool {
	return t > r.wanted+o.w.plan.core.Heartbeat-slack
}

// outOfReach reports whether the broker had reason to give up what seat's
// worker held: its connection was gone for longer than the grace, or it was
// silent or deaf for nearly as long as liveness.
func (o *oracle) outOfReach(seat *workerSeat, from, to time.Duration) bool {
	gone, all := seat.troubled(from, to, o.w.plan.core.Heartbeat)
	if all > 0 { // the worker hears nothing in both times, one after the other
		all += o.brokerStood(from, to) + o.stepped
	}
	return gone > 0 && gone+o.stepped >= graceTime || all >= o.silence()-o.w.plan.core.Heartbeat-100*time.Millisecond
}

const backlog = 30 * time.Millisecond // after a stop: what is read may have waited

const graceTime = 48 * time.Millisecond // the core's 50 ms, less what clocks and delays make of it

func (o *oracle) silence() time.Duration {
	return o.w.plan.core.Heartbeat * time.Duration(o.w.plan.core.Liveness)
}

// brokerStood is how long brokers stood still between two moments.
func (o *oracle) brokerStood(from, to time.Duration) (d time.Duration) {
	for _, t := range o.trouble {
		d += max(0, min(t.to, to)-max(t.from, from))
	}
	return d
}

// brokerStops is the whole length of the stops that overlap with a time.
func (o *oracle) brokerStops(from, to time.Duration) (d time.Duration) {
	for _, t := range o.trouble {
		if t.from < to && t.to+backlog > from {
			d += t.to - t.from
		}
	}
	return d
}

func (o *oracle) frozenBroker(d time.Duration) {
	if n := len(o.trouble); n > 0 && o.trouble[n-1].to > o.w.now-10*time.Millisecond { // it has not turned in between
		o.trouble[n-1].to = max(o.trouble[n-1].to, o.w.now+d)
		return
	}
	o.trouble = append(o.trouble, trouble{o.w.now, o.w.now + d, "frozen"})
}
