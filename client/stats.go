package client

import (
	"maps"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/protocol"
)

// Stats are counters since New.
type Stats struct {
	Open        int                      // requests without an outcome yet
	Requests    uint64                   // taken, PINGs by Ping among them
	Outcomes    map[protocol.Code]uint64 // by code
	Tries       uint64                   // REQUESTs that left
	Parts       uint64                   // of replies in parts
	Pings       uint64                   // PINGs that left
	Cancels     uint64                   // CANCELs that left
	TimedOut    uint64                   // tries that ended in silence
	Cut         uint64                   // tries that a disconnect ended
	Refused     uint64                   // tries answered OVERLOADED, DRAINING or NO_SERVICE
	Disconnects uint64                   // connections that ended
	Links       uint64                   // sockets opened
	Restarts    uint64                   // times a broker came back with another epoch
	Pauses      uint64                   // times this process stood still
	Dropped     map[string]uint64        // messages of no use, by reason
}

func newStats() Stats {
	return Stats{Outcomes: map[protocol.Code]uint64{}, Dropped: map[string]uint64{}}
}

func (s *Stats) clone(open int) Stats {
	c := *s
	c.Open = open
	c.Outcomes, c.Dropped = maps.Clone(s.Outcomes), maps.Clone(s.Dropped)
	return c
}

func (s *Stats) ended(o *clientcore.Outcome) { s.Outcomes[o.Code]++ }

func (s *Stats) sent(c protocol.Command) {
	switch c {
	case protocol.Request:
		s.Tries++
	case protocol.Ping:
		s.Pings++
	case protocol.Cancel:
		s.Cancels++
	}
}

// event counts and logs what the state machine reports.
func (l *loop) event(o clientcore.Output) {
	l.hookEvent(&o)
	e := l.log.Debug()
	switch o.Event {
	case clientcore.TryTimedOut:
		l.stats.TimedOut++
	case clientcore.TryCut:
		l.stats.Cut++
	case clientcore.TryRefused:
		l.stats.Refused++
	case clientcore.EpochChanged:
		l.stats.Restarts++
		e = l.log.Info()
	case clientcore.Paused:
		l.stats.Pauses++
		e = l.log.Warn().Dur("gap", o.Gap)
	}
	if o.Broker >= 0 {
		e = e.Str("broker", l.cfg.Brokers[o.Broker])
	}
	if !o.ID.IsZero() {
		e = e.Stringer("request_id", o.ID).Uint32("try", o.Try)
	}
	e.Msg(o.Event.String())
}

func (l *loop) logOutcome(c *Call, o *clientcore.Outcome, broker string) {
	l.log.Debug().Stringer("request_id", o.ID).Str("service", c.spec.Service).Str("broker", broker).
		Stringer("code", o.Code).Stringer("certainty", o.Certainty).Uint32("tries", o.Tries).Msg("request ended without a reply")
}

// tell returns the counters: the loop's while it runs, its last ones after.
func (l *loop) tell() Stats {
	answer := make(chan Stats, 1)
	if l.post(command{kind: tellStats, stats: answer}) {
		return <-answer
	}
	<-l.done
	return l.stats.clone(0)
}
