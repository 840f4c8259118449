package workercore

import (
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Waiting returns since when the oldest request waits for a free handler; ok
// is false when none may be started now. Without a link nothing is started:
// the broker may have given it to another worker by then.
func (s *Session) Waiting() (since time.Duration, ok bool) {
	if s.phase != joined || s.waiting.n == 0 {
		return 0, false
	}
	return s.waiting.first.takenAt, true
}

// StartNext starts the oldest waiting request, if Waiting says that there is
// one. It may come out that its deadline has passed: then it is answered so,
// and the handler is still free. Or that this process stood still since Turn:
// then all that waits has to wait for a round trip, as after any pause.
func (s *Session) StartNext(now time.Duration, out []Output) []Output {
	if _, ok := s.Waiting(); !ok {
		return out
	}
	if gap := now - s.lastTurn; gap > s.heartbeat { // it stood still within this turn
		s.lastTurn = now
		s.pausedFor(now, gap)
		return append(out, Output{Kind: Report, Event: Paused, For: gap})
	}
	e := s.waiting.first
	if now >= e.deadline {
		s.remove(e)
		return s.decline(e.Fence, protocol.Expired, out)
	}
	due := never
	if s.cfg.TaskTimeout > 0 {
		due = now + s.cfg.TaskTimeout
	}
	e.slot, e.movedAt, e.runEnds = true, now, e.deadline
	s.active++
	s.move(e, &s.running, due)
	if s.started == len(s.starts) {
		s.starts = append(s.starts, &Run{})
	}
	x := s.starts[s.started]
	s.started++
	*x = Run{
		Fence: e.Fence, Service: e.service, Frames: e.body, Meta: e.meta,
		MaybeRerun: e.flags.Has(protocol.MaybeRerun), Deadline: e.deadline,
		Waited: e.waited + now - e.takenAt,
	}
	out = append(out, Output{Kind: Start, Fence: e.Fence, Run: x})
	e.body, e.meta = nil, nil
	s.openStream(e)
	s.tellAt = min(s.tellAt, now+progressAfter)
	return out
}

// progressAfter is how long a handler runs before the broker is told that it was
// started. Most are over by then, and their reply says it.
const progressAfter = 20 * time.Millisecond

// tellStarted tells the broker of those that have run that long.
func (s *Session) tellStarted(now time.Duration, out []Output) []Output {
	s.tellAt = never
	for e := s.running.first; e != nil; e = e.next {
		switch due := e.movedAt + progressAfter; {
		case e.toldAt != 0 || e.answered || e.held():
		case now >= due:
			out = s.sendProgress(now, e, out)
		default:
			s.tellAt = min(s.tellAt, due)
		}
	}
	return out
}

// Progress says that the handler of id gets on. The broker is told at once,
// but not more often than four times a heartbeat; heartbeats repeat it.
func (s *Session) Progress(now time.Duration, id protocol.ID, out []Output) []Output {
	e := s.entries[id]
	if e == nil || e.in != &s.running || e.answered {
		return out
	}
	e.movedAt = now
	if now-e.toldAt < s.heartbeat/4 {
		return out
	}
	return s.sendProgress(now, e, out)
}

func (s *Session) sendProgress(now time.Duration, e *entry, out []Output) []Output {
	if s.phase != joined {
		return out
	}
	e.toldAt = now
	return s.send(protocol.Message{Command: protocol.Progress, ID: e.ID, Number: e.Attempt, Epoch: e.Epoch}, out)
}

// A Result is what became of a handler.
type Result struct {
	Code    protocol.Code // OK, Failed, Retry or HandedBack
	Expired bool          // its context had ended at the request's deadline
	Hold    time.Duration // HandedBack: nothing is to be taken for so long
	Meta    protocol.Meta
	Frames  [][]byte
}

// Finished says that the handler of id has returned.
func (s *Session) Finished(now time.Duration, id protocol.ID, r Result, out []Output) []Output {
	e := s.entries[id]
	if e == nil || !e.slot {
		return out
	}
	before := s.Credit()
	if s.remembers(e) {
		s.unlisted--
	}
	e.slot = false
	if e.answered {
		s.stuck--
		out = append(out, Output{Kind: Report, Event: ReturnedLate, Fence: e.Fence})
		if e.in == &s.running {
			s.remove(e)
		} else {
			s.rest(e)
		}
		return s.credited(now, before, out)
	}
	wait, flags := s.finishStream(e, &r)
	if why := s.fit(&r); why != "" {
		out = append(out, Output{Kind: Report, Event: Unanswerable, Fence: e.Fence, Text: why})
	}
	if wait && r.Code == protocol.OK {
		held := r
		e.stream.held = &held
		s.schedule(e, s.unacknowledgedUntil(now, e))
		return out
	}
	if r.Code != protocol.OK && (r.Expired || e.expired || now >= e.runEnds) {
		r.Code, flags = protocol.Expired, protocol.Started
	}
	return s.answer(now, e, r, flags, out)
}

// tooLarge says why the broker would not take r; "" if it would.
func (s *Session) tooLarge(r *Result) string {
	n := uint64(frameBytes(r.Frames))
	frames := min(uint64(s.limits.FramesMax), protocol.FramesMax)
	switch {
	case n > s.limits.MessageBytesMax:
		return "reply of " + utoa(n) + " bytes is over the broker's limit of " + utoa(s.limits.MessageBytesMax)
	case uint64(len(r.Frames)) > frames:
		return "reply of " + utoa(uint64(len(r.Frames))) + " frames is over the broker's limit of " + utoa(frames)
	case len(r.Meta) > protocol.MetaBytesMax:
		return "reply headers of " + utoa(uint64(len(r.Meta))) + " bytes are over the limit of " + utoa(protocol.MetaBytesMax)
	}
	return ""
}

// fit makes r one that the broker takes: a reply that it would not take is a
// failure, and an error is told without the rest. It says why it had to; "" if
// it had not.
func (s *Session) fit(r *Result) (why string) {
	switch why = s.tooLarge(r); {
	case why == "":
	case r.Code == protocol.OK:
		*r = Result{Code: protocol.Failed, Expired: r.Expired, Meta: protocol.ErrorMeta(why)}
	default:
		r.Frames, r.Meta = nil, r.Meta.ErrorOnly(" ["+why+"]")
	}
	return why
}

// refit is fit for a reply that was given before: this broker, or the one that
// has been restarted, may take less than the one it was made for.
func (s *Session) refit(e *entry, out []Output) []Output {
	r := Result{Code: e.code, Meta: e.replyMeta, Frames: e.reply}
	why := s.fit(&r)
	if why == "" {
		return out
	}
	if e.withdrawn && r.Code != protocol.OK {
		r = Result{Code: protocol.Gone}
	}
	e.code, e.replyMeta, e.reply, e.end = r.Code, r.Meta, r.Frames, protocol.Stream{}
	size := int64(len(r.Meta)) + frameBytes(r.Frames)
	if e.in == &s.kept { // it stays there, where the list is full
		s.keptBytes += size - e.bytes
	}
	e.bytes = size
	return append(out, Output{Kind: Report, Event: Unanswerable, Fence: e.Fence, Text: why})
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// answer gives e its reply, and keeps it until it is acknowledged.
func (s *Session) answer(now time.Duration, e *entry, r Result, flags protocol.Flags, out []Output) []Output {
	if e.withdrawn && r.Code != protocol.OK { // nobody wants it; a later broker must know that it ran
		r = Result{Code: protocol.Gone}
	}
	e.code, e.replyMeta, e.reply = r.Code, r.Meta, r.Frames
	e.replyFlags = flags.With(protocol.CtxCancelled, e.cancelled)
	e.bytes = int64(len(r.Meta)) + frameBytes(r.Frames)
	e.end = protocol.Stream{}
	if st := e.stream; st != nil && r.Code == protocol.OK && st.made() > 0 && st.run != 0 {
		e.end = protocol.Stream{Run: st.run, Part: st.made()}
	}
	e.stream = nil
	s.active--
	s.move(e, &s.finished, s.unacknowledgedUntil(now, e))
	out = append(out, Output{Kind: Report, Event: Answered, Fence: e.Fence, Code: e.code})
	return s.sendReply(e, out)
}

// unacknowledgedUntil is how long e's reply waits for its acknowledgement. By
// then every broker has given the request up.
func (s *Session) unacknowledgedUntil(now time.Duration, e *entry) time.Duration {
	return max(e.deadline+s.heartbeat, now+s.retention)
}

// sendReply sends e's reply, if there is a link; else WELCOME brings it.
func (s *Session) sendReply(e *entry, out []Output) []Output {
	if s.phase != joined {
		return out
	}
	s.markSent(e)
	out = s.refit(e, out)
	return s.send(protocol.Message{
		Command: protocol.Reply, Code: e.code, Flags: e.replyFlags,
		ID: e.ID, Number: e.Attempt, Epoch: e.Epoch, Meta: e.replyMeta, Body: e.reply, Stream: e.end,
	}, out)
}

// taskOver ends a run at the task time-out: the answer is given now, whether
// or not the handler listens. Until it returns it keeps its slot.
func (s *Session) taskOver(now time.Duration, e *entry, out []Output) []Output {
	out = append(out, Output{Kind: Report, Event: TaskOver, Fence: e.Fence})
	text := "ran longer than the task time-out of " + s.cfg.TaskTimeout.String()
	return s.abandon(now, e, Result{Code: protocol.Timeout, Meta: protocol.ErrorMeta(text)}, 0, CauseTaskTimeout, out)
}

// abandon answers a run whose handler has not returned, and tells it to stop.
func (s *Session) abandon(now time.Duration, e *entry, r Result, flags protocol.Flags, why Cause, out []Output) []Output {
	e.answered = true
	s.stuck++
	out = append(out, Output{Kind: CancelRun, Fence: e.Fence, Cause: why})
	return s.answer(now, e, r, flags, out)
}
