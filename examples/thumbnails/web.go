package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// Bounds of the web front; reaching one is an answer in a sentence.
const (
	uploadBytesMax  = 100 << 20
	uploadsMax      = 4  // read at a time
	underWayMax     = 32 // images that wait or are worked on, of all tabs
	tabsMax         = 100
	resultsBytesMax = 128 << 20
	uploadTime      = time.Minute
	eventTime       = 10 * time.Second // for a browser to take an event
	stillHere       = 15 * time.Second // without an event: one that says no more than that
)

//go:embed page
var embedded embed.FS

// webReady is the first line of a web front's output: its pid and address.
const webReady = "web %d: open http://%s"

// policy: nothing from elsewhere, and no script or style but the embedded files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type webCommand struct {
	HTTP     string        `default:"127.0.0.1:8080" help:"Address to listen on."`
	Front    string        `default:"tcp://127.0.0.1:5555" help:"The broker's endpoint for clients."`
	Deadline time.Duration `default:"2m" help:"How long an image may take, waiting included."`
	Keep     time.Duration `default:"10m" help:"How long thumbnails are kept."`
}

// Run serves until ctx is done.
func (c *webCommand) Run(ctx context.Context) error {
	pipeline, err := client.NewPipeline(client.Config{Brokers: []string{c.Front}, Deadline: c.Deadline,
		MaxInFlight: underWayMax, Logger: logger})
	if err != nil {
		return err
	}
	defer pipeline.Close()
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return err
	}
	h := &http.Server{Handler: newServer(pipeline, c.Keep).handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		WriteTimeout: 2 * uploadTime, MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	say("web", "open http://%s", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done(): // which ends the streams
		ctx, stop := context.WithTimeout(context.Background(), stopTimeout/2)
		defer stop()
		return h.Shutdown(ctx)
	}
}

func (s *server) handler() http.Handler {
	pages, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("POST /tabs/{tab}/pictures", s.upload)
	mux.HandleFunc("DELETE /tabs/{tab}/pictures/{n}", s.withdraw)
	mux.HandleFunc("GET /results/{id}/{n}", s.result)
	same := http.NewCrossOriginProtection().Handler(mux) // no other site's page may post here
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, s.uploadMax)
		same.ServeHTTP(w, r)
	})
}

// events is the stream of a tab, which is open as long as the browser listens.
// Its first event names the tab, for the others to send images to.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	t := s.openTab(r.Context())
	if t == nil {
		http.Error(w, fmt.Sprintf("%d tabs are open; close one.", tabsMax), http.StatusServiceUnavailable)
		return
	}
	defer s.closeTab(t)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	send := func(event string, data any) error {
		text, err := json.Marshal(data)
		if err != nil {
			return err
		}
		_ = control.SetWriteDeadline(time.Now().Add(eventTime)) // in place of the server's; Flush says when it is over
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
		return control.Flush()
	}
	fmt.Fprint(w, "retry: 500\n") // ms until the browser comes back
	for err := send("tab", t.id); err == nil; {
		select {
		case p := <-t.shows:
			err = send("picture", p)
		case <-time.After(stillHere):
			err = send("here", nil)
		case <-t.ctx.Done():
			return
		}
	}
}

// upload takes images from a form, one after the other: each is asked for
// while the next is still on its way here.
func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	t := s.tab(r.PathValue("tab"))
	if t == nil {
		http.Error(w, "This tab is no longer open; try again in a moment.", http.StatusNotFound)
		return
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		http.Error(w, fmt.Sprintf("%d uploads are on their way already; try again in a moment.", uploadsMax), http.StatusServiceUnavailable)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime)) // NextPart says when it is over
	form, err := r.MultipartReader()
	if err != nil {
		http.Error(w, "Send images as a form (multipart/form-data).", http.StatusBadRequest)
		return
	}
	for {
		part, err := form.NextPart()
		var body []byte
		if err == nil && part.FileName() != "" {
			body, err = io.ReadAll(io.LimitReader(part, imageBytesMax+1))
		}
		large := (*http.MaxBytesError)(nil)
		switch {
		case err == io.EOF: //nolint:errorlint // a wrapped one says that the form broke off
			w.WriteHeader(http.StatusNoContent)
			return
		case errors.As(err, &large):
			http.Error(w, fmt.Sprintf("The upload has more than %d MiB: not all of it was taken.", large.Limit>>20), http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "The upload broke off: "+err.Error(), http.StatusBadRequest)
			return
		case part.FileName() != "" && !s.add(t, part.FileName(), body):
			http.Error(w, fmt.Sprintf("This page has sent %d images, and may send no more: reload it.", picturesMax), http.StatusTooManyRequests)
			return
		}
	}
}

func (s *server) withdraw(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if t := s.tab(r.PathValue("tab")); err != nil || t == nil || !s.cancel(t, n) {
		http.Error(w, "There is no such image.", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent) // the stream tells the outcome
}

func (s *server) result(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	thumb := s.results.get(r.PathValue("id"), n)
	if err != nil || thumb == nil {
		http.Error(w, "This thumbnail is no longer kept.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", http.DetectContentType(thumb))
	_, _ = w.Write(thumb) // whoever asked may be gone
}
