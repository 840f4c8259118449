package client

import (
	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/protocol"
)

// Hooks are told what a Client or Pipeline goes through, for metrics and logs;
// nil fields are not called. broker is the endpoint, of Config.Brokers.
//
// They are called by whoever moves the messages just then, which may be any
// goroutine that has called the Client or Pipeline: they must return at once, must
// not call the Client or Pipeline, which would wait for ever, and must not lock
// what a caller of it holds. They are not called at the same time as each other.
// One that panics ends the process.
type Hooks struct {
	// Connect: a socket has been connected to a broker, first or again. A Client
	// has many sockets; one that it gives up itself is not told as a Disconnect.
	Connect func(broker string)
	// Disconnect: a socket's connection has ended. What was on its way is asked
	// again; the socket connects again by itself.
	Disconnect func(broker string)
	// Restart: a broker has another epoch than before. It was restarted.
	Restart func(broker string)
	// Retry: a request leaves this process again, under the same id, as try
	// number 2 or later. why is one of the Why constants.
	Retry func(id protocol.ID, try int, broker, why string)
	// Accepted: a broker has said that it has a request of a Pipeline's, and who
	// serves it. It says so at once where nobody does, again with each try, and
	// else only of what takes a while; older brokers never do.
	Accepted func(a Accepted)
	// Outcome: a request has ended. What is refused before it is on its way
	// is not told: a field out of its bounds, no place among MaxInFlight, a
	// context that had ended. Nor is Ping.
	Outcome func(o Outcome)
}

// Why a request is sent again, in Hooks.Retry.
const (
	WhySilence = "no answer"       // within its Timeout, or for ten seconds
	WhyCut     = "connection lost" // and the answer may have been lost with it
	WhyRefused = "refused"         // OVERLOADED, DRAINING or NO_SERVICE
)

// An Accepted is what a broker says of a request that waits there, in Hooks.Accepted.
type Accepted struct {
	ID      protocol.ID
	Service string
	Broker  string
	Workers int    // live workers of the service
	Nearest string // where there are none: the served name that is most like it; "" if none is
}

// An Outcome is how a request has ended, in Hooks.Outcome.
type Outcome struct {
	ID        protocol.ID
	Service   string
	Code      protocol.Code
	Certainty protocol.Certainty // ran, if Code is OK
	Attempt   int                // the attempt that answered, from 1; 0 if none
	Tries     int                // sendings that left this process
	Broker    string             // endpoint that answered, or was asked last; "" if none
}

// hookLink tells that k was connected, or no longer is.
func (l *loop) hookLink(k *openLink, connected bool) {
	h := l.cfg.Hooks.Disconnect
	if connected {
		h = l.cfg.Hooks.Connect
	}
	if h != nil {
		h(l.cfg.Brokers[k.broker])
	}
}

// hookEvent takes note of why the next try follows, and tells of a restart.
func (l *loop) hookEvent(o *clientcore.Output) {
	why := WhySilence
	switch o.Event {
	case clientcore.EpochChanged:
		if h := l.cfg.Hooks.Restart; h != nil {
			h(l.cfg.Brokers[o.Broker])
		}
		return
	case clientcore.Accepted:
		l.hookAccepted(o)
		return
	case clientcore.TryCut:
		why = WhyCut
	case clientcore.TryRefused:
		why = WhyRefused
	case clientcore.TryTimedOut:
	default:
		return
	}
	if c := l.open[o.Key]; c != nil {
		c.why = why
	}
}

// hookSent tells of o, which has left, if it is another try.
func (l *loop) hookSent(o *clientcore.Output) {
	h := l.cfg.Hooks.Retry
	if h == nil || o.Message.Command != protocol.Request || o.Try < 2 {
		return
	}
	why := WhySilence
	if c := l.open[o.Key]; c != nil && c.why != "" {
		why, c.why = c.why, ""
	}
	h(o.ID, int(o.Try), l.cfg.Brokers[o.Broker], why)
}

func (l *loop) hookAccepted(o *clientcore.Output) {
	if c, h := l.open[o.Key], l.cfg.Hooks.Accepted; c != nil && h != nil {
		h(Accepted{ID: o.ID, Service: c.spec.Service, Broker: l.cfg.Brokers[o.Broker],
			Workers: int(o.Served.Workers), Nearest: string(o.Served.Nearest)})
	}
}

func (l *loop) hookOutcome(c *Call, o *clientcore.Outcome, broker string) {
	if h := l.cfg.Hooks.Outcome; h != nil && !c.spec.PingOnly {
		h(Outcome{ID: o.ID, Service: c.spec.Service, Code: o.Code, Certainty: o.Certainty,
			Attempt: int(o.Attempt), Tries: int(o.Tries), Broker: broker})
	}
}
