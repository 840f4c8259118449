package sim

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// How late a broker may take a request for what it is (G8). It knows no wall
// clock: a message of a client is as old as it was longer on its way than another
// of the same client. Of the first one, and of those that came in a stop too
// short to be noticed, it can know less.

// sights are what a broker has read of one client instance.
type sights struct {
	newest, transit time.Duration // when the latest was sent, and how long it was on its way
	recent          []sight       // in the order of sending, of the last seconds
}

// A sight is one message: by the two clocks, which may jump.
type sight struct{ read, transit time.Duration }

// aWhile is how far back a broker looks at least.
const aWhile = 5*time.Second - slack

type sightKey struct{ epoch, instance uint64 }

// brokerTurns: the broker stood still, and knows of so much.
func (o *oracle) brokerTurns(stood, told time.Duration) {
	if stood > 0 {
		o.woke, o.unnoticed = o.w.now, max(stood-told, 0)
	}
}

// ownDeadline is when the deadline of the REQUEST m in p is over, as far as b can
// know.
func (o *oracle) ownDeadline(b *broker, p *packet, m *protocol.Message) time.Duration {
	now, left := o.w.now, time.Duration(m.RemainingMS)*time.Millisecond
	key := sightKey{b.epoch, m.Instance}
	s := o.sights[key]
	apparent := time.Duration(int32(uint32(b.clock()/time.Millisecond)-m.SentMS)) * time.Millisecond
	if s == nil {
		o.sights[key] = &sights{newest: p.sent, transit: now - p.sent, recent: []sight{{now, apparent}}}
		own := p.came + left
		if p.came < o.woke {
			own += min(o.unnoticed, o.woke-p.came)
		}
		return own
	}
	if p.sent < s.newest { // a later one has overtaken it
		return p.sent + left + s.transit
	}
	s.newest, s.transit = p.sent, now-p.sent
	s.recent = append(s.recent, sight{now, apparent})
	least := apparent
	for _, r := range s.recent {
		if r.read >= now-aWhile {
			least = min(least, r.transit)
		}
	}
	for s.recent[0].read < now-aWhile {
		s.recent = s.recent[1:]
	}
	return now + left - (apparent - least)
}
