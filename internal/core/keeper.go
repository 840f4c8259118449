package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What workers have finished for an earlier broker, and keep the replies of. There
// may be hundreds of thousands, and nobody asks for most of them. So they are in the
// ledger, as what is finished, and each names the listing that it is on; it becomes a
// request when somebody asks for it, or another worker has a word to say. A listing
// ends with its worker, at once, however long it is.

// A listing is what a READY of a worker says that it keeps.
type listing struct {
	number uint32
	w      *worker // nil: it says so no more
	head   ref     // in the ledger, linked there
	size   int
	endsAt time.Duration // w is nil: when what is on it is forgotten
}

const (
	// claimLasts is how long a claim without a body is kept in mind once its worker
	// is gone: clients ask again within ten seconds.
	claimLasts = 15 * time.Second
	sweepMost  = 1024 // records in one call
)

// list is the listing of the READY that is being read.
func (c *Core) list(w *worker) *listing {
	if w.nextListing == nil {
		for c.listingNo++; c.listingNo == 0 || c.listings[c.listingNo] != nil; c.listingNo++ {
		}
		w.nextListing = &listing{number: c.listingNo, w: w}
		c.listings[c.listingNo] = w.nextListing
	}
	return w.nextListing
}

// enlist puts f, which is on none, on a listing.
func (c *Core) enlist(l *listing, f *finished) {
	f.keeper, f.keptPrev, f.keptNext = l.number, 0, l.head
	if l.head != 0 {
		c.done.get(l.head).keptPrev = f.self
	}
	l.head = f.self
	l.size++
}

func (c *Core) delist(f *finished) {
	l := c.listings[f.keeper]
	if f.keptPrev != 0 {
		c.done.get(f.keptPrev).keptNext = f.keptNext
	} else {
		l.head = f.keptNext
	}
	if f.keptNext != 0 {
		c.done.get(f.keptNext).keptPrev = f.keptPrev
	}
	f.keeper, f.keptPrev, f.keptNext = 0, 0, 0
	if l.size--; l.size == 0 && l.w == nil {
		delete(c.listings, l.number)
	}
}

// retire ends a listing. What is on it is forgotten when clients had their time to
// ask for it.
func (c *Core) retire(l *listing) {
	if l == nil {
		return
	}
	l.w = nil
	if l.size == 0 {
		delete(c.listings, l.number)
		return
	}
	l.endsAt = c.now + claimLasts
	c.retired = append(c.retired, l)
	if c.sweep.slot == nil {
		c.wheel.set(&c.sweep, l.endsAt)
	}
}

// sweepDue forgets what is on retired listings, a part in each call.
func (c *Core) sweepDue() {
	for left := sweepMost; len(c.retired) > 0 && left > 0; {
		l := c.retired[0]
		if l.endsAt > c.now {
			c.wheel.set(&c.sweep, l.endsAt)
			return
		}
		for ; l.size > 0 && left > 0; left-- {
			c.keepsNoMore(c.done.get(l.head))
		}
		if l.size == 0 {
			c.retired[0] = nil
			c.retired = c.retired[1:]
		}
	}
	if len(c.retired) > 0 {
		c.wheel.set(&c.sweep, c.now+wheelTick)
	}
}

// worker is who says so of a listing; nil: nobody any more.
func (c *Core) keeperOf(number uint32) *worker {
	if l := c.listings[number]; l != nil {
		return l.w
	}
	return nil
}

// keepsNoMore: the keeper of f is lost. If another worker has finished it as well,
// that one counts; at-most-once it is GONE, else f is forgotten. It reports whether
// f is still known.
func (c *Core) keepsNoMore(f *finished) bool {
	w := c.keeperOf(f.second)
	c.delist(f)
	switch {
	case w != nil && !f.secondRan:
		f.attempt = f.secondAttempt
		c.enlist(c.listings[f.second], f)
		f.second = 0
	case w != nil || f.once:
		c.ranOnly(f)
	default:
		c.done.must.remove(&c.done, f)
		c.forget(f)
		return false
	}
	return true
}

// ranOnly: of f, which is on no listing, only that it ran is known.
func (c *Core) ranOnly(f *finished) {
	f.second, f.code, f.bodyGone = 0, protocol.Gone, true
	f.until = c.now + c.cfg.ReplayWindow
}

// note puts into the ledger that w keeps the reply of what is not known here.
func (c *Core) note(w *worker, e *protocol.Entry, deadline time.Duration) {
	f := c.done.add(finished{id: e.ID, digest: e.Digest, deadline: deadline, attempt: e.Attempt, certainty: protocol.Ran,
		once: e.Flags.Has(protocol.AtMostOnce)})
	c.enlist(c.list(w), f)
	c.expect(&c.done.must, f, f.deadline+c.cfg.Heartbeat)
}

// claimKept compares an entry of w's list with f, whose reply a worker keeps. It
// reports false if f is a request now, or forgotten.
func (c *Core) claimKept(w *worker, e *protocol.Entry, f *finished) bool {
	if e.State <= protocol.Finished {
		if !c.roomForClaim() {
			c.noRoom(w, e, c.claimedUntil(e))
			return true
		}
		c.wake(e.ID)
		return c.done.find(e.ID) != nil
	}
	f.deadline = max(f.deadline, c.claimedUntil(e))
	switch k := c.keeperOf(f.keeper); {
	case k != nil && k != w:
		f.second, f.secondAttempt, f.secondRan = c.list(w).number, e.Attempt, e.State == protocol.IDOnly
	case e.State == protocol.IDOnly:
		c.delist(f)
		c.ranOnly(f)
	case f.keeper != c.list(w).number:
		c.delist(f)
		f.attempt = e.Attempt
		c.enlist(c.list(w), f)
	}
	return true
}

// wake makes a request of an id whose reply a worker keeps, for somebody asks for it.
// It reports whether its keeper was lost meanwhile, and nobody else knows it: then it
// is as if it may have been sent to an earlier broker.
func (c *Core) wake(id protocol.ID) (lost bool) {
	f := c.done.find(id)
	if f == nil || f.keeper == 0 {
		return false
	}
	if c.keeperOf(f.keeper) == nil {
		if !c.keepsNoMore(f) {
			return true
		}
		if f.keeper == 0 {
			return false
		}
	}
	known := *f
	w, second := c.keeperOf(f.keeper), c.keeperOf(f.second)
	c.delist(f)
	c.done.must.remove(&c.done, f)
	c.forget(f)
	r := c.claimed(id, protocol.Flags(0).With(protocol.AtMostOnce, known.once), known.digest, known.deadline)
	if second != nil {
		s := r.special()
		s.second, s.secondRun, s.secondKept = second, fence{id: id, attempt: known.secondAttempt}, !known.secondRan
	}
	c.keep(r, w, &protocol.Entry{ID: id, Attempt: known.attempt, State: protocol.Kept})
	return false
}

// endKept ends the list of a READY: of the replies that were asked for, or that
// somebody has to ask for now, those that w does not list it has forgotten.
func (c *Core) endKept(w *worker) {
	for _, l := range []*list[*request]{&w.kept, &w.fetching} {
		for r := l.head; r != nil; {
			next := r.home.next
			switch {
			case r.run.seen != w.lists:
				c.keeperLost(r)
			case r.hasBody && !r.run.fetch:
				c.fetch(r)
			}
			r = next
		}
	}
	old := w.listing
	w.listing, w.nextListing = w.nextListing, nil
	c.retire(old)
}

// keeperGone: w, which keeps replies, is lost or leaves.
func (c *Core) keeperGone(w *worker) {
	for w.kept.head != nil {
		c.keeperLost(w.kept.head)
	}
	for w.fetching.head != nil {
		c.keeperLost(w.fetching.head)
	}
	c.retire(w.listing)
	c.retire(w.nextListing)
	w.listing, w.nextListing = nil, nil
}

// keeperLost: r ran, and the reply is out of reach.
func (c *Core) keeperLost(r *request) {
	c.unplace(r)
	if c.takeSecond(r) {
		return
	}
	if r.atMostOnce() {
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: "it ran, and the worker that kept its reply was lost"})
		return
	}
	c.requeue(r, true, "the worker that kept its reply was lost")
}

// takeSecond: another worker, which is there still, has finished r as well, and
// keeps its reply or only knows that it ran. It reports whether there is one.
func (c *Core) takeSecond(r *request) bool {
	w, f, keeps := r.second, r.secondRun, r.secondKept
	if w == nil {
		return false
	}
	r.rare.second = nil
	switch {
	case c.workers[w.instance] != w || w.going:
		return false
	case keeps:
		c.keep(r, w, &protocol.Entry{ID: r.id, Attempt: f.attempt, Epoch: f.epoch, State: protocol.Kept})
	default:
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: goneText})
	}
	return true
}

// keep notes that w has finished r and keeps its reply; it is fetched as soon
// as a client asks.
func (c *Core) keep(r *request, w *worker, e *protocol.Entry) {
	c.stopOther(r, w)
	c.unplace(r)
	r.run = c.newRun()
	*r.run = run{w: w, before: true, attempt: e.Attempt, epoch: e.Epoch, seen: w.lists, adopted: true, at: c.now}
	r.handed = true
	r.attempt = max(r.attempt, e.Attempt)
	r.enter(kept)
	w.kept.pushBack(r)
	c.event(Event{What: EventKept, ID: r.id, Worker: w.instance, Attempt: e.Attempt})
	c.arm(r)
	if r.hasBody {
		c.fetch(r)
	}
}

// fetch asks the worker that has finished r for the reply it keeps. It needs
// no credit, and is never run. Without a link r stays kept: the next READY
// confirms it.
func (c *Core) fetch(r *request) {
	w := r.run.w
	if w.state != welcomed && w.state != up {
		return
	}
	if !r.run.fetch {
		w.kept.remove(r)
		w.fetching.pushBack(r)
	}
	r.attempt++
	r.run.attempt, r.run.epoch, r.run.fetch = r.attempt, c.cfg.Epoch, true
	c.counters.Fetches++
	r.run.seq = c.tell(w, protocol.Message{Command: protocol.Request, Flags: protocol.ReplayOnly | r.flags&protocol.AtMostOnce,
		ID: r.id, Number: r.attempt, Epoch: c.cfg.Epoch, RemainingMS: ms(r.deadline - c.now), Digest: r.digest,
		Service: r.svc.wire})
}
