package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	asMain   = "THUMBNAILS_TEST_MAIN" // set: the test binary is the program
	patience = 20 * time.Second       // bounds every wait for something that should come
)

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait far more than they work
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if browser.stop != nil {
		browser.stop()
	}
	os.Exit(code)
}

// A program is a run of the program, with all that it starts.
type program struct {
	t   *testing.T
	cmd *exec.Cmd
	out output
	url string
}

// launch starts the program as it is.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), asMain+"=1", "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = &p.out, &p.out, patience
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
			if code := p.wait(); code != 0 {
				t.Errorf("after an interrupt it ends with status %d", code)
			}
		}
		if t.Failed() || strings.Contains(p.out.String(), "DATA RACE") {
			t.Errorf("%v printed:\n%s", args, p.out.String())
		}
	})
	return p
}

// start starts broker, workers and web front on ports of their own.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := launch(t, append([]string{"--front", "tcp://127.0.0.1:0", "--back", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0",
		"--recovery", "1s"}, args...)...)
	p.url = p.printed(`web \d+: open (http://\S+)\n`)[0] + "/"
	return p
}

// wait waits until the program and all that it has started are gone: they hold
// its output open.
func (p *program) wait() (code int) {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() {
		p.t.Errorf("it does not end")
		_ = p.cmd.Process.Kill() // it may have ended
	})
	defer timer.Stop()
	if err := p.cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) { // ProcessState says the others
		p.t.Errorf("something that it has started outlives it")
	}
	return p.cmd.ProcessState.ExitCode()
}

// printed waits until the output matches, and returns what the last match has in brackets.
func (p *program) printed(pattern string) []string {
	p.t.Helper()
	var found []string
	p.out.until(p.t, pattern, func(text string) bool {
		all := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(all) > 0 {
			found = all[len(all)-1][1:]
		}
		return len(all) > 0
	})
	return found
}

// An output can be read, and waited for, while a process writes it.
type output struct {
	mu   sync.Mutex
	text []byte
	more chan struct{} // closed at the next write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return len(b), nil
}

func (o *output) String() string {
	text, _ := o.read()
	return text
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return string(o.text), o.more
}

func (o *output) until(t *testing.T, what string, is func(text string) bool) {
	t.Helper()
	for late := time.After(patience); ; {
		text, more := o.read()
		if is(text) {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("never: %s\nin:\n%s", what, text)
		}
	}
}

// A listener is a browser's side of a stream of events.
type listener struct {
	t    *testing.T
	url  string // of its tab
	out  output
	stop func() // closes it
}

func listen(t *testing.T, url string) *listener {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, "GET", url+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("status %d, content type %q", answer.StatusCode, kind)
	}
	l := &listener{t: t, stop: stop}
	go func() {
		defer answer.Body.Close()
		_, _ = io.Copy(&l.out, answer.Body) // until it is closed
	}()
	tab := regexp.MustCompile(`^retry: 500\nevent: tab\ndata: "(\w+)"\n\n`)
	l.out.until(t, "the name of a tab", tab.MatchString)
	l.url = url + "tabs/" + tab.FindStringSubmatch(l.out.String())[1]
	return l
}

// pictures returns all events about pictures, in order.
func (l *listener) pictures(text string) (list []picture) {
	lines := bufio.NewScanner(strings.NewReader(text[:strings.LastIndex(text, "\n\n")+1]))
	for event := ""; lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == "picture" {
			var p picture
			if err := json.Unmarshal([]byte(data), &p); err != nil {
				l.t.Errorf("%s: %v", data, err)
			}
			list = append(list, p)
		}
	}
	return list
}

// now returns each picture as it was shown last, by name.
func (l *listener) now() map[string]picture {
	last := map[string]picture{}
	for _, p := range l.pictures(l.out.String()) {
		last[p.Name] = p
	}
	return last
}

// until waits until some picture is so, as it was shown last, and returns it.
func (l *listener) until(what string, is func(p picture) bool) (found picture) {
	l.t.Helper()
	l.out.until(l.t, what, func(string) bool {
		for p := range maps.Values(l.now()) {
			if is(p) {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// over waits until so many pictures are done or have failed.
func (l *listener) over(n int) map[string]picture {
	l.t.Helper()
	l.out.until(l.t, fmt.Sprintf("%d are done or have failed", n), func(string) bool {
		over := 0
		for p := range maps.Values(l.now()) {
			if p.State == "done" || p.State == "failed" {
				over++
			}
		}
		return over == n
	})
	return l.now()
}

// A file is one to send.
type file struct {
	name string
	body []byte
}

// form makes the body of an upload.
func form(t *testing.T, files ...file) (kind string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, f := range files {
		part, err := w.CreateFormFile("file", f.name)
		if err == nil {
			_, err = part.Write(f.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

// send uploads files and returns the answer.
func (l *listener) send(files ...file) (status int, text string) {
	l.t.Helper()
	kind, body := form(l.t, files...)
	return ask(l.t, "POST", l.url+"/pictures", body, "Content-Type", kind)
}

// taken is send, and all is well.
func (l *listener) taken(files ...file) {
	l.t.Helper()
	if status, text := l.send(files...); status != http.StatusNoContent {
		l.t.Fatalf("status %d: %s", status, text)
	}
}

func ask(t *testing.T, method, url string, body io.Reader, headers ...string) (status int, text string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(all)
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("pid %d is not to be killed", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
