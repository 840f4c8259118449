package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// flyingMax bounds the bytes of the parts of one reply that are on their way,
// beside the client's grant. One part goes in any case.
const flyingMax = 4 << 20

// A stream is a reply that its handler makes in parts. Where the client takes
// parts, each is kept until it says that it has come, and the end waits for all
// of them; else they are put before the end.
type stream struct {
	run   uint64     // 0: the parts are joined
	grant uint32     // parts that may be sent
	base  uint32     // parts that have come
	sent  uint32     // parts sent on this link
	taken uint32     // parts that the handler was told of
	kept  [][][]byte // from base + 1 on; joined: all
	bytes int64      // of kept
	held  *Result    // the handler's result, while parts have not come

	heardAt time.Duration // last CREDIT, or its start
}

// made is the number of the newest part.
func (st *stream) made() uint32 { return st.base + uint32(len(st.kept)) }

// flying is the size of what is on its way.
func (st *stream) flying() (n int64) {
	for _, p := range st.kept[:st.sent-st.base] {
		n += frameBytes(p)
	}
	return n
}

// waits reports whether the handler, or its result, waits for the client.
func (st *stream) waits() bool {
	return st != nil && st.run != 0 && (st.held != nil || st.made() > st.sent)
}

// held reports whether e's handler has returned and its result is kept back.
func (e *entry) held() bool { return e.stream != nil && e.stream.held != nil }

func frameBytes(frames [][]byte) (n int64) {
	for _, f := range frames {
		n += int64(len(f))
	}
	return n
}

// openStream prepares e, which starts now, for a reply in parts.
func (s *Session) openStream(e *entry) {
	if e.flags.Has(protocol.Partial) {
		e.stream = &stream{run: s.random | 1, grant: e.grant, heardAt: e.movedAt}
	}
}

// Part takes one part of the reply that id's handler makes. PartTaken follows
// when there is room for another, or PartRefused at once. A handler has at most
// one part under way. Nothing follows if its context is over.
func (s *Session) Part(now time.Duration, id protocol.ID, frames [][]byte, out []Output) []Output {
	e := s.entries[id]
	if e == nil || e.in != &s.running || e.answered || e.held() {
		return out
	}
	if e.stream == nil {
		e.stream = &stream{}
	}
	st := e.stream
	whole := Result{Frames: frames}
	if st.run == 0 {
		whole.Frames = append(st.joined(), frames...)
	}
	if why := s.tooLarge(&whole); why != "" {
		return append(out, Output{Kind: PartRefused, Fence: e.Fence, Text: why})
	}
	st.kept = append(st.kept, frames)
	st.bytes += frameBytes(frames)
	if st.run == 0 {
		out = append(out, Output{Kind: PartTaken, Fence: e.Fence})
	}
	sent := st.sent
	if out = s.sendParts(e, out); st.sent == sent { // nothing shows that it gets on
		return s.Progress(now, id, out)
	}
	e.movedAt = now
	return out
}

// joined is all parts as one.
func (st *stream) joined() (frames [][]byte) {
	for _, p := range st.kept {
		frames = append(frames, p...)
	}
	return frames
}

// sendParts sends what may be sent.
func (s *Session) sendParts(e *entry, out []Output) []Output {
	st := e.stream
	if s.phase != joined || st.run == 0 {
		return out
	}
	for st.sent < st.made() && st.sent < st.grant && (st.sent == st.base || st.flying() < flyingMax) {
		st.sent++
		out = s.send(protocol.Message{
			Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Partial, ID: e.ID, Number: e.Attempt, Epoch: e.Epoch,
			Stream: protocol.Stream{Run: st.run, Part: st.sent}, Body: st.kept[st.sent-st.base-1],
		}, out)
		if st.sent > st.taken {
			st.taken = st.sent
			out = append(out, Output{Kind: PartTaken, Fence: e.Fence})
		}
	}
	return out
}

// sendAllParts sends what may be sent of every reply under way. A reply whose
// client has been silent for the retention time keeps no handler any longer.
func (s *Session) sendAllParts(now time.Duration, out []Output) []Output {
	for e := s.running.first; e != nil; {
		next := e.next
		switch {
		case e.stream == nil || e.answered:
		case e.stream.waits() && now-e.stream.heardAt > s.retention:
			r := Result{Code: protocol.Retry, Meta: protocol.ErrorMeta("its client takes no parts any longer")}
			out = s.giveUp(now, e, r, 0, CauseNoCredit, out)
		default:
			out = s.sendParts(e, out)
		}
		e = next
	}
	return out
}

// dropLargeParts ends the runs with a part that was made for a broker which took
// more than this one. Nothing of such a reply can come to its end.
func (s *Session) dropLargeParts(now time.Duration, out []Output) []Output {
	for e := s.running.first; e != nil; {
		next := e.next
		if st := e.stream; st != nil && st.run != 0 && !e.answered {
			for _, p := range st.kept {
				if why := s.tooLarge(&Result{Frames: p}); why != "" {
					out = append(out, Output{Kind: Report, Event: Unanswerable, Fence: e.Fence, Text: why})
					out = s.giveUp(now, e, Result{Code: protocol.Failed, Meta: protocol.ErrorMeta("a part of its " + why)}, 0, CauseTooLarge, out)
					break
				}
			}
		}
		e = next
	}
	return out
}

// giveUp ends a run whose parts nobody takes, or can take.
func (s *Session) giveUp(now time.Duration, e *entry, r Result, flags protocol.Flags, why Cause, out []Output) []Output {
	if e.held() {
		return s.answer(now, e, r, flags, out)
	}
	return s.abandon(now, e, r, flags, why, out)
}

// partsAgain lets the parts that have not come be sent again.
func (s *Session) partsAgain() {
	for e := s.running.first; e != nil; e = e.next {
		if e.stream != nil {
			e.stream.sent = e.stream.base
		}
	}
}

// credit takes a client's CREDIT: what has come of a reply, and what may be
// sent. One that asks again for another run has, or keeps, nothing of this one.
func (s *Session) credit(now time.Duration, m *protocol.Message, out []Output) []Output {
	e, again, come := s.entries[m.ID], m.Flags.Has(protocol.MaybeSent), m.Stream
	if e != nil && e.stream != nil && again && come.Run != e.stream.run { // nothing has come of this one
		come = protocol.Stream{Run: e.stream.run}
	}
	if e == nil || e.in != &s.running || e.answered || e.stream == nil || come.Run != e.stream.run || come.Part > e.stream.made() {
		return append(out, drop(DropUnknownCredit))
	}
	st := e.stream
	st.heardAt = now
	if again && come.Part < st.base { // they are no longer kept
		return s.giveUp(now, e, Result{Code: protocol.HandedBack}, protocol.Started, CauseRestart, out)
	}
	if n := come.Part - min(st.base, come.Part); n > 0 {
		for _, p := range st.kept[:n] {
			st.bytes -= frameBytes(p)
		}
		clear(st.kept[:n])
		st.kept = st.kept[n:]
		st.base += n
		st.sent = max(st.sent, st.base)
		st.taken = max(st.taken, st.base)
	}
	st.grant = max(st.grant, come.Grant)
	if again {
		st.sent = st.base
	}
	out = s.sendParts(e, out)
	if e.held() && len(st.kept) == 0 {
		return s.answer(now, e, *st.held, 0, out)
	}
	return out
}

// finishStream settles what r, the result of e's handler, means for the parts
// before it. It reports whether r must wait for the client, and what to say beside it.
func (s *Session) finishStream(e *entry, r *Result) (wait bool, flags protocol.Flags) {
	st := e.stream
	switch {
	case st == nil || r.Code != protocol.OK || len(st.kept) == 0:
		return false, 0
	case st.run == 0:
		r.Frames = append(st.joined(), r.Frames...)
		return false, 0
	case e.cancelled: // nobody takes them, and the end is worth nothing without
		*r = Result{Code: protocol.HandedBack}
		return false, protocol.Started
	}
	return true, 0
}
