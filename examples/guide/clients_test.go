package guide_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// both runs a test in both languages.
func both(t *testing.T, test func(t *testing.T, language string)) {
	t.Parallel()
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			test(t, language)
		})
	}
}

func TestLazyPirate(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r := newRouter(t)
		p := start(t, language, "lazypirate", "--broker="+r.endpoint, "--timeout=20s", "--count=2", "hello")
		r.want("", "hello")
		first := r.peer
		r.send("", "a reply", "of two frames")
		r.want("", "hello")
		if r.peer != first {
			t.Error("a new socket, though the first was answered")
		}
		r.send("", "another")
		p.wantOutput(0, "a reply of two frames", "another", "ok=2 lost=0")
	})
}

func TestLazyPirateAsksAgain(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r := newRouter(t)
		p := start(t, language, "lazypirate", "--broker", r.endpoint, "--timeout", "400ms", "--retries", "3", "--count=2", "x")
		var peers []string
		for range 2 {
			r.want("", "x")
			peers = append(peers, r.peer)
		}
		if peers[0] == peers[1] {
			t.Error("the same socket again")
		}
		r.send("", "second try")
		for range 3 { // the second request gets no reply
			r.want("", "x")
			peers = append(peers, r.peer)
		}
		if peers[1] != peers[2] || peers[2] == peers[3] || peers[3] == peers[4] {
			t.Errorf("sockets %q: want the second kept, and a new one for each try", peers)
		}
		r.wantGone(peers[0])
		p.wantOutput(1, "second try", "ok=1 lost=1")
		r.wantQuiet(50 * time.Millisecond)
	})
}

func TestLazyPirateCorrelates(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r := newRouter(t)
		p := start(t, language, "lazypirate", "--correlate", "--broker="+r.endpoint, "--timeout=1s", "--retries=2", "--count=2", "x")
		ask := func() (id string) {
			frames := r.next()
			if len(frames) != 3 || len(frames[0]) != 4 || frames[1] != "" || frames[2] != "x" {
				t.Fatalf("got %q, want four bytes, an empty frame, and the body", frames)
			}
			return frames[0]
		}
		one := ask()
		r.send(one, "", "one")
		two := ask()
		if one == two {
			t.Error("two requests with one number")
		}
		r.send(one, "", "the first's once more") // readable, but nothing to read: this must not hang
		peer := r.peer
		if again := ask(); r.peer == peer {
			t.Error("the same socket again")
		} else {
			r.send(again, "", "two")
		}
		p.wantOutput(0, "one", "two", "ok=2 lost=0")
	})
}

// How the messages of a Majordomo client look, and the options it takes.
var clients = map[string]struct {
	args                    []string
	request, partial, reply []string
}{
	"0.1": {[]string{"--version=0.1"},
		[]string{"", "MDPC01"}, nil, []string{"", "MDPC01"}},
	"0.1 DEALER": {[]string{"--version=0.1", "--dealer"},
		[]string{"", "MDPC01"}, nil, []string{"", "MDPC01"}},
	"0.2": {[]string{"--version=0.2"},
		[]string{"MDPC02", "\x01"}, []string{"MDPC02", "\x02"}, []string{"MDPC02", "\x03"}},
}

func TestMajordomoClient(t *testing.T) {
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, language string) {
				r := newRouter(t)
				p := start(t, language, "mdclient", join(c.args, "--broker="+r.endpoint, "--timeout=20s", "--count=2", "mmi.service", "echo")...)
				r.want(join(c.request, "mmi.service", "echo")...)
				first, lines := r.peer, []string{"200", "a reply  of three frames", "ok=2 lost=0"}
				r.send(join(c.reply, "mmi.service", "200")...)
				r.want(join(c.request, "mmi.service", "echo")...)
				if r.peer != first {
					t.Error("a new socket, though the first was answered")
				}
				if c.partial != nil {
					r.send(join(c.partial, "mmi.service", "one")...)
					r.send(join(c.partial, "mmi.service", "two", "")...)
					lines = slices.Insert(lines, 1, "partial one", "partial two ")
				}
				r.send(join(c.reply, "mmi.service", "a reply", "", "of three frames")...)
				p.wantOutput(0, lines...)
			})
		})
	}
}

func TestMajordomoClientAsksAgain(t *testing.T) {
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, language string) {
				r := newRouter(t)
				p := start(t, language, "mdclient", join(c.args, "--broker="+r.endpoint, "--timeout=400ms", "--count=2", "echo", "x")...)
				var peers []string
				ask := func() {
					t.Helper()
					r.want(join(c.request, "echo", "x")...)
					peers = append(peers, r.peer)
				}
				ask() // no reply
				ask()
				r.send(join(c.reply, "another", "x")...) // of another service
				ask()
				r.send(join(c.reply, "echo", "third try")...)
				var lines []string
				for range 3 {
					ask()
					if c.partial != nil { // which is no reply yet
						r.send(join(c.partial, "echo", "x")...)
						lines = append(lines, "partial x")
					}
				}
				r.wantGone(peers[0])
				if i := slices.Index(peers, peers[3]); i != 2 || len(slices.Compact(peers)) != 5 {
					t.Errorf("sockets %q: want the third kept, and a new one for each try", peers)
				}
				p.wantOutput(1, append(append([]string{"third try"}, lines...), "ok=1 lost=1")...)
			})
		})
	}
}

func TestDurationsAndUsage(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r := newRouter(t)
		for _, d := range []string{"50ms", "0.05s", ".05s", "0m0.05s", "50000us"} {
			p := start(t, language, "lazypirate", "--broker="+r.endpoint, "--retries=1", "--timeout="+d, "x")
			p.wantOutput(1, "ok=0 lost=1")
		}
		for _, line := range []string{
			"lazypirate", "lazypirate --timeout=50 x", "lazypirate --timeout=s x", "lazypirate --timeout=1s2 x", "lazypirate --retries=0 x",
			"mdclient echo", "mdclient --version=0.3 echo x", "mdclient --timeout=0 echo x",
			"ppworker --heartbeat=0s", "ppworker x",
			"mdworker --version=1", "mdworker --version=0.1 --parts=1", "mdworker --heartbeat=-1s",
		} {
			p := start(t, language, strings.Fields(line)[0], strings.Fields(line)[1:]...)
			if p.wantExit(2); !strings.Contains(strings.ToLower(p.stderr.String()), "usage") {
				t.Errorf("%s said %q: want its usage", line, p.stderr.String())
			}
		}
	})
}
