package client

import (
	"context"
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/protocol"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTrace(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, nil)
		for _, trace := range []string{traceparent, "", strings.Repeat("x", traceBytesMax)} {
			before := len(f.messages(protocol.Request))
			if _, err := do.Do(context.Background(), Request{Service: "s", Headers: []Header{{"k", "v"}}, Trace: trace}); err != nil {
				t.Fatal(err)
			}
			m := f.messages(protocol.Request)[before].msg
			if got := m.Meta.Get(protocol.MetaTrace); got != trace {
				t.Errorf("sent the trace %q, want %q", got, trace)
			}
		}
	})
}

func TestInvalidTrace(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		for trace, want := range map[string]string{
			strings.Repeat("x", traceBytesMax+1): "Trace has 256 bytes",
			"00 1":                               "ASCII without spaces",
			"00\n1":                              "ASCII without spaces",
			"\u00e9":                             "ASCII without spaces",
		} {
			_, err := do.Do(context.Background(), Request{Service: "s", Trace: trace})
			if e := details(t, err, ErrInvalid, protocol.NotStarted); !strings.Contains(e.Message, want) {
				t.Errorf("%q: message %q, want %q", trace, e.Message, want)
			}
		}
		_, err := do.Do(context.Background(), Request{Service: "s", Headers: []Header{{"k", strings.Repeat("x", 8180)}}, Trace: traceparent})
		if e := details(t, err, ErrInvalid, protocol.NotStarted); !strings.Contains(e.Message, "headers take 8243 bytes") {
			t.Errorf("message %q", e.Message)
		}
	})
}
