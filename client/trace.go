package client

import (
	"fmt"
	"strings"

	"github.com/privateer-mq/privateer/protocol"
)

// traceBytesMax bounds Request.Trace.
const traceBytesMax = 255

// addTrace appends trace to m. It says why it does not; "" if nothing is wrong.
func addTrace(m *protocol.Meta, trace string) string {
	switch {
	case trace == "":
		return ""
	case len(trace) > traceBytesMax:
		return fmt.Sprintf("Trace has %d bytes; at most %d are allowed", len(trace), traceBytesMax)
	case strings.ContainsFunc(trace, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Sprintf("Trace is %q; it must be ASCII without spaces, such as a W3C traceparent", trace)
	}
	*m = m.Append(protocol.MetaTrace, trace)
	return ""
}
