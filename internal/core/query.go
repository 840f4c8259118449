package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What operators ask about many requests at once. Nothing here changes a Core, and
// a question costs what its answer is long, and what the lists of workers are.

// QueryMax is how many requests one answer has at most.
const QueryMax = 1000

const (
	youngMax = 64      // younger ones in a row that end the walk of a queue, whose order is nearly that of age
	strayMax = 1 << 14 // requests looked at for those that are on no list
)

// A Query says which open requests are meant. Its zero value means all.
type Query struct {
	Service string
	State   string        // as in RequestInfo
	Older   time.Duration // accepted so long ago at least
	Max     int           // 1 to QueryMax; 0: QueryMax
}

// Requests lists the open requests that q means, oldest first, without what takes
// a walk to count (Behind, Free). more: there are others, or there may be.
func (c *Core) Requests(now time.Duration, q Query) (all []RequestInfo, more bool) {
	c.now = max(c.now, now)
	if q.Max <= 0 || q.Max > QueryMax {
		q.Max = QueryMax
	}
	s := search{c: c, q: q}
	if q.State == "" || q.State == queued.String() {
		for _, svc := range c.services {
			if q.Service == "" || q.Service == svc.name {
				s.walk(&svc.lone)
				for i := range svc.queue {
					s.walk(&svc.queue[i])
				}
			}
		}
	}
	if q.State == "" || q.State == waiting.String() {
		s.walk(&c.waiting)
	}
	listed := c.queued + c.waiting.size
	for _, w := range c.workers {
		s.walk(&w.runs)
		s.walk(&w.kept)
		s.walk(&w.fetching)
		listed += w.runs.size + w.kept.size + w.fetching.size
	}
	if q.State == "" || q.State == backoff.String() || q.State == orphan.String() {
		s.strays(len(c.requests) - listed)
	}
	s.cut(q.Max)
	for _, r := range s.found {
		all = append(all, c.infoOf(r))
	}
	return all, s.more
}

// A search gathers the oldest requests that a query means.
type search struct {
	c     *Core
	q     Query
	found []*request
	more  bool
}

// walk looks at a list whose oldest come first, or nearly.
func (s *search) walk(l *list[*request]) {
	taken, young := 0, 0
	for r := l.head; r != nil; r = r.home.next {
		switch {
		case s.c.now-r.accepted < s.q.Older:
			if young++; young == youngMax {
				return
			}
			continue
		case !s.means(r):
			continue
		case taken == s.q.Max:
			s.more = true
			return
		}
		young = 0
		taken++
		s.take(r)
	}
}

// strays looks for the n requests that are on no list. Where there are too many
// others to look at all, it says that there may be more.
func (s *search) strays(n int) {
	looked := 0
	for _, r := range s.c.requests {
		switch {
		case n <= 0:
			return
		case looked == strayMax:
			s.more = true
			return
		}
		looked++
		if r.state != backoff && r.state != orphan {
			continue
		}
		n--
		if s.means(r) {
			s.take(r)
		}
	}
}

func (s *search) means(r *request) bool {
	return (s.q.Service == "" || s.q.Service == r.svc.name) && (s.q.State == "" || s.q.State == r.state.String()) &&
		s.c.now-r.accepted >= s.q.Older
}

// take keeps a few times as many as are wanted: they are sorted now and then.
func (s *search) take(r *request) {
	if s.found = append(s.found, r); len(s.found) >= 4*s.q.Max+64 {
		s.cut(s.q.Max)
	}
}

// cut leaves the oldest. Ids decide between those of one moment: no answer depends
// on the order of a map.
func (s *search) cut(most int) {
	slices.SortFunc(s.found, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.accepted, b.accepted), slices.Compare(a.id[:], b.id[:]))
	})
	if len(s.found) > most {
		s.found, s.more = s.found[:most], true
	}
}

func (c *Core) infoOf(r *request) RequestInfo {
	info := RequestInfo{ID: r.id, State: r.state.String(), Service: r.svc.name, Certainty: r.certainty(), Attempt: r.attempt,
		Losses: r.losses(), Age: c.now - r.accepted, Left: r.deadline - c.now, Alone: r.alone, Body: r.hasBody,
		Paused: r.svc.paused, Live: r.svc.live}
	if r.try != 0 {
		info.Clients = 1 + len(r.others)
	}
	if r.run != nil {
		info.Worker, info.Held, info.Started = r.run.w.instance, c.now-r.run.at, r.run.started
	}
	return info
}

// Held lists what a worker holds, what it was given first before the others; at
// most so many.
func (c *Core) Held(instance uint64, most int) (ids []protocol.ID) {
	w := c.workers[instance]
	if w == nil {
		return nil
	}
	for r := w.runs.head; r != nil && len(ids) < most; r = r.home.next {
		ids = append(ids, r.id)
	}
	return ids
}

// OldestRuns returns, of each service that has one, the run that a worker has had
// for longest.
func (c *Core) OldestRuns(now time.Duration) map[string]RequestInfo {
	c.now = max(c.now, now)
	oldest := map[*service]*request{}
	for _, w := range c.workers {
		for r := w.runs.head; r != nil; r = r.home.next {
			o := oldest[r.svc]
			if o == nil || r.run.at < o.run.at || r.run.at == o.run.at && slices.Compare(r.id[:], o.id[:]) < 0 {
				oldest[r.svc] = r
			}
		}
	}
	all := make(map[string]RequestInfo, len(oldest))
	for s, r := range oldest {
		all[s.name] = c.infoOf(r)
	}
	return all
}
