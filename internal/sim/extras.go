package sim

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// The extras of a seed are what only some seeds have. They are drawn apart, so
// that a seed without one goes its way as if there were none.
type extras struct {
	crowd   bool    // many quick requests of all priorities at once
	headers bool    // requests and replies have headers, errors are long, and some replies cannot be read
	changes bool    // a worker that is started again serves other services
	admin   bool    // operators do something
	slow    bool    // some processes read slowly for a while
	many    bool    // more workers than the core looks at for one request
	limits  []int64 // of the bodies that each start of the broker takes, in turn; empty: always the same
}

// bodyAlways is what every broker takes: a probe, and its reply.
const bodyAlways = 28

func (p *plan) drawExtras(r *rand.Rand) {
	if p.veteran {
		return
	}
	p.crowd = r.IntN(crowdOne) == 0 && !p.tight
	p.headers = r.IntN(3) == 0
	if r.IntN(4) == 0 {
		p.services = []string{"echo", "sum", "mul", "div", "a service with a longer name"}[:3+r.IntN(3)]
	}
	p.changes = r.IntN(4) == 0 && len(p.services) > 1
	p.slow = r.IntN(3) == 0
	p.admin = r.IntN(3) == 0
	if p.many = p.seed%manyOne == manyOne/2; p.many {
		p.workers, p.core.MaxPeers = 65+r.IntN(10), 500
	}
	if r.IntN(4) == 0 {
		for range 2 + r.IntN(3) {
			p.limits = append(p.limits, bodyAlways+int64(r.IntN(30)))
		}
		p.limits[r.IntN(len(p.limits))] = p.core.MaxMessage
	}
}

// manyOne: one seed in so many has more than 64 workers, which costs some fifty
// times as much as another seed.
const manyOne = 600

// killSome kills some of many workers, while most of the others are there.
func (w *world) killSome() {
	for i := range time.Duration(4) {
		w.at(w.plan.calm*(i+1)/5, func() {
			seat := w.workers[w.more.IntN(len(w.workers))]
			if p := seat.process; p != nil && p.alive {
				p.die()
				seat.restart(w, time.Second)
			}
		})
	}
}

// serves draws what a worker that is started now serves: the one of seat 0 always
// everything, others as the seed wants it.
func (w *world) serves(seat *workerSeat) []string {
	if !w.plan.changes || seat.number == 0 {
		return seat.services
	}
	var list []string
	for _, i := range w.more.Perm(len(w.plan.services))[:1+w.more.IntN(len(w.plan.services))] {
		list = append(list, w.plan.services[i])
	}
	return list
}

// limit is what the n-th start of the broker takes, from 1.
func (p *plan) limit(n int) int64 {
	if len(p.limits) == 0 {
		return p.core.MaxMessage
	}
	return p.limits[(n-1)%len(p.limits)]
}

// fits reports whether every broker takes q's body.
func (p *plan) fits(q *request) bool {
	n := int64(len(bytes.Join(q.body, nil)))
	for _, limit := range p.limits {
		if n > limit {
			return false
		}
	}
	return true
}

// drawExtras gives q what its seed has beside the rest.
func (w *world) drawExtras(q *request) {
	r, d := w.more, &q.deed
	if len(w.plan.limits) > 0 && r.IntN(6) == 0 {
		q.body = append(q.body, make([]byte, r.IntN(50)))
	}
	if !w.plan.headers {
		return
	}
	switch r.IntN(24) {
	case 0:
		q.meta = header(protocol.MetaBytesMax)
	case 1, 2, 3, 4, 5, 6:
		q.meta = header(5+r.IntN(50)).AppendHeader("", "x")
	}
	switch n := r.IntN(12); {
	case n == 0, d.fails && n < 6:
		d.meta = header(3000 + r.IntN(7000))
	case n < 6:
		d.meta = header(5 + r.IntN(50))
	}
	if (d.fails || d.retries > 0) && r.IntN(2) == 0 {
		d.text = strings.Repeat(" because", 400+r.IntN(400))
	}
	d.mangled = r.IntN(40) == 0
}

// header is one that takes so many bytes in all.
func header(size int) protocol.Meta {
	return protocol.Meta(nil).AppendHeader("h", strings.Repeat("v", size-5))
}

// mangled is what p says of m, if the reply of that request is broken: as a worker
// would say it that is written by somebody else, and wrong.
func (p *workerProcess) mangled(m *protocol.Message) bool {
	q := p.w.oracle.byID[m.ID]
	return m.Command == protocol.Reply && m.Code.Final() && !m.Flags.Has(protocol.Partial) && q != nil && q.deed.mangled
}

// hearsMangled: what cannot be read is FAILED for whoever asked.
func (b *broker) hearsMangled(p *packet) {
	m := *p.msg
	m.Code, m.Stream, m.Meta, m.Body = protocol.Failed, protocol.Stream{}, nil, nil
	m.Flags &= protocol.CtxCancelled | protocol.FromKept
	b.w.oracle.saw(seenRefusedReply)
	b.w.oracle.brokerReadsWorker(b, p, &m)
}

// partRefused: the part that r's handler has made is over the limit, and it gives up.
func (p *workerProcess) partRefused(r *run) {
	r.sending = false
	r.untaken[len(r.untaken)-1].to = p.w.now
	r.request.deed.fails = true
	p.leave(r, "failed", failedResult("a part is too large", r.request.deed.meta))
}

// crowdOne: one seed in so many has a crowd at its broker.
const crowdOne = 24

// loadCrowd adds many quick requests that come at once, of all priorities.
func (w *world) loadCrowd() {
	at := w.plan.calm / 2
	for range 50 + w.more.IntN(30) {
		q := w.oracle.newRequest(w.plan.services[0])
		q.body = [][]byte{[]byte(q.name)}
		q.deed.takes = time.Duration(w.more.IntN(int(10 * time.Millisecond)))
		c := &call{request: q, timeout: 4 * time.Second, retries: 1000, budget: w.plan.calm + generous, generous: true,
			priority: protocol.Code(w.more.IntN(classes))}
		w.at(at, func() { w.pickClient(c).ask(c) })
	}
}
