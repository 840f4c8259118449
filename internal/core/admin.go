package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What operators see and do.

// A WorkerInfo is how one worker stands.
type WorkerInfo struct {
	Instance  uint64
	Info      protocol.WorkerInfo // what it says of itself
	Peer      []byte              // its routing id
	Port      protocol.Port       // ... at this socket
	Dialect   protocol.Dialect
	State     string // joining, registered, up, link reset, suspected; draining
	Services  []string
	Credit    int
	Running   int           // requests it holds
	BusySince time.Duration // since its oldest one was handed out or taken up; 0: it holds none
	Seen      time.Duration // since its last message, in running time
}

var linkStateNames = map[linkState]string{joining: "joining", welcomed: "registered", up: "up", gapped: "link reset", silent: "lost"}

func (w *worker) stateName() string {
	switch {
	case w.suspectAt != 0:
		return "suspected"
	case w.draining && w.state == up:
		return "draining"
	}
	return linkStateNames[w.state]
}

// Workers lists the workers by instance.
func (c *Core) Workers(now time.Duration) []WorkerInfo {
	c.now = max(c.now, now)
	all := make([]WorkerInfo, 0, len(c.workers))
	for _, w := range c.sorted(func(*worker) bool { return true }) {
		info := WorkerInfo{Instance: w.instance, Dialect: w.peer.Dialect, State: w.stateName(), Credit: w.credit,
			Running: w.runs.size, Seen: c.running() - w.heardAt, Peer: clone(w.peer.ID), Port: w.peer.Port}
		if w.info != nil {
			info.Info = *w.info
		}
		for _, o := range w.servings {
			info.Services = append(info.Services, o.s.name)
		}
		for r := w.runs.head; r != nil; r = r.home.next {
			info.BusySince = max(info.BusySince, c.now-r.run.at)
		}
		all = append(all, info)
	}
	return all
}

// Info is what a worker says of itself; nil if it is not here, or says nothing.
func (c *Core) Info(instance uint64) *protocol.WorkerInfo {
	if w := c.workers[instance]; w != nil {
		return w.info
	}
	return nil
}

// A RequestInfo is where one request is, and why it is not done.
type RequestInfo struct {
	ID        protocol.ID
	State     string // queued, backoff, waiting, assigned, kept, orphan, done
	Service   string
	Code      protocol.Code // done: its outcome
	Certainty protocol.Certainty
	Attempt   uint32
	Losses    int
	Worker    uint64        // that holds it; 0: none
	Age       time.Duration // since it was accepted
	Left      time.Duration // of its deadline
	Held      time.Duration // since its worker has it
	Started   bool          // ... and has said that it runs
	Behind    int           // queued: requests that go before it
	Alone     bool          // it has lost a worker and goes only to one that holds nothing
	Clients   int           // that wait for it here
	Body      bool          // whether its body is known here
	Paused    bool          // its service is paused
	Live      int           // live workers of its service
	Free      int           // ... that could take a request now
	Dead      bool          // it is a dead letter
}

// Find looks for a request, open or remembered. It takes time in proportion to
// what is queued before it.
func (c *Core) Find(now time.Duration, id protocol.ID) (info RequestInfo, ok bool) {
	c.now = max(c.now, now)
	if d := c.findDead(id); d != nil {
		info.Dead, info.Service = true, d.Service
	}
	info.ID = id
	if f := c.done.find(id); f != nil && f.keeper != 0 {
		info.State, info.Certainty, info.Attempt, info.Left = orphan.String(), protocol.MaybeStarted, f.attempt, f.deadline-c.now
		if w := c.keeperOf(f.keeper); w != nil {
			info.State, info.Worker = kept.String(), w.instance
		}
		return info, true
	}
	if f := c.done.find(id); f != nil {
		info.State, info.Code, info.Certainty, info.Attempt = "done", f.code, f.certainty, f.attempt
		info.Left = f.deadline - c.now
		return info, true
	}
	r := c.requests[id]
	if r == nil {
		return info, info.Dead
	}
	info.State, info.Service, info.Attempt, info.Losses = r.state.String(), r.svc.name, r.attempt, r.losses()
	info.Certainty, info.Age, info.Left = r.certainty(), c.now-r.accepted, r.deadline-c.now
	info.Alone, info.Body, info.Paused, info.Live = r.alone, r.hasBody, r.svc.paused, r.svc.live
	if r.try != 0 {
		info.Clients = 1 + len(r.others)
	}
	if r.run != nil {
		info.Worker, info.Held, info.Started = r.run.w.instance, c.now-r.run.at, r.run.started
	}
	for m := r.svc.members.head; m != nil; m = m.node.next {
		if m.o.w.free(c) > 0 {
			info.Free++
		}
	}
	if r.state == queued {
		info.Behind = r.svc.before(r)
	}
	return info, true
}

// before counts the requests of s that are handed out before r, as things are.
func (s *service) before(r *request) (n int) {
	lists := []*list[*request]{&s.lone, &s.queue[0], &s.queue[1], &s.queue[2]}
	for _, l := range lists {
		for x := l.head; x != nil; x = x.home.next {
			if x == r {
				return n
			}
			n++
		}
	}
	return n
}

// Pause stops the dispatch of one service, or lets it go on. What runs goes on
// in any case. It reports whether there is such a service.
func (c *Core) Pause(now time.Duration, name string, paused bool, out []Output) ([]Output, bool) {
	c.begin(now, out)
	s := c.services[name]
	if s == nil {
		return c.end(), false
	}
	if s.paused != paused {
		s.paused = paused
		what := EventResumed
		if paused {
			what = EventPaused
		}
		c.event(Event{What: what, Service: name})
		c.unreserve(s)
		c.dispatch(s)
		c.sweepService(s)
	}
	return c.end(), true
}

// Withdraw ends an open request as CANCELLED, for an operator. It reports
// whether there is one.
func (c *Core) Withdraw(now time.Duration, id protocol.ID, out []Output) ([]Output, bool) {
	c.begin(now, out)
	r := c.requests[id]
	if r != nil {
		c.withdraw(r, byOperator)
	}
	return c.end(), r != nil
}
