package core

import (
	"cmp"
	"slices"
	"time"
)

// Counters only ever grow.
type Counters struct {
	Asked           uint64 // REQUESTs of clients
	Accepted        uint64 // that became requests here
	Joined          uint64 // that joined a request that was open already
	Replayed        uint64 // that got a finished reply again
	Cancels         uint64
	Requeued        uint64 // hand-overs that were taken back
	Retries         uint64 // asked for by handlers
	MaybeReruns     uint64 // hand-overs of what may have run before
	LostOnTheWay    uint64 // hand-overs that their worker never took
	LinkResets      uint64
	WorkersLost     uint64
	FalseSuspicions uint64 // workers that were given up, and then answered
	LateRepliesUsed uint64
	Adopted         uint64 // requests known from a worker's list
	Fetches         uint64 // kept replies asked for
	DeadLettered    uint64
	Parts           uint64 // of replies, handed on
	Stops           uint64 // times this process stood still
	Outcomes        [16]uint64
	Refused         [16]uint64 // by code; not recorded under their ids
}

// Gauges are how things stand.
type Gauges struct {
	Open        int // requests without an outcome
	Queued      int
	Assigned    int
	Workers     int
	Services    int
	Served      int // ... by workers
	IDs         int // finished requests remembered
	DeadLetters int
	DeadBytes   int64
	QueueBytes  int64
	ReplayBytes int64
	Draining    bool
}

// Counters returns a copy of the counters.
func (c *Core) Counters() Counters { return c.counters }

// Gauges returns how things stand.
func (c *Core) Gauges() Gauges {
	return Gauges{Open: len(c.requests), Queued: c.queued, Assigned: c.assigned, Workers: len(c.workers),
		Services: len(c.services), Served: c.servedNames, IDs: c.done.size(), DeadLetters: c.dead.size,
		DeadBytes: c.deadBytes, QueueBytes: c.queueBytes, ReplayBytes: c.replayBytes, Draining: c.draining}
}

// LiveWorkers returns how many live workers serve the service called name.
func (c *Core) LiveWorkers(name string) int {
	if s := c.services[name]; s != nil {
		return s.live
	}
	return 0
}

// A ServiceInfo is how one service stands.
type ServiceInfo struct {
	Name    string
	Queued  int
	Workers int // live
	Running int // requests that workers hold
	Paused  bool
	Oldest  time.Duration // since the oldest queued request was accepted; 0: none
}

// Services lists the services by name.
func (c *Core) Services(now time.Duration) []ServiceInfo {
	running := map[*service]int{}
	for _, w := range c.workers {
		for r := w.runs.head; r != nil; r = r.home.next {
			running[r.svc]++
		}
	}
	all := make([]ServiceInfo, 0, len(c.services))
	for _, s := range c.services {
		info := ServiceInfo{Name: s.name, Queued: s.queuedRequests(), Workers: s.live, Running: running[s], Paused: s.paused}
		for _, l := range []*list[*request]{&s.lone, &s.queue[0], &s.queue[1], &s.queue[2]} {
			if l.head != nil {
				info.Oldest = max(info.Oldest, now-l.head.accepted)
			}
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b ServiceInfo) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// open lists the open requests in the order of their ids.
func (c *Core) open() []*request {
	all := make([]*request, 0, len(c.requests))
	for _, r := range c.requests {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *request) int { return slices.Compare(a.id[:], b.id[:]) })
	return all
}
