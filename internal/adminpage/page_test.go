package adminpage

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

func TestHeaders(t *testing.T) {
	for path, kind := range map[string]string{"/": "text/html", "/index.html": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
				"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Content-Type": kind + "; charset=utf-8",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/page", 404}, {"GET", "/page/", 404}, {"GET", "/../adminpage.go", 404}, {"HEAD", "/", 200}, {"POST", "/", 405}} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, &http.Request{Method: c.method, URL: httptest.NewRequest("GET", c.path, nil).URL})
		if w.Code != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, w.Code, c.status)
		}
	}
}

// The files are short, name no other server, and have no way to make HTML or
// code of a text.
func TestFiles(t *testing.T) {
	bad := regexp.MustCompile(`(?i)inner\s*html|outer\s*html|insertadjacent|document\.write|\beval\b|new function|srcdoc|localStorage|cookie|style=|\son\w+=|https?:|//[a-z]+\.`)
	entries, err := fs.ReadDir(embedded, "page")
	if err != nil || len(entries) < 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		body, err := embedded.ReadFile("page/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(body), "\n"); n > 400 {
			t.Errorf("%s has %d lines, more than 400", e.Name(), n)
		}
		// The name of SVG's elements is an address that nobody asks.
		text := strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", "")
		for _, found := range bad.FindAllString(text, -1) {
			t.Errorf("%s has %q", e.Name(), found)
		}
	}
}

func TestMissingBrowser(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if path, err := findBrowser(); err == nil {
		if !strings.HasPrefix(path, "/Applications/") {
			t.Errorf("found %s on an empty path", path)
		}
	} else if !strings.Contains(err.Error(), "install it with scripts/deps-browser") {
		t.Errorf("it does not say what to do: %v", err)
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{})
	p.until(`document.querySelectorAll(".chart path").length >= 3`) // two polls make a rate
	p.wantText("#which", "v0.9.0", "7f3a9c0e11d2b456")
	p.wantText("#age", "Live")
	p.wantText("#status", "430", "422", "3 min 11 s", "1 ms", "12 %", "2 h 12 min", "Draining\nno")
	p.wantText("#look", "resize has no worker: 412 queued, the oldest for 3 min 11 s.", "mail/outbox is paused: 9 queued",
		"1 worker has gone silent.", "Failed in the last minute: 2 × resize: EXPIRED.",
		"sum hangs: worker a1b2c3d4e5f60718 has had "+id(13)+" for 7 min.", "mail/outbox fails: 60 of 61 in the last 5 minutes did not end OK.", "2 dead letters wait for a decision.")
	p.wantText("#services", "Services 4", "88,041", "no worker", "paused", "hanging", "7 min", "42 s")
	p.wantText("#workers", "Workers 3", "00000000000000ff", "suspected", "1 min 13 s", "7.4 s ago", "MDP 0.2")
	p.wantText("#failures", "2 × resize: EXPIRED", "12 s ago", "its deadline passed while it waited in the queue")
	p.wantText("#open", id(11), "runs", "7 min 3 s", "a1b2c3d4e5f60718", id(12), "queued", "The oldest 2 of 430")
	p.wantText("#dead", "31 min ago", "lost 3 workers", "00000000000000fc", "18 KiB")
	p.wantText(".charts", "requests per second", "minutes", "−5", "now")
	order := eval[[]string](p, `[...document.querySelectorAll("#services tbody th")].map((th) => th.textContent)`)
	if want := []string{"mail/outbox", "sum", "resize", hostile}; !slices.Equal(order, want) {
		t.Errorf("services in the order %q, want %q", order, want)
	}
	if !eval[bool](p, `[...document.querySelectorAll("thead th")].every((th) => th.scope === "col") &&
		[...document.querySelectorAll("tbody tr")].every((tr) => tr.querySelectorAll("th[scope=row]").length === 1)`) {
		t.Error("a table header has no scope")
	}
	f.with(func() { f.status.Draining = true })
	p.until(`document.querySelector("#look").innerText.includes("The broker is draining")`)
	// A loop that is late with little to do was not let run.
	f.with(func() { f.status.LoopLagMS = 700 })
	p.until(`document.querySelector("#look").innerText.includes("The broker's machine stood still for 700 ms")`)
	f.with(func() { f.status.Busy = 0.9 })
	p.until(`document.querySelector("#look").innerText.includes("The broker itself is slow: its loop lags by 700 ms.")`)
	p.picture("wide", true)
	p.clean()
}

// A name from outside is text, wherever it stands.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.status.Version, f.services[3].Name = hostile, "sum\u202e\u200bgnp"
	p := opened(t, f, look{path: "/#why=" + id(1)})
	p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
	for _, where := range []string{"#which", "#services", "#workers", "#open", "#failures", "#dead", "#why-answer", "#why-facts", "#request tbody"} {
		p.wantText(where, hostile)
	}
	p.wantText("#services", `sum\u{202e}\u{200b}gnp`)
	f.with(func() { f.services[0].Paused = true })
	p.until(`document.querySelector("#look").innerText.includes("window.owned=1")`)
	p.click("#services tbody tr:nth-child(4) button")
	p.until(`document.querySelector("#notes").offsetHeight > 0 && document.querySelector("#notes").innerText.includes("window.owned=1")`)
	if n := eval[int](p, `document.querySelectorAll("main img, #notes img, script:not([type])").length`); n != 0 {
		t.Errorf("%d elements were made of a name", n)
	}
	if eval[bool](p, `"owned" in window`) {
		t.Error("a name has run")
	}
	p.clean()
}

func TestActions(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{})
	step := func(selector, then string) {
		t.Helper()
		p.click(selector)
		p.until(then)
	}
	step(`[aria-label="Pause sum"]`, `document.querySelector('[aria-label="Resume sum"]')`)
	step(`[aria-label="Resume mail/outbox"]`, `document.querySelector('[aria-label="Pause mail/outbox"]')`)
	step(`#services tbody tr:nth-child(4) button`, `document.querySelectorAll("#notes li").length === 3`)
	step(`[aria-label="Requeue `+id(5)+`"]`, `document.querySelector('#notes a[href="#why=`+id(777)+`"]')`)
	p.until(`!document.querySelector("#dead").innerText.includes("` + id(5) + `")`)
	step(`#notes a`, `document.querySelector("#why-answer").innerText.includes("behind 9 others")`)
	// A request that hangs is withdrawn.
	step(`[aria-label="Cancel `+id(11)+`"]`, `document.querySelector("#ask").open`)
	p.wantText("#ask", "Cancel this request?", id(11), "CANCELLED", "Cancel it")
	step(`#ask-yes`, `!document.querySelector("#open").innerText.includes("`+id(11)+`")`)
	// It asks, and takes no for an answer: by its button, and by Escape.
	step(`[aria-label="Drop `+id(6)+`"]`, `document.querySelector("#ask").open`)
	p.wantText("#ask", id(6))
	p.picture("drop", false)
	step(`#ask button[value=keep]`, `!document.querySelector("#ask").open`)
	step(`[aria-label="Drop `+id(6)+`"]`, `document.querySelector("#ask").open`)
	p.press(kb.Escape)
	p.until(`!document.querySelector("#ask").open`)
	step(`[aria-label="Drop `+id(6)+`"]`, `document.querySelector("#ask").open`)
	step(`#ask-yes`, `document.querySelector("#dead").innerText.includes("No dead letters")`)
	want := []string{"POST /services/sum/pause", "POST /services/mail%2Foutbox/resume",
		"POST /services/%3Cimg%20src=x%20onerror=%22window.owned=1%22%3E%3Cscript%3Ewindow.owned=2%3C%2Fscript%3E/pause",
		"POST /dead/" + id(5) + "/requeue", "POST /requests/" + id(11) + "/cancel", "DELETE /dead/" + id(6)}
	got := f.made()
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], "%3D", "=")
	}
	if !slices.Equal(got, want) {
		t.Errorf("it called\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(f.bare) > 0 {
		t.Errorf("without the header %s: %v", adminapi.Header, f.bare)
	}
	p.clean()
	// What the broker refuses is said, in its words.
	f.with(func() { f.refuse = &adminapi.Error{Code: adminapi.CodeNoRoom, Message: "the queue is full"} })
	step(`[aria-label="Pause sum"], [aria-label="Resume sum"]`, `document.querySelector("#notes").offsetHeight > 0 && document.querySelector("#notes").innerText.includes("The queue is full.")`)
	p.picture("notes", false)
	step(`#notes-close`, `document.querySelector("#notes").hidden`)
}

// TestManyDeadLetters: what is in them is shown, and many are queued again or dropped
// at once.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for i := range 30 {
		f.dead = append(f.dead, adminapi.DeadLetter{ID: id(5000 + i), Service: "mail", Code: "FAILED", Reason: "no", Attempts: 3, Workers: []string{}, AgeMS: int64(1000 * i), Bytes: 3})
	}
	p := opened(t, f, look{})
	p.click(`[aria-label="Body of ` + id(5) + `"]`)
	p.until(`document.querySelector("#body").open`)
	p.wantText("#body", id(5), "mail/outbox, 18 KiB in 3 frames", hostile, `\u{202e}gnp`, "00 01 ff", "(empty)")
	p.picture("body", false)
	p.press(kb.Escape)
	p.until(`!document.querySelector("#body").open`)

	p.click(`[aria-label="Choose ` + id(5) + `"]`)
	p.click(`[aria-label="Choose ` + id(6) + `"]`)
	p.until(`document.querySelector("#dead-tools").innerText.includes("Requeue 2")`)
	tool := func(label string) {
		t.Helper()
		eval[bool](p, `[...document.querySelectorAll("#dead-tools button")].find((b) => b.textContent.startsWith("`+label+`")).click(), true`)
	}
	tool("Requeue 2")
	p.until(`document.querySelector("#notes").innerText.includes("Queued again: 2 dead letters.")`)
	p.until(`document.querySelector("#dead .count").textContent === "30" && !document.querySelector("#dead-tools").innerText.includes("Requeue")`)
	tool("Choose all 30")
	p.until(`document.querySelector("#dead-tools").innerText.includes("Drop 30")`)
	tool("Drop 30")
	p.until(`document.querySelector("#ask").open`)
	p.wantText("#ask", "Drop 30 dead letters?", "Drop them")
	p.click("#ask-yes")
	p.until(`document.querySelector("#dead").innerText.includes("No dead letters")`)
	if n := len(f.made()); n != 32 {
		t.Errorf("it made %d calls, want 32", n)
	}
	if len(f.bare) > 0 {
		t.Errorf("without the header %s: %v", adminapi.Header, f.bare)
	}
	p.clean()
}

func TestToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.token = "hunter2-secret"
	p := open(t, f, look{path: "/#why=" + id(1)})
	asks := `document.querySelector("#token").open && document.activeElement.id === "token-input"`
	p.until(asks)
	p.picture("token", false)
	asked := func() (n int) {
		f.with(func() { n = len(f.asked) })
		return n
	}
	before := asked()
	p.press("wrong" + kb.Enter)
	p.until(`document.querySelector("#token").open && document.querySelector("#token-wrong").innerText.includes("does not take")`)
	if asked() == before {
		t.Error("it did not try the token")
	}
	p.press(kb.Escape) // who has no token is told so, and can come back
	p.until(`!document.querySelector("#token").open && document.querySelector("#banner").offsetHeight > 0 && document.querySelector("#banner").innerText.includes("its token")`)
	p.click("#banner-try")
	p.until(asks)
	p.press("hunter2-secret" + kb.Enter)
	p.until(`document.querySelector("#services tbody tr") && document.querySelector("#why-answer").innerText.includes("It expired")`)
	p.click(`[aria-label="Pause sum"]`)
	p.until(`document.querySelector('[aria-label="Resume sum"]')`)
	if !eval[bool](p, `localStorage.length === 0 && document.cookie === "" && sessionStorage.length === 1 &&
		document.querySelector("#token-input").value === "" && !location.href.includes("hunter2")`) {
		t.Error("the token is kept elsewhere than in sessionStorage")
	}
	p.do(chromedp.Reload())
	p.until(`document.querySelector("#services tbody tr")`)
}

func TestGone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{speed: 3})
	var begin int
	f.with(func() { f.gone, begin = true, len(f.asked) })
	p.until(`document.querySelector("#banner").offsetHeight > 0 && document.querySelector("#banner").innerText.includes("Cannot reach the broker")`)
	p.wantText("#banner", "What you see is from", "Try now")
	p.until(`/^Data \d+ s old$/.test(document.querySelector("#age").innerText) && /Next try in/.test(document.querySelector("#banner-next").textContent)`)
	if kind := eval[string](p, `document.querySelector("#banner-text").getAttribute("role")`); kind != "alert" {
		t.Errorf("the banner's role is %q", kind)
	}
	p.wantText("#services", "resize") // what was known stays in sight
	p.picture("gone", false)
	// The browser itself tries again at once when a kept connection breaks: that is
	// one try.
	tries := func() (at []time.Time) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, asked := range f.asked[begin:] {
			if len(at) == 0 || asked.Sub(at[len(at)-1]) > 150*time.Millisecond {
				at = append(at, asked)
			}
		}
		return at
	}
	for end := time.Now().Add(10 * time.Second); len(tries()) < 4; p.until("true") {
		if time.Now().After(end) {
			t.Fatalf("it tried only %d times", len(tries()))
		}
	}
	at := tries()
	if first, third := at[1].Sub(at[0]), at[3].Sub(at[2]); third < 2*first {
		t.Errorf("it does not back off: %s after the first failure, %s after the third", first, third)
	}
	f.with(func() { f.gone = false })
	p.until(`document.querySelector("#banner").hidden && document.querySelector("#age").innerText === "Live"`)
	if eval[bool](p, `document.body.classList.contains("stale")`) {
		t.Error("it still looks stale")
	}
}

func TestHidden(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{speed: 20, before: `Object.defineProperty(Document.prototype, "hidden", { configurable: true, get: () => window.away === true });`})
	turn := func(away string) {
		eval[bool](p, "window.away = "+away+`; document.dispatchEvent(new Event("visibilitychange"))`)
	}
	asked := func() (n int) {
		f.with(func() { n = len(f.asked) })
		return n
	}
	turn("true")
	<-time.After(200 * time.Millisecond) // what was on its way
	before := asked()
	<-time.After(time.Second) // twenty of the page's
	if n := asked() - before; n > 0 {
		t.Errorf("hidden, it asked %d times in twenty seconds", n)
	}
	turn("false")
	for end := time.Now().Add(10 * time.Second); asked() < before+3; p.until("true") {
		if time.Now().After(end) {
			t.Fatal("in sight again, it asks no more")
		}
	}
}
