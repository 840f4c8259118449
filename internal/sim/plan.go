package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// A plan is what a seed draws before anything happens.
type plan struct {
	seed         uint64
	core         core.Config
	concurrency  int
	taskTimeout  time.Duration
	retainBytes  int64
	workerIDs    int
	drainTimeout time.Duration
	services     []string
	workers      int
	clients      int
	requests     int
	faults       int
	calm         time.Duration // when the last fault has ended
	takesMax     time.Duration // of a handler
	tight        bool          // small bounds: OVERLOADED and GONE are to be expected
	veteran      bool          // workers that remember more than one list holds
	extras
}

func drawPlan(seed uint64, r *rand.Rand, veterans bool) plan {
	p := plan{seed: seed}
	beat := []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second}[r.IntN(3)]
	p.core = core.Config{
		Heartbeat: beat, Liveness: 3, MaxAttempts: 2 + r.IntN(3), MaxQueue: 1000, MaxQueueBytes: 1 << 20,
		MaxMessage: 64 << 10, MaxPeers: 50, MaxServices: 10, MaxIDs: 50_000, MaxDead: 20, MaxDeadBytes: 64 << 20,
		DefaultDeadline: 30 * time.Second, DefaultService: "default",
		ReplayWindow: 2 * time.Minute, ReplayBytes: 1 << 20,
		RecoveryWindow: 3*beat + reconnectMax + connectTimeout, ReconnectMax: reconnectMax, Retention: retention,
	}
	if r.IntN(3) == 0 {
		p.core.Lease = 2*beat + 500*time.Millisecond + time.Duration(r.IntN(2000))*time.Millisecond
	}
	p.concurrency = 1 + r.IntN(4)
	if r.IntN(4) == 0 {
		p.taskTimeout = time.Duration(500+r.IntN(4000)) * time.Millisecond
	}
	p.retainBytes, p.workerIDs = 1<<20, 10_000
	p.drainTimeout = time.Duration(100+r.IntN(3000)) * time.Millisecond
	p.services = []string{"echo", "sum"}[:1+r.IntN(2)]
	p.workers, p.clients = 1+r.IntN(4), 1+r.IntN(3)
	p.requests = 8 + r.IntN(30)
	p.faults = r.IntN(8)
	if r.IntN(3) == 0 {
		p.faults += 5 + r.IntN(15)
	}
	p.calm = time.Duration(6+r.IntN(20)) * time.Second
	p.takesMax = 6 * time.Second
	if p.tight = r.IntN(6) == 0; p.tight {
		p.core.MaxQueue, p.core.MaxIDs, p.core.ReplayBytes = 3+r.IntN(6), 12+r.IntN(20), 60
		p.retainBytes, p.workerIDs = 60, 12+r.IntN(10)
	}
	if p.veteran = veterans && seed%veteranOne == 0; p.veteran {
		p.workers, p.concurrency, p.clients, p.faults = 1, 64, 1, 0
		p.core.MaxQueue, p.core.MaxIDs, p.core.ReplayBytes = 10_000, 50_000, 1<<20
		p.retainBytes, p.workerIDs, p.tight = 1<<20, 10_000, false
	}
	return p
}

// generous is what a request that must succeed has left when all is well again.
const generous = 40 * time.Second

// veteranOne: one in so many seeds has a worker with more than 4,096 ids, which
// costs a hundred times as much as another seed.
const (
	veteranOne      = 500
	veteranRequests = protocol.EntriesMax + 200
)

// load plans the requests: when, by whom, what they do.
func (w *world) load() {
	for i := range w.plan.workers {
		seat := &workerSeat{number: i, services: w.plan.services}
		if i > 0 && w.chance(4) {
			seat.services = w.plan.services[:1]
		}
		w.workers = append(w.workers, seat)
		w.after(w.upTo(500*time.Millisecond), func() { w.startWorker(seat) })
	}
	for i := range w.plan.clients {
		seat := &clientSeat{number: i, face: clientcore.Face(w.random.IntN(2))}
		if w.plan.veteran {
			seat.face = clientcore.Dealer
		}
		w.clients = append(w.clients, seat)
		if seat.face == clientcore.Dealer {
			w.dealers = append(w.dealers, seat)
		}
		w.startClient(seat)
	}
	w.after(w.upTo(300*time.Millisecond), w.startBroker)
	burst := time.Duration(-1)
	for range w.plan.requests {
		at := w.upTo(w.plan.calm)
		if burst >= 0 && w.chance(3) {
			at = burst
		}
		burst = at
		c := w.drawCall(w.drawRequest())
		w.at(at, func() { w.pickClient(c).ask(c) })
		if w.chance(10) { // somebody else asks for the same
			again := w.drawCall(c.request)
			again.fromCaller = true
			w.at(at+w.upTo(3*time.Second), func() { w.pickClient(again).askTwice(again) })
		}
	}
	if w.plan.veteran {
		w.loadVeteran()
	}
	if w.plan.many {
		w.killSome()
	}
	if w.plan.slow {
		w.slowly()
	}
	if w.plan.admin {
		w.acts()
	}
	if w.plan.crowd {
		w.loadCrowd()
	}
}

// loadVeteran adds thousands of quick requests, for a worker that has much to
// remember when it says READY again.
func (w *world) loadVeteran() {
	for i := range veteranRequests {
		q := w.oracle.newRequest(w.plan.services[0])
		q.body = [][]byte{[]byte(q.name)}
		c := &call{request: q, timeout: 2 * time.Second, retries: 50, budget: w.plan.calm + generous}
		w.at(time.Duration(i)*w.plan.calm/2/veteranRequests, func() { w.clients[0].process.ask(c) })
	}
	w.at(w.plan.calm*3/4, func() {
		if s := w.workers[0].process; s != nil && s.sock != nil && s.sock.conn != nil {
			s.sock.conn.cut()
		}
		w.killBroker(100*time.Millisecond, false)
	})
}

func (w *world) pickClient(c *call) *clientProcess {
	if c.request.window > 0 { // only a DEALER takes parts
		return w.dealers[w.random.IntN(len(w.dealers))].process
	}
	return w.clients[w.random.IntN(len(w.clients))].process
}

// askTwice asks under an id that another client may be asking for; one client
// does not ask for one id twice at a time.
func (p *clientProcess) askTwice(c *call) {
	if first := c.request.calls; len(first) == 0 || len(first[0].sends) == 0 {
		return // nobody can know the id before its client has sent it
	}
	for _, other := range c.request.calls {
		if other.outcome == nil && (other.client == p || other.client.alive && c.request.window > 0) {
			return // nor do two for a reply in parts: each would make it start again
		}
	}
	p.ask(c)
}

func (w *world) drawRequest() *request {
	if w.given.Ask != nil {
		q := w.givenRequest()
		q.deed = w.givenDeed()
		return q
	}
	q := w.oracle.newRequest(w.plan.services[w.random.IntN(len(w.plan.services))])
	q.once = w.chance(4)
	q.body = [][]byte{fmt.Appendf(nil, "ask %s", q.name), make([]byte, w.random.IntN(20))}
	q.deed = w.drawDeed()
	if len(w.dealers) > 0 && w.chance(3) {
		q.window = uint32(1 + w.random.IntN(16))
	}
	w.drawExtras(q)
	return q
}

func (w *world) drawDeed() deed {
	d := deed{takes: w.upTo(50 * time.Millisecond)}
	switch w.random.IntN(8) {
	case 0, 1:
		d.takes = w.upTo(time.Second)
	case 2:
		d.takes = w.upTo(w.plan.takesMax)
	}
	switch w.random.IntN(24) {
	case 0:
		d.retries = 1 + w.random.IntN(4)
	case 1:
		d.fails = true
	case 2:
		d.poison = true
	case 3, 4, 5:
		d.stubborn = true
		d.takes += w.upTo(w.plan.takesMax / 2)
	case 6, 7, 8, 9, 10, 11:
		d.progress = w.between(50*time.Millisecond, w.plan.core.Heartbeat)
	}
	d.reply = w.random.IntN(40)
	if w.chance(4) && !d.poison {
		d.parts = 1 + w.random.IntN(8)
		if w.chance(8) {
			d.parts = 40 // more than any window
		}
	}
	return d
}

func (w *world) drawCall(q *request) *call {
	c := &call{request: q, timeout: w.between(300*time.Millisecond, 4*time.Second), retries: w.random.IntN(6)}
	c.budget = w.between(200*time.Millisecond, 15*time.Second)
	if w.chance(2) { // it can wait until all is well again, and must then succeed
		c.generous = true
		c.retries, c.budget = 1000, w.plan.calm+generous
	}
	c.noWait = w.chance(12)
	c.finish = w.chance(6)
	c.priority = protocol.Code(w.random.IntN(3))
	c.fromCaller = w.chance(12)
	if w.chance(6) {
		c.withdrawn = w.upTo(2 * time.Second)
		if w.chance(3) {
			c.withdrawn = w.upTo(4 * time.Millisecond)
		}
		c.generous = false
	}
	return c
}
