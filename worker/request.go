package worker

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Request is what a Handler is given. Its byte slices belong to the handler.
type Request struct {
	ID         protocol.ID
	Service    string
	Frames     [][]byte
	Headers    []Header
	Attempt    int       // hand-overs of this request so far, this one included
	MaybeRerun bool      // an earlier attempt may have run
	Deadline   time.Time // when the outcome is EXPIRED; ctx ends then
}

// A Header is one user header of a request or reply.
type Header struct{ Key, Value string }

// Body is the first frame, nil if there is none.
func (r *Request) Body() []byte {
	if len(r.Frames) == 0 {
		return nil
	}
	return r.Frames[0]
}
