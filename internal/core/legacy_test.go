package core

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A request that its worker's dialect has no form for ends once, as certain as it
// was before; its worker is free for the next.
func TestUnfit(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // another worker was lost with it
		want   protocol.Certainty
	}{{"at once", false, protocol.NotStarted}, {"after another worker", true, protocol.MaybeStarted}} {
		t.Run(test.name, func(t *testing.T) {
			c := New(testConfig(), 0)
			first, last := Peer{ID: []byte("first"), Port: protocol.BackPort, Dialect: protocol.PPP}, Peer{ID: []byte("last"), Port: protocol.BackPort, Dialect: protocol.PPP}
			ready := &protocol.Message{Command: protocol.Ready, Credit: 1, Flags: protocol.Last}
			handed := func(out []Output) (list []Output) {
				for _, o := range out {
					if o.Kind == Send && o.Msg.Command == protocol.Request {
						list = append(list, o)
					}
				}
				return list
			}
			ask := func(id byte) []Output {
				return handed(c.Client(0, Peer{ID: []byte("c")}, &protocol.Message{Command: protocol.Request, ID: protocol.ID{id}, Number: 1,
					Instance: 7, RemainingMS: 9000, Service: []byte(c.cfg.DefaultService)}, nil))
			}
			now := time.Duration(0)
			if test.before {
				c.Worker(now, first, ready, nil)
			}
			got := ask(1)
			if test.before {
				if len(got) != 1 {
					t.Fatalf("handed out %d times", len(got))
				}
				c.Worker(now, first, ready, nil) // it has started anew, and holds nothing: the request was lost
				c.Worker(now, first, &protocol.Message{Command: protocol.Disconnect}, nil)
			}
			got = handed(c.Worker(now, last, ready, nil))
			if len(got) != 1 {
				t.Fatalf("handed out %d times", len(got))
			}
			stale := got[0].Msg
			stale.Number++
			if out := c.Unfit(now, got[0].To, &stale, "of another attempt", nil); len(out) > 0 {
				t.Fatalf("an attempt that is not under way came to %+v", out)
			}
			out := c.Unfit(now, got[0].To, &got[0].Msg, "no form", nil)
			answers := 0
			for _, o := range out {
				if o.Kind == Send && o.Side == Front {
					answers++
					if o.Msg.Code != protocol.Invalid || o.Msg.Flags.Certainty() != test.want || o.Msg.Meta.Get(protocol.MetaErrorText) != "no form" {
						t.Errorf("%v %v %q", o.Msg.Code, o.Msg.Flags.Certainty(), o.Msg.Meta.Get(protocol.MetaErrorText))
					}
				}
			}
			if answers != 1 || len(handed(out)) > 0 || c.Gauges().Open != 0 {
				t.Errorf("%d answers, %d hand-overs, %d open", answers, len(handed(out)), c.Gauges().Open)
			}
			if again := c.Unfit(now, got[0].To, &got[0].Msg, "twice", nil); len(again) > 0 {
				t.Errorf("once more: %+v", again)
			}
			if n := len(ask(2)); n != 1 {
				t.Errorf("the next request was handed out %d times", n)
			}
			if err := c.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
