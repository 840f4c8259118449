package protocol

import (
	"math/rand/v2"
	"strings"
)

// A sample is a valid message with its meaning. The samples are the source of
// the valid golden vectors and the seeds of the fuzz targets.
type sample struct {
	name, meaning string
	d             Direction
	m             Message
}

var (
	idA = ID{0x01, 0x90, 0xb5, 0xa2, 0x7c, 0x1e, 0x70, 0x00, 0x80, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}
	idB = ID{0x01, 0x90, 0xb5, 0xa2, 0x7c, 0x1f, 0x7a, 0xbc, 0x9d, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54}
)

const (
	epochA = 0x1122334455667788
	epochB = 0x99aabbccddeeff00
	client = 0xc1c2c3c4c5c6c7c8
	digest = 0xd1d2d3d4d5d6d7d8
	run    = 0xf1f2f3f4f5f6f7f8
)

func frames(s ...string) [][]byte {
	out := make([][]byte, len(s))
	for i := range s {
		out[i] = []byte(s[i])
	}
	return out
}

func samples() []sample {
	out := append(frontSamples(), replySamples()...)
	out = append(out, workerSamples()...)
	return append(out, brokerSamples()...)
}

func frontSamples() []sample {
	req := Message{Command: Request, ID: idA, Number: 1, RemainingMS: 30000, SentMS: 1000, Instance: client, InterestMS: 7500, Service: []byte("resize")}
	again := req
	again.Number, again.Epoch, again.Code = 3, epochA, PriorityHigh
	again.Flags = MaybeSent | AtMostOnce | NoWait | CanTakeMore | Finish
	again.Meta = Meta(nil).AppendHeader("tenant", "blue").Append(MetaTrace, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req2, again2, empty, over, low := req, again, req, req, req
	req2.Body, again2.Body, over.Body = frames("cat.png"), frames("a", "", "c"), frames("")
	over.RemainingMS, over.Service = 0, nil
	low.Code, low.Body = PriorityLow, frames("x")
	stream := req
	stream.Flags, stream.Stream, stream.Body = CanTakeMore|Partial, Stream{Grant: 16}, frames("cat.png")
	return []sample{
		{"ping", "is anybody there? 5,000 is the client's clock", FrontIn, Message{Command: Ping, Number: 1, SentMS: 5000, Instance: client}},
		{"request", "first try of a request to service resize, 30 s left, body of one frame", FrontIn, req2},
		{"request-again", "third try, at most once, high priority, no wait, with headers and trace, body of three frames", FrontIn, again2},
		{"request-no-frames", "a body of no frames at all", FrontIn, empty},
		{"request-over", "nothing left of the deadline; the default service; one empty body frame", FrontIn, over},
		{"request-low", "low priority", FrontIn, low},
		{"cancel", "withdraw it; 3 is the highest try sent", FrontIn, Message{Command: Cancel, ID: idA, Number: 3, SentMS: 9000, Instance: client}},
		{"request-stream", "the reply may come in parts, 16 of them before a CREDIT", FrontIn, stream},
		{"credit", "8 parts of that run have come, 24 may", FrontIn, Message{Command: Credit, ID: idA, Number: 1, Instance: client, InterestMS: 7500, Stream: Stream{run, 8, 24}}},
		{"credit-again", "what comes behind part 8 is to be sent again", FrontIn, Message{Command: Credit, Flags: MaybeSent, ID: idA, Number: 2, Instance: client, Stream: Stream{run, 8, 24}}},
		{"credit-any-run", "nothing has come of whatever run is under way", FrontIn, Message{Command: Credit, Flags: MaybeSent, ID: idA, Number: 2, Instance: client, Stream: Stream{Grant: 16}}},
		{"reply-part", "part 9", FrontOut, Message{Command: Reply, Code: OK, Flags: Partial | Flags(0).WithCertainty(Ran), ID: idA, Number: 1, Epoch: epochA, Instance: client, Attempt: 1, Stream: Stream{Run: run, Part: 9}, Body: frames("ninth")}},
		{"reply-stream", "the end of a reply of 9 parts", FrontOut, Message{Command: Reply, Code: OK, Flags: Flags(0).WithCertainty(Ran), ID: idA, Number: 1, Epoch: epochA, Instance: client, Attempt: 1, Stream: Stream{Run: run, Part: 9}, Body: frames("end")}},
		{"pong", "answer to a ping: epoch, intervals and limits", FrontOut, Message{Command: Pong, Number: 1, Epoch: epochA, SentMS: 5000, Instance: client,
			Intervals: &Intervals{1000, 3, 2000, 30000}, Limits: &Limits{1 << 20, FramesMax}}},
		{"pong-draining", "the broker is shutting down; no intervals", FrontOut, Message{Command: Pong, Flags: Draining, Epoch: epochA, SentMS: 5000, Instance: client, Limits: &Limits{1 << 20, 64}}},
		{"accepted-served", "the request is queued; 3 live workers serve it", FrontOut, Message{Command: Accepted, ID: idA, Number: 1, Epoch: epochA, Instance: client, Served: &Served{Workers: 3}}},
		{"accepted-not-served", "the request is queued; nobody serves it, and resize is the nearest name that is served", FrontOut, Message{Command: Accepted, ID: idA, Number: 1, Epoch: epochA, Instance: client, Served: &Served{Nearest: []byte("resize")}}},
		{"accepted", "the request is queued", FrontOut, Message{Command: Accepted, ID: idA, Number: 1, Epoch: epochA, SentMS: 77, Instance: client}},
	}
}

// replySamples has one REPLY to a client for each outcome and certainty.
func replySamples() []sample {
	out := []sample{{"reply-unread", "INVALID to a message whose id could not be read", FrontOut, Message{Command: Reply, Code: Invalid, Epoch: epochA,
		Flags: Flags(0).WithCertainty(NotStarted), Meta: ErrorMeta("header shorter than 57 bytes")}}}
	for c := OK; c <= Unknown; c++ {
		for k := NotStarted; k <= Ran; k++ {
			if !c.Admits(k) || c >= NoService && c <= Invalid && k == MaybeStarted {
				continue
			}
			m := Message{Command: Reply, Code: c, Flags: Flags(0).WithCertainty(k), ID: idA, Number: 1, Epoch: epochA, SentMS: 77, Instance: client}
			switch {
			case c == OK:
				m.Body, m.Attempt, m.Meta = frames("cat-small.png"), 1, Meta(nil).AppendHeader("width", "100")
			case k == Ran:
				m.Attempt = 2
			}
			if c != OK {
				m.Meta = ErrorMeta("why it is " + c.String())
			}
			if c == Failed {
				m.Meta = m.Meta.Append(MetaErrorCode, "E_DECODE")
			}
			if c == Overloaded {
				m.RetryAfterMS = 250
			}
			m.Flags = m.Flags.With(Retryable, c == Overloaded || c == NoService || c == DrainingNow)
			name := "reply-" + strings.ToLower(c.String()) + "-" + k.String()
			out = append(out, sample{name, "outcome " + c.String() + ", " + k.String(), FrontOut, m})
		}
	}
	return out
}

func entries() []Entry {
	return []Entry{
		{ID: idA, Attempt: 1, Epoch: epochA, State: Unstarted, Flags: AtMostOnce, RemainingMS: 29000, Digest: digest},
		{ID: idB, Attempt: 2, Epoch: epochB, State: Running, RemainingMS: 15000, ProgressMS: 120, Digest: 7},
		{ID: idA, Attempt: 3, Epoch: epochB, State: Finished, Flags: CtxCancelled, RemainingMS: 1, Digest: digest},
	}
}

func workerSamples() []sample {
	ready := Message{Command: Ready, Flags: Last, SentMS: 100, Link: 1, Seq: 1, Credit: 4, Instance: 0xe1e2e3e4e5e6e7e8, Services: frames("resize", "größe")}
	first, second, told := ready, ready, ready
	told.Info = &WorkerInfo{Label: "blue", Host: "größer.example", Process: 4711, Version: "1.4.2"}
	first.Flags, first.Link, first.Entries = 0, 7, entries()
	second.Link, second.Seq, second.Part, second.Services, second.Epoch = 7, 2, 1, nil, epochA
	second.Flags = Last | Draining
	second.Entries = []Entry{{ID: idA, Attempt: 1, Epoch: epochA, State: Kept, RemainingMS: 9, Digest: digest}, {ID: idB, Attempt: 1, Epoch: epochA, State: IDOnly}}
	beat := Message{Command: Heartbeat, Epoch: epochA, SentMS: 1100, Link: 1, Seq: 2, Ack: 1, Credit: 4}
	full, bye := beat, Message{Command: Disconnect, Code: ReasonShutdown, Epoch: epochA, SentMS: 9000, Link: 1, Entries: entries()}
	beat.Flags, beat.Credit = Draining, 0
	full.Entries = entries()
	out := []sample{
		{"ready", "first link of a worker that holds nothing: 4 at a time, services resize and größe", BackIn, ready},
		{"ready-of", "the same from a worker that says what it is called, where it runs, and what", BackIn, told},
		{"ready-part-0", "link 7 in two parts; the first: services and what is held", BackIn, first},
		{"ready-part-1", "the last part: a reply kept and an id remembered; the worker drains", BackIn, second},
		{"heartbeat-worker", "4 at a time; three held: unstarted, running, finished", BackIn, full},
		{"heartbeat-worker-draining", "nothing held, nothing wanted", BackIn, beat},
		{"progress", "attempt 2 has started, or gets on", BackIn, Message{Command: Progress, ID: idB, Number: 2, Epoch: epochB, SentMS: 1200, Link: 1, Seq: 3, Ack: 2}},
		{"disconnect-worker", "the worker goes; what it still holds", BackIn, bye},
	}
	reply := Message{Command: Reply, ID: idB, Number: 2, Epoch: epochB, SentMS: 1300, Link: 1, Seq: 4, Ack: 2}
	for _, v := range []struct {
		code    Code
		flags   Flags
		body    [][]byte
		meta    Meta
		meaning string
	}{
		{OK, 0, frames("done", ""), nil, "the handler's reply, two frames"},
		{OK, FromKept, frames("done"), Meta(nil).AppendHeader("k", "v"), "a kept reply, sent again; nothing ran now"},
		{OK, Partial, frames("ninth"), nil, "part 9 of the reply"},
		{Failed, 0, nil, ErrorMeta("no such image").Append(MetaErrorCode, "E_404"), "the handler returned an error"},
		{Failed, CtxCancelled, nil, ErrorMeta("context canceled"), "the broker had cancelled this run"},
		{Timeout, 0, nil, ErrorMeta("over 5s"), "over the task timeout"},
		{Expired, 0, nil, nil, "its deadline had passed before it was started"},
		{Gone, 0, nil, nil, "it ran here, but the reply is no longer kept"},
		{Retry, 0, nil, ErrorMeta("database is away"), "the handler asks for another attempt"},
		{HandedBack, 0, nil, nil, "not started here, hand it to another"},
		{HandedBack, Started, nil, nil, "started here and given up in a drain"},
	} {
		m := reply
		m.Code, m.Flags, m.Body, m.Meta = v.code, v.flags, v.body, v.meta
		if v.flags.Has(Partial) {
			out = append(out, sample{"reply-worker-part", v.meaning, BackIn, withStream(m, Stream{Run: run, Part: 9})})
			continue
		}
		name := "reply-worker-" + strings.ToLower(v.code.String())
		switch {
		case v.flags.Has(FromKept):
			name += "-kept"
		case v.flags.Has(CtxCancelled):
			name += "-cancelled"
		case v.flags.Has(Started):
			name += "-started"
		}
		out = append(out, sample{name, v.meaning, BackIn, m})
	}
	return out
}

func withStream(m Message, s Stream) Message {
	m.Stream = s
	return m
}

func brokerSamples() []sample {
	req := Message{Command: Request, ID: idA, Number: 1, Epoch: epochA, RemainingMS: 29990, SentMS: 55, Link: 1, Seq: 2, Ack: 2,
		Service: []byte("resize"), LeaseMS: 5000, Digest: digest, Body: frames("cat.png")}
	rerun, once, replay, stream := req, req, req, withStream(req, Stream{Grant: 16})
	stream.Flags = Partial
	rerun.Number, rerun.Flags, rerun.LeaseMS, rerun.WaitedMS, rerun.Meta = 2, MaybeRerun, 0, 1500, Meta(nil).AppendHeader("tenant", "blue")
	once.Flags = AtMostOnce
	replay.Flags, replay.Number, replay.Body = ReplayOnly, 4, nil
	acks := []Acked{{ID: idA, Attempt: 1, Epoch: epochA, RemainingMS: 28000}, {ID: idB, Attempt: 2, Epoch: epochB, Superseded: true}}
	out := []sample{
		{"welcome-remember", "the broker takes 262,144 finished requests of this worker", BackOut, Message{Command: Welcome, Epoch: epochA, SentMS: 50, Link: 1, Seq: 1, Ack: 1,
			Intervals: &Intervals{1000, 3, 2000, 30000}, Limits: &Limits{1 << 20, FramesMax}, RememberMax: 262144}},
		{"welcome", "link 1 stands: heartbeat 1 s, liveness 3, reconnect at most 2 s, keep replies 30 s", BackOut, Message{Command: Welcome, Epoch: epochA, SentMS: 50,
			Link: 1, Seq: 1, Ack: 1, Intervals: &Intervals{1000, 3, 2000, 30000}, Limits: &Limits{1 << 20, FramesMax}}},
		{"request-worker", "attempt 1, lease 5 s", BackOut, req},
		{"request-worker-rerun", "attempt 2; an earlier one may have run; the lease is the deadline; it waited 1.5 s for this one", BackOut, rerun},
		{"request-worker-once", "at most once", BackOut, once},
		{"request-worker-stream", "it may be answered in parts, 16 of them before a CREDIT", BackOut, stream},
		{"credit-worker", "8 parts of that run have come, 24 may", BackOut, Message{Command: Credit, ID: idA, Number: 1, Epoch: epochA, SentMS: 58, Link: 1, Seq: 3, Ack: 3, Stream: Stream{run, 8, 24}}},
		{"credit-worker-again", "what comes behind part 8 is to be sent again", BackOut, Message{Command: Credit, Flags: MaybeSent, ID: idA, Number: 1, Epoch: epochA, SentMS: 59, Link: 1, Seq: 4, Ack: 3, Stream: Stream{run, 8, 24}}},
		{"request-worker-replay", "send the reply you keep, or GONE; never run it", BackOut, replay},
		{"ack", "two replies: one taken, one superseded", BackOut, Message{Command: Ack, Epoch: epochA, SentMS: 60, Link: 1, Seq: 3, Ack: 4, Acks: acks}},
		{"heartbeat-broker", "nothing to say", BackOut, Message{Command: Heartbeat, Epoch: epochA, SentMS: 70, Link: 1, Seq: 4, Ack: 4}},
		{"heartbeat-broker-acks", "carries acknowledgements", BackOut, Message{Command: Heartbeat, Epoch: epochA, SentMS: 80, Link: 1, Seq: 5, Ack: 4, Acks: acks}},
		{"disconnect-broker-unread", "the link could not be read", BackOut, Message{Command: Disconnect, Code: ReasonVersion, Epoch: epochA, Meta: ErrorMeta("version 2 is not spoken here")}},
	}
	for c := ReasonWithdrawn; c <= ReasonUnwanted; c++ {
		name := strings.ReplaceAll(CodeName(Cancel, c), " ", "-")
		out = append(out, sample{"cancel-worker-" + name, "cancel attempt 2: " + name, BackOut,
			Message{Command: Cancel, Code: c, ID: idB, Number: 2, Epoch: epochB, SentMS: 90, Link: 1, Seq: 6, Ack: 4}})
	}
	for c := ReasonUnknown; c <= ReasonReset; c++ {
		name, _, _ := strings.Cut(strings.ReplaceAll(CodeName(Disconnect, c), " ", "-"), ":")
		out = append(out, sample{"disconnect-broker-" + name, CodeName(Disconnect, c), BackOut,
			Message{Command: Disconnect, Code: c, Epoch: epochA, SentMS: 90, Link: 9, Meta: ErrorMeta(CodeName(Disconnect, c))}})
	}
	return out
}

// encode is the message as frames of its own.
func encode(d Direction, m Message) [][]byte {
	fs, _ := AppendFrames(nil, nil, d, &m)
	out := make([][]byte, len(fs))
	for i, f := range fs {
		out[i] = append([]byte{}, f...)
	}
	return out
}

// pairs are all legal directions and commands.
func pairs() []sample {
	var out []sample
	for d := FrontIn; d <= BackOut; d++ {
		for c := Ping; c <= Disconnect; c++ {
			if Legal(d, c) {
				out = append(out, sample{name: d.String() + " " + c.String(), d: d, m: Message{Command: c}})
			}
		}
	}
	return out
}

// seeded is a source of random messages that prints its seed.
func seeded(seed uint64, logf func(string, ...any)) *rand.Rand {
	logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
