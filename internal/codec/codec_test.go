package codec

import (
	"errors"
	"strings"
	"testing"
)

// broken panics wherever it is called.
type broken struct{}

func (broken) Marshal(any) ([]byte, error) { panic("marshal") }
func (broken) Unmarshal([]byte, any) error { panic("unmarshal") }
func (broken) ContentType() string         { return "" }

// hostile is a value whose own method panics.
type hostile struct{}

func (hostile) MarshalJSON() ([]byte, error) { panic("hostile") }
func (*hostile) UnmarshalJSON([]byte) error  { panic("hostile") }

func TestRoundTrip(t *testing.T) {
	type pair struct{ A, B int }
	body, contentType, err := Encode(Or(nil), pair{1, 2})
	if err != nil || contentType != "application/json" || string(body) != `{"A":1,"B":2}` {
		t.Fatalf("%q, %q, %v", body, contentType, err)
	}
	for _, sent := range []string{"", contentType, "Application/JSON; charset=utf-8"} {
		if got, err := Decode[pair](JSON{}, [][]byte{body}, sent); err != nil || got != (pair{1, 2}) {
			t.Errorf("sent as %q: %+v, %v", sent, got, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	long := []byte(`"` + strings.Repeat("x", 100) + `"`)
	for _, c := range []struct {
		name string
		err  func() error
		want string
	}{
		{"no frame", func() error { _, err := Decode[int](JSON{}, nil, ""); return err }, "0 frames; a value is one"},
		{"two frames", func() error { _, err := Decode[int](JSON{}, [][]byte{{'1'}, {'2'}}, ""); return err }, "2 frames"},
		{"another form", func() error { _, err := Decode[int](JSON{}, [][]byte{{'1'}}, "text/plain"); return err },
			`it is sent as "text/plain", and application/json is read here`},
		{"another type", func() error { _, err := Decode[int](JSON{}, [][]byte{long}, ""); return err },
			"xxx\"… (102 bytes) cannot be decoded as int: json: "},
		{"decoder panics", func() error { _, err := Decode[int](broken{}, [][]byte{{}}, "x"); return err }, "the codec panicked: unmarshal"},
		{"value panics when read", func() error { _, err := Decode[hostile](JSON{}, [][]byte{{'1'}}, ""); return err }, "panicked: hostile"},
		{"encoder panics", func() error { _, _, err := Encode(broken{}, 1); return err }, "a value of type int cannot be encoded: the codec panicked: marshal"},
		{"value panics when written", func() error { _, _, err := Encode(JSON{}, hostile{}); return err }, "panicked: hostile"},
		{"channel", func() error { _, _, err := Encode(JSON{}, make(chan int)); return err }, "a value of type chan int cannot be encoded: json: "},
		{"a nil pointer for a codec", func() error { _, _, err := Encode((*JSON)(nil), 1); return err }, "the codec panicked"},
	} {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", c.name, err, c.want)
		}
	}
}

// The codec's own error can be found.
func TestWrapped(t *testing.T) {
	own := errors.New("own")
	if _, err := Decode[int](failing{own}, [][]byte{{}}, ""); !errors.Is(err, own) {
		t.Errorf("decoding: %v", err)
	}
	if _, _, err := Encode(failing{own}, 1); !errors.Is(err, own) {
		t.Errorf("encoding: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Marshal(any) ([]byte, error) { return nil, f.err }
func (f failing) Unmarshal([]byte, any) error { return f.err }
func (failing) ContentType() string           { return "" }
