package protocol_test

import (
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/protocol"
)

// A client's request, as it goes out and as the broker reads it.
func ExampleParse() {
	id, _ := protocol.ParseID("0190b5a2-7c1e-7000-8000-0123456789ab")
	request := protocol.Message{
		Command: protocol.Request, ID: id, Number: 1, RemainingMS: 30_000, Instance: 42,
		Service: []byte("resize"), Body: [][]byte{[]byte("cat.png")},
	}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.FrontIn, &request)

	var m protocol.Message
	if err := protocol.Parse(protocol.FrontIn, frames, &m); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s try %d: %s(%s), header of %d bytes\n", m.Command, m.ID, m.Number, m.Service, m.Body[0], len(frames[0]))
	// Output: REQUEST 0190b5a2-7c1e-7000-8000-0123456789ab try 1: resize(cat.png), header of 63 bytes
}

// An error says what is wrong and where, and what could be read is there to
// answer the sender with.
func ExampleError() {
	id, _ := protocol.ParseID("0190b5a2-7c1e-7000-8000-0123456789ab")
	bad := protocol.Message{Command: protocol.Request, ID: id, Instance: 42}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.FrontIn, &bad)

	var m protocol.Message
	err := protocol.Parse(protocol.FrontIn, frames, &m)
	var mistake *protocol.Error
	if errors.As(err, &mistake) {
		fmt.Println(mistake.Kind, "error for", m.ID)
		fmt.Println(mistake)
	}
	// Output:
	// field error for 0190b5a2-7c1e-7000-8000-0123456789ab
	// frame 0, byte 24: try or attempt is 0; they count from 1
}

// A REQ socket's message as a ROUTER gets it, behind the routing id.
func ExampleSplitEnvelope() {
	frames := [][]byte{{0, 0, 0, 1}, {}, []byte("hello"), []byte("world")}
	envelope, content, ok := protocol.SplitEnvelope(frames)
	fmt.Printf("%x %s %v\n", envelope, content, ok)
	// Output: [00000001] [hello world] true
}

// The headers of a request, as the handler gets them.
func ExampleMeta() {
	meta := protocol.Meta(nil).AppendHeader("tenant", "blue").AppendHeader("lang", "de")
	for key, value := range meta.Headers() {
		fmt.Println(key, "=", value)
	}
	// Output:
	// tenant = blue
	// lang = de
}

// A caller decides from the outcome alone whether asking again is safe.
func ExampleFlags_Certainty() {
	flags := protocol.Retryable.WithCertainty(protocol.NotStarted)
	fmt.Println(protocol.Overloaded, flags.Certainty(), flags.Has(protocol.Retryable))
	// Output: OVERLOADED not-started true
}

// A PPP worker knows nothing of ids: what it sends back is the token.
func ExampleParsePPP() {
	id, _ := protocol.ParseID("0190b5a2-7c1e-7000-8000-0123456789ab")
	ask := protocol.Message{Command: protocol.Request, ID: id, Number: 2, Epoch: 7, Body: [][]byte{[]byte("ping")}}
	frames, _ := protocol.AppendPPP(nil, nil, &ask)

	answer := [][]byte{frames[0], {}, []byte("pong")}
	var m protocol.Message
	fmt.Println(protocol.ParsePPP(answer, &m), m.Command, m.ID == id, m.Number, m.Epoch)
	// Output: true REPLY true 2 7
}
