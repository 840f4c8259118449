package broker

import (
	"testing"
	"time"
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
