package integration

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// The parts that a Majordomo worker makes go on as they come to a client that
// knows parts, and to any other before the end.
func TestMajordomoParts(t *testing.T) {
	b := startBroker(t, slowBeat, "--default-service=echo")
	w := newMDWorker(t, b.back, mdp02, "echo")
	b.awaitWorkers(1)
	c := dial(t, dealer, b.front)
	c.mdAsk(mdp02, "echo", "live")
	address := w.takes("live")
	for _, part := range [][]string{{"one"}, {"two", "", "2"}, {""}} {
		w.command(mdPartial, append([]string{address, ""}, part...)...)
		c.expect(append([]string{"MDPC02", "\x02", "echo"}, part...)...) // before the next is made
	}
	w.command(w.final, address, "", "end")
	c.mdExpect(mdp02, "echo", "end")
	c.mdAsk(mdp02, "echo", "again")
	w.command(mdPartial, w.takes("again"), "", "one")
	c.expect("MDPC02", "\x02", "echo", "one")
	w.command(w.disconnect)
	w = newMDWorker(t, b.back, mdp02, "echo") // begins the reply again: MDP has no word for that
	w.command(mdPartial, w.takes("again"), "", "one")
	c.expect("MDPC02", "\x02", "echo", "one")
	w.command(mdReady, "echo") // which loses it once more
	w = newMDWorker(t, b.back, mdp02, "echo")
	w.command(w.final, w.takes("again"), "", "end")
	c.mdExpect(mdp02, "echo", "end")

	serve := func(body string) {
		t.Helper()
		address := w.takes(body)
		w.command(mdPartial, address, "", "one")
		w.command(mdPartial, address, "", "two", "2")
		w.command(w.final, address, "", "end")
	}
	plain := dial(t, req, b.front)
	plain.speak("plain")
	serve("plain")
	plain.expect("one", "two", "2", "end")
	c.mdAsk(mdp01, "echo", "old")
	serve("old")
	c.mdExpect(mdp01, "echo", "one", "two", "2", "end")
	for name, a := range map[string]asker{"client": newClient(t, at(b)), "pipeline": newPipeline(t, at(b))} {
		done := begin(testContext(t), a, client.Request{Service: "echo", Body: []byte(name)})
		serve(name)
		if got := outcome(t, done); got.err != nil || !slices.Equal(asText(got.reply.Frames), []string{"one", "two", "2", "end"}) {
			t.Errorf("%s: reply %q, %v", name, got.reply.Frames, got.err)
		}
	}
	// What a lost worker has made is not among them.
	plain.speak("twice")
	w.command(mdPartial, w.takes("twice"), "", "of no use")
	w.command(w.disconnect)
	w = newMDWorker(t, b.back, mdp02, "echo")
	serve("twice")
	plain.expect("one", "two", "2", "end")
	// Pipeline.Stream needs numbers, which such a worker has not: it gets all at the end.
	w.streamed(b, newPipeline(t, at(b)))
	b.wantHealthy()
}

// streamed serves a client that streams.
func (w mdWorker) streamed(b *brokerProcess, p *client.Pipeline) {
	t := w.t
	t.Helper()
	parts := make(chan client.Part, 10)
	go func() {
		defer close(parts)
		for part, err := range p.Stream(testContext(t), client.Request{Service: "echo", Body: []byte("streamed")}) {
			if err != nil {
				t.Errorf("stream: %v", err)
			}
			parts <- part
		}
	}()
	address := w.takes("streamed")
	w.command(mdPartial, address, "", "one")
	w.command(w.final, address, "", "end")
	var got []string
	for part := range parts {
		got = append(got, asText(part.Frames)...)
	}
	if !slices.Equal(got, []string{"one", "end"}) {
		t.Errorf("stream: %q", got)
	}
}

// The parts that a PRV1 worker makes go on as they come to a client of Majordomo
// 0.2, and to one that knows no parts before the end.
func TestPartsOfPRV1Worker(t *testing.T) {
	b := startBroker(t, "--default-service=echo")
	g := newGate(t)
	startPartsWorker(t, partsConfig{Broker: b.back, Service: "echo", Parts: 40, Pause: time.Millisecond, Gate: g.dir}) // more than a grant
	b.awaitWorkers(1)
	joined := func(body string) (all []string) {
		for n := range 40 {
			all = append(all, string(partOf(body, n+1)))
		}
		return append(all, body)
	}
	c := dial(t, dealer, b.front)
	c.mdAsk(mdp02, "echo", "live")
	for n := range 40 {
		c.expect("MDPC02", "\x02", "echo", string(partOf("live", n+1)))
	}
	g.open() // all have come before there is an end
	c.mdExpect(mdp02, "echo", "live")
	plain := dial(t, req, b.front)
	plain.speak("plain")
	plain.expect(joined("plain")...)
	c.mdAsk(mdp01, "echo", "old")
	c.mdExpect(mdp01, "echo", joined("old")...)
	got := outcome(t, begin(testContext(t), newClient(t, at(b)), client.Request{Service: "echo", Body: []byte("PRV1")}))
	if got.err != nil || !slices.Equal(asText(got.reply.Frames), joined("PRV1")) {
		t.Errorf("reply %q, %v", got.reply.Frames, got.err)
	}
}

// Parts come without a rest: when something is killed, some are on their way.
const (
	streamParts = 1200
	partsPause  = 100 * time.Microsecond
	strikeAfter = 200 // parts
)

// A streamed is what became of a stream.
type streamed struct {
	restarts int
	end      client.Part
	err      error
}

// readStream asks for a stream, counts its parts in seen, and looks for one that
// is missing, doubled or wrong.
func readStream(ctx context.Context, p *client.Pipeline, body string, seen *atomic.Int64) (s streamed) {
	next := 1
	for part, err := range p.Stream(ctx, client.Request{Service: "echo", Body: []byte(body)}) {
		if err != nil {
			s.err = fmt.Errorf("after %d parts: %w", next-1, err)
			return s
		}
		if part.Restarted {
			s.restarts++
			next = 1
		}
		want := string(partOf(body, next))
		if next == streamParts+1 {
			want = body
		}
		if part.Number != next || string(part.Body()) != want || part.Last != (next == streamParts+1) {
			s.err = fmt.Errorf("part %d is %q, last %v; want %d, %q", part.Number, part.Body(), part.Last, next, want)
			return s
		}
		next++
		seen.Add(1)
		s.end = part
	}
	return s
}

// stream reads a stream, and strikes in the middle of it.
func stream(t *testing.T, p *client.Pipeline, body string, strike func()) streamed {
	t.Helper()
	var seen atomic.Int64
	done := make(chan streamed, 1)
	ctx := testContext(t)
	go func() { done <- readStream(ctx, p, body, &seen) }()
	eventually(t, patience, "some parts have come", func() bool { return seen.Load() >= strikeAfter })
	if n := seen.Load(); n >= streamParts {
		t.Fatalf("all %d parts came before anything could be killed", n)
	}
	strike()
	s := <-done
	if s.err != nil || !s.end.Last {
		t.Fatalf("the stream ended with part %d, %v", s.end.Number, s.err)
	}
	return s
}

func streamingWorker(t *testing.T, b *brokerProcess, log *runLog) *process {
	t.Helper()
	return startPartsWorker(t, partsConfig{Broker: b.back, Service: "echo", Parts: streamParts, Pause: partsPause, RunLog: log.path})
}

// A stream whose worker is killed begins again at another one, and says so.
func TestStreamThroughKilledWorker(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	first := streamingWorker(t, b, log)
	b.awaitWorkers(1)
	s := stream(t, newPipeline(t, at(b)), "streamed", func() {
		first.kill()
		streamingWorker(t, b, log)
	})
	if s.restarts != 1 || s.end.Attempt != 2 || s.end.Tries != 1 {
		t.Errorf("the stream began again %d times, and ended with attempt %d, try %d; want 1, 2, 1", s.restarts, s.end.Attempt, s.end.Tries)
	}
	log.wantRuns("streamed", 2)
}

// A stream outlives its broker: the worker keeps what has not come, and what the
// killed broker has lost is sent again.
func TestStreamThroughRestartedBroker(t *testing.T) {
	b := startBrokerAt(t, fixedEndpoint(t), fixedEndpoint(t))
	log := newRunLog(t)
	streamingWorker(t, b, log)
	b.awaitWorkers(1)
	s := stream(t, newPipeline(t, patient(at(b))), "streamed", func() {
		b.freeze() // what is on its way then, parts and word of them, is lost with it
		b.restart()
	})
	if s.restarts != 0 || s.end.Attempt != 1 || s.end.Tries < 2 {
		t.Errorf("the stream began again %d times, and ended with attempt %d, try %d; want 0, 1, 2 or more", s.restarts, s.end.Attempt, s.end.Tries)
	}
	log.wantRuns("streamed", 1)
	if how := log.awaitEnd("streamed", 1).end; how != "over" {
		t.Errorf("its run ended %q", how)
	}
}
