package broker

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
)

// Stats are a broker's counters and gauges at one moment.
type Stats struct {
	Epoch    uint64        // drawn at this start; never 0
	Uptime   time.Duration // since Run began
	Counters Counters      // since then
	Gauges   Gauges
	Services []ServiceInfo     // by name
	Drops    map[string]uint64 // messages not used or not delivered, by reason
}

// Counters only ever grow.
type Counters struct {
	Asked           uint64     // requests as clients sent them, each try of each
	Accepted        uint64     // that became requests here
	Joined          uint64     // that joined a request that was open already
	Replayed        uint64     // that got a finished reply again
	Cancels         uint64     // as clients sent them
	Requeued        uint64     // hand-overs that were taken back
	Retries         uint64     // asked for by handlers
	MaybeReruns     uint64     // hand-overs of what may have run before
	LostOnTheWay    uint64     // hand-overs that their worker never took
	LinkResets      uint64     // links with workers that began anew
	WorkersLost     uint64     // workers that were given up
	FalseSuspicions uint64     // workers that were given up, and then answered
	LateRepliesUsed uint64     // of those
	Adopted         uint64     // requests known from a worker's list
	Fetches         uint64     // kept replies asked for
	DeadLettered    uint64     // requests that were put aside
	Parts           uint64     // of replies, handed on
	Stops           uint64     // times this process stood still
	Outcomes        [16]uint64 // by protocol.Code
	Refused         [16]uint64 // by protocol.Code; not recorded under their ids
}

// Gauges are how things stand.
type Gauges struct {
	Open        int   // requests without an outcome
	Queued      int   // of them, those that wait
	Assigned    int   // of them, those that workers hold
	Workers     int   // registered
	Services    int   // names
	Served      int   // of them, those that workers serve
	IDs         int   // finished requests remembered
	DeadLetters int   // kept
	DeadBytes   int64 // that they take
	QueueBytes  int64 // that open requests take
	ReplayBytes int64 // that kept replies take
	Draining    bool
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

// Stats asks the loop how things stand. The caller owns what it returns. Error:
// ErrNotRunning.
func (b *Broker) Stats() (Stats, error) {
	var s Stats
	err := b.ask(func(l *loop) {
		s = Stats{Epoch: l.epoch, Uptime: l.now(), Counters: Counters(l.core.Counters()), Gauges: Gauges(l.core.Gauges()),
			Services: serviceInfos(l.core.Services(l.now())), Drops: map[string]uint64{}}
		for reason, n := range l.drops {
			s.Drops[string(reason)] = n
		}
	})
	return s, err
}

func serviceInfos(list []core.ServiceInfo) []ServiceInfo {
	all := make([]ServiceInfo, 0, len(list))
	for _, s := range list {
		all = append(all, ServiceInfo(s))
	}
	return all
}
