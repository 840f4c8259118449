package integration

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pebbe/zmq4"
)

// A client in any language that has a REQ socket, and the Lazy Pirate's way of
// using it: send, poll, and after a time-out close the socket and send again
// on a fresh one.
func TestPlainREQClient(t *testing.T) {
	b := startBroker(t, "--default-deadline=2s")
	log := newRunLog(t)
	p := dial(t, req, b.front)
	p.send([]byte("1"))
	if frames, ok := p.recv(200 * time.Millisecond); ok {
		t.Fatalf("an answer without a worker: %q", frames)
	}
	p.must(p.s.Close())
	startWorkers(t, 1, b, log)
	want := [][]byte{[]byte("2"), {}, []byte("two more")}
	reply := func(p *peer, body ...[]byte) {
		t.Helper()
		p.send(body...)
		if frames, ok := p.recv(patience); !ok || len(frames) != len(body) || !bytes.Equal(bytes.Join(frames, nil), bytes.Join(body, nil)) {
			t.Errorf("reply %q, want %q", frames, body)
		}
	}
	p = dial(t, req, b.front)
	reply(p, want...)
	reply(p, []byte("3")) // the same socket again

	p = dial(t, req, b.front)
	p.must(p.s.SetReqCorrelate(1))
	p.must(p.s.SetReqRelaxed(1))
	p.send([]byte("4, given up"))
	reply(p, []byte("4"))

	for _, body := range []string{"2", "3", "4"} {
		log.wantRuns(body, 1)
	}
	// The first one was in the queue when its client had gone: a broker cannot
	// tell that from a client that waits.
	if n := len(log.of("1")); n > 1 {
		t.Errorf("the request that timed out ran %d times", n)
	}
}

// A pppWorker is the guide's Paranoid Pirate worker.
type pppWorker struct {
	quit chan struct{}
	done sync.WaitGroup

	mu  sync.Mutex
	ran []string
}

const (
	pppReady     = "\x01"
	pppHeartbeat = "\x02"
)

// startPPP starts a worker that answers with work's result, and vanishes,
// without a word, when that is nil.
func startPPP(t *testing.T, b *brokerProcess, work func(body [][]byte) [][]byte) *pppWorker {
	t.Helper()
	w := &pppWorker{quit: make(chan struct{})}
	failed := make(chan error, 1)
	w.done.Go(func() { failed <- w.run(b.back, work) })
	t.Cleanup(func() {
		close(w.quit)
		w.done.Wait()
		if err := <-failed; err != nil {
			t.Errorf("PPP worker: %v", err)
		}
	})
	return w
}

func (w *pppWorker) run(endpoint string, work func([][]byte) [][]byte) error {
	s, err := zmq4.NewSocket(zmq4.DEALER)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetLinger(0); err != nil {
		return err
	}
	if err := s.Connect(endpoint); err != nil {
		return err
	}
	if err := s.SetRcvtimeo(heartbeat / 4); err != nil {
		return err
	}
	if _, err := s.SendMessage(pppReady); err != nil {
		return err
	}
	beat := time.Now().Add(heartbeat)
	for {
		select {
		case <-w.quit:
			return nil
		default:
		}
		switch frames, err := s.RecvMessageBytes(0); {
		case err != nil, len(frames) == 1 && string(frames[0]) == pppHeartbeat:
		case len(frames) < 3 || len(frames[1]) != 0:
			return fmt.Errorf("got %q", frames)
		default:
			w.note(string(bytes.Join(frames[2:], nil)))
			reply := work(frames[2:])
			if reply == nil {
				return nil
			}
			if _, err := s.SendMessage(frames[0], "", reply); err != nil { // address, empty, body
				return err
			}
		}
		if time.Now().After(beat) {
			beat = time.Now().Add(heartbeat)
			if _, err := s.SendMessage(pppHeartbeat); err != nil {
				return err
			}
		}
	}
}

func (w *pppWorker) note(body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran = append(w.ran, body)
}

// runs is how often it ran a body.
func (w *pppWorker) runs(body string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.ran {
		if b == body {
			n++
		}
	}
	return n
}

func echo(body [][]byte) [][]byte { return body }

// A PPP worker serves clients of either kind, and is fit for more than one
// request.
func TestPPPWorker(t *testing.T) {
	b := startBroker(t)
	w := startPPP(t, b, echo)
	b.awaitWorkers(1)
	c := newClient(t, at(b))
	plain := dial(t, req, b.front)
	for i := range 20 {
		body := fmt.Sprint("of a client ", i)
		do(t, c, ask("", body))
		if n := w.runs(body); n != 1 {
			t.Errorf("%q ran %d times", body, n)
		}
		body = fmt.Sprint("plain ", i)
		plain.send([]byte(body))
		if frames, ok := plain.recv(patience); !ok || len(frames) != 1 || string(frames[0]) != body {
			t.Errorf("reply %q, want %q", frames, body)
		}
		if n := w.runs(body); n != 1 {
			t.Errorf("%q ran %d times", body, n)
		}
	}
	if n := b.log.seen("worker_lost"); n > 0 {
		t.Errorf("the worker was lost %d times", n)
	}
}

// A PPP worker that vanishes loses its request to another, of either kind.
func TestPPPWorkerVanishes(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	first := startPPP(t, b, func([][]byte) [][]byte { return nil })
	b.awaitWorkers(1)
	held := begin(testContext(t), newClient(t, at(b)), ask("", "held"))
	eventually(t, patience, "the first worker has it", func() bool { return first.runs("held") == 1 })
	startWorkers(t, 1, b, log)
	reply := wantReply(t, outcome(t, held), "held")
	if reply.Attempt != 2 {
		t.Errorf("attempt %d answered", reply.Attempt)
	}
	log.wantRuns("held", 1)
}
