package broker

import (
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// A recorder keeps the newest steps in the lives of requests, for whoever asks
// why one is not done, and the whole stories of those that failed. The steps are a
// ring: adding costs a copy. Those whose ids have one hash are chained, newest first.
type recorder struct {
	steps []step
	count uint64   // steps so far; number n, from 1, stands at n-1 modulo the ring
	heads []uint64 // by hash: the number of the newest step; 0: none
	seed  maphash.Seed
	tell  []step // of the story that is being kept

	stories stories
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
	prev    uint64 // the step before it in its chain
}

// storyWalk bounds what is looked at when a story is kept.
const storyWalk = 64

func newRecorder(stepsMax int) *recorder {
	heads := 1
	for heads < stepsMax && heads < 1<<16 {
		heads *= 2
	}
	return &recorder{steps: make([]step, stepsMax), heads: make([]uint64, heads), seed: maphash.MakeSeed()}
}

// add notes e, if it is about a request.
func (r *recorder) add(now time.Duration, e *core.Event) {
	if e.ID.IsZero() || len(r.steps) == 0 {
		return
	}
	head := r.head(e.ID)
	r.count++
	r.steps[(r.count-1)%uint64(len(r.steps))] = step{at: now, id: e.ID, what: e.What, service: e.Service, worker: e.Worker, attempt: e.Attempt,
		code: e.Code, behind: e.Behind, took: e.Took, reason: e.Reason, prev: *head}
	*head = r.count
	switch {
	case e.What == core.EventDeadLetter && e.Code != protocol.CodeNone:
		r.stories.dying = e.ID
	case e.What == core.DropDeadLetter:
		r.stories.buried(e.ID)
	case endsStory(e):
		r.keep(now, e)
	}
}

func (r *recorder) head(id protocol.ID) *uint64 {
	return &r.heads[maphash.Bytes(r.seed, id[:])&uint64(len(r.heads)-1)]
}

// keep keeps the story that e ends: its first step, as far as it can be found, and
// the newest.
func (r *recorder) keep(now time.Duration, e *core.Event) {
	list := r.walk(r.tell[:0], e.ID, 0, storyWalk)
	r.tell = list
	if len(list) > storySteps {
		list = append(list[:1], list[len(list)-storySteps+1:]...)
	}
	st := story{at: now, id: e.ID, service: e.Service, reason: e.Reason, code: e.Code, steps: list, last: r.count}
	for i := range list {
		if st.service == "" {
			st.service = list[i].service
		}
	}
	r.stories.add(st)
}

// walk appends the steps of one request with a number above after, oldest first. It
// looks at so many at most; 0: at all.
func (r *recorder) walk(list []step, id protocol.ID, after uint64, most int) []step {
	oldest := uint64(1)
	if size := uint64(len(r.steps)); r.count > size {
		oldest = r.count - size + 1
	}
	begin := len(list)
	for n, looked := *r.head(id), 0; n >= max(oldest, after+1); looked++ {
		if most > 0 && looked == most {
			break
		}
		s := &r.steps[(n-1)%uint64(len(r.steps))]
		if s.id == id {
			list = append(list, *s)
		}
		n = s.prev
	}
	slices.Reverse(list[begin:])
	return list
}

// of lists the steps of one request, oldest first: those of the ring, and before
// them what is kept of its story.
func (r *recorder) of(id protocol.ID) []step {
	ring := r.walk(nil, id, 0, 0)
	st, ok := r.stories.of(id)
	if !ok || len(ring) > 0 && ring[0].at <= st.steps[0].at {
		return ring
	}
	return r.walk(slices.Clone(st.steps), id, st.last, 0)
}

// buried: a dead letter was queued again or dropped.
func (r *recorder) buried(id protocol.ID) {
	if r != nil {
		r.stories.buried(id)
	}
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
	case core.EventForgotten:
		return "forgotten" + because + "; who asks again begins anew"
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
	case core.EventDeadLetter: // and DropDeadLetter
		if s.code == protocol.CodeNone {
			return "no longer kept as a dead letter, to make room for a newer one"
		}
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
