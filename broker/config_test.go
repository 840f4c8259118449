package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A worker that lives must have the time to notice a restart and to connect
// again, however seldom it is heard.
func TestRecoveryWindowFollowsHeartbeat(t *testing.T) {
	for _, test := range []struct {
		c    Config
		want time.Duration
	}{
		{Config{}, 8 * time.Second},
		{Config{Heartbeat: 100 * time.Millisecond}, 5300 * time.Millisecond},
		{Config{Heartbeat: 10 * time.Second}, 35 * time.Second},
		{Config{Heartbeat: 10 * time.Second, Liveness: 5}, 55 * time.Second},
		{Config{Heartbeat: 10 * time.Second, RecoveryWindow: time.Second}, time.Second},
	} {
		c := test.c.withDefaults()
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		if got := c.core(1).RecoveryWindow; got != test.want {
			t.Errorf("heartbeat %v, liveness %d: %v, want %v", c.Heartbeat, c.Liveness, got, test.want)
		}
	}
}

// A message of one frame more than links pass on is refused in every dialect: that
// is how the broker learns of what libzmq could not be kept from taking.
func TestTooManyFramesAreRefused(t *testing.T) {
	asked, _ := protocol.AppendPPP(nil, nil, &protocol.Message{Command: protocol.Request, ID: protocol.ID{1}, Number: 1, Epoch: 1})
	token := asked[0]
	prv1, _ := protocol.Append(nil, nil, &protocol.Origin{Envelope: [][]byte{{}}}, &protocol.Message{
		Command: protocol.Request, ID: protocol.ID{1}, Number: 1, Instance: 1, Service: []byte("echo")})
	for _, c := range []struct {
		name   string
		at     protocol.Port
		begins [][]byte
	}{
		{"plain", protocol.FrontPort, [][]byte{{}}},
		{"plain, correlated", protocol.FrontPort, [][]byte{make([]byte, 4), {}}},
		{"PRV1", protocol.FrontPort, prv1},
		{"MDP client", protocol.FrontPort, [][]byte{{}, []byte("MDPC01"), []byte("echo")}},
		{"MDP 0.2 client", protocol.FrontPort, [][]byte{[]byte("MDPC02"), {1}, []byte("echo")}},
		{"MDP worker", protocol.BackPort, [][]byte{{}, []byte("MDPW01"), {3}, token, {}}},
		{"MDP 0.2 worker", protocol.BackPort, [][]byte{[]byte("MDPW02"), {4}, token, {}}},
		{"PPP worker", protocol.BackPort, [][]byte{token, {}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m protocol.Message
			read := func(frames int) error {
				all := append(slices.Clone(c.begins), make([][]byte, frames-len(c.begins))...)
				_, err := protocol.Read(c.at, all, protocol.AllDialects, &m)
				return err
			}
			if err := read(1000); err != nil {
				t.Fatal(err)
			}
			if read(link.FramesMaxDefault+1) == nil {
				t.Fatalf("taken as %v with %d frames of body", m.Command, len(m.Body))
			}
		})
	}
}

// Times that no sum could hold are refused: such a window would be over at once.
func TestTimesHaveABound(t *testing.T) {
	const far = 1<<63 - 1
	for field, c := range map[string]Config{
		"Heartbeat": {Heartbeat: far}, "Lease": {Lease: far}, "DefaultDeadline": {DefaultDeadline: far}, "ReplayWindow": {ReplayWindow: far},
		"RecoveryWindow": {RecoveryWindow: far}, "DrainTimeout": {DrainTimeout: far},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "broker: Config."+field+" is 2562047h47m16.854775807s") {
			t.Errorf("%s: %v", field, err)
		}
	}
	longest := 49 * 24 * time.Hour
	if _, err := New(Config{Lease: longest, DefaultDeadline: longest, ReplayWindow: longest, RecoveryWindow: longest, DrainTimeout: longest}); err != nil {
		t.Error(err)
	}
}
