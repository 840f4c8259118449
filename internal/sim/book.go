package sim

import (
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// The book: who holds what, by the messages that really cross between a broker
// and its workers. What the core notes is held against it (notes.go), and so is
// each of its reasons to take something back (reasons.go).

// A backPeer is a worker as its broker knows it, from its READY until it is lost.
type backPeer struct {
	p       *workerProcess
	id      string // routing id
	link    uint32
	joining bool // parts of its READY are missing
	gapped  bool // messages were lost: a READY must come
	part    uint32
	seqIn   uint32 // last message of it
	acked   uint32 // last message to it that it has acknowledged
	heard   moment // when it was last heard
	unacked moment // since when something to it is unacknowledged
	lost    bool   // in this call
}

// A moment is one in true time and in the running time of the broker.
type moment struct{ at, running time.Duration }

// A holding is an attempt in the hands of a worker: handed over, or claimed.
type holding struct {
	p           *workerProcess
	attempt     uint32
	epoch       uint64
	from        time.Duration
	by          uint64            // epoch of the broker that says so
	seq         uint32            // of the hand-over; 0: it was claimed
	sent        bool              // the hand-over has left
	undelivered bool              // ... or could not
	claimed     bool              // known from a list
	over        bool              // ... as cancelled by an earlier broker
	moved       time.Duration     // running time of its last progress; 0: none was heard of
	answer      *protocol.Message // what the worker says became of it
	spent       uint64            // epoch of the broker that has read a reply of it
	gaveUp      string            // why the broker took it back
	nowhere     bool              // ... because it never arrived
}

// A claim is an attempt that a worker lists.
type claim struct {
	p         *workerProcess
	attempt   uint32
	epoch     uint64
	state     protocol.State
	cancelled bool
}

// A book is what the oracle has taken down of the broker that runs.
type book struct {
	back    map[uint64]*backPeer // by instance
	lines   map[string]*line     // by service
	reading *protocol.Message    // what the call of now is about; nil: time
	reader  *workerProcess       // who said that, if a worker did
	open    int                  // requests without an outcome
	held    int                  // requests that a worker holds
	dead    int                  // dead letters
	call    callOf
	counts  noteCounts
}

func (h *holding) is(p *workerProcess, attempt uint32, epoch uint64) bool {
	return h != nil && h.p == p && h.attempt == attempt && h.epoch == epoch
}

func (h *holding) answers(p *workerProcess, m *protocol.Message) bool {
	return h.is(p, m.Number, m.Epoch)
}

// running is the time that counts for liveness and leases.
func (b *broker) running() time.Duration { return b.at - b.stalls }

func (b *broker) moment() moment { return moment{b.w.now, b.running()} }

// hold: q is in the hands of h from now on, or in nobody's.
func (o *oracle) hold(q *request, h *holding) {
	if q.holds != nil {
		o.held--
	}
	q.holds, q.at, q.lone = h, 0, false
	if h != nil {
		o.held++
		q.at = h.p.instance
		q.past = append(q.past, h)
	}
}

// opens: the broker knows q, which has no outcome; or not any more.
func (o *oracle) opens(q *request, open bool) {
	switch {
	case open && !q.open:
		o.open++
		q.opened = o.w.now
	case !open && q.open:
		o.open--
		clear(q.tries)
	}
	q.open = open
}

// heldBy is the newest holding of r's attempt; nil if nobody has handed it out.
func (q *request) heldBy(r *run) *holding {
	for _, h := range slices.Backward(q.past) {
		if h.is(r.worker, r.attempt, r.epoch) {
			return h
		}
	}
	return nil
}

// claimOf is what p has said of an attempt of q.
func (q *request) claimOf(p *workerProcess, attempt uint32) *claim {
	for i := range q.claims {
		if c := &q.claims[i]; c.p == p && c.attempt == attempt {
			return c
		}
	}
	return nil
}

func (q *request) claimed(p *workerProcess, e *protocol.Entry) {
	c := claim{p, e.Attempt, e.Epoch, e.State, e.Flags.Has(protocol.CtxCancelled)}
	if old := q.claimOf(p, e.Attempt); old != nil {
		*old = c
		return
	}
	q.claims = append(q.claims, c)
}

// hears takes down what the broker reads from a worker.
func (o *oracle) hears(b *broker, from *packet, m *protocol.Message) {
	p := from.conn.s.worker
	o.reading, o.reader = m, p
	k := o.back[p.instance]
	switch {
	case m.Command == protocol.Ready:
		if b.leaving || !o.hearsReady(b, from, m) {
			return
		}
	case k == nil || k.id != from.conn.s.id || k.joining || m.Link > k.link, m.Link < k.link && m.Command != protocol.Reply:
		return
	case m.Link == k.link:
		k.heard = moment{from.due, b.running()}
		if m.Command != protocol.Disconnect && !k.next(b, m) && m.Command != protocol.Reply {
			return
		}
	}
	for i := range m.Entries {
		o.hearsEntry(b, p, &m.Entries[i])
	}
	if q := o.byID[m.ID]; q != nil {
		o.hearsOf(b, p, q, m)
	}
}

// hearsReady reports whether that is a part of a READY that counts.
func (o *oracle) hearsReady(b *broker, from *packet, m *protocol.Message) bool {
	k := o.back[m.Instance]
	switch {
	case k == nil:
		k = &backPeer{p: from.conn.s.worker}
		o.back[m.Instance] = k
	case m.Link < k.link, m.Link == k.link && (!k.joining || m.Part != k.part):
		return false
	}
	if m.Link != k.link || !k.joining {
		*k = backPeer{p: k.p, id: from.conn.s.id, link: m.Link, joining: true, heard: k.heard}
	}
	if m.Part != k.part || m.Seq != k.seqIn+1 {
		return false
	}
	k.part++
	k.seqIn, k.heard = m.Seq, moment{from.due, b.running()}
	if m.Flags.Has(protocol.Last) {
		k.joining = false
		key := joinKey{b.epoch, m.Instance}
		if _, before := o.joined[key]; !before {
			o.joined[key] = b.w.now
		}
	}
	return true
}

// A joinKey is a worker at one start of the broker.
type joinKey struct{ epoch, instance uint64 }

// next reports whether m is the next message of its link.
func (k *backPeer) next(b *broker, m *protocol.Message) bool {
	if k.gapped || m.Seq != k.seqIn+1 {
		k.gapped = k.gapped || m.Seq > k.seqIn
		return false
	}
	k.seqIn = m.Seq
	if m.Ack > k.acked {
		k.acked, k.unacked = m.Ack, b.moment()
	}
	return true
}

// hearsEntry takes down a line of a list. An id that runs is never started
// again: it takes the fence of a newer hand-over, when that arrives.
func (o *oracle) hearsEntry(b *broker, p *workerProcess, e *protocol.Entry) {
	q := o.byID[e.ID]
	if q == nil {
		return
	}
	q.claimed(p, e)
	h := q.holds
	if h == nil || h.p != p || q.spent(b, h, p, e) {
		return
	}
	if k := o.back[p.instance]; h.seq <= k.acked {
		h.attempt, h.epoch = e.Attempt, e.Epoch
	}
	if e.State == protocol.Running && h.attempt == e.Attempt {
		h.moved = max(h.moved, b.running()-min(time.Duration(e.ProgressMS)*time.Millisecond, o.w.now-h.from), 1) // it has begun, however long ago
	}
}

// spent reports whether e is an attempt before h whose reply was read: it says
// nothing of h.
func (q *request) spent(b *broker, h *holding, p *workerProcess, e *protocol.Entry) bool {
	return slices.ContainsFunc(q.past, func(old *holding) bool {
		return old != h && old.from >= q.opened && old.spent == b.epoch && old.is(p, e.Attempt, e.Epoch)
	})
}

// hearsOf takes down a message about one attempt.
func (o *oracle) hearsOf(b *broker, p *workerProcess, q *request, m *protocol.Message) {
	h := q.holds
	switch {
	case m.Command == protocol.Reply && !m.Flags.Has(protocol.Partial):
		if h.answers(p, m) {
			h.answer = m
		}
		for _, old := range q.past {
			if old.answers(p, m) {
				old.spent = b.epoch
			}
		}
		o.mustUse(b, p, q, m)
	case !h.answers(p, m):
	case m.Command == protocol.Progress, m.Command == protocol.Reply:
		if h.moved == 0 {
			o.call.starts = q
		}
		h.moved = b.running()
	}
}
