package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// lonely is a web front without a broker: what it asks for waits until the deadline.
func lonely(t *testing.T, deadline time.Duration, change ...func(*server)) (url string) {
	t.Helper()
	pipeline, err := client.NewPipeline(client.Config{Brokers: []string{"tcp://127.0.0.1:1"}, Deadline: deadline})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(pipeline, time.Minute)
	for _, f := range change {
		f(s)
	}
	h := httptest.NewServer(s.handler())
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		_ = pipeline.Close() // it never fails
	})
	return h.URL + "/"
}

func TestNoBroker(t *testing.T) {
	t.Parallel()
	l := listen(t, lonely(t, 300*time.Millisecond))
	l.taken(encoded(t, "a.png", halves(8, 8, color.White, color.Black)))
	if got, want := l.over(1)["a.png"].Note, "No broker could be reached. It was not started."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// Each bound is answered with a sentence.
func TestBounds(t *testing.T) {
	t.Parallel()
	url := lonely(t, time.Minute)
	l := listen(t, url)
	f := encoded(t, "a.png", halves(8, 8, color.White, color.Black))
	refused := func(status int, text string, wantStatus int, want string) {
		t.Helper()
		if status != wantStatus || !strings.Contains(text, want) {
			t.Errorf("status %d: %s; want %d: %s", status, text, wantStatus, want)
		}
	}

	l.taken(slices.Repeat([]file{f}, underWayMax)...)
	l.taken(file{"over.png", f.body})
	if got, want := l.over(1)["over.png"].Note, "It was refused: 32 images are under way; try again when some are done. It was not started."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	status, text := l.send(slices.Repeat([]file{f}, picturesMax-underWayMax)...)
	refused(status, text, http.StatusTooManyRequests, "This page has sent 50 images, and may send no more: reload it.")
	// What was under way makes room when its tab is closed.
	for end := time.Now().Add(patience); ; {
		l.stop()
		l = listen(t, url)
		l.taken(f)
		if l.until("it is shown", func(p picture) bool { return p.N == 0 }).State == "waiting" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a tab that was closed holds on to its places")
		}
	}

	// Uploads that do not end.
	kind, _ := form(t)
	for range uploadsMax {
		body, more := io.Pipe()
		defer more.Close()
		r, err := http.NewRequestWithContext(t.Context(), "POST", l.url+"/pictures", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		go func() {
			if answer, err := http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
			}
		}()
	}
	for end := time.Now().Add(patience); ; {
		if status, text = l.send(); status != http.StatusNoContent || time.Now().After(end) {
			break
		}
	}
	refused(status, text, http.StatusServiceUnavailable, "4 uploads are on their way already; try again in a moment.")

	for range tabsMax - 1 {
		listen(t, url)
	}
	status, text = ask(t, "GET", url+"events", nil)
	refused(status, text, http.StatusServiceUnavailable, "100 tabs are open; close one.")
}

func TestUploadTooLarge(t *testing.T) {
	t.Parallel()
	l := listen(t, lonely(t, time.Minute, func(s *server) { s.uploadMax = 1 << 20 }))
	status, text := l.send(file{"a", make([]byte, 600<<10)}, file{"b", make([]byte, 600<<10)}, file{"c", nil})
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(text, "The upload has more than 1 MiB: not all of it was taken.") {
		t.Errorf("status %d: %s", status, text)
	}
	if shown := l.over(1); shown["a"].State != "failed" {
		t.Errorf("of the two it shows %v", shown)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	url := lonely(t, time.Minute)
	for _, path := range []string{"", "page.js", "page.css", "results/x/0"} {
		answer, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
				"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("/%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &results{bytesMax: 10, keep: time.Minute, sets: map[string][][]byte{}}
		thumbs := [][]byte{{1, 2}, {3, 4}}
		first := r.put(thumbs)
		time.Sleep(10 * time.Second)
		second := r.put(thumbs)
		kept := func() (kept []bool) {
			for _, id := range []string{first, second} {
				kept = append(kept, slices.Equal(r.get(id, 1), thumbs[1]))
			}
			return kept
		}
		if r.get(first, -1) != nil || r.get(first, 2) != nil || r.get("", 0) != nil || !slices.Equal(kept(), []bool{true, true}) {
			t.Error("it does not give what was put, or gives something else")
		}
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if got := kept(); !slices.Equal(got, []bool{false, true}) {
			t.Errorf("after a minute it keeps %v", got)
		}
		want := func(bytes, sets int) {
			t.Helper()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.bytes != bytes || len(r.order) != sets || len(r.sets) != sets {
				t.Errorf("it keeps %d bytes, %v, %v; want %d bytes of %d", r.bytes, r.order, r.sets, bytes, sets)
			}
		}
		want(4, 1)
		third := r.put([][]byte{make([]byte, 7)})
		if got := kept(); !slices.Equal(got, []bool{false, false}) || r.get(third, 0) == nil {
			t.Errorf("of 11 bytes, 10 allowed, it keeps %v", got)
		}
		want(7, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(0, 0)
	})
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		width, height int
		want          string
	}{
		{4000, 3000, "2000×1500 1000×750 500×375 480×360! 240×180! 120×90 96×72!"},
		{3000, 4000, "1500×2000 750×1000 375×500 360×480! 180×240! 90×120 72×96!"},
		{640, 640, "480×480! 240×240! 120×120 96×96!"},
		{200, 10, "200×10! 200×10! 100×5 96×5!"},
		{1, 1, "1×1! 1×1! 1×1!"},
		{5000, 1, "2500×1 1250×1 625×1 480×1! 240×1! 120×1 96×1!"},
	} {
		var got []string
		for _, s := range plan(c.width, c.height) {
			got = append(got, fmt.Sprintf("%d×%d%s", s.width, s.height, map[bool]string{true: "!"}[s.final]))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%d×%d: %s, want %s", c.width, c.height, text, c.want)
		}
	}
}

func TestThumbnails(t *testing.T) {
	clear, blue := color.NRGBA{G: 200, A: 60}, color.NRGBA{B: 220, A: 255}
	var percents []int
	thumbs, err := thumbnails(encoded(t, "a.png", halves(660, 330, clear, blue)).body, func(percent int, _ string) error {
		percents = append(percents, percent)
		return nil
	})
	if err != nil || len(thumbs) != 3 || !slices.Equal(percents, []int{0, 25, 50, 75, 100}) {
		t.Fatalf("%d thumbnails, %v; progress %v", len(thumbs), err, percents)
	}
	for i, size := range []image.Point{{480, 240}, {240, 120}, {96, 48}} {
		if kind := http.DetectContentType(thumbs[i]); kind != "image/png" {
			t.Errorf("a transparent one is %s", kind)
		}
		wantHalves(t, "a.png", thumbs[i], size, clear, blue)
	}
	enough := errors.New("enough")
	if _, err := thumbnails(encoded(t, "a.jpg", halves(660, 330, blue, blue)).body, func(percent int, _ string) error {
		if percent >= 50 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("told to end, it says %v", err)
	}
}

// Each outcome but OK has a sentence of its own, and says whether it may have run.
func TestOutcome(t *testing.T) {
	says := map[string]protocol.Code{}
	for code := protocol.Code(1); code != 0; code++ {
		if code == protocol.OK || !code.Outcome() && code != protocol.Unreachable {
			continue
		}
		for _, k := range []protocol.Certainty{protocol.NotStarted, protocol.MaybeStarted, protocol.Ran} {
			text := outcome(fmt.Errorf("wrapped: %w", &client.Error{Code: code, Certainty: k}))
			if strings.HasPrefix(text, "It failed") || !strings.HasSuffix(text, ". "+certainties[k]) {
				t.Errorf("%v, %v: %q", code, k, text)
			}
			if before, ok := says[text]; ok {
				t.Errorf("%v and %v: %q", before, code, text)
			}
			says[text] = code
		}
	}
	if len(says) != 3*13 {
		t.Errorf("%d sentences for 13 outcomes", len(says))
	}
	if got, want := outcome(&client.Error{Code: protocol.Failed, HandlerCode: badImage, Message: "it is torn", Certainty: protocol.Ran}),
		"The worker cannot use it: it is torn. It ran."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
