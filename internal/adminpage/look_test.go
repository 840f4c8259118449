package adminpage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// At no width does the page itself scroll sideways.
func TestNarrow(t *testing.T) {
	t.Parallel()
	for _, heavy := range []bool{false, true} {
		f := newFake(t)
		if heavy {
			f.load()
			f.services[119].Name = strings.Repeat("x", 255)
		}
		p := opened(t, f, look{width: 400, path: "/#why=" + id(1)})
		p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
		for _, width := range []int64{400, 320, 601, 768, 1081, 1280} {
			p.do(chromedp.EmulateViewport(width, 900))
			if got := eval[int64](p, `document.scrollingElement.scrollWidth`); got > width {
				t.Errorf("heavy %v: %d px wide, the page scrolls to %d; widest: %s", heavy, width, got, eval[string](p, widest))
			}
			if spilt := eval[[]string](p, spills); len(spilt) > 0 {
				t.Errorf("heavy %v, %d px: text spills over its box: %q", heavy, width, spilt)
			}
		}
		p.do(chromedp.EmulateViewport(400, 900))
		if thin := eval[[]string](p, squeezed); len(thin) > 0 {
			t.Errorf("heavy %v: text stands letter over letter: %q", heavy, thin)
		}
		if !heavy {
			p.picture("narrow", true)
			continue
		}
		eval[bool](p, `scrollTo(0, 0), true`)
		p.picture("narrow-load", false)
		p.do(chromedp.EmulateViewport(1280, 900))
		p.picture("load", false)
		eval[bool](p, `document.querySelector("#failures").scrollIntoView(), true`)
		p.picture("load-failures", false)
		if n := eval[int](p, `document.querySelectorAll("#services tbody tr").length`); n != 25 {
			t.Errorf("%d services are shown at first", n)
		}
		p.click("#services .more")
		p.until(`document.querySelectorAll("#services tbody tr").length === 120`)
	}
}

const widest = `(() => {
	const all = [...document.querySelectorAll("body *")];
	const right = (e) => e.getBoundingClientRect().right;
	all.sort((a, b) => right(b) - right(a));
	return all[0].outerHTML.slice(0, 200);
})()`

const spills = `[...document.querySelectorAll("td, th, dd, dt, li, p, button, figcaption")]
	.filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 && getComputedStyle(e).display !== "inline")
	.map((e) => e.textContent.slice(0, 60)).slice(0, 5)`

const squeezed = `[...document.querySelectorAll("main *")]
	.filter((e) => e.childElementCount === 0 && e.textContent && e.clientWidth > 1 && e.clientWidth < 40 && e.clientHeight > 50)
	.map((e) => e.textContent.slice(0, 60)).slice(0, 5)`

// Tab reaches every control in the order of the page, and shows where it is.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{path: "/#why=" + id(777)})
	p.until(`document.querySelector("#why-answer").innerText.includes("behind 9 others")`)
	p.do(chromedp.Navigate(f.URL + "/?again"))
	p.until(`document.querySelector("#services tbody tr")`)
	n := eval[int](p, `window.controls = [...document.querySelectorAll("a[href], button, input")].filter((e) => e.getClientRects().length > 0),
		window.controls.length`)
	if n < 25 {
		t.Fatalf("only %d controls", n)
	}
	for i := range n {
		p.press(kb.Tab)
		got := eval[string](p, fmt.Sprintf(`(() => {
			const e = document.activeElement, want = window.controls[%d], s = getComputedStyle(e), r = e.getBoundingClientRect();
			if (e !== want) return "the focus is at " + e.outerHTML + ", want " + want.outerHTML;
			if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) return "no outline at " + e.outerHTML;
			if (r.top < 0 || r.bottom > innerHeight || r.left < 0 || r.right > innerWidth) return "out of sight: " + e.outerHTML;
			if (!(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)) return "no name: " + e.outerHTML;
			return "";
		})()`, i))
		if got != "" {
			t.Fatalf("Tab %d: %s", i+1, got)
		}
		if i == 0 {
			p.picture("focus", false)
		}
	}
	// The skip link skips, Enter pauses and submits.
	eval[bool](p, `document.querySelector(".skip").focus(), true`)
	p.press(kb.Enter)
	p.until(`document.activeElement.id === "main"`)
	eval[bool](p, `document.querySelector('[aria-label="Pause sum"]').focus(), true`)
	p.press(kb.Enter)
	p.until(`document.activeElement.getAttribute("aria-label") === "Resume sum"`)
	eval[bool](p, `document.querySelector('#why-id').focus(), true`)
	p.press(id(1) + kb.Enter)
	p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
	if got := eval[string](p, `location.hash`); got != "#why="+id(1) {
		t.Errorf("the address ends in %q", got)
	}
	// A row that goes leaves the focus to its neighbour's link, and not to a button.
	eval[bool](p, `document.querySelector('[aria-label="Requeue `+id(5)+`"]').focus(), true`)
	p.press(kb.Enter)
	p.until(`document.activeElement === document.querySelector('#dead a[href="#why=` + id(6) + `"]')`)
	p.clean()
}

// While somebody is at a row, no row moves; afterwards they do.
func TestOrderWaits(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{})
	eval[bool](p, `document.querySelector('[aria-label="Pause sum"]').focus(), true`)
	f.with(func() { f.services[3].Queued, f.services[3].OldestMS = 5, 400_000 })
	p.until(`document.querySelector("#services").innerText.includes("6 min 40 s")`)
	first := `document.querySelector("#services tbody th").textContent`
	if got := eval[string](p, first); got != "mail/outbox" {
		t.Errorf("the rows moved under the focus: %q is the first now", got)
	}
	p.wantText("#services .note", "The order waits")
	eval[bool](p, `document.activeElement.blur(), true`)
	p.until(first + ` === "sum"`)
}

func TestColours(t *testing.T) {
	t.Parallel()
	grounds := map[bool]string{}
	for _, dark := range []bool{false, true} {
		f := newFake(t)
		f.status.Draining, f.status.LoopLagMS = true, 240
		p := opened(t, f, look{dark: dark, path: "/#why=" + id(1)})
		p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
		p.click(`[aria-label="Pause sum"]`)
		p.until(`document.querySelector("#notes").offsetHeight > 0`)
		f.with(func() { f.gone = true })
		p.until(`document.querySelector("#banner").offsetHeight > 0`)
		grounds[dark] = eval[string](p, `getComputedStyle(document.body).backgroundColor`)
		r := eval[struct {
			Seen int
			Poor []string
		}](p, contrast)
		if r.Seen < 100 {
			t.Errorf("dark %v: only %d texts were looked at", dark, r.Seen)
		}
		for _, poor := range r.Poor {
			t.Errorf("dark %v: contrast of %s", dark, poor)
		}
		if moving := eval[int](p, `[...document.querySelectorAll("*")].filter((e) => { const s = getComputedStyle(e);
			return s.animationName !== "none" || parseFloat(s.transitionDuration) > 0 || s.scrollBehavior !== "auto"; }).length`); moving > 0 {
			t.Errorf("%d elements move", moving)
		}
		if dark {
			f.with(func() { f.gone = false })
			// The page tries by itself too, and the button may be gone by now.
			eval[bool](p, `document.querySelector("#banner-try").click(), true`)
			p.until(`document.querySelector("#banner").hidden`)
			p.picture("dark", true)
		}
	}
	if grounds[false] == grounds[true] {
		t.Errorf("light and dark are the same: %v", grounds)
	}
}

// contrast looks at every text in sight, on what is painted behind it.
const contrast = `(() => {
	const rgb = (c) => c.match(/[\d.]+/g).map(Number);
	const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] !== 0) return c; } return [255, 255, 255]; };
	const poor = new Set();
	let seen = 0;
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walk.nextNode());) {
		const e = n.parentElement, s = getComputedStyle(e);
		if (!n.data.trim() || e.getClientRects().length === 0 || s.visibility !== "visible") continue;
		seen++;
		const front = rgb(e instanceof SVGElement ? s.fill : s.color), back = behind(e);
		const [a, b] = [light(front.slice(0, 3)), light(back.slice(0, 3))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) poor.add(ratio.toFixed(2) + ": " + n.data.trim().slice(0, 40));
	}
	return { Seen: seen, Poor: [...poor] };
})()`

func TestDeepLink(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := opened(t, f, look{path: "/#why=" + id(1)})
	p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
	p.wantText("#request", "NOT_STARTED", "accepted; 411 waited before it", "handed to a worker", "00000000000000fe", "42 s ago")
	if !eval[bool](p, `document.activeElement.id === "request-title" && document.querySelector("#why-id").value === "`+id(1)+`"`) {
		t.Error("the story is not what one looks at first")
	}
	p.until(`(() => { const r = document.querySelector("#request").getBoundingClientRect(); return r.top < innerHeight && r.bottom > 0; })()`)
	p.picture("story", false)
	p.clean()
	p.click(`#dead a[href="#why=` + id(5) + `"]`)
	p.until(`document.querySelector("#why-answer").innerText.includes("knows nothing of ` + id(5) + `")`)
	p.click(`#failures a[href="#why=` + id(1) + `"]`)
	p.until(`document.querySelector("#why-answer").innerText.includes("It expired")`)
	eval[bool](p, `history.back(), true`)
	p.until(`document.querySelector("#why-answer").innerText.includes("knows nothing of ` + id(5) + `")`)
}

// The charts show what five minutes have brought, in numbers with units.
func TestCharts(t *testing.T) {
	t.Parallel()
	const speed = 45
	f := newFake(t)
	f.status.WorkersLost = 5
	p := opened(t, f, look{speed: speed})
	tick := time.NewTicker(time.Second / speed)
	defer tick.Stop()
	at, begin := 0, time.Now() // at: seconds of the broker's and the page's life
	for at < 310 {
		<-tick.C
		now := int(time.Since(begin) * speed / time.Second)
		f.with(func() {
			for ; at < now; at++ {
				f.status.Outcomes["OK"] += uint64(800 + 300*(at/60%2) + at*37%90)
				if at > 200 {
					f.status.Outcomes["EXPIRED"] += uint64(at - 200)
				}
				if at == 250 {
					f.status.WorkersLost += 2
				}
			}
			f.status.OldestMS = int64(at * at / 4)
			f.status.UptimeMS = upMS + int64(at)*1000
		})
	}
	f.with(func() { f.status.OldestMS = 24_000 })
	p.until(`document.querySelector("#wait-now").innerText === "24 s"`)
	width := eval[float64](p, `(() => {
		const paths = [...document.querySelectorAll("#wait path")].map((e) => e.getBBox());
		return (Math.max(...paths.map((b) => b.x + b.width)) - Math.min(...paths.map((b) => b.x))) / document.querySelector("#wait .base").getBBox().width;
	})()`)
	if width < 0.9 {
		t.Errorf("five minutes fill %.0f %% of the chart", 100*width)
	}
	// About 1000 a second have ended; how the curve stands says so, whatever the last moment was.
	p.until(`/[125](\.5)?k/.test(document.querySelector("#rate").textContent)`)
	if begin := eval[float64](p, `[...document.querySelectorAll("#wait text")].find((e) => e.textContent === "−5").getBBox().x`); begin < 30 || begin > 60 {
		t.Errorf("five minutes ago is at %.0f px", begin)
	}
	p.wantText("#rate", "requests per second", "minutes", "now")
	p.wantText("#wait", "seconds", "50")
	p.wantText("#look", "2 workers lost in the last 5 minutes.")
	if said := eval[string](p, `document.querySelector("#rate svg").getAttribute("aria-label")`); !strings.Contains(said, "Requests ended per second") {
		t.Errorf("to who cannot see it, the chart is %q", said)
	}
	p.picture("charts", false)
}
