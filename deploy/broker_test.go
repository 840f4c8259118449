package deploy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// A rig is a broker with its admin listener, a worker and a client.
type rig struct {
	t      *testing.T
	broker *broker.Broker
	client *client.Client
	junk   link.Link // speaks nothing that a broker knows
}

// startBroker starts them and makes the broker count one of everything that it
// counts by a label, for a counter shows only then.
func startBroker(t *testing.T) *rig {
	t.Helper()
	front, back := "mem://front-"+t.Name(), "mem://back-"+t.Name()
	b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back}, Admin: "127.0.0.1:0", DrainTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w, err := worker.New(worker.Config{Brokers: []string{back}, Services: []string{"moody"}, Concurrency: 4}, worker.HandlerFunc(
		func(_ context.Context, r *worker.Request) ([]byte, error) {
			if r.Attempt == 1 {
				return nil, worker.Retry(errors.New("not at once"))
			}
			return r.Body(), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Brokers: []string{front}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- b.Run(ctx) }()
	<-b.Ready()
	go func() { ended <- w.Run(ctx) }()
	host := link.NewMemory()
	t.Cleanup(func() {
		c.Close()
		host.Close()
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	r := &rig{t: t, broker: b, client: c}
	if r.junk, err = host.Open(link.Options{Role: link.Dealer, Endpoints: []string{front}}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if err := host.Wait(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if _, err := r.junk.Recv(nil, 1); err != nil { // what it is answered is of no interest
			t.Fatal(err)
		}
		err := r.load(t.Context())
		if err == nil {
			break
		}
		if !errors.Is(err, link.ErrUnreachable) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	return r
}

// load asks for two requests and sends one broken message. Error:
// link.ErrUnreachable, before the connection is up.
func (r *rig) load(ctx context.Context) error {
	header := protocol.AppendHeader(nil, protocol.FrontIn, &protocol.Message{Command: protocol.Request, Number: 1, Service: []byte("moody")})
	if err := r.junk.Send(nil, nil, header[:30]); err != nil {
		return err
	}
	if _, err := r.client.Do(ctx, client.Request{Service: "moody", Body: []byte("x")}); err != nil {
		return err
	}
	_, err := r.client.Do(ctx, client.Request{Service: "nobody", NoWait: true})
	if e := (*client.Error)(nil); !errors.As(err, &e) {
		return errors.Join(errors.New("a request without a worker did not fail"), err)
	}
	return nil
}

// metrics are the names of what the broker shows, each with its labels.
func (r *rig) metrics() map[string][]string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.broker.AdminAddr() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("metrics: %s, %v", resp.Status, err)
	}
	all := map[string][]string{}
	label := regexp.MustCompile(`([a-z_]+)="`)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, labels, _ := strings.Cut(strings.Fields(line)[0], "{")
		if all[name] == nil {
			all[name] = []string{}
		}
		for _, m := range label.FindAllStringSubmatch(labels, -1) {
			if !slices.Contains(all[name], m[1]) {
				all[name] = append(all[name], m[1])
			}
		}
	}
	return all
}
