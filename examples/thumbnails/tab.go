package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
)

const (
	picturesMax = 50  // of one tab
	nameMax     = 100 // runes
)

// A server is what the web front holds.
type server struct {
	pipeline  *client.Pipeline
	uploadMax int64         // bytes of one upload
	uploads   chan struct{} // a place for each upload
	underWay  chan struct{} // a place for each image that waits or is worked on
	results   *results

	mu   sync.Mutex
	tabs map[string]*tab // by id
}

func newServer(pipeline *client.Pipeline, keep time.Duration) *server {
	return &server{pipeline: pipeline, uploadMax: uploadBytesMax, uploads: make(chan struct{}, uploadsMax), underWay: make(chan struct{}, underWayMax),
		results: &results{bytesMax: resultsBytesMax, keep: keep, sets: map[string][][]byte{}}, tabs: map[string]*tab{}}
}

// A tab is a page in a browser that listens to its stream of events.
type tab struct {
	id      string          // nobody can guess it
	ctx     context.Context // ends with the stream, and withdraws what was asked for
	shows   chan picture    // to the stream
	cancels []func()        // by the picture's number, to withdraw one; server.mu guards it
}

// A picture is one image that was sent, as the browser shows it.
type picture struct {
	N        int      `json:"n"`
	Name     string   `json:"name"`
	State    string   `json:"state"` // waiting, working, done or failed
	Percent  int      `json:"percent"`
	Step     string   `json:"step"`
	Worker   int      `json:"worker"`   // its pid
	Restarts int      `json:"restarts"` // on another worker
	Note     string   `json:"note"`     // why it failed, and whether it may have run
	Thumbs   []string `json:"thumbs"`   // where to get them
}

// openTab returns nil if there are too many.
func (s *server) openTab(ctx context.Context) *tab {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tabs) == tabsMax {
		return nil
	}
	t := &tab{id: rand.Text(), ctx: ctx, shows: make(chan picture)}
	s.tabs[t.id] = t
	return t
}

func (s *server) closeTab(t *tab) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tabs, t.id)
}

func (s *server) tab(id string) *tab {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tabs[id]
}

func (s *server) cancel(t *tab, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < 0 || n >= len(t.cancels) {
		return false
	}
	t.cancels[n]()
	return true
}

// add takes an image, and asks for its thumbnails. It returns false if the tab
// has sent too many.
func (s *server) add(t *tab, name string, body []byte) bool {
	if r := []rune(strings.ToValidUTF8(name, "?")); len(r) > nameMax {
		name = string(r[:nameMax])
	}
	ctx, cancel := context.WithCancel(t.ctx)
	s.mu.Lock()
	n := len(t.cancels)
	if n < picturesMax {
		t.cancels = append(t.cancels, cancel)
	}
	s.mu.Unlock()
	if n == picturesMax {
		cancel()
		return false
	}
	p := picture{N: n, Name: name, State: "waiting"}
	_, err := check(body)
	if err == nil {
		select {
		case s.underWay <- struct{}{}:
		default:
			err = fmt.Errorf("%d images are under way; try again when some are done", underWayMax)
		}
	}
	if err != nil {
		cancel()
		p.State, p.Note = "failed", fmt.Sprintf("It was refused: %v. It was not started.", err)
		t.show(p)
		return true
	}
	t.show(p)
	go func() {
		defer func() { cancel(); <-s.underWay }()
		s.follow(ctx, t, p, body)
	}()
	return true
}

// show blocks until the stream takes p: a slow browser holds its images back,
// and in the end their workers. A tab that is closed holds nobody.
func (t *tab) show(p picture) {
	select {
	case t.shows <- p:
	case <-t.ctx.Done():
	}
}

// follow asks for the thumbnails of an image and shows each part of the reply.
// It returns when the outcome is there.
func (s *server) follow(ctx context.Context, t *tab, p picture, body []byte) {
	request := client.Request{Service: service, Body: body, Headers: []client.Header{{Key: "name", Value: p.Name}}}
	for part, err := range s.pipeline.Stream(ctx, request) {
		if part.Restarted { // what came before is of no use
			p.Restarts++
		}
		switch {
		case err != nil:
		case part.Last:
			p.State, p.Percent = "done", 100
			id := s.results.put(part.Frames)
			for i := range part.Frames {
				p.Thumbs = append(p.Thumbs, fmt.Sprintf("results/%s/%d", id, i))
			}
		default:
			var at progress
			err = json.Unmarshal(part.Body(), &at)
			p.State, p.Percent, p.Step, p.Worker = "working", at.Percent, at.Step, at.PID
		}
		if err != nil {
			p.State, p.Note = "failed", outcome(err)
		}
		if t.show(p); err != nil {
			return
		}
	}
}
