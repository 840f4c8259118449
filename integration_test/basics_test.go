package integration

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

func TestRequestReply(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	w := startWorkers(t, 1, b, log)[0]
	var ids []string
	for _, c := range []asker{newClient(t, at(b)), newPipeline(t, at(b))} {
		reply := do(t, c, ask("", "ahoy"))
		if reply.Attempt != 1 || reply.Tries != 1 || reply.Broker != b.front || pidOf(reply) != fmt.Sprint(w.pid()) {
			t.Errorf("reply %+v", reply)
		}
		ids = append(ids, reply.ID.String())
	}
	log.wantOnce(ids)
}

// The command line at both ends: its worker runs a program, which sees the id.
func TestRequestReplyOnTheCommandLine(t *testing.T) {
	b := startBroker(t, noWindow)
	w := start(t, "privateer worker", nil, binary, "worker", "--broker", b.back, "--service", "env",
		"--", "sh", "-c", `cat; printf " %s %s" "$PRIVATEER_REQUEST_ID" "$PRIVATEER_ATTEMPT"`)
	b.awaitWorkers(1)
	id := newID()
	stdout, stderr, code := privateer(t, "request", "--broker", b.front, "--id", id.String(), "env", "ahoy")
	if want := fmt.Sprintf("ahoy %s 1", id); stdout != want || code != 0 || !strings.HasPrefix(stderr, "OK id="+id.String()) {
		t.Errorf("exit %d, stdout %q, stderr %q; want exit 0 and %q", code, stdout, stderr, want)
	}
	w.signal(sigterm)
	if code := w.exitCode(); code != 0 {
		t.Errorf("the worker's exit code is %d after SIGTERM, want 0", code)
	}
}

func TestThousandRequestsOverFourWorkers(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 4, b, log)
	l := startLoad(t, newPipeline(t, at(b)), 1000, func(i int) client.Request { return ask("", fmt.Sprint("request ", i)) })
	l.wantAll()
	log.wantOnce(l.ids)
	served := log.read().workers()
	for w, n := range served {
		if n < 25 {
			t.Errorf("worker %s ran %d of 1,000 requests", w, n)
		}
	}
	if len(served) != 4 {
		t.Errorf("%d of 4 workers ran anything", len(served))
	}
}

// Bodies go through as they are, frame by frame.
func TestBodies(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	twenty := make([][]byte, 20)
	for i := range twenty {
		twenty[i] = bytes.Repeat([]byte{byte(i)}, i*100) // the first one is empty
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	bodies := []struct {
		name   string
		frames [][]byte
	}{
		{"one empty frame", [][]byte{{}}},
		{"no frame", [][]byte{}},
		{"two empty frames", [][]byte{{}, {}}},
		{"twenty frames", twenty},
		{"like a header", [][]byte{[]byte("PRV1\x03 but not one"), {0}}},
		{"just under the limit", [][]byte{big[1:]}},
		{"the limit, in two frames", [][]byte{big[:1000], big[1000:]}},
	}
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		for _, body := range bodies {
			a := outcome(t, begin(testContext(t), c, client.Request{Service: "default", Frames: body.frames}))
			if a.err != nil {
				t.Errorf("%s: %v", body.name, a.err)
				continue
			}
			same := len(a.reply.Frames) == len(body.frames)
			for i := 0; same && i < len(body.frames); i++ {
				same = bytes.Equal(a.reply.Frames[i], body.frames[i])
			}
			if !same {
				t.Errorf("%s: %d frames came back as %d, or not as they were", body.name, len(body.frames), len(a.reply.Frames))
			}
			log.wantRuns(a.reply.ID.String(), 1)
		}
	})
}

// A body over the limit is answered INVALID, by the client's library or by the
// broker, and disturbs nobody.
func TestTooBigBodies(t *testing.T) {
	b := startBroker(t, "--max-message=100KiB")
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	neighbour := newClient(t, at(b))
	over := make([]byte, 100<<10+1)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		for _, frames := range [][][]byte{{over}, {over[:90<<10], over[:90<<10]}, {make([]byte, 5<<20)}} {
			id := newID()
			a := outcome(t, begin(testContext(t), c, client.Request{Service: "default", Frames: frames, ID: id}))
			wantError(t, a.err, client.ErrInvalid, protocol.MaybeStarted) // for the id came from the caller
			log.wantRuns(id.String(), 0)
		}
		a := outcome(t, begin(testContext(t), c, client.Request{Service: "default", Body: over}))
		wantError(t, a.err, client.ErrInvalid, protocol.NotStarted)
		do(t, c, ask("", "just right"))
	})

	p := dial(t, req, b.front)
	m := rawRequest("default")
	p.say(protocol.FrontIn, m, over)
	p.wantInvalid("limit")
	log.wantRuns(m.ID.String(), 0)

	// libzmq cuts the connection over a frame this large, without an answer.
	p = dial(t, req, b.front)
	p.say(protocol.FrontIn, rawRequest("default"), make([]byte, 2<<20))
	do(t, neighbour, ask("", "still here"))

	// The same at a worker: its reply is too large.
	w := startWorker(t, log, workerConfig{Brokers: []string{b.back}})
	b.awaitWorkers(2)
	do(t, neighbour, ask("", "and here"))
	if !w.alive() {
		t.Error("a worker has died")
	}
	b.wantHealthy()
}

// Whatever a handler does, its client is told what it did, and its worker
// serves on.
func TestHandlerOutcomes(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	w := startWorker(t, log, workerConfig{Brokers: []string{b.back}, TaskTimeout: 2 * time.Second})
	b.awaitWorkers(1)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		fails := func(do string, want error) *client.Error {
			t.Helper()
			e := wantError(t, outcome(t, begin(testContext(t), c, ask(do, "x"))).err, want, protocol.Ran)
			log.wantRuns(e.ID.String(), 1)
			return e
		}
		if e := fails("fail no luck", client.ErrFailed); e.Message != "no luck" || e.Retryable {
			t.Errorf("%+v", e)
		}
		if e := fails("reject E_TEAPOT", client.ErrFailed); e.HandlerCode != "E_TEAPOT" || e.Message != "rejected" {
			t.Errorf("%+v", e)
		}
		if e := fails("panic at the disco", client.ErrFailed); !strings.Contains(e.Message, "at the disco") {
			t.Errorf("%+v", e)
		}
		e := fails("sleep 1h", client.ErrTimeout)
		if how := log.awaitEnd(e.ID.String(), 1).end; how != "cancelled:the_task_time-out_is_over" {
			t.Errorf("the run ended %q", how)
		}
		if reply := do(t, c, ask("retry 3", "third time lucky")); reply.Attempt != 3 {
			t.Errorf("attempt %d answered, want 3", reply.Attempt)
		}
		e = wantError(t, outcome(t, begin(testContext(t), c, ask("retry 9", "x"))).err, client.ErrFailed, protocol.Ran)
		log.wantRuns(e.ID.String(), 3) // the limit of attempts
		if reply := do(t, c, ask("", "fine")); pidOf(reply) != fmt.Sprint(w.pid()) {
			t.Errorf("served by %s, want %d", pidOf(reply), w.pid())
		}
	})
}

// A handler that ignores its time-out keeps its slot: nothing is started
// beside it.
func TestHandlerIgnoresItsTimeout(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorker(t, log, workerConfig{Brokers: []string{b.back}, TaskTimeout: 300 * time.Millisecond})
	b.awaitWorkers(1)
	c := newPipeline(t, at(b))
	g := newGate(t)
	stuck := outcome(t, begin(testContext(t), c, ask("hang "+g.dir, "stuck")))
	e := wantError(t, stuck.err, client.ErrTimeout, protocol.Ran)
	second := begin(testContext(t), c, ask("", "next"))
	// Its deadline is long enough for either to be started, were it to be.
	a := outcome(t, begin(testContext(t), c, client.Request{Service: "default", Body: []byte("late"), Deadline: time.Second}))
	if !errors.Is(a.err, client.ErrExpired) {
		t.Errorf("error %v, want %v", a.err, client.ErrExpired)
	}
	log.wantRuns("next", 0)
	g.open()
	wantReply(t, outcome(t, second), "next")
	log.wantRuns(e.ID.String(), 1)
	log.wantRuns("next", 1)
	log.wantRuns("late", 0)
}
