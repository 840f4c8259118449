package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// hooked returns Hooks that note what they are told, and when.
func hooked(notes *[]string, now func() time.Duration) worker.Hooks {
	note := func(what string) func(string) {
		return func(broker string) {
			*notes = append(*notes, fmt.Sprintf("%v %s %s", now().Truncate(time.Second), what, broker))
		}
	}
	why := func(what string) func(string, string) {
		return func(broker, why string) { note(what)(broker + ": " + why) }
	}
	return worker.Hooks{Joined: note("joined"), Lost: why("lost"), Reset: why("reset"), Drained: note("drained")}
}

// A broker that goes is told once, however long it stays away, and so is its
// coming back; a link that starts anew is no loss.
func TestHooks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "hooks")
		var notes []string
		cfg := config(t, "hooks")
		cfg.Hooks = hooked(&notes, b.now)
		w := start(t, cfg, worker.HandlerFunc(echo))
		b.welcome()
		b.link.Close()
		time.Sleep(20 * time.Second)
		b.bind("hooks")
		b.welcome()
		b.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonUnknown})
		b.welcome()
		w.leave(b)
		want := []string{"0s joined mem://hooks", "3s lost mem://hooks: nothing heard", "", "", "", ""}
		at := fmt.Sprint(b.now().Truncate(time.Second))
		want = append(want[:2], at+" joined mem://hooks", at+" reset mem://hooks: "+protocol.CodeName(protocol.Disconnect, protocol.ReasonUnknown),
			at+" joined mem://hooks", at+" drained mem://hooks")
		if !slices.Equal(notes, want) {
			t.Errorf("told\n%q, want\n%q", notes, want)
		}
	})
}

// A worker that a broker refuses is lost to it, once; and without hooks nothing
// is called.
func TestHooksRefused(t *testing.T) {
	for _, with := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			b := newFakeBroker(t, "hooksrefused")
			var notes []string
			cfg := config(t, "hooksrefused")
			if with {
				cfg.Hooks = hooked(&notes, b.now)
			}
			w := start(t, cfg, worker.HandlerFunc(echo))
			b.welcome()
			for range 2 {
				b.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonFull, Meta: protocol.ErrorMeta("no room")})
				b.expect(protocol.Ready)
			}
			_ = w.end()
			want := []string{"0s joined mem://hooksrefused", "0s lost mem://hooksrefused: no room",
				fmt.Sprint(b.now().Truncate(time.Second)) + " drained mem://hooksrefused"}
			if !with {
				want = nil
			}
			if !slices.Equal(notes, want) {
				t.Errorf("told %q, want %q", notes, want)
			}
		})
	}
}
