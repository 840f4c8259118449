package adminpage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for the browser: beside a compiler it is slow.
const patience = time.Minute

// screenshots names the folder for pictures of the page; without it they are
// among the test's artifacts (go test -artifacts).
const screenshots = "PRIVATEER_SCREENSHOTS"

const pictureMax = 300 << 10 // bytes

// browser is one Chromium for all tests.
var browser struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.stop != nil {
		browser.stop()
	}
	os.Exit(code)
}

// findBrowser returns the path of a Chromium.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium to open the admin page with; install it with scripts/deps-browser")
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

// A tab is one page, with sessionStorage of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	f   *fake
	// What the browser has reported.
	mu       sync.Mutex
	requests []string
	errors   []string // of the console, exceptions, what the policy has blocked
}

// A look is how a tab is opened. The zero value is a wide, light one.
type look struct {
	width  int64
	dark   bool
	speed  int    // the page's clock and timers run so many times as fast; 4 if 0
	path   string // "/" if empty
	before string // a script that runs before the page's
}

func open(t *testing.T, f *fake, l look) *tab {
	t.Helper()
	if browser.once.Do(startBrowser); browser.err != nil {
		t.Fatal(browser.err)
	}
	ctx, stop := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	p := &tab{t: t, ctx: ctx, f: f}
	p.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	width, scheme := l.width, "light"
	if width == 0 {
		width = 1280
	}
	if l.dark {
		scheme = "dark"
	}
	speed := l.speed
	if speed == 0 {
		speed = 4
	}
	before := l.before + fmt.Sprintf(`{
		const k = %d, real = performance.now.bind(performance), begin = real();
		performance.now = () => begin + (real() - begin) * k;
		const timeout = setTimeout, interval = setInterval;
		window.setTimeout = (f, ms, ...a) => timeout(f, ms / k, ...a);
		window.setInterval = (f, ms, ...a) => interval(f, ms / k, ...a);
	}`, speed)
	p.do(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
			return err
		}
		// Each tab behaves as if it were the one in front.
		if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: before})
		return err
	}))
	path := l.path
	if path == "" {
		path = "/"
	}
	p.do(chromedp.Navigate(f.URL + path))
	return p
}

// opened is open, and waits until the page has drawn the first data.
func opened(t *testing.T, f *fake, l look) *tab {
	t.Helper()
	p := open(t, f, l)
	p.until(`document.querySelector("#services tbody tr")`)
	return p
}

func (p *tab) hear(ev any) {
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
func (p *tab) clean() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	own := 0
	for _, r := range p.requests {
		u, err := url.Parse(r)
		if err != nil {
			p.t.Errorf("request of %q: %v", r, err)
			continue
		}
		if "http://"+u.Host == p.f.URL {
			own++
		} else if u.Scheme != "data" && r != "about:blank" {
			p.t.Errorf("it asked another server: %s", r)
		}
	}
	if own < 5 {
		p.t.Errorf("only %d requests were seen: is anybody listening?", own)
	}
	for _, e := range p.errors {
		p.t.Errorf("the console: %s", e)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
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

func eval[T any](p *tab, js string) T {
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
func (p *tab) until(js string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !eval[bool](p, "!!("+js+")"); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("never: %s\nThe page says:\n%s", js, eval[string](p, "document.body.innerText"))
		}
	}
}

// text returns what can be seen of an element.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf("(() => { const e = document.querySelector(%q); return e?.checkVisibility() ? e.innerText : '(nothing to see)'; })()", selector))
}

func (p *tab) wantText(selector string, parts ...string) {
	p.t.Helper()
	got := p.text(selector)
	for _, part := range parts {
		if !strings.Contains(got, part) {
			p.t.Errorf("%s does not say %q; it says:\n%s", selector, part, got)
		}
	}
}

// click presses a button, once no earlier press of one is still at work.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.until(`document.querySelector("dialog[open]") || !document.querySelector("[aria-disabled=true]")`)
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// picture writes a screenshot; all is the whole page, not what is in sight.
func (p *tab) picture(name string, all bool) {
	p.t.Helper()
	take := chromedp.CaptureScreenshot()
	if all {
		take = chromedp.FullScreenshot(100)
	}
	shot, err := chromedp.Run(p.ctx, take)
	if err == nil {
		shot, err = shrink(shot)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if len(shot) > pictureMax {
		p.t.Errorf("picture %s has %d bytes, more than %d", name, len(shot), pictureMax)
	}
	dir := os.Getenv(screenshots)
	if dir == "" {
		dir = p.t.ArtifactDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// shrink returns a PNG with its 256 most frequent colours.
func shrink(shot []byte) ([]byte, error) {
	decoded, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	from := image.NewRGBA(decoded.Bounds())
	draw.Draw(from, from.Rect, decoded, from.Rect.Min, draw.Src)
	often, run := map[[4]byte]int{}, 0
	for i := 0; i < len(from.Pix); i += 4 {
		// Most pixels are as the one before: one look at the map is enough for all of a run.
		run++
		if c := from.Pix[i : i+4]; i+4 == len(from.Pix) || !bytes.Equal(c, from.Pix[i+4:i+8]) {
			often[[4]byte(c)] += run
			run = 0
		}
	}
	colours := slices.SortedFunc(maps.Keys(often), func(a, b [4]byte) int { return often[b] - often[a] })
	to := image.NewPaletted(from.Rect, nil)
	index := map[[4]byte]uint8{}
	for _, c := range colours {
		rgba := color.RGBA{R: c[0], G: c[1], B: c[2], A: c[3]}
		if len(to.Palette) < 256 {
			to.Palette = append(to.Palette, rgba)
		}
		index[c] = uint8(to.Palette.Index(rgba))
	}
	for i := range to.Pix {
		if c := from.Pix[4*i : 4*i+4]; i > 0 && bytes.Equal(c, from.Pix[4*i-4:4*i]) {
			to.Pix[i] = to.Pix[i-1]
		} else {
			to.Pix[i] = index[[4]byte(c)]
		}
	}
	var out bytes.Buffer
	err = png.Encode(&out, to)
	return out.Bytes(), err
}
