package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// TestHuman: times as people read them; none is longer than six characters
// below a hundred days, so that columns stay narrow.
func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0", 0: "0", 40 * time.Microsecond: "0ms", 450 * time.Microsecond: "0.4ms", 2 * time.Millisecond: "2ms",
		9999 * time.Microsecond: "9.9ms", 850 * time.Millisecond: "850ms", time.Second: "1s", 1250 * time.Millisecond: "1.2s",
		9999 * time.Millisecond: "9.9s", 45200 * time.Millisecond: "45s", 59999 * time.Millisecond: "59s", 3 * time.Minute: "3m",
		200 * time.Second: "3m20s", time.Hour: "1h", 125 * time.Minute: "2h5m", 24 * time.Hour: "1d", 76 * time.Hour: "3d4h",
	} {
		if got := human(d); got != want || len(got) > 6 {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// crowd is a picture with many services and workers.
func crowd(services, workers int) *picture {
	p := &picture{Status: fakeStatus(), target: "here"}
	for i := range services {
		p.Services = append(p.Services, adminapi.Service{Name: fmt.Sprintf("service-%d", i)})
	}
	for i := range workers {
		p.Workers = append(p.Workers, adminapi.Worker{Worker: fmt.Sprintf("worker-%d", i), Services: []string{"ü" + strings.Repeat("x", 200)}})
	}
	return p
}

// TestPictureFits: whatever the terminal's size, nothing is drawn beyond it, and
// what is left out is said.
func TestPictureFits(t *testing.T) {
	for _, services := range []int{0, 1, 7, 30} {
		for _, workers := range []int{0, 1, 5, 40} {
			for height := 1; height < 80; height++ {
				p := crowd(services, workers)
				lines := p.lines(height)
				if len(lines) > height {
					t.Fatalf("%d services, %d workers: %d lines of %d", services, workers, len(lines), height)
				}
				if all := len(p.lines(0)); height >= all && len(lines) != all {
					t.Fatalf("%d services, %d workers: %d lines where %d would fit in %d", services, workers, len(lines), all, height)
				}
				text := strings.Join(lines, "\n")
				if left := services + workers - strings.Count(text, "service-") - strings.Count(text, "\nworker-"); height > 12 && left > 0 && !strings.Contains(text, " more") {
					t.Fatalf("%d services, %d workers, height %d: %d are left out without a word\n%s", services, workers, height, left, text)
				}
			}
		}
	}
	for line := range strings.SplitSeq(frame(crowd(1, 1).lines(0), "a note\x1b", 40), "\r\n") {
		line = strings.NewReplacer(ansiHome, "", ansiClearLine, "", ansiClearRest, "").Replace(line)
		if n := len([]rune(line)); n > 40 || strings.ContainsRune(line, 0x1b) {
			t.Errorf("%q is %d wide, want 40 at most and no escape", line, n)
		}
	}
}

// TestKeys: q, Ctrl-C, Ctrl-D and the end of the input end top, other keys do not.
func TestKeys(t *testing.T) {
	for keys, left := range map[string]string{"q": "", "abQrest": "rest", "\x03x": "x", "\x1b[A\x04z": "z", "": ""} {
		r, quits := strings.NewReader(keys), 0
		readKeys(r, func() { quits++ })
		if rest := keys[len(keys)-r.Len():]; quits != 1 || rest != left {
			t.Errorf("%q: %d quits and %q left, want 1 and %q", keys, quits, rest, left)
		}
	}
}

// A screenUntil ends a live top when enough has been drawn.
type screenUntil struct {
	text   bytes.Buffer
	enough func(drawn string)
}

func (s *screenUntil) Write(b []byte) (int, error) {
	n, err := s.text.Write(b)
	s.enough(s.text.String())
	return n, err
}

// TestTopLive: pictures are drawn over each other. When the broker is slow, and
// when it is gone, the last one stays, and it is said why.
func TestTopLive(t *testing.T) {
	f := &fakeAdmin{status: fakeStatus()}
	var slow atomic.Bool
	waited := make(chan struct{})
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			<-waited
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	a, err := adminapi.New(f.server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	a.Timeout = patience
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	gone := false
	w := &screenUntil{enough: func(drawn string) {
		switch {
		case !slow.Load() && strings.Count(drawn, "serving, up 3h12m") >= 3:
			slow.Store(true)
		case slow.Load() && !gone && strings.Contains(drawn, " ago: waiting for an answer"):
			gone = true
			close(waited)
			f.server.Close()
		case gone && strings.Contains(drawn, " ago: no admin listener at http://127"):
			cancel()
		}
	}}
	c := topCommand{Interval: duration(time.Millisecond)}
	if err := c.live(ctx, a, w); err != nil {
		t.Fatal(err)
	}
	drawn := w.text.String()
	drawn = drawn[max(0, len(drawn)-3000):]
	if !gone || !strings.Contains(drawn, " ago: no admin listener at ") {
		t.Errorf("it drew %q", drawn)
	}
	if !strings.HasPrefix(w.text.String(), ansiHide) || !strings.HasSuffix(drawn, ansiShow+"\r\n") {
		t.Errorf("the terminal is not given back: %q", drawn)
	}
	if last := drawn[strings.LastIndex(drawn, ansiHome):]; !strings.Contains(last, "mail") {
		t.Errorf("the last picture is gone: %q", last)
	}
}
