package core

import (
	"fmt"

	"github.com/privateer-mq/privateer/protocol"
)

// Check verifies what must always hold between calls. It walks everything, so
// it is for tests: they call it after every step.
func (c *Core) Check() error {
	if c.out != nil || len(c.dirtyServices)+len(c.dirtyWorkers) > 0 {
		return fmt.Errorf("a call has not ended")
	}
	if n := &nothing; n.others != nil || n.lost != nil || n.rival != nil || n.second != nil || n.again != 0 || n.doubt != 0 || n.aged != 0 || n.body != nil ||
		n.envelope != nil || n.grant != 0 || n.torn || n.parts != nil || n.partBytes != 0 {
		return fmt.Errorf("what most requests have was written: %+v", *n)
	}
	var count struct{ queued, assigned, waiting int }
	var bytes int64
	bodies := 0
	open := map[*service]int{}
	for id, r := range c.requests {
		if err := c.checkRequest(r); err != nil {
			return fmt.Errorf("request %v, %v: %w", id, r.state, err)
		}
		if r.id != id || c.done.find(id) != nil {
			return fmt.Errorf("request %v: filed under %v, finished too: %t", r.id, id, c.done.find(id) != nil)
		}
		switch r.state {
		case queued:
			count.queued++
		case assigned:
			count.assigned++
		case waiting:
			count.waiting++
		}
		bytes += int64(r.size) + r.partBytes
		if r.hasBody {
			bodies++
		}
		open[r.svc]++
	}
	if count.queued != c.queued || count.assigned != c.assigned || count.waiting != c.waiting.size || bytes != c.queueBytes || bodies != c.bodies {
		return fmt.Errorf("counted %+v, %d bodies of %d bytes, kept queued=%d assigned=%d waiting=%d bodies=%d bytes=%d",
			count, bodies, bytes, c.queued, c.assigned, c.waiting.size, c.bodies, c.queueBytes)
	}
	if err := c.checkServices(open); err != nil {
		return err
	}
	for _, w := range c.workers {
		if err := c.checkWorker(w); err != nil {
			return fmt.Errorf("worker %x: %w", w.instance, err)
		}
	}
	return c.checkBounds()
}

func (c *Core) checkRequest(r *request) error {
	holds := r.state == assigned || r.state == kept
	listed := r.state != orphan
	size := r.routesCost()
	if r.hasBody {
		size += requestCost + contentCost(c.content(r), r.meta())
	}
	switch {
	case int64(r.size) != size:
		return fmt.Errorf("it takes %d bytes, counted %d", size, r.size)
	case r.state < queued || r.state > orphan:
		return fmt.Errorf("no such state")
	case holds != (r.run != nil):
		return fmt.Errorf("run %v", r.run)
	case holds && c.workers[r.run.w.instance] != r.run.w:
		return fmt.Errorf("its worker %x is not known", r.run.w.instance)
	case listed != r.home.on:
		return fmt.Errorf("on a list: %t", r.home.on)
	case r.timer.slot == nil:
		return fmt.Errorf("no timer")
	case r.state == orphan && r.hasBody:
		return fmt.Errorf("an orphan has a body")
	case !r.hasBody && (r.state == queued || r.state == backoff || r.state == waiting):
		return fmt.Errorf("no body")
	case r.losses() > c.cfg.MaxAttempts && r.hasBody:
		return fmt.Errorf("%d losses", r.losses())
	case r.atMostOnce() && r.handed && (r.state == queued || r.state == backoff):
		return fmt.Errorf("at-most-once is queued though it may have been started")
	}
	return nil
}

func (c *Core) checkServices(open map[*service]int) error {
	served := 0
	for name, s := range c.services {
		live := 0
		for m := s.members.head; m != nil; m = m.node.next {
			if c.workers[m.o.w.instance] != m.o.w {
				return fmt.Errorf("service %s: a member %x is not known", name, m.o.w.instance)
			}
			if m.o.w.state == up {
				live++
			}
		}
		idle := s.ready.head
		for idle != nil && idle.w.free(c) <= 0 {
			idle = idle.node.next
		}
		if s.members.size > 0 {
			served++
		}
		switch {
		case s.open != open[s] || s.live != live:
			return fmt.Errorf("service %s: open %d, counted %d; live %d, counted %d", name, s.open, open[s], s.live, live)
		case s.open == 0 && s.members.size == 0 && !s.paused:
			return fmt.Errorf("service %s is of no use", name)
		case s.front() != nil && idle != nil && !c.leaving && !s.paused:
			return fmt.Errorf("service %s: a request waits while worker %x is free", name, idle.w.instance)
		case c.idleFor(s) != nil:
			return fmt.Errorf("service %s: a lone request waits while worker %x is free", name, c.idleFor(s).instance)
		case s.reserved != nil && (s.reserved.reserved != s || s.lone.size == 0):
			return fmt.Errorf("service %s: a worker is reserved for nothing", name)
		}
	}
	if served != c.servedNames || served > c.cfg.MaxServices || len(c.services) > c.servicesMost() {
		return fmt.Errorf("%d services, %d of them served, counted %d; the bound is %d", len(c.services), served, c.servedNames, c.cfg.MaxServices)
	}
	return nil
}

// idleFor is a worker that could be handed the first lone request of s.
func (c *Core) idleFor(s *service) *worker {
	if s.lone.head == nil || c.leaving || s.paused || s.loner && s.front() != nil {
		return nil
	}
	for m := s.members.head; m != nil; m = m.node.next {
		if w := m.o.w; w.runs.size == 0 && w.spare(c) > 0 && w.canReserve(c, s) {
			return w
		}
	}
	return nil
}

func (c *Core) checkWorker(w *worker) error {
	for r := w.runs.head; r != nil; r = r.home.next {
		if r.run == nil || r.run.w != w || r.state != assigned || c.requests[r.id] != r {
			return fmt.Errorf("holds %v, which is %v", r.id, r.state)
		}
		if _, ok := w.ghosts[r.fence()]; ok {
			return fmt.Errorf("%v is held and abandoned", r.id)
		}
	}
	switch {
	case !w.legacy && w.credit > 0 && w.runs.size > w.credit+w.kept.size && w.lists == 0:
		return fmt.Errorf("holds %d with a credit of %d", w.runs.size, w.credit)
	case w.acked > w.seqOut:
		return fmt.Errorf("acknowledged %d of %d", w.acked, w.seqOut)
	case w.timer.slot == nil:
		return fmt.Errorf("no timer")
	case c.peers[w.peer.key()] != w:
		return fmt.Errorf("not found by its socket")
	case len(w.taken) > protocol.EntriesMax:
		return fmt.Errorf("%d replies that ended nothing are remembered", len(w.taken))
	case w.lone != nil && (w.lone.run == nil || w.lone.run.w != w):
		return fmt.Errorf("its lone request is not its own")
	}
	for _, o := range w.servings {
		if o.w != w || !o.node.on {
			return fmt.Errorf("a serving of %s is on no list", o.s.name)
		}
	}
	return nil
}

// checkListings: what a worker keeps is on one listing, which is that of a worker or
// ends by itself.
func (c *Core) checkListings() error {
	listed, waiting := 0, map[*listing]bool{}
	for _, l := range c.retired {
		waiting[l] = true
	}
	for number, l := range c.listings {
		n := 0
		for r, prev := l.head, ref(0); r != 0; prev, r = r, c.done.get(r).keptNext {
			f := c.done.get(r)
			if f.keeper != number || f.keptPrev != prev || f.lingers || !f.at.None() {
				return fmt.Errorf("listing %d: %v does not belong there", number, f.id)
			}
			n++
		}
		switch {
		case n != l.size || number != l.number:
			return fmt.Errorf("listing %d: %d on it, counted %d", number, n, l.size)
		case l.w == nil && (!waiting[l] || n == 0 || c.sweep.slot == nil):
			return fmt.Errorf("listing %d is of nobody, has %d, and does not end", number, n)
		case l.w != nil && (c.workers[l.w.instance] != l.w || l.w.listing != l && l.w.nextListing != l):
			return fmt.Errorf("listing %d is not that of its worker", number)
		}
		listed += n
	}
	for _, f := range c.done.records.All {
		if f.keeper != 0 {
			listed--
		}
	}
	if listed != 0 {
		return fmt.Errorf("%d more on listings than say so", listed)
	}
	return nil
}

func (c *Core) checkBounds() error {
	bytes, err := c.done.check()
	if err != nil {
		return err
	}
	if err := c.checkListings(); err != nil {
		return err
	}
	if n := c.done.size() + len(c.requests); n > c.cfg.MaxIDs {
		return fmt.Errorf("over a bound: %d ids, finished and open", n)
	}
	switch {
	case bytes != c.replayBytes || bytes > c.cfg.ReplayBytes:
		return fmt.Errorf("replay bodies: %d bytes, counted %d, bound %d", c.replayBytes, bytes, c.cfg.ReplayBytes)
	case c.bodies > c.cfg.MaxQueue, c.queueBytes > c.cfg.MaxQueueBytes:
		return fmt.Errorf("over a bound: %d bodies, %d bytes", c.bodies, c.queueBytes)
	case len(c.workers) > c.cfg.MaxPeers, c.dead.size > c.cfg.MaxDead:
		return fmt.Errorf("over a bound: %d workers, %d dead letters", len(c.workers), c.dead.size)
	}
	deadBytes := int64(0)
	for d := c.dead.head; d != nil; d = d.home.next {
		deadBytes += deadLetterCost(&d.DeadLetter)
	}
	if deadBytes != c.deadBytes || deadBytes > c.cfg.MaxDeadBytes {
		return fmt.Errorf("dead letters: %d bytes, counted %d, bound %d", deadBytes, c.deadBytes, c.cfg.MaxDeadBytes)
	}
	return nil
}
