package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	largest  = 256 << 10 // a body, by the broker's first limit
	smaller  = 128 << 10 // ... and by that of the next
	manyIDs  = protocol.EntriesMax + 200
	weeks    = 100 * 7 * 24 * time.Hour // more than the wire has a number for
	nameSize = protocol.ServiceBytesMax
)

// largestBody has as many frames as there may be, and so many bytes.
func largestBody(size int) [][]byte {
	body := make([][]byte, protocol.FramesMax)
	body[0] = make([]byte, size)
	return body
}

func largestMeta() protocol.Meta {
	m := protocol.Meta(nil).AppendHeader("k", strings.Repeat("v", protocol.MetaBytesMax-5))
	return m
}

// Whatever a client, a broker or a worker can come to say, its reader takes it: in
// every direction every message, with the largest meta, lists, texts, codes, parts
// and limits that its maker lets through. What it does not let through is an error
// there, and nothing else is held up by it.
func TestWhatIsSaidIsTaken(t *testing.T) {
	crossed := map[protocol.Direction]map[protocol.Command]int{}
	for _, story := range []struct {
		name string
		play func(*testing.T, map[protocol.Direction]map[protocol.Command]int)
	}{
		{"largest request, parts and reply", playLargest}, {"errors", playErrors}, {"long lists", playLists},
		{"kept replies are fetched", playFetches}, {"a smaller limit", playSmaller}, {"refused at the source", playRefused},
	} {
		t.Run(story.name, func(t *testing.T) { story.play(t, crossed) })
	}
	for d := protocol.FrontIn; d <= protocol.BackOut; d++ {
		for cmd := protocol.Command(1); cmd < 32; cmd++ {
			if protocol.Legal(d, cmd) && crossed[d][cmd] == 0 {
				t.Errorf("nobody has said %v, %v", cmd, d)
			}
		}
	}
}

type crossings = map[protocol.Direction]map[protocol.Command]int

func playLargest(t *testing.T, crossed crossings) {
	services := []string{"s"}
	for len(services) < 192 { // 48 KiB, which is what package worker allows
		services = append(services, string(rune('A'+len(services)%26))+string(rune('a'+len(services)/26))+strings.Repeat("n", nameSize-2))
	}
	text := strings.Repeat("ü", protocol.TextBytesMax/2)
	w := newWire(t, crossed, largest, workercore.Config{Services: services, Concurrency: protocol.CreditMax,
		Info: &protocol.WorkerInfo{Label: text, Host: text, Process: 1<<32 - 1, Version: text}})
	var run *workercore.Run
	w.handle = func(x *workercore.Run) { run = new(*x) }
	id := idOf('a', 1)
	w.ask('a', 1, clientcore.Call{Service: services[1], Body: largestBody(largest), Meta: largestMeta(), AtMostOnce: true, Priority: protocol.PriorityLow,
		Window: protocol.WindowMax, Timeout: weeks, Deadline: w.now + 2*weeks})
	if run == nil || len(run.Frames) != protocol.FramesMax || len(run.Meta) != protocol.MetaBytesMax {
		t.Fatalf("started: %+v", run)
	}
	w.turn(25 * time.Millisecond) // PROGRESS
	for range protocol.WindowMax + 10 {
		w.fromSession(w.session.Part(w.now, id, [][]byte{{1}}, nil))
	}
	w.fromSession(w.session.Part(w.now, id, largestBody(largest), nil))
	w.run()
	w.turn(time.Minute)
	w.ends(id, workercore.Result{Code: protocol.OK, Frames: largestBody(largest), Meta: largestMeta()})
	if o := w.outcomes[id]; w.parts[id] != protocol.WindowMax+11 || o == nil || len(o.Body) != protocol.FramesMax || len(o.Meta) != protocol.MetaBytesMax {
		t.Errorf("%d parts, and %+v", w.parts[id], o)
	}
	w.want(id, protocol.OK)
	w.ask('b', 1, clientcore.Call{})
	w.fromCalls(w.calls.Withdraw(w.seq, w.calls.Turn(w.now, nil)))
	w.run()
	w.want(idOf('b', 1), protocol.Cancelled)
	w.ends(idOf('b', 1), workercore.Result{Code: protocol.Failed})
	w.fromSession(w.session.Drain(w.now, time.Second, nil))
	w.run()
	w.turn(time.Minute)
	w.turn(time.Minute) // the broker's heartbeat brings the last acknowledgement
	w.turn(time.Minute)
}

func playErrors(t *testing.T, crossed crossings) {
	long := protocol.Meta(nil).Append(protocol.MetaErrorText, strings.Repeat("ü", 5000)).Append(protocol.MetaErrorCode, strings.Repeat("c", 500))
	w := newWire(t, crossed, largest, workercore.Config{Services: []string{"s"}, Concurrency: 2})
	result := workercore.Result{}
	w.handle = func(x *workercore.Run) {
		w.queue = append(w.queue, func() { w.fromSession(w.session.Finished(w.now, x.ID, result, nil)) })
	}
	for i, r := range []struct {
		workercore.Result
		code  protocol.Code
		texts []string
	}{
		{workercore.Result{Code: protocol.Failed, Meta: long}, protocol.Failed, []string{"üü…"}},
		{workercore.Result{Code: protocol.Failed, Meta: long.AppendHeader("k", strings.Repeat("v", 5000))}, protocol.Failed, []string{"üü… [", "bytes are over the limit of 8192"}},
		{workercore.Result{Code: protocol.Retry, Meta: long.AppendHeader("k", strings.Repeat("v", 50_000))}, protocol.Failed, []string{"üü… [", "over the limit"}},
		{workercore.Result{Code: protocol.Failed, Meta: long, Frames: largestBody(largest + 1)}, protocol.Failed, []string{"üü… [", "over the broker's limit"}},
		{workercore.Result{Code: protocol.OK, Meta: largestMeta().AppendHeader("", "")}, protocol.Failed, []string{"reply headers of 8196 bytes"}},
		{workercore.Result{Code: protocol.OK, Frames: largestBody(largest + 1)}, protocol.Failed, []string{"reply of 262145 bytes"}},
		{workercore.Result{Code: protocol.OK, Frames: make([][]byte, protocol.FramesMax+1)}, protocol.Failed, []string{"reply of 1025 frames"}},
	} {
		result = r.Result
		w.ask('e', i, clientcore.Call{AtMostOnce: r.Code == protocol.Retry})
		w.want(idOf('e', i), r.code, r.texts...)
		result = workercore.Result{Code: protocol.OK}
		w.ask('n', i, clientcore.Call{}) // a neighbour
		w.want(idOf('n', i), protocol.OK)
	}
}

func playLists(t *testing.T, crossed crossings) {
	w := newWire(t, crossed, largest, workercore.Config{Services: []string{"s"}, Concurrency: protocol.CreditMax})
	w.handle = func(*workercore.Run) {}
	for i := range manyIDs {
		w.ask('l', i, clientcore.Call{})
	}
	w.turn(time.Minute)
	if w.list != protocol.EntriesMax {
		t.Errorf("the longest list has %d entries", w.list)
	}
	w.slow = true
	for i := range protocol.EntriesMax {
		w.ends(idOf('l', i), workercore.Result{Code: protocol.OK})
	}
	w.turn(time.Minute) // nothing is acknowledged
	w.fromSession(w.session.Receive(w.now, &protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonUnknown}, nil))
	w.fromSession(w.session.Drain(w.now, 0, nil)) // READY has been said, and WELCOME not come: DISCONNECT lists all
	w.turn(5 * time.Minute)
	w.turn(5 * time.Minute)
	w.release()
}

func playFetches(t *testing.T, crossed crossings) {
	w, n := newWire(t, crossed, largest, workercore.Config{Services: []string{"s"}, Concurrency: 1}), 0
	w.handle = func(x *workercore.Run) {
		w.queue = append(w.queue, func() {
			size := 10
			if n++; n > protocol.EntriesMax+100 { // for which there will be no room on the list
				size = 100
			}
			w.fromSession(w.session.Finished(w.now, x.ID, workercore.Result{Code: protocol.OK, Frames: [][]byte{make([]byte, size)}}, nil))
		})
	}
	for i := range manyIDs {
		w.ask('k', i, clientcore.Call{})
		w.want(idOf('k', i), protocol.OK)
	}
	w.turn(time.Minute)
	w.turn(time.Minute)
	w.restart(50)
	w.slow = true
	for i := range manyIDs {
		w.ask('k', i, clientcore.Call{FromCaller: true})
	}
	w.turn(time.Minute) // HEARTBEAT, with all that is not acknowledged
	if w.list != protocol.EntriesMax {
		t.Errorf("the longest list has %d entries", w.list)
	}
	if err := w.session.Check(); err != nil {
		t.Error(err)
	}
	w.release()
	for i := range manyIDs {
		code := protocol.OK
		if i >= protocol.EntriesMax+100 {
			code = protocol.Failed
		}
		w.want(idOf('k', i), code)
	}
}

// Three replies, a part and a request were made for a broker that takes more than
// the one that comes after it. One request is as large as that one takes.
func playSmaller(t *testing.T, crossed crossings) {
	w := newWire(t, crossed, largest, workercore.Config{Services: []string{"s"}, Concurrency: 3})
	w.handle = func(x *workercore.Run) {}
	large := workercore.Result{Code: protocol.OK, Frames: [][]byte{make([]byte, largest)}}
	for _, id := range []byte("kwpq") { // kept, waiting for an acknowledgement, in parts, queued
		spec := clientcore.Call{}
		if id == 'p' {
			spec.Window = 1
		}
		if id == 'q' {
			spec.Body = large.Frames
		}
		w.ask(id, 0, spec)
		switch id {
		case 'k':
			w.ends(idOf(id, 0), large)
			w.want(idOf(id, 0), protocol.OK)
			w.turn(time.Minute)
			w.turn(time.Minute)
		case 'w':
			w.slow = true
			w.ends(idOf(id, 0), large)
			w.slow, w.held = false, nil
		case 'p':
			w.slow = true
			w.fromSession(w.session.Part(w.now, idOf(id, 0), large.Frames, nil))
			w.slow, w.held = false, nil
		}
	}
	w.restart(smaller)
	for range 5 {
		w.turn(time.Minute)
	}
	w.want(idOf('w', 0), protocol.Failed, "reply of 262144 bytes is over the broker's limit of 131072")
	w.want(idOf('p', 0), protocol.Failed, "a part of its reply of 262144 bytes")
	w.want(idOf('q', 0), protocol.Invalid, "body of 262144 bytes is over the broker's limit of 131072")
	if w.stopped[idOf('p', 0)] != workercore.CauseTooLarge {
		t.Errorf("the handler that makes parts is not told to stop: %v", w.stopped)
	}
	w.ask('k', 0, clientcore.Call{FromCaller: true})
	w.want(idOf('k', 0), protocol.Failed, "reply of 262144 bytes")
	w.ask('n', 0, clientcore.Call{Body: largestBody(smaller)})
	w.ends(idOf('n', 0), workercore.Result{Code: protocol.OK, Frames: largestBody(smaller)})
	w.want(idOf('n', 0), protocol.OK)
}

func playRefused(t *testing.T, crossed crossings) {
	w := newWire(t, crossed, largest, workercore.Config{Services: []string{"s"}, Concurrency: 1})
	w.handle = func(x *workercore.Run) { t.Errorf("%v was started", x.ID) }
	for i, r := range []struct {
		clientcore.Call
		text string
	}{
		{clientcore.Call{Meta: largestMeta().AppendHeader("", "")}, "headers take 8196 bytes; at most 8192"},
		{clientcore.Call{Body: largestBody(largest + 1)}, "over the broker's limit of 262144"},
		{clientcore.Call{Body: make([][]byte, protocol.FramesMax+1)}, "1025 body frames"},
		{clientcore.Call{Service: strings.Repeat("s", nameSize+1)}, "longer than 255 bytes"},
		{clientcore.Call{Window: protocol.WindowMax + 1}, "1025 parts"},
		{clientcore.Call{Priority: protocol.PriorityLow + 1}, "unknown priority"},
	} {
		w.ask('r', i, r.Call)
		w.want(idOf('r', i), protocol.Invalid, r.text)
	}
}
