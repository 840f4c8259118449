package protocol_test

import (
	"fmt"

	"github.com/privateer-mq/privateer/protocol"
)

// Whatever arrives at a broker's port, as the PRV1 message that means the same;
// and the answer, as its sender knows it.
func ExampleRead() {
	frames := [][]byte{{0, 0, 0, 1}, {}, []byte("hello")} // of a plain REQ socket, behind its routing id
	var m protocol.Message
	origin, err := protocol.Read(protocol.FrontPort, frames, protocol.AllDialects, &m)
	fmt.Printf("%v: %v %s %v\n", origin.Dialect, m.Command, m.Body, err)

	answer := protocol.Message{Command: protocol.Reply, Code: protocol.OK, Body: [][]byte{[]byte("hello!")}}
	out, _ := protocol.Append(nil, nil, &origin, &answer)
	fmt.Printf("%q\n", out)
	// Output:
	// plain: REQUEST [hello] <nil>
	// ["\x00\x00\x00\x01" "" "hello!"]
}

func ExampleParseDialects() {
	set, unknown := protocol.ParseDialects([]string{"prv1", "ppp"})
	fmt.Println(set.Has(protocol.PPP), set.Has(protocol.MDP02), unknown == "")
	_, unknown = protocol.ParseDialects([]string{"prv1", "amqp"})
	fmt.Printf("%s is none of %v\n", unknown, protocol.DialectNames())
	// Output:
	// true false true
	// amqp is none of [prv1 plain ppp mdp01 mdp02]
}

// An outcome for a client whose dialect has no errors.
func ExampleErrorBody() {
	m := protocol.Message{Command: protocol.Reply, Code: protocol.Expired, Meta: protocol.ErrorMeta("the deadline passed"),
		Flags: protocol.Flags(0).WithCertainty(protocol.NotStarted)}
	fmt.Printf("%s\n", protocol.ErrorBody(&m))
	fmt.Println(m.Meta.Get(protocol.MetaErrorText))
	// Output:
	// PRIVATEER-ERROR EXPIRED not-started: the deadline passed
	// the deadline passed
}

// A request that is asked again has the same digest; one that took its id for
// something else has another.
func ExampleDigest() {
	id, _ := protocol.ParseID("0190b5a2-7c1e-7000-8000-0123456789ab")
	digest := func(body string) uint64 {
		return protocol.Digest(id, []byte("resize"), 0, [][]byte{[]byte(body)})
	}
	first := digest("cat.png")
	fmt.Println(digest("cat.png") == first, digest("dog.png") == first)
	// Output: true false
}

// The table of commands: what may travel where, and what a code is called there.
func ExampleLegal() {
	for _, d := range []protocol.Direction{protocol.FrontIn, protocol.FrontOut, protocol.BackIn, protocol.BackOut} {
		fmt.Println(d, protocol.Legal(d, protocol.Request))
	}
	fmt.Println(protocol.CodeName(protocol.Reply, protocol.Failed), protocol.CodeName(protocol.Cancel, protocol.ReasonLease))
	// Output:
	// client → broker true
	// broker → client false
	// worker → broker false
	// broker → worker true
	// FAILED lease over
}

// What a frame is meant as, before it is read, and why a name is none.
func ExampleSniff() {
	header := protocol.AppendHeader(nil, protocol.FrontIn, &protocol.Message{Command: protocol.Ping, Instance: 42})
	fmt.Println(protocol.Sniff(header), protocol.Sniff([]byte("hello")))
	fmt.Printf("%q %q\n", protocol.ValidService([]byte("resize")), protocol.ValidService(nil))
	// Output:
	// true false
	// "" "service name is empty"
}

// A worker's heartbeat lists what it holds; the broker's names the replies that
// it has taken.
func ExampleAppendEntries() {
	id, _ := protocol.ParseID("0190b5a2-7c1e-7000-8000-0123456789ab")
	held := []protocol.Entry{{ID: id, Attempt: 2, Epoch: 7, State: protocol.Running, RemainingMS: 1500}}
	taken := []protocol.Acked{{ID: id, Attempt: 2, Epoch: 7, RemainingMS: 1400}}
	fmt.Println(len(protocol.AppendEntries(nil, held)), "bytes,", len(protocol.AppendAcks(nil, taken)), "bytes")

	beat := protocol.Message{Command: protocol.Heartbeat, Link: 1, Seq: 1, Credit: 1, Entries: held}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackIn, &beat)
	var m protocol.Message
	err := protocol.Parse(protocol.BackIn, frames, &m)
	fmt.Println(m.Command, m.Entries[0].ID, m.Entries[0].State, m.Entries[0].RemainingMS, err)
	// Output:
	// 48 bytes, 36 bytes
	// HEARTBEAT 0190b5a2-7c1e-7000-8000-0123456789ab running 1500 <nil>
}
