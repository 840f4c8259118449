package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// halves is an image of two colours, left and right.
func halves(width, height int, left, right color.Color) image.Image {
	m := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{left, right})
	draw.Draw(m, image.Rect(width/2, 0, width, height), image.NewUniform(right), image.Point{}, draw.Src)
	return m
}

// encoded is m in the format that the name ends with.
func encoded(t *testing.T, name string, m image.Image) file {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch name[len(name)-3:] {
	case "jpg":
		err = jpeg.Encode(&b, m, nil)
	case "gif":
		err = gif.Encode(&b, m, nil)
	default:
		err = png.Encode(&b, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file{name, b.Bytes()}
}

// bomb is a PNG of a few bytes that says it has a great many pixels.
func bomb(width, height uint32) []byte {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	head = append(binary.BigEndian.AppendUint32(head, height), 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	return binary.BigEndian.AppendUint32(append(b, head...), crc32.ChecksumIEEE(head))
}

// wantThumbs fetches thumbnails and compares their sizes and some of their pixels.
func wantThumbs(t *testing.T, url string, p picture, sizes []image.Point, left, right color.Color) {
	t.Helper()
	if p.State != "done" || len(p.Thumbs) != len(sizes) {
		t.Errorf("%s: %+v; want %d thumbnails", p.Name, p, len(sizes))
		return
	}
	for i, path := range p.Thumbs {
		status, text := ask(t, "GET", url+path, nil)
		if status != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, status, text)
			continue
		}
		wantHalves(t, p.Name, []byte(text), sizes[i], left, right)
	}
}

func wantHalves(t *testing.T, name string, thumb []byte, size image.Point, left, right color.Color) {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(thumb))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if m.Bounds().Size() != size {
		t.Errorf("%s: a thumbnail of %v, want %v", name, m.Bounds().Size(), size)
	}
	for _, at := range []struct {
		x    int
		want color.Color
	}{{size.X / 8, left}, {3 * size.X / 8, left}, {5 * size.X / 8, right}, {7 * size.X / 8, right}} {
		for _, y := range []int{0, size.Y / 2, size.Y - 1} {
			got, want := color.NRGBAModel.Convert(m.At(at.x, y)).(color.NRGBA), color.NRGBAModel.Convert(at.want).(color.NRGBA)
			for i, g := range []uint8{got.R, got.G, got.B, got.A} {
				w := []uint8{want.R, want.G, want.B, want.A}[i]
				if max(g, w)-min(g, w) > 6 { // JPEG is not exact
					t.Errorf("%s: pixel %d,%d of %v is %v, want %v", name, at.x, y, size, got, want)
					break
				}
			}
		}
	}
}

// One command; a worker and the broker are killed with SIGKILL in the middle of
// requests, and every thumbnail comes and is right.
func TestSurvivesKills(t *testing.T) {
	t.Parallel()
	p := start(t, "--pause", "200ms")
	l := listen(t, p.url)
	type colours struct{ left, right color.Color }
	sent := map[string]colours{}
	var files []file
	for i := range 6 {
		c := colours{color.RGBA{R: uint8(30 * i), G: 200, B: 40, A: 255}, color.RGBA{R: 20, G: uint8(30 * i), B: 220, A: 255}}
		f := encoded(t, fmt.Sprintf("%d.%s", i, []string{"png", "jpg", "gif"}[i%3]), halves(660, 440, c.left, c.right))
		sent[f.name], files = c, append(files, f)
	}
	l.taken(files...)

	early := func(p picture) bool { return p.State == "working" && p.Percent < 50 }
	victim := l.until("one is worked on", early)
	kill(t, victim.Worker)
	again := l.until("it was started again", func(p picture) bool { return p.N == victim.N && p.Restarts == 1 })
	if again.Worker == victim.Worker || again.Percent > victim.Percent {
		t.Errorf("started again as %+v, after %+v", again, victim)
	}
	p.printed(fmt.Sprintf(`worker %d has ended: signal: killed`, victim.Worker))

	l.until("one is worked on", early)
	waiting := 0
	for _, p := range l.now() {
		if p.State != "done" {
			waiting++
		}
	}
	if waiting < 3 {
		t.Errorf("only %d are left for the broker to forget", waiting)
	}
	before := p.printed(`broker (\d+): clients at (\S+) workers at (\S+)`)
	pid, err := strconv.Atoi(before[0])
	if err != nil {
		t.Fatal(err)
	}
	kill(t, pid)

	shown := l.over(len(files))
	for name, c := range sent {
		wantThumbs(t, p.url, shown[name], []image.Point{{480, 320}, {240, 160}, {96, 64}}, c.left, c.right)
	}
	after := p.printed(`broker (\d+): clients at (\S+) workers at (\S+)`)
	if after[0] == before[0] || !slices.Equal(after[1:], before[1:]) {
		t.Errorf("broker %v was followed by %v", before, after)
	}
	// What the browser sees of each goes up but for the restart.
	for i, list := 0, l.pictures(l.out.String()); i < len(list); i++ {
		for _, later := range list[i+1:] {
			if a := list[i]; later.N == a.N && later.Percent < a.Percent && later.Restarts == a.Restarts {
				t.Errorf("%+v was followed by %+v", a, later)
			}
		}
	}
}

// What cannot be a thumbnail is told in a sentence, with whether it ran, and what
// can is made all the same.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p := start(t, "--workers", "1", "--pause", "0s")
	l := listen(t, p.url)
	red, blue := color.NRGBA{R: 250, A: 255}, color.NRGBA{B: 250, A: 100}
	good := encoded(t, "good.png", halves(64, 48, red, blue))
	long := strings.Repeat("ä", 200) + ".png"
	l.taken(
		file{"text.png", []byte("no image at all")},
		file{"empty.png", nil},
		file{"large.png", slices.Concat(good.body, make([]byte, imageBytesMax))},
		file{"bomb.png", bomb(50_000, 50_000)},
		file{"torn.png", good.body[:len(good.body)-20]},
		file{"head.png", good.body[:20]},
		file{long, []byte("no image either")},
		good,
	)
	shown := l.over(8)
	for name, want := range map[string]string{
		"text.png":               "It was refused: it is not a JPEG, PNG or GIF image. It was not started.",
		"empty.png":              "It was refused: it is not a JPEG, PNG or GIF image. It was not started.",
		"large.png":              "It was refused: it has more than 10 MiB. It was not started.",
		"bomb.png":               "It was refused: 50000 × 50000 pixels are more than 40 million. It was not started.",
		"torn.png":               "The worker cannot use it: it cannot be read: png: invalid format: unexpected EOF. It ran.",
		"head.png":               "It was refused: its head cannot be read: unexpected EOF. It was not started.",
		strings.Repeat("ä", 100): "It was refused: it is not a JPEG, PNG or GIF image. It was not started.",
		"good.png":               "",
	} {
		if got := shown[name]; got.Note != want || (want != "") != (got.State == "failed") {
			t.Errorf("%s: %+v\nwant the note %q", name, got, want)
		}
	}
	size := image.Point{64, 48} // nothing is made larger
	wantThumbs(t, p.url, shown["good.png"], []image.Point{size, size, size}, red, blue)

	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"POST", l.url + "/pictures", "hello", nil, 400, "Send images as a form"},
		{"POST", l.url + "/pictures", "hello", []string{"Content-Type", "multipart/form-data; boundary=x"}, 400, "The upload broke off"},
		{"POST", l.url + "/pictures", "hello", []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"POST", p.url + "tabs/nobody/pictures", "", nil, 404, "no longer open"},
		{"DELETE", l.url + "/pictures/99", "", nil, 404, "no such image"},
		{"DELETE", l.url + "/pictures/x", "", nil, 404, "no such image"},
		{"GET", p.url + "results/nothing/0", "", nil, 404, "no longer kept"},
		{"GET", p.url + shown["good.png"].Thumbs[0] + "9", "", nil, 404, "no longer kept"},
	} {
		if status, text := ask(t, c.method, c.path, strings.NewReader(c.body), c.headers...); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: status %d, %q; want %d, %q", c.method, c.path, status, text, c.status, c.says)
		}
	}
}

// A button withdraws one request; a tab that is closed withdraws its own.
func TestWithdraws(t *testing.T) {
	t.Parallel()
	p := start(t, "--workers", "1", "--pause", "1s")
	l := listen(t, p.url)
	m := halves(660, 440, color.White, color.Black)
	for _, name := range []string{"first.png", "second.png", "third.png"} { // in this order, also in the queue
		l.taken(encoded(t, name, m))
	}
	withdraw := func(n int) {
		t.Helper()
		if status, text := ask(t, "DELETE", fmt.Sprintf("%s/pictures/%d", l.url, n), nil); status != http.StatusNoContent {
			t.Errorf("status %d: %s", status, text)
		}
	}
	l.until("the first is worked on", func(p picture) bool { return p.N == 0 && p.State == "working" })
	withdraw(1)
	l.until("the second is withdrawn", func(p picture) bool {
		// The client waits 250 ms for the broker to say which.
		return p.N == 1 && p.State == "failed" && (p.Note == "It was withdrawn. It was not started." || p.Note == "It was withdrawn. It may have run.")
	})
	withdraw(0)
	l.until("the first is withdrawn", func(p picture) bool {
		return p.N == 0 && p.State == "failed" && p.Note == "It was withdrawn. It may have run."
	})
	p.printed(`worker \d+: "first.png": the client has withdrawn the request\n`)
	l.until("the third is worked on", func(p picture) bool { return p.N == 2 && p.State == "working" })
	l.stop()
	p.printed(`worker \d+: "third.png": the client has withdrawn the request\n`)
	if text := p.out.String(); strings.Contains(text, "second.png") {
		t.Errorf("the second was started:\n%s", text)
	}
}

// A request that loses its workers is given up in the end, and that is said.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	p := start(t, "--pause", "5s")
	l := listen(t, p.url)
	l.taken(encoded(t, "a.png", halves(660, 440, color.White, color.Black)))
	for lost := range 3 {
		kill(t, l.until("it is worked on", func(p picture) bool { return p.State == "working" && p.Restarts == lost }).Worker)
	}
	if got, want := l.over(1)["a.png"].Note, "Its worker was lost, and so were those that had it before. It may have run."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// What it starts does not outlive it, though it is killed.
func TestDiesWithItsParent(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait() // for all who can write to its output
}

// What cannot start ends it, and is said.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, c := range []struct{ args, says []string }{
		{[]string{"--front", "tcp://127.0.0.1:0", "--back", "tcp://127.0.0.1:0", "--http", addr}, []string{"address already in use", "web does not start"}},
		{[]string{"--front", "tcp://" + addr}, []string{"address already in use", "broker does not start"}},
		{[]string{"--workers", "0"}, []string{"--workers is 0; want 1 to 64"}},
	} {
		p := launch(t, c.args...)
		code := p.wait()
		for _, part := range c.says {
			if text := strings.ToLower(p.out.String()); code == 0 || !strings.Contains(text, part) {
				t.Errorf("%v: status %d, and it does not say %q:\n%s", c.args, code, part, text)
			}
		}
	}
}
