package core

import "time"

// A Withdrawal ends the open requests of a service as CANCELLED, for an operator, a
// slice in each call of WithdrawSome: no turn becomes long by it.
type Withdrawal struct {
	Service string

	Known bool // there was such a service
	Ended int  // requests, until now
	More  bool // others may be open that had come before: begin anew

	began  bool
	until  time.Duration // what was accepted later is not meant
	place  int           // of the lists that are not a worker's
	worker uint64        // all up to that one were looked at
	found  int           // ended since the lists were walked from the beginning
}

const (
	withdrawMost = 256     // in one call
	looksMost    = 1 << 16 // requests looked at in one call, or those of one worker
)

// WithdrawSome does a slice of w, and reports whether that was the last. Requests that
// go from one list to another between two slices are found when the lists are walked
// again: until a walk finds none.
func (c *Core) WithdrawSome(now time.Duration, w *Withdrawal, out []Output) (_ []Output, done bool) {
	c.begin(now, out)
	if !w.began {
		w.began, w.until = true, c.now
	}
	s := c.services[w.Service]
	if s == nil {
		return c.end(), true
	}
	w.Known = true
	full := w.Ended + withdrawMost
	lists := [...]*list[*request]{&s.lone, &s.queue[0], &s.queue[1], &s.queue[2], &s.later, &c.waiting}
	for looks := looksMost; w.place < len(lists); w.place++ {
		l := lists[w.place]
		switch all := l.size; {
		case all > looks && looks < looksMost, !c.withdrawFrom(w, l, s, full, looks):
			return c.end(), false
		default:
			looks -= min(all, looks)
		}
	}
	looks := looksMost
	for _, k := range c.sorted(func(k *worker) bool { return k.instance > w.worker }) {
		for _, l := range [...]*list[*request]{&k.runs, &k.kept, &k.fetching} {
			looks -= l.size
			if !c.withdrawFrom(w, l, s, full, l.size) {
				return c.end(), false
			}
		}
		if w.worker = k.instance; looks <= 0 {
			return c.end(), false
		}
	}
	if done = w.found == 0; !done {
		w.place, w.worker, w.found = 0, 0, 0
	}
	return c.end(), done
}

// withdrawFrom ends those of l that w means, having looked at so many at most. It
// reports false if so many are ended that the rest has to wait.
func (c *Core) withdrawFrom(w *Withdrawal, l *list[*request], s *service, full, looks int) bool {
	for r := l.head; r != nil; looks-- {
		if looks == 0 {
			w.More = true
			return true
		}
		next := r.home.next
		if r.svc == s && r.accepted <= w.until {
			if w.Ended == full {
				return false
			}
			w.Ended++
			w.found++
			c.withdraw(r, byOperator)
		}
		r = next
	}
	return true
}

const byOperator = "cancelled by an operator"
