package brokertest

import (
	"strconv"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/broker"
)

// An Option changes what New starts.
type Option func(*Broker)

// WithConfig sets the broker's configuration. Its Frontends and Backends are
// not used: the endpoints are New's to choose. A Config that is out of bounds
// ends the test.
func WithConfig(cfg broker.Config) Option { return func(b *Broker) { b.cfg = cfg } }

// WithNetwork sets how well messages get to the broker and back.
func WithNetwork(n Network) Option { return func(b *Broker) { b.network = n } }

// A Network says how badly connections behave. The zero value is perfect.
//
// Loss, Dup and Cut are probabilities, 0 to 1, per message and direction. Their
// faults come from Seed: each client and worker draws its own, the same in every
// run in which all are made in the same order.
type Network struct {
	Seed  uint64
	Delay time.Duration // how long each message is under way; 0 to 1h
	Loss  float64       // the message vanishes
	Dup   float64       // the message arrives twice
	Cut   float64       // the connection breaks, with everything unread on it
}

// query is what the nth client or worker adds to the endpoint it connects to.
func (n Network) query(nth uint64) string {
	if n == (Network{}) {
		return ""
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return "?" + strings.Join([]string{"seed=" + strconv.FormatUint(n.Seed+nth, 10), "delay=" + n.Delay.String(),
		"loss=" + number(n.Loss), "dup=" + number(n.Dup), "cut=" + number(n.Cut)}, "&")
}
