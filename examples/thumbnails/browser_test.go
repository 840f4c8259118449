package main

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is one Chromium for all tests.
var browser struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

// findBrowser returns the path of a Chromium.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium to open the page with; install it with scripts/deps-browser")
}

func startBrowser() {
	path, err := findBrowser()
	if err != nil {
		browser.err = err
		return
	}
	// Without a sandbox, which root and many containers cannot have: it opens no
	// page but ours.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc)
	browser.ctx, browser.stop = ctx, func() { stop(); stopAlloc() }
	if err := chromedp.Do(ctx); err != nil {
		browser.err = fmt.Errorf("%s does not start: %w", path, err)
	}
}

// A page is the program's page in a browser.
type page struct {
	t     *testing.T
	ctx   context.Context
	close func()
	// What the browser has reported.
	mu       sync.Mutex
	requests []string
	errors   []string // of the console, exceptions, what the policy has blocked
}

func open(t *testing.T, url string) *page {
	t.Helper()
	if browser.once.Do(startBrowser); browser.err != nil {
		t.Fatal(browser.err)
	}
	ctx, stop := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	p := &page{t: t, ctx: ctx, close: stop}
	p.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Navigate(url))
	p.until(`!document.querySelector("#form button").disabled`)
	return p
}

func (p *page) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, ev.Request.URL)
	case *runtime.EventExceptionThrown:
		p.errors = append(p.errors, fmt.Sprintf("exception: %+v", ev.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		p.errors = append(p.errors, fmt.Sprintf("console.%s", ev.Type))
	case *cdplog.EventEntryAdded:
		p.errors = append(p.errors, fmt.Sprintf("%s: %s (%s)", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	}
}

// clean fails the test if the page has asked another server, or the console has
// something to say.
func (p *page) clean(own string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := 0
	for _, r := range p.requests {
		u, err := url.Parse(r)
		if err == nil && "http://"+u.Host+"/" == own {
			asked++
		} else if err != nil || u.Scheme != "data" && r != "about:blank" {
			p.t.Errorf("it asked another server: %s", r)
		}
	}
	if asked < 5 {
		p.t.Errorf("only %d requests were seen: is anybody listening?", asked)
	}
	for _, e := range p.errors {
		p.t.Errorf("the console: %s", e)
	}
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, patience)
	defer stop()
	if chromedp.FromContext(p.ctx).Target == nil {
		ctx = p.ctx // the tab lives as long as the context that made it
	}
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func eval[T any](p *page, js string) T {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, patience)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits until the expression is true.
func (p *page) until(js string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !eval[bool](p, "!!("+js+")"); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("never: %s\nThe page says:\n%s", js, eval[string](p, "document.body.innerText"))
		}
	}
}

// upload chooses files and presses the button.
func (p *page) upload(files ...file) {
	p.t.Helper()
	dir := p.t.TempDir()
	var paths []string
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.body, 0o600); err != nil {
			p.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), paths), chromedp.Click(chromedp.CSS("#form button")))
}

// rows is the start of an expression about the row of a picture.
func row(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#pictures li")].find((li) => li.querySelector("h2").textContent === %q)`, name)
}

// The page shows progress, a lost worker, refusals and thumbnails; a name from
// outside is only text.
func TestPage(t *testing.T) {
	t.Parallel()
	const hostile = `<img src=x onerror=owned=1>.png`
	s := start(t, "--pause", "300ms")
	p := open(t, s.url)
	m := halves(660, 440, color.RGBA{R: 200, A: 255}, color.RGBA{B: 200, A: 255})
	good, evil := encoded(t, "good.jpg", m), encoded(t, hostile, m)
	p.upload(good, evil, file{"bad.gif", []byte("no image")})
	p.until(row("good.jpg") + `?.className === "working"`)
	seen := eval[float64](p, row("good.jpg")+`.querySelector("progress").value`)
	pid := eval[int](p, `+`+row("good.jpg")+`.querySelector(".pid").textContent`)
	if says := eval[string](p, row("good.jpg")+`.innerText`); !strings.Contains(says, fmt.Sprintf("kill -9 %d", pid)) {
		t.Errorf("it does not say how to kill worker %d: %s", pid, says)
	}
	kill(t, pid)
	p.until(row("good.jpg") + `.innerText.includes("Started again on another worker (1×).")`)
	p.until(fmt.Sprintf(`%s.querySelector("progress").value > %v`, row("good.jpg"), seen))
	for _, name := range []string{"good.jpg", hostile} {
		p.until(row(name) + `.className === "done" && [...` + row(name) + `.querySelectorAll("img")].map((img) => img.naturalWidth).join() === "480,240,96"`)
	}
	if says := eval[string](p, row("good.jpg")+`.innerText`); strings.Contains(says, "kill -9") || !strings.Contains(says, "Started again") {
		t.Errorf("done, it says %s", says)
	}
	p.until(row("bad.gif") + `.innerText.includes("It was refused: it is not a JPEG, PNG or GIF image. It was not started.")`)
	if eval[bool](p, `"owned" in window || document.querySelector("h2 img") !== null`) {
		t.Error("a name has run")
	}
	if eval[string](p, `document.querySelector("#notice").textContent + document.querySelector("#files").value`) != "" {
		t.Error("the form is not as it was at the beginning")
	}
	p.clean(s.url)
}

// The button withdraws a request, and so does whoever closes the tab; a web
// front that is killed comes back, and the page with it.
func TestPageWithdraws(t *testing.T) {
	t.Parallel()
	s := start(t, "--workers", "2", "--pause", "1s")
	p := open(t, s.url)
	m := halves(660, 440, color.White, color.Black)
	p.upload(encoded(t, "button.png", m))
	p.until(row("button.png") + `?.className === "working"`)
	p.do(chromedp.Click(chromedp.CSS("#pictures button")))
	p.until(row("button.png") + `.innerText.includes("It was withdrawn. It may have run.")`)
	s.printed(`"button.png": the client has withdrawn the request\n`)
	p.clean(s.url)

	p.upload(encoded(t, "lost.png", m))
	p.until(row("lost.png") + `?.className === "working"`)
	var pid int
	if _, err := fmt.Sscan(s.printed(`web (\d+): open`)[0], &pid); err != nil {
		t.Fatal(err)
	}
	kill(t, pid)
	p.until(`document.querySelector("#notice").innerText.includes("is lost; trying to get it back")`)
	p.until(row("lost.png") + `.innerText.includes("The connection was lost, and it was withdrawn. It may have run.")`)
	if says := eval[string](p, `document.querySelector("#notice").innerText`); says != "" {
		t.Errorf("back again, it says %q", says)
	}
	p.upload(encoded(t, "tab.png", m))
	p.until(row("tab.png") + `?.className === "working" || ` + row("tab.png") + `?.className === "waiting"`)
	s.printed(`"tab.png", attempt 1\n`)
	p.close()
	s.printed(`"tab.png": the client has withdrawn the request\n`)
}
