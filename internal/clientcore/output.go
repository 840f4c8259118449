package clientcore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A LinkID names a link that the machine asked to be opened. Never reused.
type LinkID uint64

// A Kind says what an Output asks for.
type Kind uint8

// The kinds of Output.
const (
	Open     Kind = iota + 1 // open Link to Broker
	Close                    // close Link; nothing more is read from it
	Send                     // if it is Wanted still: send Message on Link, and say with Sent what became of it
	Part                     // Part: a part of the reply to Key
	Complete                 // Outcome: the call is over
	Drop                     // Reason: a message was of no use; count it
	Event                    // Event: worth a line in the log
)

// An EventKind says what happened.
type EventKind uint8

// The events.
const (
	TryTimedOut  EventKind = iota + 1 // a try ended in silence
	TryCut                            // a disconnect ended a try
	TryRefused                        // OVERLOADED, DRAINING, NO_SERVICE
	Unanswered                        // a PING ended in silence
	EpochChanged                      // the broker was restarted
	LinkReset                         // a DEALER's link was silent: a fresh one
	Paused                            // this process stood still for Gap
	Accepted                          // a broker has the request, and Served is what it tells of its service
)

func (e EventKind) String() string {
	return [...]string{"none", "try timed out", "try cut", "try refused", "ping unanswered",
		"broker restarted", "link reset", "paused", "accepted"}[e]
}

// A Reason says why a message was dropped.
type Reason uint8

// The reasons.
const (
	Stale       Reason = iota + 1 // its call is over
	Foreign                       // another request's or another client's
	NeverSent                     // answers a try that never went to this broker
	Unasked                       // a PONG or ACCEPTED that nobody waits for
	Malformed                     // could not be parsed
	LinkClosed                    // its link was closed
	NotAnswered                   // a CANCEL went unanswered
	CancelsFull                   // too many CANCELs under way: this one was not sent
	Repeated                      // a part that has come before
	Gap                           // a part before which another is missing
	ReasonsEnd
)

func (r Reason) String() string {
	return [...]string{"none", "stale", "foreign", "never sent", "unasked", "malformed",
		"link closed", "cancel unanswered", "cancels full", "repeated part", "part after a gap"}[r]
}

// An Output is one thing to do. Fields that its kind does not name are zero;
// Key and ID name the call where there is one.
type Output struct {
	Kind    Kind
	Link    LinkID
	Broker  int
	Message *protocol.Message // Send
	Outcome *Outcome          // Complete
	Part    *PartOf           // Part
	Reason  Reason            // Drop
	Event   EventKind         // Event
	Key     uint64
	ID      protocol.ID
	Try     uint32
	Gap     time.Duration    // Paused
	Served  *protocol.Served // Accepted; it is the message's

	ask *ask   // Send
	gen uint64 // of ask
}
