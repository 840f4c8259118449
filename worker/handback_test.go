package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// TestHandBack: what a worker hands back is another's, at no cost: also where a
// request has one attempt, and where it may be started once at most. Nobody who
// waits for it in vain is told that it ran.
func TestHandBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		front, back := "mem://handback-front", "mem://handback-back"
		b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back}, MaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		<-b.Ready()
		bad := start(t, worker.Config{Brokers: []string{back}}, worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			time.Sleep(30 * time.Millisecond) // its start was told to the broker
			return nil, worker.HandBack(errors.New("no such program"))
		}))
		c, err := client.NewPipeline(client.Config{Brokers: []string{front}})
		if err != nil {
			t.Fatal(err)
		}
		var failure *client.Error
		_, err = c.Do(t.Context(), client.Request{Service: "default", AtMostOnce: true, Deadline: 5 * time.Second})
		if !errors.As(err, &failure) || failure.Code != protocol.Expired || failure.Certainty == protocol.Ran {
			t.Errorf("with nobody else: %v, want EXPIRED, and not that it ran", err)
		}
		call := c.Go(t.Context(), client.Request{Service: "default", AtMostOnce: true})
		time.Sleep(5 * time.Second) // it has been handed back again and again
		good := start(t, worker.Config{Brokers: []string{back}}, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
			if r.MaybeRerun {
				t.Error("it is told that it may have run before")
			}
			return []byte("done"), nil
		}))
		if reply, err := call.Reply(); err != nil || string(reply.Body()) != "done" {
			t.Errorf("with a good one: %q, %v", reply.Body(), err)
		}
		if n := bad.Stats().HandedBack; n < 2 {
			t.Errorf("handed back %d times, want some", n)
		}
		c.Close()
		for _, w := range []*running{bad, good} {
			if err := w.end(); err != nil {
				t.Error(err)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestHandBackAfterAPart: a handler that has sent a part has done something: its
// request counts an attempt, as by Retry.
func TestHandBackAfterAPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "handback-part")
		w := start(t, worker.Config{Brokers: []string{"mem://handback-part"}}, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
			if string(r.Body()) == "part" {
				if err := r.SendPart([]byte("a part")); err != nil {
					t.Error(err)
				}
			}
			return nil, worker.HandBack(errors.New("no more"))
		}))
		b.welcome()
		b.request(1, "none")
		b.ack(b.reply(1, protocol.HandedBack))
		b.request(2, "part")
		b.ack(b.reply(2, protocol.Retry))
		w.leave(b)
	})
}
