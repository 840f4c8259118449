package broker

import (
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// A recorder keeps the newest steps in the lives of requests, for whoever asks
// why one is not done. It is a ring: adding costs a copy, and looking is a walk.
type recorder struct {
	steps []step
	next  int
	full  bool

	failures []failure // the newest, a ring as well
	failed   int
}

// A step is one thing that happened to a request.
type step struct {
	at      time.Duration
	id      protocol.ID
	what    core.What
	service string
	worker  uint64
	attempt uint32
	code    protocol.Code
	behind  int
	took    time.Duration
	reason  string
}

// A failure is a request that ended without OK.
type failure struct {
	at              time.Duration
	id              protocol.ID
	service, reason string
	code            protocol.Code
}

const failuresMax = 100

func newRecorder(stepsMax int) *recorder {
	return &recorder{steps: make([]step, stepsMax), failures: make([]failure, 0, failuresMax)}
}

// add notes e, if it is about a request.
func (r *recorder) add(now time.Duration, e *core.Event) {
	if e.ID.IsZero() || len(r.steps) == 0 {
		return
	}
	r.steps[r.next] = step{at: now, id: e.ID, what: e.What, service: e.Service, worker: e.Worker, attempt: e.Attempt,
		code: e.Code, behind: e.Behind, took: e.Took, reason: e.Reason}
	if r.next++; r.next == len(r.steps) {
		r.next, r.full = 0, true
	}
	if e.Code == protocol.OK || e.What != core.EventFinished && e.What != core.EventRefused {
		return
	}
	f := failure{at: now, id: e.ID, service: e.Service, reason: e.Reason, code: e.Code}
	if len(r.failures) < failuresMax {
		r.failures = append(r.failures, f)
	} else {
		r.failures[r.failed%failuresMax] = f
	}
	r.failed++
}

// of lists the steps of one request, oldest first.
func (r *recorder) of(id protocol.ID) (list []step) {
	look := func(part []step) {
		for i := range part {
			if part[i].id == id {
				list = append(list, part[i])
			}
		}
	}
	if r.full {
		look(r.steps[r.next:])
	}
	look(r.steps[:r.next])
	return list
}

// newest lists the failures, newest first.
func (r *recorder) newest() []failure {
	list := make([]failure, 0, len(r.failures))
	for i := range r.failures {
		list = append(list, r.failures[(r.failed-1-i)%len(r.failures)])
	}
	return list
}

// text is the step in words.
func (s *step) text() string {
	w, n := "worker "+workerName(s.worker), "attempt "+strconv.Itoa(int(s.attempt))
	because := ""
	if s.reason != "" {
		because = ": " + s.reason
	}
	switch s.what {
	case core.EventAccepted:
		if s.behind > 0 {
			return "accepted, queued behind " + strconv.Itoa(s.behind)
		}
		return "accepted"
	case core.EventHandedOut:
		return "handed to " + w + " as " + n + ", " + span(s.took) + " after it was accepted"
	case core.EventStarted:
		return n + " runs at " + w
	case core.EventRequeued:
		if s.worker != 0 && s.reason == "worker lost" {
			return w + " was lost with " + n + "; queued again"
		}
		return n + " taken back" + because + "; queued again"
	case core.EventFinished:
		return "ended as " + s.code.String() + " after " + span(s.took) + because
	case core.EventReplayed:
		return "asked for again: its outcome was repeated"
	case core.EventJoined:
		return "asked for again while it was open"
	case core.EventRefused:
		return "not taken: " + s.code.String() + because
	case core.EventAdopted:
		return w + " holds it as " + n + ", from before this broker's start or a broken link"
	case core.EventKept:
		return w + " has finished it and keeps the reply"
	case core.EventRescued:
		return "a late reply of " + w + " was used"
	case core.EventDeadLetter:
		return "put aside as a dead letter" + because
	case core.EventRerun:
		return n + " is told that an earlier one may have run"
	}
	if s, ok := dropTexts[s.what]; ok {
		return s
	}
	return string(s.what) + because
}

// dropTexts are what a drop means for its request.
var dropTexts = map[core.What]string{
	core.DropClientGone:     "its client was not connected when the answer was sent",
	core.DropLateReply:      "a reply came too late, or of an attempt that no longer counts",
	core.DropUnlisted:       "a hand-over never reached its worker",
	core.DropWorkerGone:     "a message about it could not be sent: the worker is not connected",
	core.DropWorkerFull:     "a message about it could not be sent: the worker does not read",
	core.DropStaleTry:       "a try came that a later one had overtaken",
	core.DropCancelledTry:   "a try came that its own cancel had overtaken",
	core.DropForeignCancel:  "a cancel came of a client that does not own it",
	core.DropReplayBody:     "its reply is no longer kept, to make room",
	core.DropSilent:         "its client's dialect has no errors: it was told nothing",
	core.DropStaleCredit:    "a credit came for parts that no worker makes now",
	core.DropUnknownRequest: "a worker spoke of it, and it was never asked for",
}

// span is a time as people read it.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
